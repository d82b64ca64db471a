"""Pairwise distances of point clouds, by direct differences."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from adabet_fast import _core, _cuda
from adabet_fast._backends import resolve_backend
from adabet_fast._inputs import as_points, as_stack
from adabet_fast._memory import resolve_budget
from adabet_fast._options import check_dtype, check_flag, check_metric
from adabet_fast._threads import resolve_threads
from adabet_fast.errors import BackendUnavailableError, InvalidInputError


def pairwise_distances(
    x: Any,
    *,
    metric: str = "euclidean",
    dtype: str = "float32",
    backend: str = "auto",
    n_threads: int | None = None,
    condensed: bool = False,
) -> Any:
    """Distances between all pairs of points, each the correctly accumulated direct difference.

    No Gram matrix is formed, so nothing cancels: near-duplicates and clouds far from the origin keep their digits.
    float32 input is subtracted and squared in float32 in short chains whose sums are float64 (float64 throughout for
    d <= 64); float64 input, or ``dtype="float64"``, is float64 throughout; one rounding comes at the end. The bits of
    a distance depend on its two points alone: not on the others, the number of threads, or the processor.

    Parameters
    ----------
    x : array_like of shape (n, ...)
        n points, flattened from axis 1 (a stack of b clouds would be read as b points: it goes to
        `pairwise_distances_batch`): NumPy, anything with ``__dlpack__`` on the CPU or a CUDA GPU (torch, also
        bfloat16 and tensors that require gradients; CuPy; JAX) or ``__array__``. float16, bfloat16, float32, float64,
        integers or bool; any strides.
    metric : str, default "euclidean"
        "euclidean", "sqeuclidean", "cityblock", "chebyshev", "cosine" or "correlation".
    dtype : {"float32", "float64"}, default "float32"
        Precision of the distances.
    backend : {"auto", "cpu", "cuda"}, default "auto"
        Where to compute: "auto" where `x` is; "cuda" copies `x` from the host to the first GPU and the result back, a
        panel of rows at a time where it does not fit there. The bits are the same.
    n_threads : int, optional
        None: ADABET_NUM_THREADS, else OMP_NUM_THREADS, else the cores this process may use.
    condensed : bool, default False
        Give the n (n - 1) / 2 entries above the diagonal in row-major order, as scipy's ``pdist`` does.

    Returns
    -------
    array of shape (n, n), or (n (n - 1) / 2,)
        In the library of `x`: a torch tensor for a torch tensor, else as a rule a NumPy array. Not differentiable.

    Raises
    ------
    InvalidInputError
        Where `x` is no point cloud, has NaN or inf, or an argument is not what is said above.
    MemoryBudgetError
        Where the result is larger than 80 % of the memory available.
    BackendUnavailableError
        Where the backend cannot run here, or `x` is on a GPU that this build or machine cannot use.

    Notes
    -----
    Time O(n² d), memory O(n²) for the result, half of that with ``condensed=True``, and little beside it.

    Examples
    --------
    >>> import numpy as np
    >>> from adabet_fast import pairwise_distances
    >>> pairwise_distances(np.array([[0.0, 0.0], [3.0, 4.0]]))
    array([[0., 5.],
           [5., 0.]], dtype=float32)
    """
    chosen = _check_backend(backend)
    points = as_points(x)
    metric, dtype, condensed = check_metric(metric), check_dtype(dtype), check_flag(condensed, "condensed")
    device = _cuda.choose(chosen, points)
    if device is not None:
        _refuse_condensed(condensed)
        return _on_gpu(points, x, device, metric, dtype)
    out = _core.pairwise_distances(
        points,
        metric=metric,
        dtype=dtype,
        condensed=condensed,
        n_threads=resolve_threads(n_threads),
        max_memory=resolve_budget(None),
    )
    return _in_library_of(x, out)


def pairwise_distances_batch(
    xs: Any,
    *,
    metric: str = "euclidean",
    dtype: str = "float32",
    backend: str = "auto",
    n_threads: int | None = None,
    condensed: bool = False,
) -> Any:
    """Distances of many clouds in one call: `pairwise_distances` of each, to the bit, threads over clouds.

    Parameters
    ----------
    xs : array_like of shape (b, n, ...), or iterable of clouds
        A stack of b clouds of n points each, as torch.cdist takes them, or clouds of any sizes.
    metric, dtype, backend, n_threads, condensed
        As in `pairwise_distances`, for every cloud.

    Returns
    -------
    array of shape (b, n, n), or (b, n (n - 1) / 2); or list of arrays
        Of a stack one array, in its library; of an iterable a list, each in the library of its cloud.

    Raises
    ------
    InvalidInputError, MemoryBudgetError, BackendUnavailableError
        As in `pairwise_distances`, memory counted for all clouds together; what a cloud itself is refused for begins
        with its index: ``cloud 3: ...``.

    Notes
    -----
    Many clouds, or small ones, are shared out, a thread each, in scratch that is kept from one to the next; few large
    ones are taken in turn, all threads in each.

    Examples
    --------
    >>> import numpy as np
    >>> from adabet_fast import pairwise_distances_batch
    >>> stack = np.array([[[0.0], [3.0]], [[1.0], [5.0]], [[2.0], [2.5]]])
    >>> pairwise_distances_batch(stack, condensed=True)
    array([[3. ],
           [4. ],
           [0.5]], dtype=float32)
    >>> [matrix.shape for matrix in pairwise_distances_batch([stack[0], np.eye(5)])]
    [(2, 2), (5, 5)]
    """
    chosen = _check_backend(backend)
    if isinstance(xs, Iterator):
        xs = list(xs)
    clouds = as_stack(xs, False, "pairwise_distances")
    metric, dtype, condensed = check_metric(metric), check_dtype(dtype), check_flag(condensed, "condensed")
    is_list = isinstance(clouds, list)
    device = _cuda.choose(chosen, *(clouds if is_list else [clouds])) if not is_list or clouds else None
    if device is not None:
        _refuse_condensed(condensed)
        outs = [
            _on_gpu(cloud, x, device, metric, dtype, f"cloud {i}: ")
            for i, (cloud, x) in enumerate(zip(clouds, xs, strict=True))
        ]
        return outs if is_list else _stacked(outs, clouds, dtype)
    out = _core.pairwise_distances_batch(
        clouds,
        metric=metric,
        dtype=dtype,
        condensed=condensed,
        n_threads=resolve_threads(n_threads),
        max_memory=resolve_budget(None),
    )
    return [_in_library_of(x, one) for x, one in zip(xs, out, strict=True)] if is_list else _in_library_of(xs, out)


def _check_backend(backend: str) -> str:
    chosen = resolve_backend(backend)
    if chosen == "ripser":
        raise BackendUnavailableError("backend 'ripser' computes no distances; use backend='cpu'")
    return chosen


def _refuse_condensed(condensed: bool) -> None:
    if condensed:
        raise BackendUnavailableError("condensed=True is not made on a GPU; take the square, or backend='cpu'")


def _on_gpu(points: Any, x: Any, device: int, metric: str, dtype: str, which: str = "") -> Any:
    try:
        out = _cuda.distances(points, x, device, metric, dtype)
    except InvalidInputError as error:
        raise InvalidInputError(f"{which}{error}") from None
    return out if _cuda.device_of(points) is not None else _in_library_of(x, out)


def _stacked(outs: list[Any], clouds: Any, dtype: str) -> Any:
    """One array of several, which for no clouds has no entries."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(clouds, torch.Tensor):
        library: Any = torch
    elif hasattr(clouds, "__array_namespace__"):
        library = clouds.__array_namespace__()
    else:
        library = sys.modules[type(clouds).__module__.split(".")[0]]  # NumPy, CuPy
    if outs:
        return library.stack(outs)
    shape = (0, int(clouds.shape[1]), int(clouds.shape[1]))
    place = {} if isinstance(clouds, np.ndarray) else {"device": clouds.device}
    return library.empty(shape, dtype=getattr(library, dtype), **place)


def _in_library_of(x: Any, out: Any) -> Any:
    torch = sys.modules.get("torch")  # a tensor cannot be here without it
    if torch is not None and isinstance(x, torch.Tensor):
        return torch.from_numpy(out)
    if hasattr(x, "__array_namespace__") and hasattr(x, "__dlpack__"):
        return x.__array_namespace__().asarray(out)
    return out
