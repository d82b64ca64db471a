"""What all tests and benchmarks share."""

from hypothesis import settings

# The same cases each time and on each machine; time limits belong to benchmarks.
settings.register_profile("adabet_fast", derandomize=True, deadline=None, database=None)
settings.load_profile("adabet_fast")
