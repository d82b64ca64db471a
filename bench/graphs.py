"""The sparse graphs that benchmarks run on: points of the unit cube, and the lengths of some of their pairs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


def knn(k: int, n: int) -> Any:
    """Join each point to its k nearest neighbours: strictly upper triangular, each undirected edge once."""
    lengths, i, j, _ = _nearest(np.random.default_rng(10).random((n, 3)), k)
    return _graph(lengths, i, j, n)


def neighbours(n: int, edges: int) -> Any:
    """Join each point to its nearest neighbours, as many as give that number of edges; the last rank in part."""
    k = min(n - 1, math.ceil(1.85 * edges / n))  # most pairs are neighbours both ways, and count once
    points = np.random.default_rng(15 + n).random((n, 3))
    while True:
        lengths, i, j, rank = _nearest(points, k)
        if len(lengths) >= edges:
            break
        if k == n - 1:
            raise ValueError(f"{n} points have fewer than {edges} edges")
        k += 1
    # Whole ranks, then the shortest of the first rank that would be too many.
    last = int(np.searchsorted(np.cumsum(np.bincount(rank)), edges))
    inner = np.flatnonzero(rank < last)
    rest = np.flatnonzero(rank == last)
    shortest = rest[np.argsort(lengths[rest], kind="stable")[: edges - len(inner)]]
    taken = np.sort(np.concatenate([inner, shortest]))
    return _graph(lengths[taken], i[taken], j[taken], n)


def geometric(n: int, edges: int) -> Any:
    """Join the closest pairs of points, that many of them: a distance matrix under a threshold."""
    from scipy.spatial import cKDTree

    points = np.random.default_rng(16 + n).random((n, 3))
    tree = cKDTree(points)
    radius = (3 * 2 * edges / (4 * math.pi * n * n)) ** (1 / 3)
    pairs = tree.query_pairs(radius, output_type="ndarray")
    while len(pairs) < edges:  # the cube's faces have fewer neighbours
        radius *= 1.02
        pairs = tree.query_pairs(radius, output_type="ndarray")
    lengths = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    taken = np.argsort(lengths, kind="stable")[:edges]
    return _graph(lengths[taken], pairs[taken, 0], pairs[taken, 1], n)


def _nearest(points: Floats, k: int) -> tuple[Floats, Integers, Integers, Integers]:
    """Each undirected pair once, i < j: its length, its ends, and the better of the two ranks as neighbours."""
    from scipy.spatial import cKDTree

    if k > 64:
        raise ValueError(f"k is {k}, expected at most 64")
    n = len(points)
    lengths, others = cKDTree(points).query(points, k + 1, workers=-1)
    i, j = np.repeat(np.arange(n), k), others[:, 1:].ravel().astype(np.int64)
    key = np.minimum(i, j) * n + np.maximum(i, j)
    # One sort of plain integers: by pair, then by rank. Six bits hold the rank of 64 neighbours.
    order = np.argsort(key * 64 + np.tile(np.arange(k), n))
    sorted_key = key[order]
    once = order[np.concatenate([[True], sorted_key[1:] != sorted_key[:-1]])]
    return lengths[:, 1:].ravel()[once], key[once] // n, key[once] % n, once % k


def _graph(lengths: Floats, i: Integers, j: Integers, n: int) -> Any:
    from scipy.sparse import coo_matrix

    return coo_matrix((lengths, (i, j)), shape=(n, n))
