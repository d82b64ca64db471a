"""The clouds that benchmarks run on, with their seeds: `make(name)` gives points, or a distance matrix."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

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


def _symmetric(upper: Array) -> Array:
    d = np.triu(upper, 1)
    return (d + d.T).astype(np.float32)


def random_distances(n: int) -> Array:
    """Draw independent uniform lengths in [1, 2): a metric with about 0.44 n^1.5 births, as a distance matrix."""
    return _symmetric(rng(11 + n).random((n, n)) + 1.0)


def nonmetric(n: int) -> Array:
    """Draw independent uniform lengths in (0, 1), which break the triangle inequality, as a distance matrix."""
    return _symmetric(1.0 - rng(12 + n).random((n, n)))


def small_batch(b: int = 1000, n: int = 40, d: int = 64) -> Array:
    """Draw a stack of small gaussian clouds."""
    return rng(9).standard_normal((b, n, d)).astype(np.float32)


_KINDS: dict[str, Callable[[int], Array]] = {
    "cube3": cube3,
    "circle256": circle256,
    "torus": torus,
    "o3": o3,
    "relu2048": relu2048,
    "random": random_distances,
    "nonmetric": nonmetric,
}


def make(name: str) -> Array:
    """`gauss_d512_n1000`, `circle256_n500`, `grid_30x30`, ...; `random_n…` and `nonmetric_n…` are distance matrices."""
    if m := re.fullmatch(r"gauss_d(\d+)_n(\d+)", name):
        return gauss(int(m[1]), int(m[2]))
    if m := re.fullmatch(r"grid_(\d+)x\1", name):
        return grid(int(m[1]))
    kind, n = name.rsplit("_n", 1)
    return _KINDS[kind](int(n))
