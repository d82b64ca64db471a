"""`lower_star_img` and `correlation_to_distance`."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adabet_fast import InvalidInputError, correlation_to_distance, lower_star_img, ripser
from tests.drop_in.ripsers import sorted_bars


def images() -> dict[str, np.ndarray]:
    r = np.random.default_rng(0)
    smooth = np.add.outer(np.sin(np.arange(60) / 5), np.cos(np.arange(45) / 3))
    return {
        "noise": r.random((40, 70)),
        "negative": r.standard_normal((30, 20)),
        "smooth": smooth,
        "noisy": smooth + 0.1 * r.standard_normal(smooth.shape),
        "bytes": r.integers(0, 256, (30, 31)).astype(np.uint8),
        "few values": r.integers(0, 3, (25, 25)),
        "bool": r.random((20, 20)) < 0.5,
        "constant": np.full((7, 9), 3.5),
        "zero": np.zeros((5, 5)),
        "row": r.random((1, 50)),
        "column": r.random((50, 1)),
        "pixel": np.array([[2.0]]),
        "infinite": np.where(r.random((12, 12)) < 0.3, np.inf, r.random((12, 12))),
        "missing": np.where(r.random((12, 12)) < 0.3, np.nan, r.random((12, 12))),
        "reversed": r.random((20, 30))[::-1, ::2],
    }


def assert_ripsers(image: np.ndarray) -> None:
    theirs = pytest.importorskip("ripser").lower_star_img(image)
    ours = lower_star_img(image)
    assert ours.dtype == theirs.dtype == np.float64
    assert ours.flags.c_contiguous
    np.testing.assert_array_equal(sorted_bars(ours), sorted_bars(theirs))
    np.testing.assert_array_equal(ours[:, 1], theirs[:, 1])  # the order, up to ties


@pytest.mark.parametrize("name", images())
def test_images(name: str) -> None:
    assert_ripsers(images()[name])


@given(st.integers(1, 8), st.integers(1, 8), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_images_with_ties(m: int, n: int, values: int, seed: int) -> None:
    assert_ripsers(np.random.default_rng(seed).integers(-values, values, (m, n)).astype(float))


def test_a_thousand_by_a_thousand_pixels() -> None:
    image = np.random.default_rng(1).random((1000, 1000))
    bars = lower_star_img(image)
    least = image.astype(np.float32).min()
    assert bars[-1].tolist() == [least, np.inf]
    assert len(bars) > 100_000  # about one local minimum in nine pixels
    assert (bars[:, 1] > bars[:, 0]).all()


def test_images_without_pixels() -> None:
    assert lower_star_img(np.empty((0, 0))).shape == (0, 2)
    assert lower_star_img(np.empty((3, 0))).shape == (0, 2)


@pytest.mark.parametrize("bad", [np.zeros(3), np.zeros((2, 2, 3)), [[1, 2], [3]], np.array([["a"]]), 1j * np.eye(2)])
def test_what_is_no_image(bad: object) -> None:
    with pytest.raises(InvalidInputError, match="img"):
        lower_star_img(bad)  # type: ignore[arg-type]


def test_images_are_not_changed() -> None:
    image = images()["noise"]
    image.setflags(write=False)
    lower_star_img(image)


CORRELATIONS = {
    "identity": np.eye(4),
    "sample": np.corrcoef(np.random.default_rng(2).standard_normal((8, 30))),
    "integers": np.array([[1, 0], [0, 1]]),
    "list": [[1.0, -1.0], [-1.0, 1.0]],
    "slightly beyond": np.array([[1.0, 1.03], [1.03, 1.0]]),
    "diagonal": np.array([[0.99, 0.5], [0.5, 1.0]]),
    "one": np.array([[1.0]]),
    "none": np.empty((0, 0)),
}
BAD = {
    "line": np.ones(3),
    "oblong": np.ones((2, 3)),
    "asymmetric": np.array([[1.0, 0.5], [0.4, 1.0]]),
    "covariance": np.array([[4.0, 1.0], [1.0, 9.0]]),
    "below": np.array([[1.0, -1.2], [-1.2, 1.0]]),
    "NaN": np.array([[1.0, np.nan], [np.nan, 1.0]]),
}


@pytest.mark.filterwarnings("always::RuntimeWarning")
@pytest.mark.parametrize("name", CORRELATIONS)
def test_correlations(name: str) -> None:
    theirs = pytest.importorskip("ripser").correlation_to_distance
    with _recorded() as ours_said:
        ours = correlation_to_distance(CORRELATIONS[name])
    with _recorded() as they_said:
        expected = theirs(CORRELATIONS[name])
    assert ours.dtype == expected.dtype
    np.testing.assert_array_equal(ours, expected)
    assert [str(w.message) for w in ours_said] == [str(w.message) for w in they_said]
    assert [w.category for w in ours_said] == [w.category for w in they_said]
    assert {w.filename for w in ours_said} <= {__file__}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_correlation(name: str) -> None:
    theirs = pytest.importorskip("ripser").correlation_to_distance
    with pytest.raises(ValueError) as expected:
        theirs(BAD[name])
    with pytest.raises(InvalidInputError) as got:
        correlation_to_distance(BAD[name])
    assert str(got.value) == str(expected.value)


def test_unchecked() -> None:
    given_ = np.array([[5.0, -10.0], [20.0, 3.0]])
    before = given_.copy()
    assert correlation_to_distance(given_, check_input=False).tolist() == [[0.0, 2.0], [0.0, 0.0]]
    np.testing.assert_array_equal(given_, before)


def test_correlations_go_into_ripser() -> None:
    distances = correlation_to_distance(CORRELATIONS["sample"])
    assert len(ripser(distances, distance_matrix=True)["dgms"][0]) == 8


def _recorded():  # type: ignore[no-untyped-def]
    import warnings

    return warnings.catch_warnings(record=True)
