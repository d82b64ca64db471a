"""The drop-in gives ripser.py's bits for every matrix: kinds, sizes, precisions, thresholds, subsamples, graphs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import adabet_fast
from tests import filtrations
from tests.drop_in.ripsers import assert_same

ripser = pytest.importorskip("ripser").ripser
sparse = pytest.importorskip("scipy.sparse")

KINDS = list(filtrations.KINDS)


def thresholds(matrix: np.ndarray) -> list[float]:
    finite = matrix[np.isfinite(matrix)]
    middle = float(np.quantile(finite, 0.5))
    return [
        np.inf,
        middle,
        float(np.nextafter(np.float32(middle), np.float32(0))),
        float(finite.max()),
        0.0,
        -1.0,
        1e39,
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [2, 3, 4, 9, 30])
def test_matrices(kind: str, n: int) -> None:
    for seed in range(2):
        matrix = filtrations.make(kind, n, seed)
        for thresh in thresholds(matrix):
            for maxdim in (0, 1):
                theirs = ripser(matrix, maxdim, thresh, distance_matrix=True)
                assert_same(adabet_fast.ripser(matrix, maxdim, thresh, distance_matrix=True), theirs)
        assert_same(
            adabet_fast.ripser(matrix.astype(float), distance_matrix=True),
            ripser(matrix.astype(float), distance_matrix=True),
        )


@pytest.mark.parametrize("kind", KINDS)
def test_subsamples_of_matrices(kind: str) -> None:
    for n, n_perm in [(2, 1), (9, 4), (9, 9), (30, 1), (30, 17), (30, 29)]:
        matrix = filtrations.make(kind, n, n_perm)
        for thresh in (np.inf, thresholds(matrix)[1]):
            ours = adabet_fast.ripser(matrix, thresh=thresh, distance_matrix=True, n_perm=n_perm)
            assert_same(ours, ripser(matrix, thresh=thresh, distance_matrix=True, n_perm=n_perm))


@pytest.mark.parametrize("kind", KINDS)
def test_sparse_graphs(kind: str) -> None:
    r = np.random.default_rng(7)
    for n in (2, 5, 30):
        matrix = filtrations.make(kind, n, 1)
        i, j = np.nonzero(np.triu(r.random((n, n)) < 0.6, 1) & np.isfinite(matrix))  # explicit zeros among them
        upper = sparse.coo_matrix((matrix[i, j], (i, j)), shape=(n, n))
        order = r.permutation(2 * len(i))
        rows, columns = np.r_[i, j][order], np.r_[j, i][order]
        both = sparse.coo_matrix((matrix[rows, columns], (rows, columns)), shape=(n, n))
        for graph in (upper, upper.tocsr(), both, both.tocsr(), both.tocsc(), sparse.csr_array(both)):
            for thresh in thresholds(matrix):
                theirs = ripser(graph, thresh=thresh, distance_matrix=True)
                assert_same(adabet_fast.ripser(graph, thresh=thresh, distance_matrix=True), theirs)


def test_larger_matrices() -> None:
    for kind in ("gaussian", "circular", "gridded", "disconnected", "duplicated"):
        matrix = filtrations.make(kind, 200, 3)
        assert_same(adabet_fast.ripser(matrix, distance_matrix=True), ripser(matrix, distance_matrix=True))


@settings(max_examples=150)
@given(
    n=st.integers(1, 12),
    seed=st.integers(0, 2**32 - 1),
    values=st.integers(1, 9),
    thresh=st.one_of(st.just(np.inf), st.floats(-1, 10, width=32)),
    n_perm=st.one_of(st.none(), st.integers(1, 12)),
)
def test_matrices_with_ties(n: int, seed: int, values: int, thresh: float, n_perm: int | None) -> None:
    lengths = np.random.default_rng(seed).integers(0, values + 1, (n, n))
    matrix = np.triu(lengths, 1) + np.triu(lengths, 1).T
    options = {"thresh": thresh, "distance_matrix": True, "n_perm": None if n_perm is None else min(n, n_perm)}
    assert_same(adabet_fast.ripser(matrix, **options), ripser(matrix, **options))


POINTS = {
    "float64": lambda r: r.standard_normal((80, 3)),
    "float32": lambda r: r.standard_normal((80, 3)).astype(np.float32),
    "float16": lambda r: r.standard_normal((60, 2)).astype(np.float16),
    "wide float64": lambda r: r.standard_normal((40, 300)),
    "wide float32": lambda r: r.standard_normal((40, 300)).astype(np.float32),
    "wide float16": lambda r: r.standard_normal((40, 300)).astype(np.float16),
    "integers": lambda r: r.integers(0, 50, (70, 3)),
    "bool": lambda r: r.random((70, 12)) < 0.5,
    "one point": lambda r: r.random((1, 1)),
    "two points": lambda r: r.random((2, 1)),
}


@pytest.mark.filterwarnings("ignore:The input")
@pytest.mark.parametrize("metric", ["euclidean", "manhattan", "cosine", "chebyshev"])
@pytest.mark.parametrize("name", POINTS)
def test_the_diagrams_of_points_are_those_of_the_distances_given_back(name: str, metric: str) -> None:
    points = POINTS[name](np.random.default_rng(11))
    for thresh in (np.inf, 1.5):
        ours = adabet_fast.ripser(points, thresh=thresh, metric=metric)
        theirs = ripser(ours["dperm2all"], thresh=thresh, distance_matrix=True)
        assert_same(ours, theirs)
        of_their_distances = ripser(points, thresh=thresh, metric=metric)
        assert ours["dperm2all"].dtype == of_their_distances["dperm2all"].dtype
        np.testing.assert_allclose(ours["dperm2all"], of_their_distances["dperm2all"], rtol=2e-6, atol=3e-7)


@pytest.mark.parametrize("n_perm", [1, 7, 40])
def test_the_diagrams_of_subsampled_points(n_perm: int) -> None:
    points = np.random.default_rng(5).standard_normal((300, 4))
    for x in (points, points.astype(np.float32)):
        ours, theirs = adabet_fast.ripser(x, n_perm=n_perm), ripser(x, n_perm=n_perm)
        np.testing.assert_array_equal(ours["idx_perm"], theirs["idx_perm"])
        assert ours["dperm2all"].dtype == theirs["dperm2all"].dtype
        np.testing.assert_allclose(ours["dperm2all"], theirs["dperm2all"], rtol=2e-6, atol=1e-7)
        assert ours["r_cover"] == pytest.approx(theirs["r_cover"], rel=1e-6)
        again = ripser(ours["dperm2all"][:, ours["idx_perm"]], distance_matrix=True)
        np.testing.assert_array_equal(ours["dgms"][0], again["dgms"][0])
        np.testing.assert_array_equal(ours["dgms"][1], again["dgms"][1])
        assert ours["num_edges"] == again["num_edges"]
