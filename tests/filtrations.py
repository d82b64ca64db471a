"""Distance matrices of every kind that has tripped an engine, and H1 by the definition."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
Rng = np.random.Generator


def mirror(upper: NDArray[np.generic]) -> Matrix:
    """The symmetric float32 matrix with this upper triangle."""
    d = np.triu(np.asarray(upper, dtype=np.float32), 1)
    return np.maximum(d, d.T)


def from_points(x: NDArray[np.floating]) -> Matrix:
    x = np.asarray(x, dtype=np.float64).reshape(len(x), -1)
    return mirror(np.sqrt(((x[:, None, :] - x[None, :, :]) ** 2).sum(axis=2)))


def circular(r: Rng, n: int) -> Matrix:
    t = r.random(n) * 2 * np.pi
    return from_points(np.c_[np.cos(t), np.sin(t)] + 0.05 * r.standard_normal((n, 2)))


def one_ulp(r: Rng, n: int) -> Matrix:
    return mirror((np.float32(1).view(np.int32) + r.integers(0, 4, (n, n), dtype=np.int32)).view(np.float32))


def duplicated(r: Rng, n: int) -> Matrix:
    """Each point twenty times, as far as n allows."""
    x = r.standard_normal((max(1, n // 20 if n >= 60 else n // 3), 3))
    return from_points(x[np.arange(n) % len(x)])


def ultrametric(r: Rng, n: int) -> Matrix:
    d = np.zeros((n, n))
    for i in range(1, n):
        parent = r.integers(i)
        height = r.integers(1, 6)
        d[i, :i] = d[:i, i] = np.where(np.arange(i) == parent, height, np.maximum(height, d[parent, :i]))
    return mirror(d)


def bipartite(r: Rng, n: int) -> Matrix:
    side = r.permutation(n) % 2
    return mirror(np.where(side[:, None] == side[None, :], 2.0, 1.0))


def disconnected(r: Rng, n: int) -> Matrix:
    """Two far clusters without an edge between them, and holes inside."""
    d = from_points(r.standard_normal((n, 3)))
    side = np.arange(n) % 2
    d[side[:, None] != side[None, :]] = np.inf
    d[np.triu(r.random((n, n)) < 0.3, 1)] = np.inf
    return mirror(d)


def cycle(r: Rng, n: int) -> Matrix:
    """The path metric of a cycle whose vertices are numbered at random: every length n times, all of them tied."""
    at = r.permutation(n)
    apart = np.abs(at[:, None] - at[None, :])
    return mirror(np.minimum(apart, n - apart))


def tree(r: Rng, n: int) -> Matrix:
    """The path metric of a random tree with whole edge lengths: no loops, many ties."""
    d = np.zeros((n, n))
    for i in range(1, n):
        parent = r.integers(i)
        d[i, :i] = d[:i, i] = d[parent, :i] + r.integers(1, 4)
    return mirror(d)


def quantised(r: Rng, n: int) -> Matrix:
    """Rectified activations in eight bits: mostly zeros, equal points, integer squares."""
    x = np.round(20 * np.maximum(r.standard_normal((n, 20)), 0))
    x[r.random(n) < 0.3] = x[0]
    return from_points(x)


def all_scales(r: Rng, n: int) -> Matrix:
    return from_points(r.standard_normal((n, 3)) * 10.0 ** r.uniform(-10, 10, (n, 1)))


# Where ripser.py finishes only small clouds of a kind, the largest n that it is asked for.
KINDS: dict[str, tuple[Callable[[Rng, int], Matrix], int]] = {
    "gaussian": (lambda r, n: from_points(r.standard_normal((n, 64))), 1000),
    "uniform": (lambda r, n: from_points(r.random((n, 3))), 1000),
    "clustered": (lambda r, n: from_points(r.standard_normal((n, 5)) + 8 * r.integers(0, 3, (n, 1))), 1000),
    "circular": (circular, 600),
    "gridded": (lambda r, n: from_points(np.indices((n // 30 + 1, 30)).reshape(2, -1).T[:n]), 900),
    "scattered on a grid": (lambda r, n: from_points(r.integers(0, 8, (n, 3))), 400),
    "one ulp": (one_ulp, 60),
    "denormal": (lambda r, n: mirror(r.integers(0, 6, (n, n), dtype=np.int32).view(np.float32)), 60),
    "duplicated": (duplicated, 1000),
    "collinear": (lambda r, n: from_points(r.integers(0, 3 * n + 1, (n, 1))), 1000),
    "ultrametric": (ultrametric, 1000),
    "two-valued": (lambda r, n: mirror(r.integers(1, 3, (n, n))), 70),
    "bipartite": (bipartite, 60),
    "disconnected": (disconnected, 400),
    "non-metric": (lambda r, n: mirror(1 - r.random((n, n))), 80),
    "cycle": (cycle, 60),
    "tree": (tree, 400),
    "quantised": (quantised, 400),
    "all scales": (all_scales, 400),
    "random lengths": (lambda r, n: mirror(1 + r.random((n, n))), 80),
}


def make(kind: str, n: int, seed: int) -> Matrix:
    return KINDS[kind][0](np.random.default_rng(seed), n)


def textbook_h1(d: Matrix, threshold: float = np.inf) -> Matrix:
    """Reduce the boundary matrix of all triangles, column by column; bars with death > birth, sorted."""
    n = len(d)
    limit = np.float32(threshold)
    edges = sorted(
        (d[a, b], b, a) for a, b in itertools.combinations(range(n), 2) if d[a, b] <= limit and d[a, b] < np.inf
    )
    place = {(a, b): i for i, (_, b, a) in enumerate(edges)}
    parent = list(range(n))

    def root(v: int) -> int:
        while parent[v] != v:
            v = parent[v]
        return v

    alive = set()
    for i, (_, b, a) in enumerate(edges):
        if root(a) == root(b):
            alive.add(i)
        parent[root(a)] = root(b)
    columns = []
    for a, b, c in itertools.combinations(range(n), 3):
        if (a, b) in place and (a, c) in place and (b, c) in place:
            columns.append((1 << place[a, b]) ^ (1 << place[a, c]) ^ (1 << place[b, c]))
    bars, reduced = [], {}
    for column in sorted(columns, key=int.bit_length):
        youngest = column.bit_length() - 1
        while column and column.bit_length() - 1 in reduced:
            column ^= reduced[column.bit_length() - 1]
        if column:
            pivot = column.bit_length() - 1
            reduced[pivot] = column
            alive.discard(pivot)
            bars.append((edges[pivot][0], edges[youngest][0]))
    bars += [(edges[i][0], np.float32(np.inf)) for i in alive]
    kept = sorted((birth, death) for birth, death in bars if death > birth)
    return np.array(kept, dtype=np.float32).reshape(-1, 2)
