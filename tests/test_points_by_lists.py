"""Points under a small threshold: lists of neighbours give what bit rows give, in less memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from adabet_fast import Barcode, MemoryBudgetError, _core, betti1, h1, pairwise_distances


def run(x: NDArray[Any], plan: str, **options: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "distance_matrix": False,
        "metric": "euclidean",
        "threshold": np.inf,
        "dtype": "float32",
        "n_threads": 2,
        "max_memory": 1 << 30,
        "representatives": False,
        "report": None,
    }
    found: dict[str, Any] = _core.h1(x, plan=plan, **(given | options))
    return found


def cloud(kind: str, n: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(n)
    if kind == "grid":
        side = int(np.sqrt(n))
        return np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2).astype(np.float32)
    if kind == "repeated":
        return np.repeat(rng.random((n // 4, 3), dtype=np.float32), 4, axis=0)
    return rng.standard_normal((n, int(kind))).astype(np.float32)


def quantile(x: NDArray[np.float32], share: float) -> float:
    some = np.random.default_rng(0).integers(0, len(x), (2, 20_000))
    return float(np.quantile(np.linalg.norm(x[some[0]] - x[some[1]], axis=1), share))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("share", [0.0, 0.003, 0.03, 0.4, 1.0])
@pytest.mark.parametrize("kind", ["2", "3", "16", "100", "grid", "repeated"])
def test_all_plans_agree(kind: str, share: float, dtype: str) -> None:
    x = cloud(kind, 600)
    threshold = np.inf if share == 1.0 else quantile(x, share)
    options = {"threshold": threshold, "dtype": dtype, "representatives": True}
    expected = run(x, "dense", **options)
    for plan in ("streamed", "sparse"):
        got = run(x, plan, **options)
        assert got["plan"] == plan
        for what in ("intervals", "h0"):
            assert np.array_equal(got[what], expected[what]), what
        if kind not in ("grid", "repeated"):  # with ties the order of points decides which edge it is
            assert np.array_equal(got["birth_edges"], expected["birth_edges"])
            assert np.array_equal(got["death_edges"], expected["death_edges"])
        lengths = pairwise_distances(x, dtype=dtype)
        for (birth, _), (loop,), edge in zip(got["intervals"], got["representatives"], got["birth_edges"], strict=True):
            assert lengths[loop, np.roll(loop, -1)].max() == birth == lengths[tuple(edge)]
            assert {*edge.tolist()} <= {*loop.tolist()}


def test_classes_that_die_late() -> None:
    """Beyond the edges that are classified at first, births among them keep their numbers."""
    x = cloud("16", 1200)
    threshold = quantile(x, 0.3)
    expected, got = run(x, "dense", threshold=threshold), run(x, "sparse", threshold=threshold)
    assert got["stats"]["edges"] > max(1 << 16, 24 * len(x)) > 0
    assert got["stats"]["births"] == expected["stats"]["births"]
    assert np.array_equal(got["intervals"], expected["intervals"])


@pytest.mark.parametrize("n_threads", [1, 2, 7])
def test_chosen_where_edges_are_few(n_threads: int) -> None:
    x = cloud("3", 3000)
    near, far = quantile(x, 0.005), quantile(x, 0.5)
    bars = h1(x, threshold=near, n_threads=n_threads)
    assert bars.plan == "sparse"
    assert np.array_equal(bars.intervals, run(x, "dense", threshold=near)["intervals"])
    assert bars == h1(x[::-1], threshold=near, n_threads=n_threads)
    assert h1(x, threshold=far, n_threads=n_threads).plan != "sparse"
    assert betti1(x, threshold=near, n_threads=n_threads) == len(bars)


def test_in_a_budget_that_bit_rows_do_not_fit() -> None:
    x = cloud("3", 20_000)
    near = quantile(x, 0.0003)
    bars = h1(x, threshold=near, max_memory="16MiB")
    assert bars.plan == "sparse"
    assert bars.stats["peak_bytes"] <= 16 * 2**20
    assert betti1(x, threshold=near, max_memory="16MiB") == len(bars) > 1000
    with pytest.raises(MemoryBudgetError, match="20000 points") as whole:
        h1(x, max_memory="16MiB")
    assert whole.value.needed > 16 * 2**20
    with pytest.raises(MemoryBudgetError, match=r"20000 points and about \d+ edges up to the threshold") as far:
        h1(x, threshold=quantile(x, 0.1), max_memory="16MiB")
    assert far.value.needed > 16 * 2**20


def test_births_are_refused_when_they_are_counted() -> None:
    """Thousands of births a hundred points: what depends on them is refused by their number."""
    rng = np.random.default_rng(0)
    n = 1500
    matrix = np.triu(rng.random((n, n), dtype=np.float32), 1)
    matrix += matrix.T
    with pytest.raises(MemoryBudgetError) as fixed:
        h1(matrix, distance_matrix=True, max_memory=1000, n_threads=1)
    peak = h1(matrix, distance_matrix=True, n_threads=1).stats["peak_bytes"]

    def within(budget: int) -> Barcode | MemoryBudgetError:
        try:
            return h1(matrix, distance_matrix=True, max_memory=budget, n_threads=1)
        except MemoryBudgetError as error:
            return error

    tried = {budget: within(budget) for budget in np.linspace(fixed.value.needed, peak // 10, 6, dtype=int).tolist()}
    for budget, got in tried.items():
        if isinstance(got, MemoryBudgetError):
            assert got.needed > budget
        else:
            assert got.stats["peak_bytes"] <= budget
    assert any("births" in str(got) for got in tried.values()), tried


def test_progress() -> None:
    x = cloud("16", 8000)
    seen: list[dict[str, float]] = []
    bars = h1(x, threshold=quantile(x, 0.004), progress=lambda **figures: seen.append(figures))
    assert bars.plan == "sparse"
    assert seen
    assert all(figures["births"] == bars.stats["births"] for figures in seen)
    for name in ("edges", "radius"):
        assert [figures[name] for figures in seen] == sorted(figures[name] for figures in seen)
    alive = [figures["alive"] for figures in seen]
    assert alive == sorted(alive, reverse=True)
