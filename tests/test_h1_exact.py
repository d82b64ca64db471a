"""Exactly Ripser's H1 intervals, to the bit: against ripser.py, against the definition, and against ourselves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import adabet_fast
from tests import filtrations

KINDS = list(filtrations.KINDS)
sizes = st.integers(1, 11)
seeds = st.integers(0, 2**32 - 1)


def bars(d: Any, **options: Any) -> Any:
    return adabet_fast.h1(d, distance_matrix=True, **options).intervals


def ripsers(d: Any, thresh: float = np.inf) -> Any:
    ripser = pytest.importorskip("ripser").ripser
    found = ripser(d, distance_matrix=True, thresh=thresh)["dgms"][1].astype(np.float32).reshape(-1, 2)
    return found[np.lexsort((found[:, 1], found[:, 0]))]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [4, 13, 40, 64, 129])
def test_equal_to_ripser(kind: str, n: int) -> None:
    for seed in range(3):
        d = filtrations.make(kind, min(n, filtrations.KINDS[kind][1]), seed)
        expected = ripsers(d)
        assert np.array_equal(bars(d), expected)
        assert adabet_fast.betti1(d, distance_matrix=True) == len(expected)
        lengths = d[np.isfinite(d) & (d > 0)]
        if len(lengths):
            t = float(np.quantile(lengths, 0.3, method="lower"))  # an entry: thresholds are inclusive
            for threshold in (
                t,
                np.nextafter(np.float32(t), np.float32(0)),
                np.nextafter(np.float32(t), np.float32(9e9)),
            ):
                expected = ripsers(d, float(threshold))
                assert np.array_equal(bars(d, threshold=float(threshold)), expected)
                assert adabet_fast.betti1(d, distance_matrix=True, threshold=float(threshold)) == len(expected)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_equal_to_ripser_at_its_largest(kind: str) -> None:
    d = filtrations.make(kind, filtrations.KINDS[kind][1], 5)
    expected = ripsers(d)
    assert np.array_equal(bars(d), expected)
    assert adabet_fast.betti1(d, distance_matrix=True) == len(expected)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=300)
@given(n=sizes, seed=seeds, cut=st.none() | st.floats(0, 1))
def test_equal_to_the_definition(kind: str, n: int, seed: int, cut: float | None) -> None:
    d = filtrations.make(kind, n, seed)
    lengths = np.sort(d[np.triu_indices(n, 1)])
    threshold = np.inf if cut is None or not len(lengths) else float(lengths[int(cut * (len(lengths) - 1))])
    expected = filtrations.textbook_h1(d, threshold)
    assert np.array_equal(bars(d, threshold=threshold), expected)
    assert adabet_fast.betti1(d, distance_matrix=True, threshold=threshold) == len(expected)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=6)
@given(n=st.integers(12, 20), seed=seeds)
def test_equal_to_the_definition_up_to_20(kind: str, n: int, seed: int) -> None:
    d = filtrations.make(kind, n, seed)
    assert np.array_equal(bars(d), filtrations.textbook_h1(d))


@st.composite
def matrices(draw: st.DrawFn) -> Any:
    """A matrix with few different lengths, chosen by hypothesis itself, so that it can shrink what fails."""
    n = draw(st.integers(2, 9))
    values = draw(st.lists(st.sampled_from([0.0, 1.0, 1.0000001, 2.0, 3.0, np.inf]), min_size=n * n, max_size=n * n))
    return filtrations.mirror(np.array(values).reshape(n, n))


@settings(max_examples=3000)
@given(d=matrices())
def test_equal_to_the_definition_with_ties(d: Any) -> None:
    expected = filtrations.textbook_h1(d)
    assert np.array_equal(bars(d), expected)
    assert adabet_fast.betti1(d, distance_matrix=True) == len(expected)


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_the_order_of_points_and_threads(kind: str) -> None:
    d = filtrations.make(kind, min(500, 4 * filtrations.KINDS[kind][1]), 3)
    expected = bars(d, n_threads=1)
    order = np.random.default_rng(1).permutation(len(d))
    shuffled = np.ascontiguousarray(d[np.ix_(order, order)])
    for n_threads in (1, 2, 7):
        assert np.array_equal(bars(d, n_threads=n_threads), expected)
        assert np.array_equal(bars(shuffled, n_threads=n_threads), expected)
        assert adabet_fast.betti1(shuffled, distance_matrix=True, n_threads=n_threads) == len(expected)


@pytest.mark.parametrize("kind", KINDS)
def test_a_threshold_cuts_the_full_barcode(kind: str) -> None:
    """What is born by t is there; what dies after t, or never, is essential."""
    d = filtrations.make(kind, min(400, 4 * filtrations.KINDS[kind][1]), 4)
    full = bars(d)
    for t in np.unique(full[np.isfinite(full)])[::7][:20]:
        cut = full[full[:, 0] <= t].copy()
        cut[cut[:, 1] > t, 1] = np.inf
        expected = cut[np.lexsort((cut[:, 1], cut[:, 0]))]
        assert np.array_equal(bars(d, threshold=float(t)), expected)
        assert adabet_fast.betti1(d, distance_matrix=True, threshold=float(t)) == len(expected)


@pytest.mark.parametrize("kind", KINDS)
def test_edges_have_the_lengths_of_their_bars(kind: str) -> None:
    d = filtrations.make(kind, min(200, filtrations.KINDS[kind][1]), 6)
    found = adabet_fast.h1(d, distance_matrix=True)
    births, deaths = found.birth_edges, found.death_edges
    assert np.array_equal(d[births[:, 0], births[:, 1]], found.births)
    finite = np.isfinite(found.deaths)
    assert np.array_equal(d[deaths[finite, 0], deaths[finite, 1]], found.deaths[finite])
    assert (deaths[~finite] == -1).all()


@pytest.mark.parametrize("kind", KINDS)
def test_h0_is_ripsers(kind: str) -> None:
    ripser = pytest.importorskip("ripser").ripser
    d = filtrations.make(kind, 60, 7)
    expected = ripser(d, distance_matrix=True, maxdim=0)["dgms"][0].astype(np.float32)
    h0 = adabet_fast.h1(d, distance_matrix=True).h0
    assert np.array_equal(np.sort(h0[:, 1]), np.sort(expected[:, 1]))
    assert (h0[:, 0] == 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_float64_filtration_is_the_definition_in_double(kind: str) -> None:
    """Integer ranks as lengths are exact in both precisions, so the double engine must give the float engine's bars."""
    d = filtrations.make(kind, min(60, filtrations.KINDS[kind][1]), 8)
    values, ranks = np.unique(d, return_inverse=True)
    wide = 1.0 + ranks.reshape(d.shape) * 2.0**-40  # apart in double, equal in float
    np.fill_diagonal(wide, 0.0)
    wide[np.isinf(d)] = np.inf
    found = adabet_fast.h1(wide, distance_matrix=True, dtype="float64").intervals
    expected = bars(d)
    finite = np.isfinite(found)
    back = np.full(found.shape, np.float32(np.inf))
    back[finite] = values[np.rint((found[finite] - 1.0) * 2.0**40).astype(int)]
    assert np.array_equal(back, expected)


PRINT_ALL = """
import sys; sys.path.insert(0, {folder!r})
import hashlib, adabet_fast, numpy as np
from tests import filtrations
digest = hashlib.sha256()
for kind in filtrations.KINDS:
    d = filtrations.make(kind, min(300, 4 * filtrations.KINDS[kind][1]), 9)
    found = adabet_fast.h1(d, distance_matrix=True)
    digest.update(found.intervals.tobytes() + found.birth_edges.tobytes() + found.death_edges.tobytes())
    digest.update(str(adabet_fast.betti1(d, distance_matrix=True)).encode())
x = np.random.default_rng(0).standard_normal((150, 333)).astype(np.float32)
digest.update(adabet_fast.pairwise_distances(x).tobytes())
print(digest.hexdigest())
"""


def test_whatever_the_instruction_set() -> None:
    code = PRINT_ALL.format(folder=str(Path(__file__).parents[1]))
    digests = set()
    for isa in adabet_fast._core.available_isas():
        environment = {**os.environ, "ADABET_ISA": isa}
        run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        digests.add(run.stdout)
    assert len(digests) == 1
