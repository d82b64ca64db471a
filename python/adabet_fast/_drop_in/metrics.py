"""Distances for the drop-in: the engine's own metrics, functions, and what scikit-learn knows beyond."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adabet_fast._backends import resolve_backend
from adabet_fast._inputs import _is_scipy_sparse as is_scipy_sparse
from adabet_fast.distances import pairwise_distances
from adabet_fast.errors import BackendUnavailableError, InvalidInputError

Array = NDArray[Any]
Metric = str | Callable[[Any, Any], Any]

NATIVE = {
    "euclidean": "euclidean",
    "l2": "euclidean",
    "cityblock": "cityblock",
    "manhattan": "cityblock",
    "l1": "cityblock",
    "sqeuclidean": "sqeuclidean",
    "chebyshev": "chebyshev",
    "cosine": "cosine",
    "correlation": "correlation",
}
"""The names of scikit-learn and scipy for the metrics that the engine has kernels for."""

_OF_SCIKIT_LEARN = frozenset(["euclidean", "cosine"])  # it keeps float32 in these, and gives float64 in the others


def check_metric(metric: object) -> Metric:
    """A name or a function; whether a name that is not ours exists is for scikit-learn to say."""
    if isinstance(metric, str) or callable(metric):
        return metric
    raise InvalidInputError(f"metric is {metric!r}, expected a name or a function of two points")


def native_metric(x: Any, metric: Metric) -> str | None:
    """The engine's name of a metric, if it can compute it of these points."""
    return NATIVE.get(metric) if isinstance(metric, str) and not is_scipy_sparse(x) else None


def our_distances(points: Any, metric: str, dtype: str, n_threads: int | None = None) -> Any:
    """`pairwise_distances`, also where ADABET_BACKEND names ripser.py for the persistence: it computes no distances."""
    backend = "cpu" if resolve_backend("auto") == "ripser" else "auto"
    return pairwise_distances(points, metric=metric, dtype=dtype, backend=backend, n_threads=n_threads)


def native_distances(points: Any, metric: str, n_threads: int | None = None) -> Array:
    """The square matrix by the engine, in the dtype that scikit-learn gives."""
    narrow = str(points.dtype).endswith(("float16", "float32"))
    try:
        out = our_distances(points, metric, "float32" if narrow else "float64", n_threads)
    except InvalidInputError:
        if metric != "cosine":
            raise
        out = _cosine_with_zero_rows(np.asarray(points), "float32" if narrow else "float64", n_threads)
    out = _host_array(out)
    return out if out.dtype == _result_dtype(points, metric) else out.astype(_result_dtype(points, metric))


def _cosine_with_zero_rows(points: Array, dtype: str, n_threads: int | None) -> Array:
    """scikit-learn's convention: a zero vector is at distance one from all others."""
    alive = np.flatnonzero(points.any(axis=1))
    out = np.ones((len(points), len(points)), dtype=dtype)
    out[np.ix_(alive, alive)] = our_distances(points[alive], "cosine", dtype, n_threads)
    np.fill_diagonal(out, 0)
    return out


def _host_array(x: Any) -> Array:
    """NumPy's view of what `pairwise_distances` gives in the library of its input."""
    if isinstance(x, np.ndarray):
        return x
    return np.asarray(x.cpu() if hasattr(x, "cpu") else x)


def _result_dtype(points: Any, metric: str) -> np.dtype[Any]:
    keeps = str(points.dtype).endswith("float32") and metric in _OF_SCIKIT_LEARN
    return np.dtype(np.float32 if keeps else np.float64)


def other_distances(x: Any, metric: Metric) -> Array:
    """The square matrix by a function, by scikit-learn, or of sparse points."""
    if callable(metric) and not is_scipy_sparse(x):
        return _by_function(_check_points(x), metric)
    out: Array = _scikit_learn(metric)(x, metric=metric)
    return out


def _by_function(x: Array, metric: Callable[[Any, Any], Any]) -> Array:
    """Each pair once, the lower index first, then each point with itself, as scikit-learn calls it."""
    out = np.zeros((len(x), len(x)), dtype=np.float32 if x.dtype == np.float32 else np.float64)
    for i, j in itertools.combinations(range(len(x)), 2):
        out[i, j] = out[j, i] = metric(x[i], x[j])
    for i in range(len(x)):
        out[i, i] = metric(x[i], x[i])
    return out


