"""Distances on the threads that the forward pass has just used.

After each of its loops the OpenMP runtime keeps its threads spinning for some milliseconds, so as to start the next
loop at once. Threads of our own would get half a core, or none. So distances run as one more loop of that team.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from adabet_fast import _core
from adabet_fast._inputs import as_points
from adabet_fast._memory import resolve_budget
from adabet_fast._threads import resolve_threads

_BORN = os.getpid()


def team_size() -> int:
    """Return how many threads PyTorch has for a loop of the calling thread; 0 where we may not use them.

    In a forked child they are gone, and whoever calls for them waits for ever.
    """
    usable = os.getpid() == _BORN and torch.backends.openmp.is_available()  # type: ignore[no-untyped-call]
    return torch.get_num_threads() if usable else 0


def team_distances(
    rows: torch.Tensor, dtype: str, n_threads: int | None, max_memory: int | None = None
) -> NDArray[np.floating[Any]]:
    """Return the Euclidean distances of points on the CPU, those of :func:`adabet_fast.pairwise_distances` to the bit.

    Parameters
    ----------
    rows
        Of shape (samples, activations).
    dtype
        ``"float32"`` or ``"float64"``, of the distances.
    n_threads
        The most threads to use; None: as everywhere.
    max_memory
        Bytes; None: what is free is asked for, a quarter of a millisecond that a hundred layers need not pay each.

    Examples
    --------
    >>> team_distances(torch.tensor([[0.0, 0.0], [3.0, 4.0]]), "float32", None)
    array([[0., 5.],
           [5., 0.]], dtype=float32)
    """
    # As an array, where NumPy has the type: an exporter is asked for much more before it is read.
    points = rows if rows.dtype == torch.bfloat16 else (rows.resolve_neg() if rows.is_neg() else rows).detach().numpy()
    return _core.pairwise_distances(
        as_points(points),
        metric="euclidean",
        dtype=dtype,
        condensed=False,
        n_threads=resolve_threads(n_threads),
        max_memory=resolve_budget(max_memory),
        openmp_team=team_size(),
    )
