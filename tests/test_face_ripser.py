"""ripser.py as a backend, and as the judge of ours."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import scipy.sparse

from adabet_fast import (
    BackendUnavailableError,
    CrossCheckError,
    InvalidInputError,
    _ripser,
    betti1,
    betti1_batch,
    h1,
    pairwise_distances,
)

pytest.importorskip("ripser")


def cases() -> dict[str, tuple[Any, dict[str, Any]]]:
    rng = np.random.default_rng(11)
    gaussian = rng.standard_normal((80, 5))
    far = np.full((60, 60), np.inf)
    far[:30, :30] = pairwise_distances(gaussian[:30])
    far[30:, 30:] = pairwise_distances(gaussian[30:60])
    lengths = np.triu(rng.random((60, 60)) + 1, 1)
    graph = scipy.sparse.csr_array(np.triu(np.where(rng.random((70, 70)) < 0.1, rng.random((70, 70)), 0), 1))
    matrix = {"distance_matrix": True}
    return {
        "gaussian": (gaussian, {}),
        "gaussian with a threshold": (gaussian, {"threshold": 2.0}),
        "threshold zero": (gaussian, {"threshold": 0.0}),
        "cityblock": (gaussian, {"metric": "cityblock"}),
        "grid": (np.stack(np.meshgrid(range(7), range(8)), -1).reshape(-1, 2), {}),
        "duplicates": (np.repeat(gaussian[:12], 6, axis=0), {}),
        "wide": (rng.standard_normal((30, 5000)).astype(np.float32), {}),
        "one point": (gaussian[:1], {}),
        "two points": (gaussian[:2], {}),
        "no point": (gaussian[:0], {}),
        "two parts": (far, matrix),
        "two parts, condensed": (far[np.triu_indices(60, 1)], matrix),
        "independent lengths": (lengths + lengths.T, matrix),
        "graph": (graph, matrix),
        "graph with a threshold": (graph, matrix | {"threshold": 0.7}),
        "no edge": (scipy.sparse.csr_array((5, 5)), matrix),
    }


CASES = cases()


@pytest.mark.parametrize("kind", CASES)
def test_ripser_finds_the_same(kind: str) -> None:
    x, options = CASES[kind]
    ours = h1(x, check="ripser", **options)
    theirs = h1(x, backend="ripser", **options)
    assert ours == theirs == h1(x, **options)
    np.testing.assert_array_equal(ours.h0, theirs.h0)
    assert ours.enclosing_radius == theirs.enclosing_radius
    assert (ours.n, ours.d) == (theirs.n, theirs.d)
    assert (ours.backend, theirs.backend) == ("cpu", "ripser")
    assert betti1(x, backend="ripser", **options) == len(ours)
    assert betti1(x, backend="ripser", min_persistence=0.1, **options) == ours.count(0.1)
    assert betti1_batch([x, x], backend="ripser", **options).tolist() == [len(ours)] * 2


def test_the_environment_may_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADABET_BACKEND", "ripser")
    assert h1(CASES["gaussian"][0]).backend == "ripser"
    assert h1(CASES["gaussian"][0], backend="cpu").backend == "cpu"


def test_a_stack_goes_through_it() -> None:
    stack = np.random.default_rng(0).standard_normal((4, 20, 3))
    assert betti1_batch(stack, backend="ripser").tolist() == betti1_batch(stack).tolist()
    assert betti1_batch(stack[:0], backend="ripser").shape == (0,)
    bad = stack.copy()
    bad[2, 1, 1] = np.nan
    with pytest.raises(InvalidInputError, match="cloud 2"):
        betti1_batch(bad, backend="ripser")


def test_what_it_cannot_do() -> None:
    x = CASES["gaussian"][0]
    for call in (h1, betti1, lambda x, **options: betti1_batch([x], **options)):
        with pytest.raises(BackendUnavailableError, match="float32"):
            call(x, backend="ripser", dtype="float64")
    with pytest.raises(BackendUnavailableError, match="edges"):
        _ = h1(x, backend="ripser").birth_edges


def test_a_difference_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A judge that loses a bar, doubles one, and moves one by a unit in the last place is caught, and told apart."""
    x = CASES["gaussian"][0]
    true = h1(x).intervals
    wrong = np.concatenate([true[1:], true[5:6]])
    wrong[7, 1] = np.nextafter(wrong[7, 1], np.float32(np.inf))
    wrong = wrong[np.lexsort((wrong[:, 1], wrong[:, 0]))]
    monkeypatch.setattr(_ripser, "ripser_intervals", lambda matrix, threshold: (None, wrong))
    with pytest.raises(CrossCheckError) as caught:
        h1(x, check="ripser")
    error = caught.value
    ours_line, theirs_line = (
        next(line for line in str(error).splitlines() if line.startswith(start))
        for start in ("only here", "only by ripser.py")
    )
    assert ours_line.count("[") == 2
    assert theirs_line.count("[") == 2
    assert repr(float(true[0, 0])) in ours_line
    assert repr(float(true[5, 0])) in theirs_line
    assert repr(float(true[8, 0])) in ours_line
    assert repr(float(true[8, 0])) in theirs_line
    assert "80 points" in str(error)
    assert "ripser.ripser(D" in str(error)
    np.testing.assert_array_equal(error.ours, true)
    np.testing.assert_array_equal(error.theirs, wrong)
    np.testing.assert_array_equal(error.distance_matrix, pairwise_distances(x))
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    np.testing.assert_array_equal(again.ours, true)


def test_long_differences_are_cut_short(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = np.empty((0, 2), np.float32)
    monkeypatch.setattr(_ripser, "ripser_intervals", lambda matrix, threshold: (None, nothing))
    x = CASES["gaussian"][0]
    count = betti1(x)
    assert count > 10
    with pytest.raises(CrossCheckError, match=rf"and {count - 10} more\nonly by ripser.py: none"):
        h1(x, check="ripser")
