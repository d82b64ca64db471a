"""Persistence of one distance matrix or point cloud in ripser.py's form: by our engine, or by ripser.py itself."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from adabet_fast._backends import RIPSER_INSTALL
from adabet_fast._drop_in.metrics import our_distances
from adabet_fast._inputs import _is_scipy_sparse as is_scipy_sparse
from adabet_fast.barcode import Barcode
from adabet_fast.errors import BackendUnavailableError, InvalidInputError
from adabet_fast.homology import h1

Array = NDArray[Any]
_ROWS = 256  # looked at at once, so that no second matrix is made
_BLOCK = 2048  # points


class Options(NamedTuple):
    """What is asked for; `n_threads` and `max_memory` as in `h1`."""

    maxdim: int
    thresh: float
    coeff: int
    do_cocycles: bool
    n_threads: int | None
    max_memory: int | str | None

    def beyond_us(self) -> str | None:
        """The first option that needs ripser.py."""
        if self.maxdim > 1:
            return f"maxdim={self.maxdim}"
        if self.coeff != 2:
            return f"coeff={self.coeff}"
        return "do_cocycles=True" if self.do_cocycles else None


class Diagrams(NamedTuple):
    """Diagrams and cocycles by degree, and the number of edges."""

    dgms: list[Array]
    cocycles: list[list[Array]]
    num_edges: Any


def import_ripser(what: str) -> Callable[..., dict[str, Any]]:
    """ripser.py's function, for `what` we leave to it."""
    try:
        from ripser import ripser
    except ImportError as error:
        raise BackendUnavailableError(
            f"{what} is left to ripser.py, which cannot be imported ({error}): {RIPSER_INSTALL}"
        ) from error
    if getattr(ripser, "__module__", "").startswith("adabet_fast"):
        raise BackendUnavailableError(
            f"{what} is left to ripser.py, but the module 'ripser' is adabet_fast under another name: write "
            "`from adabet_fast import ripser` instead of replacing sys.modules['ripser']"
        )
    found: Callable[..., dict[str, Any]] = ripser
    return found


def by_ripser(matrix: Any, options: Options, what: str) -> Diagrams:
    """ripser.py's answer for a square matrix, dense or sparse."""
    ripser = import_ripser(what)
    given = matrix if is_scipy_sparse(matrix) else np.asarray(matrix)
    result = ripser(
        given,
        maxdim=options.maxdim,
        thresh=options.thresh,
        coeff=options.coeff,
        distance_matrix=True,
        do_cocycles=options.do_cocycles,
    )
    return Diagrams(result["dgms"], result["cocycles"], result["num_edges"])


def of_points(points: Any, metric: str, options: Options) -> tuple[Diagrams, float]:
    """Diagrams of a point cloud and its enclosing radius; the number of edges is not known without the distances."""
    bars = h1(
        points,
        metric=metric,
        threshold=max(options.thresh, 0.0),
        n_threads=options.n_threads,
        max_memory=options.max_memory,
    )
    return _in_ripsers_form(bars, options, None), bars.enclosing_radius


def of_matrix(matrix: Any, options: Options) -> Diagrams:
    """Diagrams of a square matrix, dense or sparse, by whichever engine takes it."""
    beyond = options.beyond_us()
    if beyond is None and _has_births(matrix):
        beyond = "a distance matrix whose diagonal is not zero"
    if beyond is not None:
        return by_ripser(matrix, options, beyond)
    try:
        bars = h1(
            matrix,
            distance_matrix=True,
            threshold=max(options.thresh, 0.0),
            n_threads=options.n_threads,
            max_memory=options.max_memory,
        )
    except InvalidInputError:
        if not _merely_asymmetric(matrix):
            raise
        return by_ripser(matrix, options, "a distance matrix that is not symmetric")
    if is_scipy_sparse(matrix):
        edges = _sparse_edges(matrix, options.thresh)
    else:
        edges = count_edges(matrix, options.thresh, bars.enclosing_radius)
    return _in_ripsers_form(bars, options, edges, dense=not is_scipy_sparse(matrix))


