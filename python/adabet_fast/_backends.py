"""Which engine answers: one knob, `backend=`."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from adabet_fast import _core, _cuda
from adabet_fast.errors import BackendUnavailableError, InvalidInputError

NAMES = ("auto", "cpu", "cuda", "ripser")
RIPSER_INSTALL = "pip install ripser"


@dataclass(frozen=True)
class BackendStatus:
    """Whether a backend can run here; `detail` says with what, or why not."""

    available: bool
    detail: str


class Backends(Mapping[str, BackendStatus]):
    """A mapping from each backend's name to its `BackendStatus`; prints as a table."""

    def __init__(self, statuses: Mapping[str, BackendStatus]) -> None:
        self._statuses = dict(statuses)

    def __getitem__(self, name: str) -> BackendStatus:
        return self._statuses[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._statuses)

    def __len__(self) -> int:
        return len(self._statuses)

    def __repr__(self) -> str:
        return "\n".join(
            f"{name:<8}{'yes' if status.available else 'no':<5}{status.detail}" for name, status in self.items()
        )


def backends() -> Backends:
    """What can run here, and for each backend that cannot: why not.

    Returns
    -------
    Backends
        A mapping with the keys ``"cpu"``, ``"cuda"`` and ``"ripser"``; each value has ``available`` and ``detail``.
        For ``"cpu"`` the detail names the instruction set in use, those that could be forced by the environment
        variable ADABET_ISA, and the number of cores.

    Examples
    --------
    >>> import adabet_fast
    >>> adabet_fast.backends()["cpu"].available
    True
    >>> print(adabet_fast.backends())  # doctest: +SKIP
    cpu     yes  avx512 (can run: baseline, avx2, avx512), 2 cores
    cuda    no   no GPU: CUDA driver version is insufficient for CUDA runtime version
    ripser  no   ripser.py is not installed: pip install ripser
    """
    return Backends({"cpu": _cpu(), "cuda": _gpus(), "ripser": _ripser()})


def _cpu() -> BackendStatus:
    cores = _core.available_cores()
    count = f"{cores} core{'' if cores == 1 else 's'}"
    try:
        active = _core.active_isa()
    except BackendUnavailableError as error:  # ADABET_ISA names what cannot run
        return BackendStatus(False, str(error))
    return BackendStatus(True, f"{active} (can run: {', '.join(_core.available_isas())}), {count}")


def _gpus() -> BackendStatus:
    usable, detail = _cuda.status()
    return BackendStatus(bool(usable), detail)


def _ripser() -> BackendStatus:
    if importlib.util.find_spec("ripser") is None:
        return BackendStatus(False, f"ripser.py is not installed: {RIPSER_INSTALL}")
    return BackendStatus(True, "ripser.py, float32, one thread")


def resolve_backend(backend: object) -> str:
    """The backend by its name; ADABET_BACKEND stands in for "auto" alone. "auto" computes where the data is."""
    where = "backend"
    if isinstance(backend, str) and backend == "auto":
        backend = os.environ.get("ADABET_BACKEND") or "auto"
        where = "the environment variable ADABET_BACKEND"
    if not isinstance(backend, str) or backend not in NAMES:
        raise InvalidInputError(f"{where} is {backend!r}, expected one of {', '.join(map(repr, NAMES))}")
    if backend == "cuda":
        try:
            _cuda.first_usable()
        except BackendUnavailableError as error:
            raise BackendUnavailableError(f"{where} is 'cuda', but {error}") from None
    return backend
