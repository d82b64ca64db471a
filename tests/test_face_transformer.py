"""VietorisRipsH1: scikit-learn's own checks, pipelines, joblib, and each output against its definition."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
import pytest
from joblib.parallel import parallel_config
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.spatial.distance import pdist, squareform
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import adabet_fast
from adabet_fast import BackendUnavailableError, InvalidInputError, VietorisRipsH1, h1
from adabet_fast import transformer as transformer_module

FEATURES = ("count", "total_persistence", "betti_curve", "landscape", "persistence_image")
OUTPUTS = ("diagrams", "padded", *FEATURES)
rng = np.random.default_rng


def circles_and_blobs(b: int = 12, n: int = 24) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Noisy circles (1) and gaussian blobs (0), in turn."""
    r = rng(0)
    angles = r.random((b, n)) * 2 * np.pi
    circles = np.stack([np.cos(angles), np.sin(angles)], axis=2) + 0.05 * r.standard_normal((b, n, 2))
    labels = np.arange(b) % 2
    return np.where(labels[:, None, None] == 1, circles, r.standard_normal((b, n, 2)) / 2), labels


class OfRows(VietorisRipsH1):
    """Reads any table, as the estimator checks need: each row becomes a ring of points that depends on all of it."""

    def _read(self, X: Any, *, reset: bool) -> Any:
        rows = super()._read(X, reset=reset)[:, :, 0]
        angles = np.arange(8) * np.pi / 4
        radii = 1 + np.abs(rows @ np.arange(1, rows.shape[1] + 1))[:, None] + 0.1 * np.cos(3 * angles)
        return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=2)


def expected_failures(estimator: VietorisRipsH1) -> dict[str, str]:
    if estimator.output != "diagrams":
        return {}
    why = "diagrams differ in length, so they come as a list of arrays, and the check asks the list for its shape"
    return {"check_transformer_general": why, "check_transformer_data_not_an_array": why}


@parametrize_with_checks(
    [
        *(VietorisRipsH1(output=output, n_coordinates=1) for output in OUTPUTS),
        *(OfRows(output=output, n_coordinates=1) for output in OUTPUTS),
        VietorisRipsH1(output=("count", "betti_curve"), n_coordinates=1, n_jobs=2),
    ],
    expected_failed_checks=expected_failures,
)
def test_estimator_checks(estimator: VietorisRipsH1, check: Callable[[Any], None]) -> None:
    check(estimator)


def test_the_checks_see_bars() -> None:
    bars = OfRows(n_coordinates=1).fit_transform(rng(1).standard_normal((5, 3)))
    assert [len(each) for each in bars] == [1] * 5
    assert len({each[0, 0] for each in bars}) == 5


# -- outputs


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_diagrams_are_those_of_h1(dtype: str) -> None:
    clouds, _ = circles_and_blobs()
    diagrams = VietorisRipsH1(dtype=dtype).fit_transform(clouds)
    for bars, cloud in zip(diagrams, clouds, strict=True):
        assert bars.dtype == np.float64
        assert np.array_equal(bars, h1(cloud, dtype=dtype).intervals)
    assert [len(bars) for bars in diagrams] == adabet_fast.betti1_batch(clouds, dtype=dtype).tolist()


def test_clouds_of_any_sizes_and_kinds() -> None:
    clouds, _ = circles_and_blobs(4)
    expected = VietorisRipsH1().fit_transform(clouds)
    ragged = [clouds[0], clouds[1].astype(np.float32)[:9], clouds[2].tolist(), np.zeros((0, 2))]
    objects = np.empty(4, dtype=object)
    objects[:] = list(clouds)
    for given in (list(clouds), tuple(clouds), objects, clouds.reshape(4, 24, 1, 2), iter(clouds)):
        found = VietorisRipsH1().fit_transform(given)
        assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))
    assert [len(bars) for bars in VietorisRipsH1().fit_transform(ragged)][3] == 0
    flat = VietorisRipsH1(n_coordinates=2).fit_transform(clouds.reshape(4, -1))
    assert all(np.array_equal(a, b) for a, b in zip(flat, expected, strict=True))


def test_precomputed_distances_of_every_form() -> None:
    clouds, _ = circles_and_blobs(4)
    condensed = np.array([pdist(cloud) for cloud in clouds])
    square = np.array([squareform(row) for row in condensed])
    expected = VietorisRipsH1(dtype="float64").fit_transform(clouds)
    for given in (square, condensed, list(condensed), [csr_array(one) for one in square]):
        found = VietorisRipsH1(metric="precomputed", dtype="float64").fit_transform(given)
        assert all(np.allclose(a, b, rtol=1e-12) for a, b in zip(found, expected, strict=True))
    counts = VietorisRipsH1(metric="precomputed", output="count").fit_transform([csr_array(one) for one in square])
    assert counts.ravel().tolist() == [len(bars) for bars in expected]


