"""Graphs as scipy sparse matrices: lists of neighbours give what the whole matrix gives, and what ripser.py gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from adabet_fast import Barcode, InvalidInputError, MemoryBudgetError, betti1, betti1_batch, estimate_memory, h1

sparse = pytest.importorskip("scipy.sparse")


def near(n: int, k: int, seed: int, decimals: int = 9) -> Any:
    """The k nearest neighbours of points in R^3, strictly upper triangular; few decimals make ties."""
    from scipy.spatial import cKDTree

    x = np.random.default_rng(seed).random((n, 3))
    lengths, j = cKDTree(x).query(x, k + 1)
    i, j, lengths = np.repeat(np.arange(n), k), j[:, 1:].ravel(), lengths[:, 1:].ravel().round(decimals)
    low, high = np.minimum(i, j), np.maximum(i, j)
    _, once = np.unique(low * n + high, return_index=True)
    return sparse.coo_matrix((lengths[once], (low[once], high[once])), shape=(n, n))


def both(graph: Any) -> Any:
    """Each edge from both ends; a sum would drop edges of length zero."""
    i, j = np.r_[graph.row, graph.col], np.r_[graph.col, graph.row]
    return sparse.coo_matrix((np.r_[graph.data, graph.data], (i, j)), shape=graph.shape).tocsr()


def dense(graph: Any) -> NDArray[np.float64]:
    matrix = np.full(graph.shape, np.inf)
    matrix[graph.row, graph.col] = matrix[graph.col, graph.row] = graph.data
    np.fill_diagonal(matrix, 0)
    return matrix


def same(got: Barcode, expected: Barcode) -> bool:
    return (
        got == expected
        and np.array_equal(got.h0, expected.h0)
        and np.array_equal(got.birth_edges, expected.birth_edges)
        and np.array_equal(got.death_edges, expected.death_edges)
        and got.enclosing_radius == expected.enclosing_radius
    )


@pytest.mark.parametrize("seed", range(40))
def test_both_plans_agree(seed: int) -> None:
    r = np.random.default_rng(seed)
    n = int(r.integers(20, 300))
    graph = near(n, int(r.integers(1, min(n - 1, 12))), seed, decimals=int(r.integers(1, 4)) if seed % 2 else 9)
    threshold = float(np.quantile(graph.data, r.random())) if seed % 3 == 0 else np.inf
    dtype = ("float32", "float64")[seed % 2]
    expected = h1(dense(graph), distance_matrix=True, threshold=threshold, dtype=dtype)
    forms = (graph, graph.T, both(graph), graph.tocsc(), sparse.csr_array(graph))
    for form in forms:
        got = h1(form, distance_matrix=True, threshold=threshold, dtype=dtype, n_threads=1 + seed % 3)
        assert same(got, expected)
        assert got.plan == ("sparse" if form.nnz <= n**1.5 else "dense")
        assert betti1(form, distance_matrix=True, threshold=threshold, dtype=dtype) == len(expected)
    finite = expected.persistence[np.isfinite(expected.deaths)]
    least = float(np.median(finite)) if len(finite) else 0.1
    assert betti1(graph, distance_matrix=True, threshold=threshold, dtype=dtype, min_persistence=least) == (
        expected.count(least)
    )


@pytest.mark.parametrize("seed", range(6))
def test_ripser_agrees(seed: int) -> None:
    ripser = pytest.importorskip("ripser").ripser
    graph = near(900, 4 + seed, seed, decimals=9 if seed % 2 else 2)
    threshold = float(np.quantile(graph.data, 0.8)) if seed % 3 == 0 else np.inf
    got = h1(graph, distance_matrix=True, threshold=threshold)
    assert got.plan == "sparse"
    # ripser.py takes a sparse matrix's missing diagonal for zero, and both triangles.
    theirs = ripser(both(graph), distance_matrix=True, maxdim=1, thresh=threshold)["dgms"][1]
    theirs = theirs.astype(np.float32)
    theirs = theirs[theirs[:, 1] > theirs[:, 0]]
    assert np.array_equal(got.intervals, theirs[np.lexsort((theirs[:, 1], theirs[:, 0]))])


def test_the_order_of_points_and_threads_does_not_matter() -> None:
    graph = near(3000, 8, 3, decimals=3)
    one = h1(graph, distance_matrix=True, n_threads=1)
    assert len(one) > 500
    assert same(h1(graph, distance_matrix=True, n_threads=2), one)
    assert same(h1(graph, distance_matrix=True, n_threads=7), one)
    order = np.random.default_rng(1).permutation(3000)
    i, j = order[graph.row], order[graph.col]
    shuffled = sparse.coo_matrix((graph.data, (np.minimum(i, j), np.maximum(i, j))), shape=graph.shape)
    assert h1(shuffled, distance_matrix=True) == one


@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_indices_are_read_in_place(index: Any) -> None:
    graph = near(200, 5, 2)
    wide = graph.copy()
    wide.row, wide.col = graph.row.astype(index), graph.col.astype(index)
    assert h1(wide, distance_matrix=True) == h1(dense(graph), distance_matrix=True)


def test_shapes_whose_answer_is_known() -> None:
    n = 1000
    i = np.arange(n)
    cycle = sparse.coo_matrix((np.r_[np.ones(n - 1), 2], (np.r_[i[:-1], 0], np.r_[i[1:], n - 1])), shape=(n, n))
    bars = h1(cycle, distance_matrix=True)
    assert bars.intervals.tolist() == [[2, np.inf]]
    assert bars.birth_edges.tolist() == [[0, n - 1]]
    assert bars.death_edges.tolist() == [[-1, -1]]
    assert len(bars.h0) == n
    star = sparse.coo_matrix((np.linspace(1, 2, n - 1), (np.zeros(n - 1, int), i[1:])), shape=(n, n))
    assert len(h1(star, distance_matrix=True)) == 0
    assert h1(star, distance_matrix=True).enclosing_radius == 2
    # Two poles and n - 2 points between: a suspension of points, n - 3 loops.
    poles = sparse.coo_matrix((np.ones(2 * (n - 2)), (np.repeat([0, 1], n - 2), np.tile(i[2:], 2))), shape=(n, n))
    assert betti1(poles, distance_matrix=True) == n - 3
    assert betti1(sparse.coo_matrix((n, n)), distance_matrix=True) == 0
    assert len(h1(sparse.coo_matrix((5, 5)), distance_matrix=True).h0) == 5


def test_a_batch_of_graphs() -> None:
    graphs = [near(n, 5, n) for n in (50, 200, 400)]
    counts = betti1_batch(graphs, distance_matrix=True)
    assert counts.tolist() == [len(h1(dense(graph), distance_matrix=True)) for graph in graphs]


@pytest.mark.parametrize(
    ("rows", "columns", "lengths", "message"),
    [
        ([0, 0], [1, 1], [1, 1], r"gives the pair \(0, 1\) more than once"),
        ([0], [1], [-1], r"\(0, 1\) is negative"),
        ([0], [1], [np.nan], r"\(0, 1\) is NaN"),
        ([2], [2], [1], r"diagonal entry \(2, 2\) is 1"),
        ([0, 1, 2], [1, 0, 3], [1, 1, 1], r"\(2, 3\) is 1, \(3, 2\) is missing"),
        ([0, 1], [1, 0], [1, 2], r"\(0, 1\) is 1, \(1, 0\) is 2.*maximum"),
    ],
)
def test_bad_graphs(rows: list[int], columns: list[int], lengths: list[float], message: str) -> None:
    graph = sparse.coo_matrix((lengths, (rows, columns)), shape=(50, 50))
    with pytest.raises(InvalidInputError, match=message):
        h1(graph, distance_matrix=True)
    with pytest.raises(InvalidInputError, match=message):
        betti1(graph, distance_matrix=True)


def test_memory() -> None:
    n = 60_000
    graph = near(n, 16, 4)
    plan = estimate_memory(n, n_edges=graph.nnz, n_threads=2)
    assert plan.plan == "sparse"
    bars = h1(graph, distance_matrix=True, n_threads=2)
    peak = int(bars.stats["peak_bytes"])
    assert 0.8 * peak <= plan.fixed <= peak
    # On one thread: which of several takes which vertices, and so how full its lists get, differs from run to run.
    alone = int(h1(graph, distance_matrix=True, n_threads=1).stats["peak_bytes"])
    assert h1(graph, distance_matrix=True, n_threads=1, max_memory=alone) == bars
    with pytest.raises(MemoryBudgetError, match=r"60000 points and .* entries") as caught:
        h1(graph, distance_matrix=True, n_threads=2, max_memory=plan.fixed // 2)
    assert caught.value.needed is not None
    assert caught.value.needed > plan.fixed // 2
    with pytest.raises(MemoryBudgetError):  # the lists fit, the births do not
        h1(graph, distance_matrix=True, n_threads=2, max_memory=plan.fixed)


def test_what_does_not_fit_as_a_matrix_goes_by_lists() -> None:
    graph = near(2000, 90, 4)
    wide = h1(graph, distance_matrix=True, max_memory="1GiB")
    assert wide.plan == "dense"
    narrow = h1(graph, distance_matrix=True, max_memory="12MiB")
    assert narrow.plan == "sparse"
    assert same(narrow, wide)
