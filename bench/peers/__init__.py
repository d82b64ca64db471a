"""H1 by every peer that installs, beside adabet_fast: ``python -m bench.peers``."""
