"""`ripser`: ripser.py's function."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from adabet_fast._drop_in.engines import (
    Array,
    Diagrams,
    Options,
    check_thresh,
    count_edges_of_points,
    import_ripser,
    of_matrix,
    of_points,
)
from adabet_fast._drop_in.greedy import greedy_permutation
from adabet_fast._drop_in.metrics import (
    Metric,
    check_metric,
    native_distances,
    native_metric,
    other_distances,
    row_function,
)
from adabet_fast._drop_in.result import Deferred, LazyDict
from adabet_fast._inputs import _is_scipy_sparse as is_scipy_sparse
from adabet_fast._inputs import as_points
from adabet_fast.errors import InvalidInputError


def ripser(
    X: Any,
    maxdim: int = 1,
    thresh: float = np.inf,
    coeff: int = 2,
    distance_matrix: bool = False,
    do_cocycles: bool = False,
    metric: Metric = "euclidean",
    n_perm: int | None = None,
    *,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
) -> dict[str, Any]:
    """Compute persistence diagrams of `X`: a drop-in for ripser.py's function of this name.

    Parameters
    ----------
    X : array_like of shape (n, d), or square
        Points, one a row; with ``distance_matrix=True`` a square distance matrix or a scipy sparse one. What `h1` takes
        besides (lists, torch tensors, memory maps) is taken too.
    maxdim : int, default 1
        The highest degree. Up to 1 the package's engine runs; beyond, ripser.py, which has to be installed.
    thresh : float, default inf
        Edges up to and including this length, in float32.
    coeff : int, default 2
        Coefficients in Z/coeff; other fields than Z/2 are left to ripser.py.
    distance_matrix : bool, default False
        Read `X` as distances. Those that are not symmetric, and those with a diagonal that is not zero (where points
        are born later), are left to ripser.py.
    do_cocycles : bool, default False
        Representative cocycles, left to ripser.py.
    metric : str or callable, default "euclidean"
        "euclidean" ("l2"), "cityblock" ("manhattan", "l1"), "sqeuclidean", "chebyshev", "cosine" and "correlation" are
        computed here; any other name by scikit-learn, which has to be installed. A function is called once for each
        pair of rows, and for each row with itself. "precomputed" says ``distance_matrix=True``, as giotto-ph has it.
    n_perm : int, optional
        Use only so many points, each as far from those before it as can be (a greedy permutation).
    n_threads : int, optional
        As in `h1`; -1 is all cores, as giotto-ph has it.
    max_memory : int or str, optional
        As in `h1`.

    Returns
    -------
    dict
        ``dgms``, a list with one float64 array (k, 2) of births and deaths a degree, holding float32 values: degree 0
        by rising death, one infinite bar for each component; degree 1 by falling birth. ``cocycles``, lists, empty
        unless asked for. ``num_edges``, the edges up to the threshold or the enclosing radius. ``dperm2all``, the
        distance matrix, or the rows of it for the points of `n_perm`. ``idx_perm``, the indices of the points used.
        ``r_cover``, their covering radius.
        Of a point cloud, ``dperm2all`` and ``num_edges`` are computed when first read: they need all n² distances.

    Raises
    ------
    InvalidInputError
        A ValueError: a matrix that is not square, NaN or infinite coordinates, NaN or negative distances, `n_perm` that
        is negative, more than n, or with a sparse matrix, and as for `h1`.
    BackendUnavailableError
        A RuntimeError: what was asked for is left to ripser.py or scikit-learn, which is not installed.
    MemoryBudgetError
        As in `h1`.

    Warns
    -----
    UserWarning
        Where points are square, or have more columns than rows, as ripser.py does.

    Notes
    -----
    A given matrix gives ripser.py's bits. What differs, for the better:

    - Distances of points are direct differences; scikit-learn's, which ripser.py uses, come from products and lose
      digits for points near one another and far from the origin. A bar's ends may differ in the last digits, and ties
      between points may fall otherwise in `n_perm`.
    - NaN and negative distances, duplicate entries of a sparse matrix and ``thresh=nan`` raise, where ripser.py answers
      all the same. (Negative entries beside a diagonal that is not zero, as in lower-star filtrations, are its own.)
    - A sparse matrix with entries below the diagonal alone is undirected, where ripser.py sees no edges; an infinite
      entry is no edge.
    - Lists, no points at all and points without coordinates are taken; ripser.py fails on these.
    - Time and memory are those of `h1`, it can be interrupted, and lets other threads run.

    Examples
    --------
    >>> import numpy as np
    >>> from adabet_fast import ripser
    >>> square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    >>> result = ripser(square)
    >>> result["dgms"][1]
    array([[1.        , 1.41421354]])
    >>> result["num_edges"], result["dperm2all"].shape
    (6, (4, 4))
    """
    return compute(X, maxdim, thresh, coeff, distance_matrix, do_cocycles, metric, n_perm, n_threads, max_memory)


def compute(
    x: Any,
    maxdim: int,
    thresh: float,
    coeff: int,
    distance_matrix: bool,
    do_cocycles: bool,
    metric: Metric,
    n_perm: int | None,
    n_threads: int | None = None,
    max_memory: int | str | None = None,
    stacklevel: int = 3,
) -> dict[str, Any]:
    """`ripser`, with the number of callers between the warnings and the user's line."""
    options = Options(
        max(0, int(maxdim)),
        check_thresh(thresh),
        int(coeff),
        bool(do_cocycles),
        None if n_threads == -1 else n_threads,
        max_memory,
    )
    metric = check_metric(metric)
    precomputed = isinstance(metric, str) and metric == "precomputed"
    as_distances = precomputed or bool(distance_matrix)
    x = x if hasattr(x, "shape") else np.asarray(x)
    _check_shape(tuple(x.shape), as_distances, stacklevel)
    n = int(x.shape[0])
    _check_n_perm(x, n, n_perm, as_distances)
    beyond = options.beyond_us()
    if beyond is not None:
        import_ripser(beyond)  # rather raise now than after the work

    if n_perm and n_perm < n:
        return _of_some_points(x, metric, as_distances, n_perm, options)
    if as_distances:
        return _result(of_matrix(x, options), x, n)
    points, name = _read_points(x), native_metric(x, metric)
    if name is None:
        matrix = other_distances(points, metric)
    elif beyond is not None or not _worth_deferring(points):
        matrix = native_distances(points, name, options.n_threads)
    else:
        try:
            return _of_points(points, name, options)
        except InvalidInputError:
            if name != "cosine":
                raise
            matrix = native_distances(points, name, options.n_threads)  # which takes zero vectors
    return _result(of_matrix(matrix, options), matrix, n)


