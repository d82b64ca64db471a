"""Pairwise distances of a point cloud, by direct differences."""

from __future__ import annotations

import sys
from typing import Any

from adabet_fast import _core, _cuda
from adabet_fast._backends import resolve_backend
from adabet_fast._inputs import as_points
from adabet_fast._memory import resolve_budget
from adabet_fast._options import check_dtype, check_flag, check_metric
from adabet_fast._threads import resolve_threads
from adabet_fast.errors import BackendUnavailableError


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
        n points, flattened from axis 1: NumPy, anything with ``__dlpack__`` on the CPU or a CUDA GPU (torch, also
        bfloat16 and tensors that require gradients; CuPy; JAX) or ``__array__``. float16, bfloat16, float32, float64,
        integers or bool; any strides.
    metric : str, default "euclidean"
        "euclidean", "sqeuclidean", "cityblock", "chebyshev", "cosine" or "correlation".
    dtype : {"float32", "float64"}, default "float32"
        Precision of the distances.
    backend : {"auto", "cpu", "cuda"}, default "auto"
        Where to compute: "auto" where `x` is; "cuda" copies `x` from the host to the first GPU and the result back. The
        bits are the same.
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
    Time O(n² d), memory O(n²) for the result and a small multiple of d beside it; ``condensed=True`` takes a temporary
    square beside its result.

    Examples
    --------
    >>> import numpy as np
    >>> from adabet_fast import pairwise_distances
    >>> pairwise_distances(np.array([[0.0, 0.0], [3.0, 4.0]]))
    array([[0., 5.],
           [5., 0.]], dtype=float32)
    """
    chosen = resolve_backend(backend)
    if chosen == "ripser":
        raise BackendUnavailableError("backend 'ripser' computes no distances; use backend='cpu'")
    points = as_points(x)
    metric, dtype = check_metric(metric), check_dtype(dtype)
    device = _cuda.choose(chosen, points)
    if device is not None:
        if check_flag(condensed, "condensed"):
            raise BackendUnavailableError("condensed=True is not made on a GPU; take the square, or backend='cpu'")
        out = _cuda.distances(points, x, device, metric, dtype)
        return out if _cuda.device_of(points) is not None else _in_library_of(x, out)
    out = _core.pairwise_distances(
        points,
        metric=metric,
        dtype=dtype,
        condensed=check_flag(condensed, "condensed"),
        n_threads=resolve_threads(n_threads),
        max_memory=resolve_budget(None),
    )
    return _in_library_of(x, out)


def _in_library_of(x: Any, out: Any) -> Any:
    torch = sys.modules.get("torch")  # a tensor cannot be here without it
    if torch is not None and isinstance(x, torch.Tensor):
        return torch.from_numpy(out)
    if hasattr(x, "__array_namespace__") and hasattr(x, "__dlpack__"):
        return x.__array_namespace__().asarray(out)
    return out