def test_features_by_their_definition() -> None:
    clouds, _ = circles_and_blobs()
    diagrams = VietorisRipsH1().fit_transform(clouds)
    both = VietorisRipsH1(output=("count", "total_persistence")).fit_transform(clouds)
    assert both[:, 0].tolist() == [len(bars) for bars in diagrams]
    assert both[:, 1] == pytest.approx([(bars[:, 1] - bars[:, 0]).sum() for bars in diagrams])
    curve = VietorisRipsH1(output="betti_curve", resolution=37).fit(clouds)
    every = np.concatenate(diagrams)
    assert curve.ranges_.values == (every[:, 0].min(), every[:, 1].max())
    grid = np.linspace(*curve.ranges_.values, 37)
    for row, bars in zip(curve.transform(clouds), diagrams, strict=True):
        assert row.tolist() == [sum(birth <= t < death for birth, death in bars) for t in grid]


def test_landscapes_and_images_by_their_definition() -> None:
    clouds, _ = circles_and_blobs(6)
    diagrams = VietorisRipsH1().fit_transform(clouds)
    landscape = VietorisRipsH1(output="landscape", n_landscapes=3, resolution=11, value_range=(0.1, 1.4)).fit(clouds)
    image = VietorisRipsH1(output="persistence_image", pixels=7, bandwidth=0.2).fit(clouds)
    (left, right), (low, high) = image.ranges_.births, image.ranges_.lengths
    for layers, pixels, bars in zip(landscape.transform(clouds), image.transform(clouds), diagrams, strict=True):
        birth, death = bars[:, :1], bars[:, 1:]
        grid = np.linspace(0.1, 1.4, 11)
        tents = np.maximum(np.minimum(grid - birth, death - grid), 0)
        tents = -np.sort(-np.vstack([tents, np.zeros((3, 11))]), axis=0)[:3]
        assert layers == pytest.approx(tents.ravel())
        x, y = np.meshgrid(np.linspace(left, right, 7), np.linspace(low, high, 7))
        expected = sum(
            (d - b) * np.exp(-((x - b) ** 2 + (y - (d - b)) ** 2) / (2 * 0.2**2)) / (2 * np.pi * 0.2**2)
            for b, d in bars
        )
        assert pixels == pytest.approx(np.asarray(expected).ravel())


def test_padded_diagrams_keep_their_form() -> None:
    clouds, _ = circles_and_blobs(5)
    diagrams = VietorisRipsH1().fit_transform(clouds)
    padded = VietorisRipsH1(output="padded").fit_transform(clouds)
    assert padded.shape == (5, max(map(len, diagrams)), 3)
    for row, bars in zip(padded, diagrams, strict=True):
        real = row[row[:, 1] > row[:, 0]]
        assert np.array_equal(real[:, :2], bars)
    assert (padded[:, :, 2] == 1).all()
    assert (padded[:, :, 1] >= padded[:, :, 0]).all()
    assert VietorisRipsH1(output="padded").fit_transform(np.zeros((2, 3, 2))).tolist() == [[[0, 0, 1]]] * 2


def test_clouds_without_bars_have_features_too() -> None:
    empty = np.zeros((3, 5, 2))
    rows = VietorisRipsH1(output=FEATURES).fit_transform(empty)
    assert rows.shape == (3, 1 + 1 + 100 + 500 + 400)
    assert not rows.any()
    one = VietorisRipsH1(output=("betti_curve", "persistence_image")).fit(np.array([[[0, 0], [1, 0], [1, 1], [0, 1]]]))
    assert one.ranges_.births[0] < one.ranges_.births[1]  # a single birth, and still an axis
    assert not one.transform(empty).any()


def test_essential_bars() -> None:
    square = np.array([[0, 1, 1.4, 1], [1, 0, 1, 1.4], [1.4, 1, 0, 1], [1, 1.4, 1, 0]])
    square[square == 1.4] = np.inf
    transformer = VietorisRipsH1(metric="precomputed").fit([square])
    assert transformer.transform([square])[0].tolist() == [[1, np.inf]]
    longer = np.where(square == 1, 3.0, square)
    summed = VietorisRipsH1(metric="precomputed", output="total_persistence")
    assert summed.fit([square, longer]).infinity_value_ == 3
    assert summed.transform([square, longer]).ravel().tolist() == [2, 0]
    summed.set_params(infinity_value=10.0)
    assert summed.fit_transform([square, longer]).ravel().tolist() == [9, 7]
    points = np.array([[[0, 0], [1, 0], [1, 1], [0, 1.0]]])
    padded = VietorisRipsH1(threshold=1.25, output="padded").fit(points)
    assert padded.infinity_value_ == 1.25
    assert padded.transform(points).tolist() == [[[1, 1.25, 1]]]


