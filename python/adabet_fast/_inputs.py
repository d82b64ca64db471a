"""From whatever a caller passes to what the core reads: a NumPy array or a DLPack exporter, never copied in vain."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from adabet_fast import _core, _cuda
from adabet_fast.errors import BackendUnavailableError, InvalidInputError

_NATIVE = frozenset(
    np.dtype(name)
    for name in (
        *("float16", "float32", "float64", "bool"),
        *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    )
)
_EXPECTED_DTYPES = "float16, bfloat16, float32, float64, an integer type or bool"
_HOST_DEVICES = (1, 3, 11)  # DLPack: the CPU, and memory pinned for CUDA or ROCm


def as_points(x: Any, name: str = "x") -> Any:
    """A point cloud (n, ...) as a 2-D array."""
    if type(x) is np.ndarray and x.ndim == 2 and x.dtype in _NATIVE and x.flags.aligned:
        return x
    if _is_scipy_sparse(x):
        raise InvalidInputError(
            f"{name} is a scipy sparse matrix, which is read as distances: pass distance_matrix=True, or x.toarray()"
        )
    x = as_array(x, name)
    shape = _shape(x)
    if len(shape) < 2:
        raise InvalidInputError(
            f"{name} has shape {shape}, expected a point cloud of shape (n, ...) with at least two axes; "
            f"for n points on a line pass {name}.reshape(-1, 1)"
        )
    return _reshape(x, (shape[0], math.prod(shape[1:])), name) if len(shape) > 2 else x


def warn_of_distances(x: Any) -> None:
    """Warn where points look like a distance matrix whose flag was forgotten, the commonest slip there is."""
    shape = _shape(x)
    if shape[0] != shape[1] or shape[0] < 3 or not isinstance(x, np.ndarray):
        return
    if not x.diagonal().any() and np.array_equal(x, x.T) and x.any():
        warnings.warn(
            f"x is symmetric with a zero diagonal, {shape}, and is read as {shape[0]} points; "
            "if these are distances, pass distance_matrix=True",
            UserWarning,
            stacklevel=4,
        )


def as_matrix(x: Any, name: str = "x") -> Any:
    """A distance matrix as a 2-D square array, a 1-D condensed one, or (n, rows, columns, lengths) of a sparse one."""
    if _is_scipy_sparse(x):
        return _from_scipy(x, name)
    x = as_array(x, name)
    shape = _shape(x)
    if len(shape) not in (1, 2) or (len(shape) == 2 and shape[0] != shape[1]):
        raise InvalidInputError(
            f"{name} has shape {shape}, expected a square distance matrix (n, n) or a condensed one (n (n - 1) / 2,)"
        )
    return x


def as_stack(xs: Any, distance_matrix: bool, for_one: str = "betti1") -> Any:
    """Many clouds as one 3-D array (2-D for condensed matrices), or as a list of what the functions above give."""
    if isinstance(xs, np.ndarray) or (hasattr(xs, "__dlpack__") and not _is_scipy_sparse(xs)):
        xs = as_array(xs, "xs")
        shape = _shape(xs)
        if len(shape) < (2 if distance_matrix else 3) or (distance_matrix and len(shape) > 3):
            expected = "(b, n, n), or condensed (b, m)" if distance_matrix else "(b, n, d)"
            raise InvalidInputError(f"xs has shape {shape}, expected a stack {expected}; one cloud goes to {for_one}")
        return _reshape(xs, (*shape[:2], math.prod(shape[2:])), "xs") if len(shape) > 3 else xs
    if isinstance(xs, (str, bytes, Mapping)) or not isinstance(xs, Iterable) or _is_scipy_sparse(xs):
        raise InvalidInputError(f"xs is {_kind(xs)}, expected a stack (b, n, d) or a list of clouds")
    read = as_matrix if distance_matrix else as_points
    return [read(x, f"cloud {i}: x") for i, x in enumerate(xs)]


def as_array(x: Any, name: str) -> Any:
    """A NumPy array whose numbers the kernels read, or an object with __dlpack__ in the host's memory."""
    if isinstance(x, np.ndarray):
        return _check_numpy(x, name)
    if hasattr(x, "__dlpack__"):
        return _check_exporter(x, name)
    if x is None or isinstance(x, (str, bytes, Mapping, set, frozenset)):
        raise InvalidInputError(f"{name} is {_kind(x)}, expected an array")
    try:
        array = np.asarray(x)
    except (ValueError, TypeError, RuntimeError, OverflowError) as error:
        raise InvalidInputError(f"{name} ({_kind(x)}) cannot be read as an array: {error}") from error
    return _check_numpy(array, name)


