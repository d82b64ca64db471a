"""Metrics by name and as functions, sparse points, and greedy permutations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from adabet_fast import InvalidInputError, ripser
from adabet_fast._drop_in.greedy import greedy_permutation
from adabet_fast._drop_in.metrics import NATIVE, native_distances, row_function
from tests.drop_in.ripsers import assert_same, assert_same_diagrams

OTHERS = ["braycurtis", "canberra", "minkowski", "nan_euclidean", "seuclidean", "hamming"]


def cloud(n: int = 40, d: int = 5) -> np.ndarray:
    return np.random.default_rng(n).random((n, d))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("metric", [*NATIVE, *OTHERS])
def test_names_are_those_of_scikit_learn(metric: str, dtype: str) -> None:
    theirs = pytest.importorskip("ripser").ripser
    x = cloud().astype(dtype)
    ours, expected = ripser(x, metric=metric), theirs(x, metric=metric)
    assert ours["dperm2all"].dtype == expected["dperm2all"].dtype
    np.testing.assert_allclose(ours["dperm2all"], expected["dperm2all"], rtol=5e-6, atol=1e-6)
    assert_same(ours, theirs(ours["dperm2all"], distance_matrix=True))


@pytest.mark.parametrize("metric", [*NATIVE, "canberra"])
def test_rows_are_those_of_the_matrix(metric: str) -> None:
    for x in (cloud(), cloud().astype(np.float32), np.arange(24).reshape(8, 3) ** 2 % 17):
        square = ripser(x, metric=metric)["dperm2all"]
        rows = row_function(x, metric)
        for i in (0, 3, len(x) - 1):
            row = rows(i)
            assert row.dtype == square.dtype
            np.testing.assert_allclose(row, square[i], rtol=2e-6, atol=2e-7)


def test_rows_of_wide_points_come_in_parts() -> None:
    x = np.random.default_rng(0).standard_normal((6, 200_000)).astype(np.float32)
    rows = row_function(x, "euclidean")
    assert rows.step == 1  # type: ignore[attr-defined]
    np.testing.assert_allclose(rows(2), native_distances(x, "euclidean")[2], rtol=3e-7)


def test_zero_vectors_are_at_cosine_distance_one() -> None:
    theirs = pytest.importorskip("ripser").ripser
    for shape in ((30, 4), (20, 30)):
        x = cloud(*shape)
        x[[2, 5]] = 0
        options: dict[str, Any] = {"metric": "cosine"}
        with pytest.warns(UserWarning, match="more columns") if shape[0] < shape[1] else _nothing():
            ours, expected = ripser(x, **options), theirs(x, **options)
        np.testing.assert_allclose(ours["dperm2all"], expected["dperm2all"], atol=1e-12)
        assert_same_diagrams(ours, theirs(ours["dperm2all"], distance_matrix=True))
        some = ripser(x[:, :3], n_perm=6, metric="cosine")
        np.testing.assert_array_equal(some["idx_perm"], theirs(x[:, :3], n_perm=6, metric="cosine")["idx_perm"])


def test_near_and_far_points_keep_their_digits() -> None:
    angle = np.arange(16) * (np.pi / 8)
    circle = 1e-5 * np.c_[np.cos(angle), np.sin(angle)]
    here, far = ripser(circle)["dgms"][1], ripser(circle + 1e3)["dgms"][1]
    assert here.shape == far.shape == (1, 2)
    np.testing.assert_allclose(here, far, rtol=1e-6)


def test_a_function_is_called_once_a_pair_and_once_a_point() -> None:
    theirs = pytest.importorskip("ripser").ripser
    x = cloud(12)
    calls: list[list[float]] = []

    def metric(a: np.ndarray, b: np.ndarray) -> float:
        calls.append([a[0], b[0]])
        return float(np.abs(a - b).sum() + (a[0] - b[0]) ** 2)

    ours = ripser(x, metric=metric)
    ours_called, calls = calls, []
    assert_same(ours, theirs(x, metric=metric))
    assert ours_called == calls
    assert len(calls) == 12 * 11 / 2 + 12
    calls = []
    some = ripser(x, metric=metric, n_perm=4)
    ours_called, calls = calls, []
    assert_same(some, theirs(x, metric=metric, n_perm=4))
    assert ours_called == calls


def test_a_function_of_what_is_not_a_number() -> None:
    words = np.array([["art"], ["arts"], ["cart"], ["carts"]])
    result = ripser(words, metric=lambda a, b: abs(len(a[0]) - len(b[0])) + (a[0] != b[0]))
    assert result["dgms"][0].shape == (4, 2)


def test_a_function_whose_diagonal_is_not_zero_gives_births() -> None:
    theirs = pytest.importorskip("ripser").ripser
    x = cloud(15)

    def metric(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.linalg.norm(a - b)) + max(a[0], b[0])

    ours, expected = ripser(x, metric=metric), theirs(x, metric=metric)
    assert_same(ours, expected)
    assert (ours["dgms"][0][:, 0] > 0).all()


def test_a_function_that_raises_is_heard() -> None:
    def metric(a: np.ndarray, b: np.ndarray) -> float:
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        ripser(cloud(), metric=metric)


def test_sparse_points() -> None:
    theirs = pytest.importorskip("ripser").ripser
    sparse = pytest.importorskip("scipy.sparse")
    x = sparse.csr_matrix(np.maximum(cloud(50, 20) - 0.7, 0))
    for metric in ("euclidean", "cosine", "manhattan"):
        assert_same(ripser(x, metric=metric), theirs(x, metric=metric))
    with pytest.raises(InvalidInputError, match="sparse points"):
        ripser(x, n_perm=5)


def test_what_is_no_number_is_refused_by_every_metric() -> None:
    x = cloud()
    x[3, 2] = np.nan
    for metric in ("euclidean", "canberra", lambda a, b: 0.0):
        for n_perm in (None, 5):
            with pytest.raises(ValueError, match=r"(?i)nan"):
                ripser(x, metric=metric, n_perm=n_perm)


def test_greedy_permutation_covers() -> None:
    x = cloud(100, 2)
    result = ripser(x, n_perm=20)
    square = ripser(x)["dperm2all"]
    indices = result["idx_perm"]
    assert indices[0] == 0
    assert len(set(indices.tolist())) == 20
    nearest = square[0]
    for i in indices[1:]:
        assert nearest[i] == nearest.max()
        nearest = np.minimum(nearest, square[i])
    assert result["r_cover"] == nearest.max()
    np.testing.assert_array_equal(result["dperm2all"], square[indices])


def test_greedy_permutation_takes_the_first_of_equals() -> None:
    line = np.abs(np.subtract.outer(np.arange(5.0), np.arange(5.0)))
    line[0] = line[:, 0] = [0, 1, 1, 1, 1]
    indices, radius, rows = greedy_permutation(line.__getitem__, 3)
    assert indices.tolist() == [0, 1, 2]
    assert radius == 1.0
    np.testing.assert_array_equal(rows, line[indices])


def test_tensors_and_tables() -> None:
    torch = pytest.importorskip("torch")
    x = cloud()
    expected = ripser(x)
    assert_same(ripser(torch.from_numpy(x)), expected)
    assert_same(ripser(torch.from_numpy(x).requires_grad_()), expected)
    half = torch.from_numpy(x).to(torch.bfloat16)
    assert_same_diagrams(ripser(half), ripser(half.to(torch.float32)))
    square = torch.from_numpy(expected["dperm2all"])
    assert_same_diagrams(ripser(square, distance_matrix=True), expected)
    assert_same_diagrams(
        ripser(square, distance_matrix=True, n_perm=9), ripser(square.numpy(), distance_matrix=True, n_perm=9)
    )


def _nothing() -> Any:
    from contextlib import nullcontext

    return nullcontext()
