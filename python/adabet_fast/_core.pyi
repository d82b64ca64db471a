"""The native module (pybind11). Its arguments are checked by the package's functions, not here."""

from collections.abc import Callable
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

__version__: str

class InvalidInputError(ValueError): ...

class MemoryBudgetError(MemoryError):
    budget: int | None
    needed: int | None

class BackendUnavailableError(RuntimeError): ...

class _RawBarcode(TypedDict, total=False):
    intervals: NDArray[np.floating[Any]]
    birth_edges: NDArray[np.int64]
    death_edges: NDArray[np.int64]
    h0: NDArray[np.floating[Any]]
    n: int
    enclosing_radius: float
    plan: str
    representatives: list[list[NDArray[np.int64]]]  # where asked for
    stats: dict[str, float]

def available_cores() -> int: ...
def active_isa() -> str: ...
def available_isas() -> list[str]: ...
def metric_names() -> list[str]: ...
def pairwise_distances(
    x: object, *, metric: str, dtype: str, condensed: bool, n_threads: int, max_memory: int, openmp_team: int = 0
) -> NDArray[np.floating[Any]]: ...
def pairwise_distances_batch(
    xs: object, *, metric: str, dtype: str, condensed: bool, n_threads: int, max_memory: int
) -> Any: ...
def canonical_matrix(x: object, *, dtype: str, n_threads: int, max_memory: int) -> NDArray[np.floating[Any]]: ...
def has_cuda_code() -> bool: ...
def cuda_problem(device: int) -> str: ...
def device_seconds(x: object, *, device: int, metric: str, dtype: str, repeats: int) -> float: ...
def cuda_devices() -> tuple[str, list[tuple[str, int, int, int, str]]]: ...

class DeviceMatrix:
    def __init__(self, *args: object, **kwargs: object) -> None: ...  # raises: made by device_distances alone
    def __dlpack__(
        self, *, stream: object = None, max_version: object = None, dl_device: object = None, copy: object = None
    ) -> object: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...

def device_distances(x: object, *, device: int, metric: str, dtype: str, to_host: bool, device_memory: int) -> Any: ...
def device_h1(
    x: object,
    *,
    device: int,
    metric: str,
    threshold: float,
    dtype: str,
    n_threads: int,
    max_memory: int,
    device_memory: int,
) -> _RawBarcode: ...
def device_plan(
    n: int, d: int, *, metric: str, dtype: str, n_threads: int, max_memory: int, device_memory: int
) -> tuple[str, int, int]: ...
def device_betti1_batch(
    xs: object,
    *,
    device: int,
    metric: str,
    threshold: float,
    min_persistence: float,
    dtype: str,
    n_threads: int,
    max_memory: int,
    device_memory: int,
) -> NDArray[np.int64]: ...
def betti1(
    x: object,
    *,
    distance_matrix: bool,
    metric: str,
    threshold: float,
    min_persistence: float,
    dtype: str,
    n_threads: int,
    max_memory: int,
) -> int: ...
def betti1_batch(
    xs: object,
    *,
    distance_matrix: bool,
    metric: str,
    threshold: float,
    min_persistence: float,
    dtype: str,
    n_threads: int,
    max_memory: int,
) -> NDArray[np.int64]: ...
def h1(
    x: object,
    *,
    distance_matrix: bool,
    metric: str,
    threshold: float,
    dtype: str,
    n_threads: int,
    max_memory: int,
    plan: str,
    representatives: bool,
    report: Callable[[int, int, int, float], None] | None,
) -> _RawBarcode: ...
def plan(
    n: int, d: int | None, n_edges: int | None, *, metric: str, dtype: str, n_threads: int, max_memory: int
) -> tuple[str, int]: ...
