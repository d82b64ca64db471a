"""`adabet_fast.ripser` against ripser.py's function: the same call on the same input, after the answers were compared.

`pytest --benchmark-only bench/test_bench_drop_in.py --benchmark-columns=median`; the names say how many times faster.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import adabet_fast
from bench import clouds
from bench.test_bench_h1 import sorted_bars, versus

ripser = pytest.importorskip("ripser").ripser

pytestmark = pytest.mark.filterwarnings("ignore:The input point cloud has more columns")

CLOUDS = ["gauss_d512_n1000", "torus_n1000", "gauss_d100000_n40"]


def read_all(result: dict[str, Any]) -> None:
    """Also what is computed only when it is read."""
    for key in result:
        result[key]


def assert_ripsers(x: Any, **options: Any) -> None:
    """Every entry is what ripser.py gives for the distances that ours gives back."""
    ours = adabet_fast.ripser(x, **options)
    theirs = ripser(ours["dperm2all"], **(options | {"distance_matrix": True}))
    for mine, other in zip(ours["dgms"], theirs["dgms"], strict=True):
        assert np.array_equal(sorted_bars(mine), sorted_bars(other))
    assert ours["num_edges"] == theirs["num_edges"]


@pytest.mark.parametrize("name", CLOUDS)
@pytest.mark.parametrize("read", ["dgms", "all"])
def test_bench_points(benchmark: BenchmarkFixture, name: str, read: str) -> None:
    x = clouds.make(name)
    assert_ripsers(x)
    benchmark.group = f"ripser({name}), {read}"
    if read == "all":
        versus(benchmark, lambda: read_all(adabet_fast.ripser(x)), lambda: ripser(x))
    else:
        versus(benchmark, lambda: adabet_fast.ripser(x)["dgms"], lambda: ripser(x))


@pytest.mark.parametrize("maxdim", [0, 1])
def test_bench_matrix(benchmark: BenchmarkFixture, maxdim: int) -> None:
    matrix = adabet_fast.pairwise_distances(clouds.make("o3_n1000"))
    options: dict[str, Any] = {"distance_matrix": True, "maxdim": maxdim}
    assert_ripsers(matrix, **options)
    benchmark.group = f"ripser(distances of o3_n1000, maxdim={maxdim})"
    versus(benchmark, lambda: adabet_fast.ripser(matrix, **options), lambda: ripser(matrix, **options))


def test_bench_sparse(benchmark: BenchmarkFixture) -> None:
    lengths = np.triu(adabet_fast.pairwise_distances(clouds.make("torus_n1000")))
    graph = pytest.importorskip("scipy.sparse").csr_matrix(np.where(lengths <= 1.0, lengths, 0))
    options: dict[str, Any] = {"distance_matrix": True}
    ours, theirs = adabet_fast.ripser(graph, **options), ripser(graph, **options)
    for mine, other in zip(ours["dgms"], theirs["dgms"], strict=True):
        assert np.array_equal(sorted_bars(mine), sorted_bars(other))
    benchmark.group = "ripser(sparse graph of torus_n1000)"
    versus(benchmark, lambda: adabet_fast.ripser(graph, **options), lambda: ripser(graph, **options))


def test_bench_n_perm(benchmark: BenchmarkFixture) -> None:
    x = clouds.make("cube3_n4000")
    ours, theirs = adabet_fast.ripser(x, n_perm=400), ripser(x, n_perm=400)
    assert np.array_equal(ours["idx_perm"], theirs["idx_perm"])
    again = ripser(ours["dperm2all"][:, ours["idx_perm"]], distance_matrix=True)["dgms"]
    for mine, other in zip(ours["dgms"], again, strict=True):
        assert np.array_equal(sorted_bars(mine), sorted_bars(other))
    benchmark.group = "ripser(cube3_n4000, n_perm=400)"
    versus(benchmark, lambda: adabet_fast.ripser(x, n_perm=400), lambda: ripser(x, n_perm=400))


def test_bench_lower_star(benchmark: BenchmarkFixture) -> None:
    theirs = pytest.importorskip("ripser").lower_star_img
    image = np.random.default_rng(0).random((300, 400))
    assert np.array_equal(sorted_bars(adabet_fast.lower_star_img(image)), sorted_bars(theirs(image)))
    benchmark.group = "lower_star_img (300, 400)"
    versus(benchmark, lambda: adabet_fast.lower_star_img(image), lambda: theirs(image))
