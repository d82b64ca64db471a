"""The barcode's members against their definitions."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest

from adabet_fast import BackendUnavailableError, Barcode, InvalidInputError, h1, pairwise_distances


@pytest.fixture(scope="module", params=["float32", "float64"])
def case(request: Any) -> tuple[np.ndarray, Barcode]:
    x = np.random.default_rng(1).standard_normal((60, 16))
    return x, h1(x, dtype=request.param)


def test_intervals_are_sorted_and_read_only(case: tuple[np.ndarray, Barcode]) -> None:
    _, bars = case
    assert bars.intervals.shape == (len(bars), 2)
    assert len(bars) > 20
    order = np.lexsort((bars.intervals[:, 1], bars.intervals[:, 0]))
    np.testing.assert_array_equal(order, np.arange(len(bars)))
    assert (bars.deaths > bars.births).all()
    for array in (bars.intervals, bars.births, bars.h0, bars.birth_edges, bars.death_edges):
        assert not array.flags.writeable
    np.testing.assert_array_equal(bars.persistence, bars.intervals[:, 1] - bars.intervals[:, 0])
    assert bars.persistence.dtype == bars.intervals.dtype


def test_edges_have_the_lengths_of_births_and_deaths(case: tuple[np.ndarray, Barcode]) -> None:
    x, bars = case
    matrix = pairwise_distances(x, dtype=bars.intervals.dtype.name)
    for edges, values in ((bars.birth_edges, bars.births), (bars.death_edges, bars.deaths)):
        assert edges.shape == (len(bars), 2)
        assert (edges[:, 0] < edges[:, 1]).all()
        np.testing.assert_array_equal(matrix[edges[:, 0], edges[:, 1]], values)
    threshold = float(np.median(bars.deaths))
    cut = h1(x, dtype=bars.intervals.dtype.name, threshold=threshold)
    essential = np.isinf(cut.deaths)
    assert 0 < essential.sum() < len(cut)
    np.testing.assert_array_equal(cut.death_edges == -1, np.repeat(essential[:, None], 2, axis=1))


def test_betti_is_the_number_of_bars_alive(case: tuple[np.ndarray, Barcode]) -> None:
    _, bars = case
    scales = np.unique(np.r_[0, bars.births, bars.deaths, (bars.births + bars.deaths) / 2, 100, math.inf])
    by_definition = [int(((bars.births <= t) & (t < bars.deaths)).sum()) for t in scales]
    assert max(by_definition) > 3
    got = bars.betti(scales)
    assert got.dtype == np.int64
    assert got.tolist() == by_definition
    assert bars.betti(scales.reshape(-1, 1)).shape == (len(scales), 1)
    one = bars.betti(float(bars.births[3]))
    assert type(one) is int
    assert one == got[scales == bars.births[3]]
    assert bars.betti(0) == bars.betti(-1.0) == bars.betti(-math.inf) == 0
    assert bars.betti(1e300) == 0
    assert bars.betti([0, 100]).tolist() == [0, 0]
    for bad in (math.nan, [1.0, math.nan], "1", None, [[1], [1, 2]], 1j):
        with pytest.raises(InvalidInputError, match="t c"):
            bars.betti(bad)


def test_scales_are_cast_as_thresholds_are() -> None:
    bars = h1(np.array([[0, 0], [0.1, 0], [0.1, 0.1], [0, 0.1]]))
    assert float(bars.births[0]) != 0.1
    assert bars.betti(0.1) == 1
    assert h1(np.array([[0, 0], [0.1, 0], [0.1, 0.1], [0, 0.1]]), threshold=0.1).betti(0.1) == 1


def test_count_and_total(case: tuple[np.ndarray, Barcode]) -> None:
    _, bars = case
    assert bars.count() == len(bars)
    for least in (0.0, 0.01, 0.1, float(bars.persistence[4]), float(bars.persistence.max())):
        assert bars.count(least) == int((bars.persistence > least).sum())
    assert bars.count(1e300) == bars.count(math.inf) == 0
    expected = math.fsum(float(death) - float(birth) for birth, death in bars)
    assert bars.total_persistence() == pytest.approx(expected, rel=1e-14)
    assert h1(np.zeros((3, 1))).total_persistence() == 0.0
    assert h1([[0, 0], [1, 0], [1, 1], [0, 1]], threshold=1).total_persistence() == math.inf


def test_h0_is_the_minimum_spanning_tree(case: tuple[np.ndarray, Barcode]) -> None:
    from scipy.sparse.csgraph import minimum_spanning_tree

    x, bars = case
    tree = minimum_spanning_tree(pairwise_distances(x, dtype=bars.intervals.dtype.name)).data
    np.testing.assert_array_equal(bars.h0[:-1, 1], np.sort(tree).astype(bars.h0.dtype))
    assert bars.h0[-1].tolist() == [0, math.inf]
    assert (bars.h0[:, 0] == 0).all()


def test_enclosing_radius(case: tuple[np.ndarray, Barcode]) -> None:
    x, bars = case
    matrix = pairwise_distances(x, dtype=bars.intervals.dtype.name)
    assert bars.enclosing_radius == matrix.max(axis=1).min()
    assert bars.deaths.max() <= bars.enclosing_radius


def test_sequence_and_array(case: tuple[np.ndarray, Barcode]) -> None:
    _, bars = case
    assert list(bars) == [tuple(bar) for bar in bars.intervals.tolist()]
    assert np.asarray(bars) is bars.intervals
    assert np.array(bars).flags.writeable
    assert np.asarray(bars, dtype="float64").dtype == np.float64
    np.testing.assert_array_equal(np.asarray(bars, dtype="float64"), bars.intervals)
    with pytest.raises(ValueError, match="need a copy"):
        bars.__array__("int32", copy=False)


def test_equality(case: tuple[np.ndarray, Barcode]) -> None:
    x, bars = case
    same = h1(x, dtype=bars.intervals.dtype.name, n_threads=1)
    assert same == bars
    assert h1(x[:30], dtype=bars.intervals.dtype.name) != bars
    other = "float64" if bars.intervals.dtype == np.float32 else "float32"
    assert h1(x, dtype=other) != bars
    assert bars != bars.intervals.tolist()
    with pytest.raises(TypeError):
        hash(bars)


def test_pickle_and_copy(case: tuple[np.ndarray, Barcode]) -> None:
    _, bars = case
    for again in (pickle.loads(pickle.dumps(bars)), copy.deepcopy(bars), copy.copy(bars)):
        assert again == bars
        assert repr(again) == repr(bars)
        assert again.stats == bars.stats
        np.testing.assert_array_equal(again.birth_edges, bars.birth_edges)
        np.testing.assert_array_equal(again.death_edges, bars.death_edges)
        np.testing.assert_array_equal(again.h0, bars.h0)
        assert not again.intervals.flags.writeable


def test_repr_shows_how_the_input_was_read() -> None:
    stack = np.random.default_rng(0).standard_normal((8, 10, 2))
    assert repr(h1(stack)) == "Barcode(1 bar, n=8, d=20, float32, backend='cpu')"
    square = [[0, 0], [1, 0], [1, 1], [0, 1]]
    assert repr(h1(square, dtype="float64")) == "Barcode(1 bar, n=4, d=2, float64, backend='cpu')"
    matrix = pairwise_distances(square)
    assert repr(h1(matrix, distance_matrix=True)) == "Barcode(1 bar, n=4, float32, backend='cpu')"


def test_stats(case: tuple[np.ndarray, Barcode]) -> None:
    _, bars = case
    stages = [name for name in bars.stats if name.startswith("seconds_")]
    assert {name.removeprefix("seconds_") for name in stages} == {
        "distances",
        "survey",
        "rng",
        "edges",
        "lunes",
        "columns",
    }
    assert all(0 <= bars.stats[name] < 60 for name in stages)
    assert 0 < bars.stats["edges"] <= 60 * 59 / 2
    assert bars.stats["births"] >= len(bars)
    assert bars.stats["critical_cells"] >= len(bars)
    assert bars.stats["peak_bytes"] >= 60 * 60 * bars.intervals.itemsize
    assert bars.stats["peak_rss_bytes"] > bars.stats["peak_bytes"]
    assert bars.plan == "dense"


def test_a_barcode_without_edges_says_so() -> None:
    bars = Barcode(np.empty((0, 2), np.float32), np.empty((0, 2), np.float32), n=0, backend="ripser")
    for name in ("birth_edges", "death_edges"):
        with pytest.raises(BackendUnavailableError, match="backend='cpu'"):
            getattr(bars, name)


def test_index_is_that_of_the_intervals() -> None:
    found = h1(np.array([[0, 0], [2, 0], [2, 1], [0, 1]]))
    assert np.array_equal(found[0], found.intervals[0])
    assert np.array_equal(found[:, 1], found.deaths)
    with pytest.raises(IndexError):
        found[1]