def test_min_persistence_leaves_short_bars_out() -> None:
    clouds, _ = circles_and_blobs()
    diagrams = VietorisRipsH1(min_persistence=0.1).fit_transform(clouds)
    assert all((bars[:, 1] - bars[:, 0] > 0.1).all() for bars in diagrams)
    counts = VietorisRipsH1(min_persistence=0.1, output="count").fit_transform(clouds)
    assert counts.ravel().tolist() == [len(bars) for bars in diagrams]
    assert counts.sum() < VietorisRipsH1(output="count").fit_transform(clouds).sum()


# -- scikit-learn


@pytest.mark.parametrize("output", OUTPUTS)
def test_batches_copies_and_pickles_give_the_same(output: str) -> None:
    clouds, _ = circles_and_blobs(6)
    before = clouds.copy()
    fitted = VietorisRipsH1(output=output).fit(clouds)
    whole = fitted.transform(clouds)
    copies = (fitted, pickle.loads(pickle.dumps(fitted)), clone(fitted).fit(clouds))
    for transformer in copies:
        again = transformer.transform(clouds)
        assert all(np.array_equal(a, b) for a, b in zip(again, whole, strict=True))
    if output != "padded":  # whose width is that of the longest diagram at hand
        parts = [*fitted.transform(clouds[:2]), *fitted.transform(clouds[2:])]
        assert all(np.array_equal(a, b) for a, b in zip(parts, whole, strict=True))
    assert np.array_equal(clouds, before)


def test_pipeline_and_grid_search() -> None:
    clouds, labels = circles_and_blobs(24)
    pipeline = make_pipeline(VietorisRipsH1(output="landscape", n_landscapes=1), LogisticRegression())
    folds = StratifiedKFold(3)
    assert cross_val_score(pipeline, clouds, labels, cv=folds).mean() > 0.9
    grid = {"vietorisripsh1__output": ["total_persistence", "betti_curve"], "vietorisripsh1__dtype": ["float32"]}
    search = GridSearchCV(pipeline, grid, cv=folds, n_jobs=2).fit(list(clouds), labels)
    assert search.best_score_ > 0.9
    assert search.score(list(clouds), labels) > 0.9


def test_rows_among_other_steps_and_named_columns() -> None:
    clouds, labels = circles_and_blobs(10)
    rows = clouds.reshape(10, -1)
    union = FeatureUnion(
        [("h1", VietorisRipsH1(output=("count", "betti_curve"), n_coordinates=2, resolution=3)), ("raw", "passthrough")]
    )
    model = make_pipeline(FunctionTransformer(), union, StandardScaler(), LogisticRegression()).fit(rows, labels)
    assert model.predict(rows).shape == (10,)
    named = VietorisRipsH1(output=("count", "landscape"), resolution=2, n_landscapes=2).fit(clouds)
    columns = ["count", "landscape_1_0", "landscape_1_1", "landscape_2_0", "landscape_2_1"]
    assert list(named.get_feature_names_out()) == columns
    assert named.transform(clouds).shape == (10, 5)
    image = VietorisRipsH1(output="persistence_image", pixels=2).fit(clouds)
    assert list(image.get_feature_names_out()) == [f"persistence_image_{y}_{x}" for y in (0, 1) for x in (0, 1)]
    assert not hasattr(VietorisRipsH1(), "get_feature_names_out")


