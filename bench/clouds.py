"""The clouds that benchmarks run on, with their seeds: `make(name)` gives points, a stack, a matrix or a graph."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import graphs

Array = NDArray[np.floating]
rng = np.random.default_rng


def gauss(d: int, n: int) -> Array:
    """Draw standard normal points."""
    seed = 1 if d == 100_000 else 2 + n
    return rng(seed).standard_normal((n, d)).astype(np.float32)


def cube3(n: int) -> Array:
    """Draw points uniform in the unit cube."""
    return rng(3 + n).random((n, 3))


def circle256(n: int) -> Array:
    """Draw a unit circle with noise of 0.05 in each of 256 dimensions."""
    r = rng(4 + n)
    t = r.random(n) * 2 * np.pi
    x = np.zeros((n, 256))
    x[:, 0], x[:, 1] = np.cos(t), np.sin(t)
    return x + 0.05 * r.standard_normal((n, 256))


def torus(n: int) -> Array:
    """Draw points of a torus in R^3."""
    u, v = rng(5 + n).random((2, n)) * 2 * np.pi
    return np.c_[(2 + np.cos(v)) * np.cos(u), (2 + np.cos(v)) * np.sin(u), np.sin(v)]


def o3(n: int) -> Array:
    """Draw random orthogonal 3x3 matrices as points of R^9, half of them reflections."""
    q, r = np.linalg.qr(rng(6 + n).standard_normal((n, 3, 3)))
    return (q * np.sign(np.einsum("nii->ni", r))[:, None, :]).reshape(n, 9)


def relu2048(n: int) -> Array:
    """Draw relu(W z) for z from a mixture of ten gaussians in R^16."""
    r = rng(7)
    w, c = r.standard_normal((16, 2048)) / 4, r.standard_normal((10, 16)) * 3
    r = rng(7 + n)
    z = c[r.integers(0, 10, n)] + r.standard_normal((n, 16))
    return np.maximum(z @ w, 0).astype(np.float32)


def grid(m: int) -> Array:
    """Give the integer points of an m x m square: massive ties."""
    a = np.arange(m)
    return np.array(np.meshgrid(a, a, indexing="ij")).reshape(2, -1).T.astype(np.float64)


def blobs10(n: int) -> Array:
    """Draw a mixture of twenty gaussians of different widths in R^10: clusters, as classes make them."""
    r = rng(13)
    centres, widths = 4 * r.standard_normal((20, 10)), r.uniform(0.2, 1.5, 20)
    r = rng(13 + n)
    of = r.integers(0, 20, n)
    return (centres[of] + widths[of, None] * r.standard_normal((n, 10))).astype(np.float32)


def swiss16(n: int) -> Array:
    """Draw a rolled-up sheet, turned into R^16, with noise of 0.2: a curved surface, as features make it."""
    turn, _ = np.linalg.qr(rng(14).standard_normal((16, 16)))
    r = rng(14 + n)
    t, height = 1.5 * np.pi * (1 + 2 * r.random(n)), 21 * r.random(n)
    return np.c_[t * np.cos(t), height, t * np.sin(t)] @ turn[:3] + 0.2 * r.standard_normal((n, 16))


def _symmetric(upper: Array) -> Array:
    d = np.triu(upper, 1)
    return (d + d.T).astype(np.float32)


def random_distances(n: int) -> Array:
    """Draw independent uniform lengths in [1, 2): a metric with about 0.44 n^1.5 births, as a distance matrix."""
    return _symmetric(rng(11 + n).random((n, n)) + 1.0)


def nonmetric(n: int) -> Array:
    """Draw independent uniform lengths in (0, 1), which break the triangle inequality, as a distance matrix."""
    return _symmetric(1.0 - rng(12 + n).random((n, n)))


def bipartite(n: int) -> Array:
    """Give the complete bipartite {1, 2} metric: about n^2 / 4 births, and all die at the enclosing radius."""
    side = np.arange(n) % 2
    return _symmetric(np.where(side[:, None] == side, 2.0, 1.0))


def tied(n: int) -> Array:
    """Draw independent lengths of sixteen values in [1, 2): a metric full of ties, as a distance matrix."""
    return _symmetric(1.0 + rng(16 + n).integers(0, 16, (n, n)) / 16)


def small_batch(b: int = 1000, n: int = 40, d: int = 64) -> Array:
    """Draw a stack of small gaussian clouds."""
    return rng(9).standard_normal((b, n, d)).astype(np.float32)


_KINDS: dict[str, Callable[[int], Array]] = {
    "cube3": cube3,
    "circle256": circle256,
    "torus": torus,
    "o3": o3,
    "relu2048": relu2048,
    "blobs10": blobs10,
    "swiss16": swiss16,
    "random": random_distances,
    "nonmetric": nonmetric,
    "bipartite": bipartite,
    "tied": tied,
}


KINDS = {*_KINDS, "gauss", "grid", "batch", "knn", "geometric", "neighbours"}
"""First words of the names that `make` takes."""

MATRICES = ("random", "nonmetric", "bipartite", "tied")
"""Those whose clouds are distance matrices."""


def make(name: str) -> Any:
    """Make the cloud of a name.

    `gauss_d512_n1000`, `circle256_n500`, `grid_30x30`, ...: points (n, d). `batch64_n40_d4096`: a stack (64, 40, 4096).
    `random_n500`, `nonmetric_n500`, `bipartite_n400`, `tied_n500`: a distance matrix. `knn30_n20000`,
    `geometric_n149000_e1700000`, `neighbours_n1000000_e10000000`: a graph, as a scipy COO matrix with each edge once.
    """
    if m := re.fullmatch(r"gauss_d(\d+)_n(\d+)", name):
        return gauss(int(m[1]), int(m[2]))
    if m := re.fullmatch(r"grid_(\d+)x\1", name):
        return grid(int(m[1]))
    if m := re.fullmatch(r"batch(\d+)_n(\d+)_d(\d+)", name):
        return small_batch(int(m[1]), int(m[2]), int(m[3]))
    if m := re.fullmatch(r"knn(\d+)_n(\d+)", name):
        return graphs.knn(int(m[1]), int(m[2]))
    if m := re.fullmatch(r"(geometric|neighbours)_n(\d+)_e(\d+)", name):
        return getattr(graphs, m[1])(int(m[2]), int(m[3]))
    if (m := re.fullmatch(r"(\w+)_n(\d+)", name)) and m[1] in _KINDS:
        return _KINDS[m[1]](int(m[2]))
    raise ValueError(f"no cloud is called {name!r}: see bench/clouds.py")
