"""H1 bars that carry gradients to the points: each birth and each death is the length of one edge."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import nn

from adabet_fast import _core
from adabet_fast._options import check_length
from adabet_fast.errors import InvalidInputError
from adabet_fast.homology import h1 as measure

__all__ = ["h1", "h1_batch"]


def h1(
    x: torch.Tensor,
    *,
    distance_matrix: bool = False,
    metric: str = "euclidean",
    threshold: float = math.inf,
    min_persistence: float = 0.0,
    backend: str = "auto",
    max_memory: int | str | None = None,
    n_threads: int | None = None,
) -> torch.Tensor:
    """Compute the H1 bars of a point cloud as a tensor that is differentiable in the points.

    A birth is the length of the edge that closes a loop, a death that of the edge that fills it. Their gradients pass
    through these two edges to their four end points, or to the two entries of a distance matrix.

    Parameters
    ----------
    x
        Points (n, ...), flattened from axis 1, or a distance matrix (n, n), of a floating-point type.
        A matrix on a GPU is copied to the host for the homology, points where this build has no code for that GPU.
    distance_matrix
        Read ``x`` as distances; of the two entries of an edge the one above the diagonal is read and gets the gradient.
    metric, threshold, backend, max_memory, n_threads
        As in :func:`adabet_fast.h1`.
    min_persistence
        Leave out bars with death - birth not greater than this, which mostly are noise.

    Returns
    -------
    torch.Tensor
        Births and deaths, shape (k, 2), sorted by birth, on the device of ``x``; float64 for float64, else float32.
        The values are those of :func:`adabet_fast.h1` in that precision. Essential bars have death = inf, without a
        gradient: mask them (``bars[bars[:, 1].isfinite()]``) before summing lengths.

    Raises
    ------
    InvalidInputError, MemoryBudgetError, BackendUnavailableError
        As :func:`adabet_fast.h1`; also where ``x`` is no floating-point tensor.

    Notes
    -----
    Where several edges have one length, bars are not differentiable: the gradient is that of the edges that the engine
    paired, a subgradient in one direction. Edges of length zero have gradient zero, so that coinciding points give no
    NaN. Time and memory are those of :func:`adabet_fast.h1`; the graph keeps four points a bar. Second derivatives
    hold too, where the pairing stays.

    Gradients of persistence through its critical simplices: Gameiro, Hiraoka, Obayashi (Physica D 334, 2016); Carrière
    et al. (ICML 2021, arXiv:2010.08356), who also show when descent converges.

    Examples
    --------
    >>> import torch
    >>> from adabet_fast.nn import h1
    >>> square = torch.tensor([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0]], requires_grad=True)
    >>> bars = h1(square)
    >>> bars
    tensor([[2.0000, 2.2361]], grad_fn=...)
    >>> (bars[:, 1] - bars[:, 0]).sum().backward()
    >>> square.grad
    tensor([[-0.8944, -0.4472],
            [ 0.0000,  0.0000],
            [-0.1056,  0.4472],
            [ 1.0000,  0.0000]])
    """
    points = _check_tensor(x, "x")
    if distance_matrix and points.ndim != 2:
        raise InvalidInputError(f"x has shape {tuple(points.shape)}, expected a square distance matrix (n, n)")
    least = check_length(min_persistence, "min_persistence")
    precision = torch.float64 if points.dtype == torch.float64 else torch.float32
    bars = measure(
        _for_engine(points, backend, distance_matrix),
        distance_matrix=distance_matrix,
        metric=metric,
        threshold=threshold,
        dtype="float64" if precision == torch.float64 else "float32",
        backend=backend,
        max_memory=max_memory,
        n_threads=n_threads,
    )
    kept = bars.persistence > bars.intervals.dtype.type(least)
    values = torch.tensor(bars.intervals[kept], device=points.device)
    if not points.requires_grad:
        return values
    edges = torch.from_numpy(np.stack([bars.birth_edges[kept], bars.death_edges[kept]], axis=1)).to(points.device)
    essential = torch.isinf(values)
    first, second = edges.clamp_min(0).unbind(2)  # each (k, 2), as the bars; (-1, -1) stands for no edge
    if distance_matrix:
        lengths = points[first, second].to(precision)
    else:
        flat = points.flatten(1)
        lengths = _LENGTHS[metric](flat[first].to(precision), flat[second].to(precision))
    # The engine's value to the bit, the gradient of the length: for numbers so close the difference is exact.
    exact = lengths + (values - lengths.detach()).masked_fill(essential, 0)
    return torch.where(essential, values, exact)


def h1_batch(xs: torch.Tensor | Iterable[torch.Tensor], **options: Any) -> list[torch.Tensor]:
    """Compute the H1 bars of many clouds, each as :func:`h1` does.

    Parameters
    ----------
    xs
        A stack of clouds (b, n, ...), or clouds of any sizes; with ``distance_matrix=True`` matrices.
    **options
        As in :func:`h1`.

    Returns
    -------
    list of torch.Tensor
        One tensor (k, 2) for each cloud: clouds differ in their number of bars.

    Raises
    ------
    InvalidInputError, MemoryBudgetError, BackendUnavailableError
        As :func:`h1`; what a cloud is refused for begins with its index.

    Examples
    --------
    >>> import torch
    >>> from adabet_fast.nn import h1_batch
    >>> square = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    >>> h1_batch(torch.stack([square, 2 * square]))
    [tensor([[1.0000, 1.4142]]), tensor([[2.0000, 2.8284]])]
    """
    if isinstance(xs, torch.Tensor):
        if xs.ndim < 3:
            raise InvalidInputError(f"xs has shape {tuple(xs.shape)}, expected a stack (b, n, d); one cloud goes to h1")
    elif not isinstance(xs, Iterable):
        raise InvalidInputError(f"xs is a {type(xs).__name__}, expected a stack (b, n, d) or a list of tensors")
    return [_of_cloud(index, x, options) for index, x in enumerate(xs)]


def _of_cloud(index: int, x: torch.Tensor, options: dict[str, Any]) -> torch.Tensor:
    try:
        return h1(x, **options)
    except InvalidInputError as error:
        raise InvalidInputError(f"cloud {index}: {error}") from None


def _check_tensor(x: object, name: str) -> torch.Tensor:
    if not isinstance(x, torch.Tensor) or not x.is_floating_point():
        got = f"a tensor of {x.dtype}" if isinstance(x, torch.Tensor) else f"a {type(x).__name__}"
        raise InvalidInputError(f"{name} is {got}, expected a floating-point tensor")
    return x


def _for_engine(points: torch.Tensor, backend: str, distance_matrix: bool) -> torch.Tensor:
    """The numbers without their graph, where the engine can read them: distance matrices on the host."""
    points = points.detach()
    if points.device.type == "cuda" and backend in ("auto", "cuda") and not distance_matrix:
        stays = not _core.cuda_problem(points.device.index)
    else:
        stays = points.device.type == "cpu"
    return points if stays else points.cpu()


def _euclidean(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    lengths: torch.Tensor = torch.linalg.vector_norm(a - b, dim=-1)  # its gradient at zero is zero
    return lengths


def _cosine(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    lengths: torch.Tensor = 1 - nn.functional.cosine_similarity(a, b, dim=-1, eps=0)
    return lengths


def _correlation(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return _cosine(a - a.mean(-1, keepdim=True), b - b.mean(-1, keepdim=True))


_LENGTHS: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "euclidean": _euclidean,
    "sqeuclidean": lambda a, b: (a - b).square().sum(-1),
    "cityblock": lambda a, b: (a - b).abs().sum(-1),
    "chebyshev": lambda a, b: (a - b).abs().amax(-1),
    "cosine": _cosine,
    "correlation": _correlation,
}
