"""H1 against ripser.py, end to end from points, in one run; every benchmark asserts its answer before it times it.

`pytest --benchmark-only bench/test_bench_h1.py --benchmark-group-by=group` shows the clouds one under another;
`extra_info["times_faster"]` (in the JSON, and in the names of ours) is the ratio of medians.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import adabet_fast
from bench import clouds

ripser = pytest.importorskip("ripser").ripser

# ripser.py warns of clouds with more dimensions than points, which is what activations are.
pytestmark = pytest.mark.filterwarnings("ignore:The input point cloud has more columns")

CLOUDS = ["gauss_d512_n1000", "circle256_n1000", "torus_n1000", "o3_n1000"]
UNFINISHED = ["random_n1000", "nonmetric_n1000"]  # ripser.py was not done with 500 such points after ten minutes


def sorted_bars(bars: Any) -> np.ndarray[Any, np.dtype[np.float32]]:
    bars = np.asarray(bars, dtype=np.float32).reshape(-1, 2)
    return bars[np.lexsort((bars[:, 1], bars[:, 0]))]


def seconds(call: Callable[[], object], rounds: int) -> float:
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
        if taken[-1] > 10:
            break
    return statistics.median(taken)


def assert_ripsers(x: Any) -> None:
    """Our bars on our matrix are ripser.py's on the same matrix, to the bit."""
    matrix = adabet_fast.pairwise_distances(x)
    theirs = sorted_bars(ripser(matrix, distance_matrix=True)["dgms"][1])
    bars = adabet_fast.h1(x)
    assert np.array_equal(sorted_bars(bars.intervals), theirs)
    assert adabet_fast.betti1(x) == len(theirs)


def versus(
    benchmark: BenchmarkFixture, ours: Callable[[], object], theirs: Callable[[], object], rounds: int = 5
) -> None:
    """Time ours by the fixture; note how many times longer theirs takes, both measured now, in turn."""
    ours()  # both warm: allocators, caches, the processor's clock
    pairs = [(seconds(ours, 1), seconds(theirs, 1)) for _ in range(5)]
    our_median, their_median = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = their_median / our_median
    benchmark.extra_info["ripser_seconds"] = their_median
    benchmark.extra_info["our_seconds"] = our_median
    benchmark.extra_info["times_faster"] = round(ratio, 1)
    benchmark.name += f" [{ratio:.1f} x ripser.py]"
    benchmark.pedantic(ours, rounds=rounds, warmup_rounds=1)


@pytest.mark.parametrize("name", CLOUDS)
@pytest.mark.parametrize("call", ["h1", "betti1"])
def test_bench_cloud(benchmark: BenchmarkFixture, name: str, call: str) -> None:
    x = clouds.make(name)
    assert_ripsers(x)
    benchmark.group = name
    ours = getattr(adabet_fast, call)
    versus(benchmark, lambda: ours(x), lambda: ripser(x))


@pytest.mark.parametrize("call", ["h1", "betti1"])
def test_bench_wide_layer(benchmark: BenchmarkFixture, call: str) -> None:
    x = clouds.make("gauss_d100000_n40")
    assert_ripsers(x)
    benchmark.group = "gauss_d100000_n40"
    ours = getattr(adabet_fast, call)
    versus(benchmark, lambda: ours(x), lambda: ripser(x), rounds=20)


def test_bench_many_small_clouds(benchmark: BenchmarkFixture) -> None:
    xs = clouds.small_batch(1000, 40, 64)
    counts = adabet_fast.betti1_batch(xs)
    for x, count in zip(xs, counts, strict=True):
        matrix = adabet_fast.pairwise_distances(x)
        assert count == len(ripser(matrix, distance_matrix=True)["dgms"][1])
    benchmark.group = "1,000 clouds of (40, 64)"
    versus(benchmark, lambda: adabet_fast.betti1_batch(xs), lambda: [ripser(x) for x in xs])


@pytest.mark.parametrize("name", UNFINISHED)
def test_bench_independent_lengths(benchmark: BenchmarkFixture, name: str) -> None:
    """Ripser does not finish here, so the answer is held against the same lengths in another order of points."""
    matrix = clouds.make(name)
    order = np.random.default_rng(0).permutation(len(matrix))
    bars = adabet_fast.h1(matrix, distance_matrix=True)
    permuted = adabet_fast.h1(matrix[np.ix_(order, order)], distance_matrix=True)
    assert np.array_equal(sorted_bars(bars.intervals), sorted_bars(permuted.intervals))
    assert adabet_fast.betti1(matrix, distance_matrix=True) == len(bars)
    # The first k points are a sub-cloud that ripser.py does finish.
    small = np.ascontiguousarray(matrix[:60, :60])
    theirs = sorted_bars(ripser(small, distance_matrix=True)["dgms"][1])
    assert np.array_equal(sorted_bars(adabet_fast.h1(small, distance_matrix=True).intervals), theirs)
    benchmark.group = name
    benchmark.pedantic(lambda: adabet_fast.h1(matrix, distance_matrix=True), rounds=3)
