"""Representative loops: cycles that are born with their bars, and no boundaries before these die."""

from __future__ import annotations

import itertools
import pickle
from typing import Any

import numpy as np
import pytest
import scipy.sparse

from adabet_fast import Barcode, InvalidInputError, _core, h1, pairwise_distances


def is_boundary(loop: np.ndarray, matrix: np.ndarray, before: float) -> bool:
    """Whether the loop is a sum mod 2 of triangles whose edges are all shorter than `before`: plain elimination."""
    n = len(matrix)
    index = {edge: k for k, edge in enumerate(itertools.combinations(range(n), 2))}

    def bits(vertices: Any) -> int:
        return sum(1 << index[min(pair), max(pair)] for pair in vertices)

    pivots: dict[int, int] = {}

    def reduced(column: int) -> int:
        while column and column.bit_length() in pivots:
            column ^= pivots[column.bit_length()]
        return column

    for i, j, k in itertools.combinations(range(n), 3):
        if max(matrix[i, j], matrix[i, k], matrix[j, k]) < before:
            column = reduced(bits([(i, j), (i, k), (j, k)]))
            if column:
                pivots[column.bit_length()] = column
    return reduced(bits(zip(loop.tolist(), np.roll(loop, -1).tolist(), strict=True))) == 0


def check(bars: Barcode, matrix: np.ndarray) -> None:
    assert bars.representatives is not None
    assert len(bars.representatives) == len(bars)
    for (birth, death), loops, edge in zip(bars.intervals, bars.representatives, bars.birth_edges, strict=True):
        (loop,) = loops
        assert len(loop) >= 4
        assert len(set(loop.tolist())) == len(loop)
        lengths = matrix[loop, np.roll(loop, -1)]
        assert lengths.max() == birth
        assert {*edge.tolist()} <= {*loop.tolist()}
        assert not is_boundary(loop, matrix, death)


def matrices() -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    clouds = [rng.random((n, d)) for n, d in ((4, 2), (12, 2), (18, 2), (20, 3), (22, 8))]
    clouds += [np.stack(np.meshgrid(np.arange(4), np.arange(4)), -1).reshape(16, 2)]
    clouds += [np.repeat(rng.random((6, 2)), 3, axis=0)]
    valued = np.triu(rng.integers(1, 4, (16, 16)), 1).astype(np.float32)
    parted = np.triu(rng.random((18, 18)).astype(np.float32), 1)
    parted[parted > 0.6] = np.inf
    return [pairwise_distances(cloud, dtype="float32") for cloud in clouds] + [
        valued + valued.T,
        parted + parted.T,
    ]


@pytest.mark.parametrize("matrix", matrices())
@pytest.mark.parametrize("plan", ["dense", "streamed"])
def test_cycles_that_live_as_long_as_their_bars(matrix: np.ndarray, plan: str) -> None:
    given = matrix if plan == "dense" else matrix.astype(np.float64)
    raw = _core.h1(
        given,
        distance_matrix=True,
        metric="euclidean",
        threshold=np.inf,
        dtype="float32",
        n_threads=2,
        max_memory=2**40,
        plan=plan,
        representatives=True,
        report=None,
    )
    assert raw["plan"] == plan
    bars = h1(matrix, distance_matrix=True, representatives=True)
    assert np.array_equal(bars.intervals, raw["intervals"])
    check(bars, matrix)


@pytest.mark.parametrize("matrix", matrices())
def test_graphs(matrix: np.ndarray) -> None:
    upper = np.triu(matrix, 1)
    rows, columns = np.nonzero(np.isfinite(upper) & np.triu(np.ones_like(upper, bool), 1))
    graph = scipy.sparse.coo_array((upper[rows, columns], (rows, columns)), shape=matrix.shape)
    bars = h1(graph, distance_matrix=True, representatives=True)
    assert np.array_equal(bars.intervals, h1(matrix, distance_matrix=True).intervals)
    check(bars, matrix)


def test_rows_of_the_caller() -> None:
    """Large clouds are put into an order of their own first; loops name the rows as they were given."""
    rng = np.random.default_rng(1)
    angles = rng.random(3000) * 2 * np.pi
    ring = np.c_[np.cos(angles), np.sin(angles), rng.random(3000) * 0.1]
    bars = h1(ring, representatives=True)
    assert bars.plan == "streamed"
    assert bars.representatives is not None
    for (birth, _), (loop,) in zip(bars.intervals, bars.representatives, strict=True):
        steps = np.linalg.norm(ring[loop] - ring[np.roll(loop, -1)], axis=1)
        assert steps.max() == pytest.approx(birth, rel=1e-6)
    longest = bars.representatives[int(np.argmax(bars.persistence))][0]
    turn = np.diff(np.unwrap(np.r_[angles[longest], angles[longest[0]]]))
    assert abs(turn.sum()) == pytest.approx(2 * np.pi)


def test_only_where_asked_for() -> None:
    square = np.array([[0, 0], [2, 0], [2, 1], [0, 1]])
    assert h1(square).representatives is None
    bars = h1(square, representatives=True)
    again = pickle.loads(pickle.dumps(bars))
    assert [sorted(loop.tolist()) for (loop,) in again.representatives] == [[0, 1, 2, 3]]
    assert h1(np.zeros((3, 2)), representatives=True).representatives == []
    with pytest.raises(InvalidInputError, match="representatives is 1"):
        h1(square, representatives=1)  # type: ignore[arg-type]