def _check_shape(shape: tuple[int, ...], as_distances: bool, stacklevel: int) -> None:
    if as_distances:
        if len(shape) != 2 or shape[0] != shape[1]:
            raise InvalidInputError(f"Distance matrix is not square: X has shape {shape}")
        return
    if len(shape) != 2:
        raise InvalidInputError(f"X has shape {shape}, expected points (n, d), one a row")
    if shape[0] == shape[1]:
        message = (
            "The input matrix is square, but the distance_matrix flag is off.  "
            "Did you mean to indicate that this was a distance matrix?"
        )
    elif shape[0] < shape[1]:
        message = "The input point cloud has more columns than rows; did you mean to transpose?"
    else:
        return
    warnings.warn(message, UserWarning, stacklevel=stacklevel + 1)


def _check_n_perm(x: Any, n: int, n_perm: int | None, as_distances: bool) -> None:
    if not n_perm:
        return
    if as_distances and is_scipy_sparse(x):
        raise InvalidInputError("Greedy permutation is not supported for sparse distance matrices")
    if n_perm > n:
        raise InvalidInputError(
            "Number of points in greedy permutation is greater than number of points in the point cloud: "
            f"{n_perm} > {n}"
        )
    if n_perm < 0:
        raise InvalidInputError(
            f"Should be a strictly positive number of points in the greedy permutation, got {n_perm}"
        )


def _result(diagrams: Diagrams, distances: Any, n: int) -> LazyDict:
    return LazyDict(
        dgms=diagrams.dgms,
        cocycles=diagrams.cocycles,
        num_edges=diagrams.num_edges,
        dperm2all=distances,
        idx_perm=np.arange(n),
        r_cover=0.0,
    )


def _read_points(x: Any) -> Any:
    """A NumPy array where there can be one, without a copy; else what the engine reads; sparse ones as they are."""
    if is_scipy_sparse(x):
        return x
    try:
        points = as_points(x)
    except InvalidInputError:
        return np.asarray(x)  # text, say, for a metric that takes it
    if isinstance(points, np.ndarray):
        return points
    try:
        return np.from_dlpack(points)
    except (TypeError, ValueError, RuntimeError, BufferError):  # bfloat16, or on a GPU
        return points


def _worth_deferring(points: Any) -> bool:
    """Whether the distances are larger than the points that have to be kept for them."""
    return isinstance(points, np.ndarray) and points.shape[0] > points.shape[1]


def _of_points(points: Array, metric: str, options: Options) -> LazyDict:
    diagrams, radius = of_points(points, metric, options)
    result = _result(diagrams, None, len(points))
    kept = np.array(points)  # a caller may go on to change them
    result["dperm2all"] = Deferred(native_distances, kept, metric)
    result["num_edges"] = Deferred(count_edges_of_points, kept, metric, options.thresh, radius)
    return result


def _of_some_points(x: Any, metric: Metric, as_distances: bool, n_perm: int, options: Options) -> LazyDict:
    if as_distances:
        square = np.asarray(x)
        indices, radius, rows = greedy_permutation(square.__getitem__, n_perm)
    else:
        indices, radius, rows = greedy_permutation(row_function(_read_points(x), metric), n_perm)
    found = of_matrix(rows[:, indices], options)
    for bars in found.cocycles:
        for cocycle in bars:
            cocycle[:, :-1] = indices[cocycle[:, :-1]]
    result = _result(found, rows, 0)
    result.update(idx_perm=indices, r_cover=radius)
    return result
