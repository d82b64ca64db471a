"""How many threads a call uses."""

from __future__ import annotations

import operator
import os

from adabet_fast import _core
from adabet_fast.errors import InvalidInputError

_MOST = 1024


def resolve_threads(n_threads: object) -> int:
    """The argument; else ADABET_NUM_THREADS; else OMP_NUM_THREADS; else the cores that this process may use."""
    if n_threads is None:
        for variable in ("ADABET_NUM_THREADS", "OMP_NUM_THREADS"):
            value = os.environ.get(variable)
            if value is not None and value.strip():
                return _from_environment(variable, value)
        return _core.available_cores()
    if isinstance(n_threads, bool):
        raise InvalidInputError(f"n_threads is {n_threads!r}, expected a positive integer or None")
    try:
        count = operator.index(n_threads)  # type: ignore[arg-type]
    except TypeError:
        raise InvalidInputError(f"n_threads is {n_threads!r}, expected a positive integer or None") from None
    if count < 1:
        raise InvalidInputError(f"n_threads is {count}, expected a positive integer or None")
    return min(count, _MOST)


def _from_environment(variable: str, value: str) -> int:
    # OpenMP takes a list, one number a level of nesting; the first is for the outermost.
    first = value.split(",")[0].strip() if variable == "OMP_NUM_THREADS" else value.strip()
    if not (first.isascii() and first.isdigit()) or int(first) < 1:
        raise InvalidInputError(f"the environment variable {variable} is {value!r}, expected a positive integer")
    return min(int(first), _MOST)
