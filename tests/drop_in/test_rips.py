"""`Rips`, ripser.py's class."""

from __future__ import annotations

import inspect
import pickle
import sys

import numpy as np
import pytest

import adabet_fast
from adabet_fast import BackendUnavailableError, InvalidInputError, Rips, ripser
from tests.drop_in.ripsers import assert_same_diagrams

X = np.random.default_rng(1).random((50, 3))
D = adabet_fast.pairwise_distances(X)


def test_signatures_begin_with_ripsers() -> None:
    theirs = pytest.importorskip("ripser").Rips
    for name in ("__init__", "transform", "fit_transform", "plot"):
        ours, expected = (inspect.signature(getattr(kind, name)).parameters for kind in (Rips, theirs))
        assert list(ours)[: len(expected)] == list(expected)
        assert [ours[parameter].default for parameter in expected] == [p.default for p in expected.values()]


def test_it_says_what_it_was_made_with(capsys: pytest.CaptureFixture[str]) -> None:
    Rips(thresh=2, n_perm=5)
    assert capsys.readouterr().out == (
        "Rips(maxdim=1, thresh=2, coeff=2, do_cocycles=False, n_perm = 5, verbose=True)\n"
    )
    Rips(verbose=False)
    assert capsys.readouterr().out == ""


def test_repr() -> None:
    rips = Rips(n_perm=5, verbose=False)
    assert repr(eval(repr(rips), {"Rips": Rips, "inf": np.inf})) == repr(rips)
    assert "n_perm=5" in repr(rips)


def test_attributes_before_and_after() -> None:
    rips = Rips(verbose=False)
    names = ["dgms_", "cocycles_", "dperm2all_", "metric_", "num_edges_", "idx_perm_"]
    assert [getattr(rips, name) for name in names] == [None] * 6
    assert rips.r_cover_ == 0.0
    diagrams = rips.fit_transform(X)
    assert diagrams is rips.dgms_
    expected = ripser(X)
    assert_same_diagrams({"dgms": diagrams}, expected)
    assert rips.cocycles_ == [[], []]
    assert rips.num_edges_ == expected["num_edges"]
    np.testing.assert_array_equal(rips.dperm2all_, expected["dperm2all"])
    assert rips.dperm2all_ is rips.dperm2all_
    np.testing.assert_array_equal(rips.idx_perm_, np.arange(50))
    assert rips.r_cover_ == 0.0


def test_every_option_arrives() -> None:
    rips = Rips(0, 0.4, n_perm=20, verbose=False, n_threads=2)
    expected = ripser(D, 0, 0.4, distance_matrix=True, n_perm=20)
    assert_same_diagrams({"dgms": rips.transform(D, distance_matrix=True)}, expected)
    np.testing.assert_array_equal(rips.idx_perm_, expected["idx_perm"])
    np.testing.assert_array_equal(rips.dperm2all_, expected["dperm2all"])
    assert (rips.r_cover_, rips.num_edges_) == (expected["r_cover"], expected["num_edges"])
    by_metric = Rips(verbose=False).transform(X=X, metric="manhattan")
    assert_same_diagrams({"dgms": by_metric}, ripser(X, metric="manhattan"))


def test_what_is_left_to_ripser() -> None:
    pytest.importorskip("ripser")
    rips = Rips(maxdim=2, coeff=3, do_cocycles=True, verbose=False)
    assert len(rips.fit_transform(X)) == 3
    assert rips.cocycles_ is not None
    assert len(rips.cocycles_[1]) == len(rips.dgms_[1])  # type: ignore[index]


def test_warnings_name_the_callers_line() -> None:
    rips = Rips(verbose=False)
    for method in (rips.transform, rips.fit_transform):
        with pytest.warns(UserWarning, match="more columns than rows") as caught:
            method(X[:2])
        assert caught[0].filename == __file__


def test_it_pickles() -> None:
    rips = Rips(thresh=0.6, verbose=False)
    rips.transform(X)
    again = pickle.loads(pickle.dumps(rips))
    assert again.thresh == 0.6
    np.testing.assert_array_equal(again.dgms_[1], rips.dgms_[1])  # type: ignore[index]
    np.testing.assert_array_equal(again.dperm2all_, rips.dperm2all_)


def test_clone_and_pipelines() -> None:
    base = pytest.importorskip("sklearn.base")
    pipeline = pytest.importorskip("sklearn.pipeline")
    scale = pytest.importorskip("sklearn.preprocessing").StandardScaler
    rips = Rips(thresh=1.5, n_perm=30, verbose=False)
    again = base.clone(rips)
    assert again.get_params() == rips.get_params()
    assert again.set_params(thresh=2.0) is again
    assert again.thresh == 2.0
    with pytest.raises(InvalidInputError, match="'threshold' is no parameter of Rips: maxdim, thresh"):
        again.set_params(threshold=1)
    assert rips.fit(X) is rips
    expected = rips.transform(scale().fit_transform(X))
    labels = np.arange(50) % 2
    for steps in (pipeline.make_pipeline(scale(), rips), pipeline.make_pipeline(scale(), again.set_params(thresh=1.5))):
        assert_same_diagrams({"dgms": steps.fit_transform(X)}, {"dgms": expected})
        assert_same_diagrams({"dgms": steps.fit(X, labels).transform(X)}, {"dgms": expected})
        assert_same_diagrams({"dgms": steps.fit_transform(X, labels)}, {"dgms": expected})


def test_plot(monkeypatch: pytest.MonkeyPatch) -> None:
    plt = pytest.importorskip("matplotlib.pyplot")
    pytest.importorskip("persim")
    plt.switch_backend("agg")
    rips = Rips(verbose=False)
    with pytest.raises(InvalidInputError, match="no diagrams to draw yet"):
        rips.plot()
    rips.transform(X)
    rips.plot(show=False, title="Some loops")
    assert plt.gca().get_title() == "Some loops"
    assert [text.get_text() for text in plt.gca().get_legend().get_texts()] == ["$\\infty$", "$H_{0}$", "$H_{1}$"]
    plt.close("all")
    rips.plot(rips.dgms_[1], show=False)  # type: ignore[index]
    plt.close("all")
    monkeypatch.setitem(sys.modules, "persim", None)
    with pytest.raises(BackendUnavailableError, match="pip install persim"):
        rips.plot()