def test_homology_is_computed_once_and_only_where_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    clouds, _ = circles_and_blobs(4)
    calls: list[int] = []

    def counted(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        return h1(*arguments, **options)

    monkeypatch.setattr(transformer_module, "h1", counted)
    for output, in_fit in (("diagrams", 0), ("count", 0), ("total_persistence", 0), ("betti_curve", 4)):
        calls.clear()
        transformer = VietorisRipsH1(output=output).fit(clouds)
        assert len(calls) == in_fit
        calls.clear()
        transformer.fit_transform(clouds)
        assert len(calls) == (0 if output == "count" else 4)


# -- joblib


def test_jobs_change_nothing_and_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    clouds, _ = circles_and_blobs(8)
    expected = VietorisRipsH1().fit_transform(clouds)
    for jobs in (2, -1):
        found = VietorisRipsH1(n_jobs=jobs).fit_transform(list(clouds))
        assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))
    for name in ("ADABET_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    cores = len(os.sched_getaffinity(0))
    assert VietorisRipsH1()._parallel() == (1, cores)
    assert VietorisRipsH1(n_jobs=2)._parallel() == (2, max(1, cores // 2))
    assert VietorisRipsH1(n_jobs=2, n_threads=3)._parallel() == (2, 3)
    monkeypatch.setenv("ADABET_NUM_THREADS", "8")
    assert VietorisRipsH1(n_jobs=2)._parallel() == (2, 4)
    with parallel_config(n_jobs=4):
        assert VietorisRipsH1()._parallel() == (4, 2)


def test_many_clouds_in_many_threads() -> None:
    """Threads have heaps of their own, where reading past the end of a buffer is an end of the process."""
    clouds = rng(9).standard_normal((500, 40, 64)).astype(np.float32)
    found = VietorisRipsH1(n_jobs=3, n_threads=1).fit_transform(clouds)
    assert [len(bars) for bars in found] == adabet_fast.betti1_batch(clouds).tolist()


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_nested_jobs_do_not_multiply(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ADABET_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    with parallel_config(backend=backend, n_jobs=2):
        found = joblib.Parallel()(joblib.delayed(threads_inside)() for _ in range(4))
    assert all(jobs * threads <= max(1, len(os.sched_getaffinity(0)) // 2) for jobs, threads in found)


def threads_inside() -> tuple[int, int]:
    return VietorisRipsH1()._parallel()


# -- refusals


@pytest.mark.parametrize(
    ("options", "clouds", "message"),
    [
        ({}, np.zeros((5, 2)), r"X has shape \(5, 2\), expected clouds: .*One cloud is X\[np.newaxis\]"),
        ({}, np.zeros(5), r"X has shape \(5,\), expected clouds"),
        ({}, [], "X holds no cloud"),
        ({}, np.zeros((0, 4, 2)), "X holds no cloud"),
        ({}, [np.zeros((4, 2)), np.zeros(4)], r"cloud 1: x has shape \(4,\)"),
        ({}, [np.zeros((4, 2)), np.full((4, 2), np.nan)], "cloud 1: .*got nan"),
        ({"output": "count"}, [np.zeros((4, 2)), np.full((4, 2), np.nan)], "cloud 1: .*got nan"),
        ({"output": "betti"}, np.zeros((2, 4, 2)), "output is 'betti', expected 'diagrams'"),
        ({"output": ("count", "diagrams")}, np.zeros((2, 4, 2)), "output is"),
        ({"output": ()}, np.zeros((2, 4, 2)), "output is"),
        ({"output": "betti_curve", "resolution": 0}, np.zeros((2, 4, 2)), "resolution is 0"),
        ({"output": "landscape", "n_landscapes": 1.5}, np.zeros((2, 4, 2)), "n_landscapes is 1.5"),
        ({"output": "persistence_image", "bandwidth": 0}, np.zeros((2, 4, 2)), "bandwidth is 0"),
        ({"output": "betti_curve", "value_range": (1, 0)}, np.zeros((2, 4, 2)), r"value_range is \(1, 0\)"),
        ({"n_coordinates": 3}, np.zeros((2, 4)), "X has 4 columns, expected a multiple of n_coordinates=3"),
        ({"n_coordinates": 0}, np.zeros((2, 4)), "n_coordinates is 0"),
        ({"n_coordinates": 2, "metric": "precomputed"}, np.zeros((2, 4)), "n_coordinates is for points"),
        ({"metric": "hamming"}, np.zeros((2, 4, 2)), "metric is 'hamming'"),
        ({"threshold": -1}, np.zeros((2, 4, 2)), "threshold is -1"),
        ({"min_persistence": "a"}, np.zeros((2, 4, 2)), "min_persistence is 'a'"),
        ({"n_threads": 0}, np.zeros((2, 4, 2)), "n_threads is 0"),
        ({"metric": "precomputed"}, np.zeros((2, 4, 3)), r"shape"),
    ],
)
def test_refusals(options: dict[str, Any], clouds: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        VietorisRipsH1(**options).fit_transform(clouds)


def test_without_gudhi_landscapes_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gudhi", None)
    monkeypatch.setitem(sys.modules, "gudhi.representations", None)
    clouds, _ = circles_and_blobs(2)
    with pytest.raises(BackendUnavailableError, match=r"output 'landscape' is computed by GUDHI.*: pip install gudhi"):
        VietorisRipsH1(output="landscape").fit(clouds)
    assert VietorisRipsH1(output="betti_curve").fit_transform(clouds).shape == (2, 100)


def test_without_scikit_learn_all_else_is_there() -> None:
    code = """
import sys; sys.modules["sklearn"] = None  # as if it were not installed
import adabet_fast
from adabet_fast import *
assert "h1" in dir(adabet_fast) and "VietorisRipsH1" not in dir(adabet_fast)
try:
    adabet_fast.VietorisRipsH1
except ModuleNotFoundError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    expected = "adabet_fast.VietorisRipsH1 needs scikit-learn, which is not installed: pip install scikit-learn\n"
    assert done.stdout == expected, done.stderr
