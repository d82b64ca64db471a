"""`betti1`, `betti1_batch` and `h1`: exact degree-1 persistent homology of point clouds and distance matrices."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from adabet_fast import _core, _cuda
from adabet_fast._backends import resolve_backend
from adabet_fast._inputs import as_matrix, as_points, as_stack, warn_of_distances
from adabet_fast._memory import resident_peak, resolve_budget
from adabet_fast._options import DtypeName, check_dtype, check_flag, check_length, check_metric
from adabet_fast._progress import reporting
from adabet_fast._threads import resolve_threads
from adabet_fast.barcode import Barcode
from adabet_fast.errors import BackendUnavailableError, InvalidInputError


class _Options(NamedTuple):
    distance_matrix: bool
    metric: str
    threshold: float
    dtype: DtypeName
    backend: str
    max_memory: int
    n_threads: int
    device_memory: int


def _check_options(
    distance_matrix: bool,
    metric: str,
    threshold: float,
    dtype: str,
    backend: str,
    max_memory: int | str | None,
    n_threads: int | None,
) -> _Options:
    name = check_dtype(dtype)
    chosen = resolve_backend(backend)
    if chosen == "ripser" and name != "float32":
        raise BackendUnavailableError(
            "backend 'ripser' computes in float32 alone; use dtype='float32' or backend='cpu'"
        )
    return _Options(
        check_flag(distance_matrix, "distance_matrix"),
        check_metric(metric),
        check_length(threshold, "threshold"),
        name,
        chosen,
        resolve_budget(max_memory),
        resolve_threads(n_threads),
        _cuda.device_memory(max_memory),
    )


def betti1(
    x: Any,
    *,
    distance_matrix: bool = False,
    metric: str = "euclidean",
    threshold: float = math.inf,
    min_persistence: float = 0.0,
    dtype: str = "float32",
    backend: str = "auto",
    max_memory: int | str | None = None,
    n_threads: int | None = None,
) -> int:
    """Count the H1 bars of a point cloud over its whole Vietoris-Rips filtration, as AdaBet does.

    This is the number of loops with death > birth at any scale, not the Betti number at one scale: that is
    ``h1(x).betti(t)``.

    Parameters
    ----------
    x : array_like
        A point cloud of shape (n, ...), flattened from axis 1: NumPy, anything with ``__dlpack__`` on the CPU (torch,
        also bfloat16 and tensors that require gradients) or ``__array__`` (pandas), nested lists. A stack of clouds
        would be read as one: it goes to `betti1_batch`. With ``distance_matrix=True`` a square (n, n) or condensed
        (n (n - 1) / 2,) matrix or a scipy sparse one. It is never changed, and copied only where it cannot be read in
        place (another byte order, several strides at once; a matrix that is not exactly symmetric, say).
    distance_matrix : bool, default False
        Read `x` as distances. inf means "no edge"; asymmetry within rounding is accepted and the upper triangle taken.
        In a sparse matrix what is missing is no edge, an explicit zero is an edge of length zero, entries in one
        triangle alone are undirected edges, and where both triangles are there they must agree.
    metric : str, default "euclidean"
        For points: "euclidean", "sqeuclidean", "cityblock", "chebyshev", "cosine" or "correlation".
    threshold : float, default inf
        Edges up to and including this length, cast to `dtype` first.
    min_persistence : float, default 0.0
        Count only bars with death - birth greater than this, in the unit of the distances.
    dtype : {"float32", "float64"}, default "float32"
        Precision of the filtration values. float32 is Ripser's; in float64 close lengths stay apart.
    backend : {"auto", "cpu", "cuda", "ripser"}, default "auto"
        A named backend runs or raises; "auto" computes where `x` is, "cuda" copies points from the host to the first
        GPU. Distance matrices are read by the CPU. ADABET_BACKEND in the environment stands in for "auto" alone.
    max_memory : int or str, optional
        Bytes the call may take beyond input and output, or a size such as "2GiB" or "500MB". None: 80 % of what the
        machine and its control groups have available. A copy that reading `x` needs, as said there, is not counted. Of
        a GPU's memory as much again; None: what it has free. What does not fit there is computed by panels and strips.
    n_threads : int, optional
        None: ADABET_NUM_THREADS, else OMP_NUM_THREADS, else the cores this process may use. The answer does not
        depend on it.

    Returns
    -------
    int
        The number of bars; 0 for fewer than four points.

    Raises
    ------
    InvalidInputError
        A ValueError: what `x` or another argument is, and what was expected.
    MemoryBudgetError
        A MemoryError: the budget, and what would be needed, before it is allocated.
    BackendUnavailableError
        A RuntimeError: why the named backend cannot run, or that `x` is on a GPU.
    KeyboardInterrupt
        On Ctrl-C in the main thread, within a fraction of a second.

    Notes
    -----
    Takes O(n² d) time for distances: all are looked at once, and again where no bound settles them. Memory: n² numbers,
    or tiles of them up to 16 dimensions from 2,048 points on and where they do not fit; with many tied lengths, and in
    `h1`, n² / 8 bytes for each thread's bit rows and some MiB for edges: see `estimate_memory`.
    Only edges of the relative neighbourhood graph give birth to loops (Koyama, Mémoli, Robins, Turner, arXiv
    2307.16333), none beyond the enclosing radius (Bauer, arXiv 1908.02518). As a score: AdaBet, arXiv 2510.03101.

    Examples
    --------
    >>> import numpy as np
    >>> from adabet_fast import betti1
    >>> angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    >>> circle = np.column_stack([np.cos(angle), np.sin(angle)])
    >>> betti1(circle)
    1
    """
    options = _check_options(distance_matrix, metric, threshold, dtype, backend, max_memory, n_threads)
    least = check_length(min_persistence, "min_persistence")
    if options.backend == "ripser":
        return _ripser_barcode(_read(x, options), options).count(least)
    cloud = _read(x, options)
    device = _cuda.chosen(options, cloud)
    if device is not None:
        return _cuda.count_one(cloud, device, options, least)
    return _core.betti1(
        cloud,
        distance_matrix=options.distance_matrix,
        metric=options.metric,
        threshold=options.threshold,
        min_persistence=least,
        dtype=options.dtype,
        n_threads=options.n_threads,
        max_memory=options.max_memory,
    )


def betti1_batch(
    xs: Any,
    *,
    distance_matrix: bool = False,
    metric: str = "euclidean",
    threshold: float = math.inf,
    min_persistence: float = 0.0,
    dtype: str = "float32",
    backend: str = "auto",
    max_memory: int | str | None = None,
    n_threads: int | None = None,
) -> NDArray[np.int64]:
    """Count the H1 bars of many clouds in one call: `betti1` of each, threads over clouds.

    Parameters
    ----------
    xs : array_like of shape (b, n, ...), or iterable of clouds
        A stack of b clouds of n points each, or clouds of any sizes. With ``distance_matrix=True`` a stack (b, n, n) or
        (b, n (n - 1) / 2), or matrices of any kind that `betti1` takes.
    distance_matrix, metric, threshold, min_persistence, dtype, backend, n_threads
        As in `betti1`, for every cloud.
    max_memory : int or str, optional
        As in `betti1`, for all clouds that are worked on at once.

    Returns
    -------
    ndarray of int64, shape (b,)
        The number of bars of each cloud.

    Raises
    ------
    InvalidInputError, MemoryBudgetError, BackendUnavailableError, KeyboardInterrupt
        As in `betti1`; what a cloud itself is refused for begins with its index: ``cloud 3: ...``.

    Notes
    -----
    Time and memory as for `betti1`, cloud by cloud; scratch memory is reused.

    Examples
    --------
    >>> import numpy as np
    >>> from adabet_fast import betti1_batch
    >>> square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    >>> betti1_batch([square, square[:3]])
    array([1, 0])
    """
    options = _check_options(distance_matrix, metric, threshold, dtype, backend, max_memory, n_threads)
    least = check_length(min_persistence, "min_persistence")
    clouds = as_stack(xs, options.distance_matrix)
    if options.backend == "ripser":
        return np.array([_count_by_ripser(i, cloud, options, least) for i, cloud in enumerate(clouds)], dtype=np.int64)
    device = _cuda.chosen(options, *(clouds if isinstance(clouds, list) else [clouds]))
    if device is not None:
        return _cuda.count(clouds, device, options, least)
    return _core.betti1_batch(
        clouds,
        distance_matrix=options.distance_matrix,
        metric=options.metric,
        threshold=options.threshold,
        min_persistence=least,
        dtype=options.dtype,
        n_threads=options.n_threads,
        max_memory=options.max_memory,
    )


def h1(
    x: Any,
    *,
    distance_matrix: bool = False,
    metric: str = "euclidean",
    threshold: float = math.inf,
    dtype: str = "float32",
    backend: str = "auto",
    max_memory: int | str | None = None,
    n_threads: int | None = None,
    representatives: bool = False,
    progress: bool | Callable[..., object] = False,
    check: str | None = None,
) -> Barcode:
    """Exact H1 barcode (over Z/2) of the Vietoris-Rips filtration of a point cloud or a distance matrix.

    Parameters
    ----------
    x : array_like
        A point cloud of shape (n, ...), flattened from axis 1; with ``distance_matrix=True`` a square (n, n), condensed
        (n (n - 1) / 2,) or scipy sparse matrix. The kinds of arrays, and how a matrix is read, are as in `betti1`.
    distance_matrix, metric, threshold, dtype, backend, max_memory, n_threads
        As in `betti1`. Below a finite `threshold`, or where inf parts the points, bars may be essential: death = inf.
        Up to n^1.5 / 2 edges, or as many as fit where nothing else does, are kept as lists of neighbours (plan
        "sparse"): quicker, and memory follows from points and edges.
    representatives : bool, default False
        Also give each interval a short closed loop: its birth edge and a path of fewest edges among those before it.
        Such a cycle is born with the interval and is no boundary before the interval's death. Costs a second pass over
        the edges up to the last birth and one search for each bar.
    progress : bool or callable, default False
        True: a tqdm bar of deaths, with the edges looked at, the classes alive and the radius, where tqdm is installed.
        A function is called instead, by name, with ``edges``, ``births``, ``alive`` (int) and ``radius`` (float), every
        50 ms at most, in the calling thread; what it raises ends the call.
    check : {None, "ripser"}, default None
        Also give the same float32 distance matrix to ripser.py and compare: the multisets of intervals must be equal,
        bit by bit. Needs ripser.py, and its time and memory.

    Returns
    -------
    Barcode
        Intervals, the edges that open and close them, H0, and what the run took.

    Raises
    ------
    InvalidInputError, MemoryBudgetError, BackendUnavailableError, KeyboardInterrupt
        As in `betti1`. What depends on the number of births is refused when they have been counted.
    CrossCheckError
        An AssertionError: the intervals that differ, and how to reproduce that.

    Notes
    -----
    Births are the edges of the relative neighbourhood graph that close a cycle; deaths are found among the edges whose
    lune falls into several components; every other edge pairs off at length zero (Koyama, Mémoli, Robins, Turner,
    arXiv 2307.16333; Koyama, Robins, Turner, arXiv 2412.07805; Bauer, arXiv 1908.02518). Memory: see `estimate_memory`.

    Examples
    --------
    >>> import numpy as np
    >>> from adabet_fast import h1
    >>> bars = h1(np.array([[0, 0], [2, 0], [2, 1], [0, 1]]))
    >>> bars.intervals
    array([[2.      , 2.236068]], dtype=float32)
    >>> bars.birth_edges.tolist(), bars.death_edges.tolist()
    ([[2, 3]], [[0, 2]])
    >>> bars.h0.tolist()
    [[0.0, 1.0], [0.0, 1.0], [0.0, 2.0], [0.0, inf]]
    """
    options = _check_options(distance_matrix, metric, threshold, dtype, backend, max_memory, n_threads)
    if check not in (None, "ripser"):
        raise InvalidInputError(f"check is {check!r}, expected None or 'ripser'")
    if check is not None and options.dtype != "float32":
        raise InvalidInputError("check='ripser' compares float32 barcodes, got dtype='float64'")
    check_flag(representatives, "representatives")
    if options.backend == "ripser":
        if representatives:
            raise BackendUnavailableError("backend 'ripser' gives no representatives; use backend='cpu'")
        return _ripser_barcode(_read(x, options), options)
    if check is None:
        return _native_barcode(_read(x, options), options, progress, representatives)
    from adabet_fast._ripser import cross_check, import_ripser

    import_ripser()  # rather raise now than after the work
    points = _read(x, options)
    matrix, d = _float32_matrix(points, options)
    if _cuda.chosen(options, points) is None:
        barcode = _native_barcode(matrix, options._replace(distance_matrix=True), progress, representatives)
    else:
        barcode = _native_barcode(points, options, progress, representatives)
    barcode.d = d
    cross_check(barcode.intervals, matrix, options.threshold)
    return barcode


def _native_barcode(x: Any, options: _Options, progress: object = False, representatives: bool = False) -> Barcode:
    device = _cuda.chosen(options, x)
    if device is not None:
        if representatives:
            raise BackendUnavailableError("representatives are found by the CPU alone; pass x.cpu(), or backend='cpu'")
        return _barcode(_cuda.barcode(x, device, options), int(x.shape[1]), "cuda")
    with reporting(progress) as report:
        raw = _core.h1(
            x,
            distance_matrix=options.distance_matrix,
            metric=options.metric,
            threshold=options.threshold,
            dtype=options.dtype,
            n_threads=options.n_threads,
            max_memory=options.max_memory,
            plan="auto",
            representatives=representatives,
            report=report,
        )
    return _barcode(raw, None if options.distance_matrix else int(x.shape[1]), "cpu")


def _barcode(raw: Any, d: int | None, backend: str) -> Barcode:
    return Barcode(
        raw["intervals"],
        raw["h0"],
        n=raw["n"],
        d=d,
        birth_edges=raw["birth_edges"],
        death_edges=raw["death_edges"],
        enclosing_radius=raw["enclosing_radius"],
        backend=backend,
        plan=raw["plan"],
        representatives=raw.get("representatives"),
        stats=raw["stats"] | resident_peak(),
    )


def _read(x: Any, options: _Options) -> Any:
    if options.distance_matrix:
        return as_matrix(x)
    points = as_points(x)
    warn_of_distances(points)
    return points


def _float32_matrix(x: Any, options: _Options) -> tuple[NDArray[np.float32], int | None]:
    """The distances as our engine reads them, and the number of coordinates where there are any."""
    if options.distance_matrix:
        matrix = _core.canonical_matrix(x, dtype="float32", n_threads=options.n_threads, max_memory=options.max_memory)
        return matrix, None
    device = _cuda.chosen(options._replace(backend="auto") if options.backend == "ripser" else options, x)
    if device is not None:
        return _cuda.square(x, device, options.metric, "float32", None), int(x.shape[1])
    matrix = _core.pairwise_distances(
        x,
        metric=options.metric,
        dtype="float32",
        condensed=False,
        n_threads=options.n_threads,
        max_memory=options.max_memory,
    )
    return matrix, int(x.shape[1])


def _ripser_barcode(x: Any, options: _Options) -> Barcode:
    from adabet_fast._ripser import import_ripser, ripser_intervals

    import_ripser()
    matrix, d = _float32_matrix(x, options)
    h0, intervals = ripser_intervals(matrix, options.threshold)
    radius = float(matrix.max(axis=1).min()) if len(matrix) > 1 else math.inf
    return Barcode(intervals, h0, n=len(matrix), d=d, enclosing_radius=radius, backend="ripser", stats=resident_peak())


def _count_by_ripser(index: int, cloud: Any, options: _Options, min_persistence: float) -> int:
    try:
        return _ripser_barcode(cloud, options).count(min_persistence)
    except InvalidInputError as error:
        raise InvalidInputError(f"cloud {index}: {error}") from None
