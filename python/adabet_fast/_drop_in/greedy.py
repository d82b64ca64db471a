"""A greedy permutation: points far from all those before them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def greedy_permutation(
    row: Callable[[int], NDArray[Any]], n_perm: int
) -> tuple[NDArray[np.int64], float, NDArray[Any]]:
    """Start with point 0; take next the point farthest from those taken, the first of equals.

    Parameters
    ----------
    row : function of int
        Distances from one point to all n.
    n_perm : int
        Points to take, from 1 to n.

    Returns
    -------
    indices : ndarray of int64, shape (n_perm,)
    radius : float
        The covering radius: no point is farther from the nearest one taken.
    rows : ndarray of shape (n_perm, n)
        Distances from the points taken to all.
    """
    indices = np.zeros(n_perm, dtype=np.int64)
    nearest = row(0)
    rows = np.empty((n_perm, len(nearest)), dtype=nearest.dtype)
    rows[0] = nearest
    for k in range(1, n_perm):
        indices[k] = np.argmax(nearest)
        rows[k] = row(int(indices[k]))
        nearest = np.minimum(nearest, rows[k])
    return indices, np.float64(nearest.max()), rows