def _check_points(x: Any) -> Array:
    points = np.asarray(x)
    if points.dtype.kind in "fc" and not np.isfinite(points).all():
        i, j = np.argwhere(~np.isfinite(points))[0]
        raise InvalidInputError(f"X[{i}, {j}] is {points[i, j]}, expected finite coordinates")
    return points


def _scikit_learn(metric: Metric) -> Callable[..., Any]:
    try:
        from sklearn.metrics import pairwise_distances as of_scikit_learn
    except ImportError as error:
        raise BackendUnavailableError(
            f"metric={metric!r} of such points is computed by scikit-learn, which cannot be imported ({error}): "
            f"pip install scikit-learn. Without it: {', '.join(map(repr, NATIVE))} of dense points, functions, or "
            "your own distances with distance_matrix=True"
        ) from error
    found: Callable[..., Any] = of_scikit_learn
    return found


def row_function(x: Any, metric: Metric) -> Callable[[int], Array]:
    """Distances from one point to all others, zero to itself, in O(n d) time and some MiB of memory."""
    name = native_metric(x, metric)
    if name is not None:
        return _NativeRows(_check_points(x), name)
    if is_scipy_sparse(x):
        raise InvalidInputError("Greedy permutation is not supported for sparse points: pass X.toarray()")
    return _OtherRows(_check_points(x), metric)


class _OtherRows:
    """By a function, or by scikit-learn."""

    def __init__(self, points: Array, metric: Metric) -> None:
        self.points = points
        self.metric = metric
        self.of_scikit_learn = None if callable(metric) else _scikit_learn(metric)

    def __call__(self, i: int) -> Array:
        x = self.points
        if self.of_scikit_learn is None:
            dtype = np.float32 if x.dtype == np.float32 else np.float64
            out = np.array([self.metric(y, x[i]) for y in x], dtype=dtype)  # type: ignore[operator]
        else:
            out = np.ravel(self.of_scikit_learn(x, x[i : i + 1], metric=self.metric))
        out[i] = 0
        return out


class _NativeRows:
    """Direct differences in float64, some rows at a time."""

    def __init__(self, points: Array, metric: str) -> None:
        self.points = points
        self.metric = metric
        self.dtype = _result_dtype(points, metric)
        self.narrow = points.dtype in (np.float16, np.float32)
        self.step = max(1, 2**18 // max(1, points.shape[1]))
        self.directed = metric in ("cosine", "correlation")
        if self.directed:
            self.norms = np.concatenate([np.linalg.norm(self._rows(part), axis=1) for part in self._parts()] or [[]])
            if metric == "correlation" and not self.norms.all():
                row = int(np.flatnonzero(self.norms == 0)[0])
                raise InvalidInputError(f"X: row {row} is constant, so it has no correlation distance")

    def _parts(self) -> list[slice]:
        return [slice(i, i + self.step) for i in range(0, len(self.points), self.step)]

    def _rows(self, part: slice) -> Array:
        rows: Array = self.points[part].astype(np.float64)
        if self.metric == "correlation":
            rows -= rows.mean(axis=1, keepdims=True)
        return rows

    def _units(self, part: slice) -> Array:
        norms = self.norms[part, None]
        units: Array = np.zeros((len(norms), self.points.shape[1]))
        np.divide(self._rows(part), norms, out=units, where=norms > 0)
        return units

    def __call__(self, i: int) -> Array:
        out = np.empty(len(self.points))
        get = self._units if self.directed else self._rows
        origin = get(slice(i, i + 1))
        for part in self._parts():
            out[part] = _LENGTHS[self.metric](get(part) - origin)
        if self.directed:  # scikit-learn's convention for zero vectors
            out[(self.norms == 0) | (self.norms[i] == 0)] = 1.0
            out[i] = 0.0
        return (out.astype(np.float32) if self.narrow else out).astype(self.dtype)


def _squares(x: Array) -> Array:
    out: Array = np.einsum("ij,ij->i", x, x)
    return out


_LENGTHS: dict[str, Callable[[Array], Array]] = {
    "euclidean": lambda x: np.sqrt(_squares(x)),
    "sqeuclidean": _squares,
    "cityblock": lambda x: np.abs(x).sum(axis=1),
    "chebyshev": lambda x: np.abs(x).max(axis=1, initial=0.0),
    "cosine": lambda x: _squares(x) / 2,  # of unit vectors: nothing cancels
    "correlation": lambda x: _squares(x) / 2,
}