def _check_numpy(x: np.ndarray[Any, Any], name: str) -> np.ndarray[Any, Any]:
    if type(x) is not np.ndarray and isinstance(x, np.ma.MaskedArray):  # np.ma takes 10 ms to import
        if np.ma.is_masked(x):
            raise InvalidInputError(f"{name} is a masked array with masked entries, expected numbers everywhere")
        x = x.data
    if x.dtype not in _NATIVE:
        native = x.dtype.newbyteorder("=")
        if native not in _NATIVE:
            raise InvalidInputError(f"{name} has dtype {x.dtype}, expected {_EXPECTED_DTYPES}")
        x = x.astype(native)
    if not x.flags.aligned or any(stride % x.itemsize for stride in x.strides):
        x = x.copy()
    return x


def _check_exporter(x: Any, name: str) -> Any:
    if getattr(x, "requires_grad", False):
        x = x.detach()
    if getattr(x, "is_neg", bool)():  # of PyTorch's views with a negative bit, DLPack hands over the opposite numbers
        x = x.resolve_neg()
    try:
        device = int(x.__dlpack_device__()[0])
    except (ValueError, TypeError, AttributeError, RuntimeError, BufferError) as error:
        raise InvalidInputError(f"{name} ({_kind(x)}) names no DLPack device: {error}") from error
    if device in _cuda.DEVICE_TYPES:
        problem = _core.cuda_problem(int(x.__dlpack_device__()[1]))
        if problem:
            where = getattr(x, "device", "a GPU")
            raise BackendUnavailableError(f"{name} ({_kind(x)}) is on {where}, but {problem}; pass x.cpu()")
    elif device not in _HOST_DEVICES:
        raise BackendUnavailableError(
            f"{name} ({_kind(x)}) is on {getattr(x, 'device', f'DLPack device type {device}')}, "
            "where nothing here computes; pass x.cpu()"
        )
    try:
        has_shape = hasattr(x, "shape")
    except RuntimeError as error:  # a nested tensor
        raise InvalidInputError(
            f"{name} ({_kind(x)}) has no one shape: {error} Clouds of several sizes go to betti1_batch as a list"
        ) from error
    return x if has_shape else _through_numpy(x, name)


def _shape(x: Any) -> tuple[int, ...]:
    return tuple(int(size) for size in x.shape)


def _reshape(x: Any, shape: tuple[int, ...], name: str) -> Any:
    return (x if hasattr(x, "reshape") else _through_numpy(x, name)).reshape(shape)


def _through_numpy(x: Any, name: str) -> Any:
    """An exporter that offers nothing but DLPack, as an array that knows its shape and can be reshaped."""
    try:
        return np.from_dlpack(x)
    except (ValueError, TypeError, RuntimeError, BufferError) as error:
        raise InvalidInputError(f"{name} ({_kind(x)}) cannot be read through DLPack: {error}") from error


def _is_scipy_sparse(x: Any) -> bool:
    # By name: importing scipy to ask would cost more than most barcodes.
    return any(kind.__module__.startswith("scipy.sparse") for kind in type(x).__mro__)


def _from_scipy(x: Any, name: str) -> tuple[int, Any, Any, Any]:
    if len(x.shape) != 2 or x.shape[0] != x.shape[1]:
        raise InvalidInputError(f"{name} has shape {tuple(x.shape)}, expected a square sparse distance matrix")
    entries = x.tocoo()  # keeps duplicates, so that the core can refuse them
    lengths = np.ascontiguousarray(_check_numpy(entries.data, name))
    return int(x.shape[0]), _indices(entries.row), _indices(entries.col), lengths


def _indices(index: Any) -> np.ndarray[Any, Any]:
    """Row or column numbers: in place where they are int32 or int64, as scipy has them."""
    return np.ascontiguousarray(index, dtype=np.int32 if index.dtype == np.int32 else np.int64)


def _kind(x: Any) -> str:
    return "None" if x is None else f"a {type(x).__module__}.{type(x).__qualname__}".replace("a builtins.", "a ")