def _in_ripsers_form(bars: Barcode, options: Options, num_edges: int | None, dense: bool = True) -> Diagrams:
    points, loops = bars.h0, bars.intervals
    if options.thresh < 0:  # not even the edges of length zero
        points, loops = np.array([[0.0, np.inf]] * bars.n).reshape(-1, 2), loops[:0]
    if bars.n == 0 and dense:  # Ripser reads no distances as those of one point
        points = np.array([[0.0, np.inf]])
    dgms = [points.astype(np.float64), np.array(loops[::-1], dtype=np.float64, order="C")]
    return Diagrams(dgms[: options.maxdim + 1], [[] for _ in range(options.maxdim + 1)], num_edges)


def _has_births(matrix: Any) -> bool:
    diagonal = matrix.diagonal() if is_scipy_sparse(matrix) else np.diagonal(np.asarray(matrix))
    return bool(np.any(diagonal != 0) and not np.isnan(np.asarray(diagonal, dtype=np.float64)).any())


def _merely_asymmetric(matrix: Any) -> bool:
    """Whether nothing is wrong with a matrix that was refused but that its triangles differ."""
    if is_scipy_sparse(matrix):
        entries = matrix.tocoo()
        row, column, length = entries.row, entries.col, entries.data
        if not (length >= 0).all():  # NaN is not >= 0
            return False
        places = row.astype(np.int64) * matrix.shape[0] + column
        return len(np.unique(places)) == len(places) and bool((row < column).any() and (row > column).any())
    square = np.asarray(matrix)
    differs = False
    for i in range(0, len(square), _ROWS):
        rows = square[i : i + _ROWS]
        if not (rows >= 0).all():
            return False
        differs = differs or not np.array_equal(rows, square[:, i : i + _ROWS].T)
    return differs


def _single(length: float) -> np.float32:
    with np.errstate(over="ignore"):
        return np.float32(length)


def count_edges(matrix: Any, thresh: float, enclosing_radius: float) -> int:
    """Edges up to the threshold, or to the enclosing radius where there is none; above the diagonal, as ripser.py."""
    square = np.asarray(matrix)
    limit = _single(thresh)
    if limit >= np.finfo(np.float32).max:
        limit = _single(enclosing_radius)
    count = 0
    with np.errstate(over="ignore"):
        for i in range(0, len(square), _ROWS):
            within = square[i : i + _ROWS, i:].astype(np.float32, copy=False) <= limit
            size = len(within)
            count += int(np.count_nonzero(within)) - int(np.count_nonzero(np.tril(within[:, :size])))
    return count


def count_edges_of_points(points: Array, metric: str, thresh: float, enclosing_radius: float) -> int:
    """As `count_edges` of the distance matrix, which is not made at once: block against block."""
    starts = range(0, len(points), _BLOCK)
    parts = [points[i : i + _BLOCK] for i in starts]

    def edges(cloud: Array) -> int:
        return count_edges(our_distances(cloud, metric, "float32"), thresh, enclosing_radius)

    inside = [edges(part) for part in parts]
    count = sum(inside)
    for a, b in itertools.combinations(range(len(parts)), 2):
        count += edges(np.concatenate([parts[a], parts[b]])) - inside[a] - inside[b]
    return count


def _sparse_edges(matrix: Any, thresh: float) -> int:
    entries = matrix.tocoo()
    side = entries.row < entries.col
    if not side.any():
        side = entries.row > entries.col
    with np.errstate(over="ignore"):
        return int(np.count_nonzero(entries.data[side].astype(np.float32) <= _single(thresh)))


def check_thresh(thresh: Any) -> float:
    """A number, negative ones included: nothing is that near."""
    if isinstance(thresh, (str, bytes)) or not hasattr(thresh, "__float__"):
        raise TypeError(f"thresh must be a real number, not {type(thresh).__name__}")
    value = float(thresh)
    if math.isnan(value):
        raise InvalidInputError("thresh is NaN, expected a number")
    return value
