"""What is left to ripser.py is its own answer; where it is not installed, one learns what to install."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import adabet_fast
from adabet_fast import BackendUnavailableError, ripser
from tests.drop_in.ripsers import assert_same, assert_same_diagrams

X = np.random.default_rng(3).random((40, 3))
D = adabet_fast.pairwise_distances(X)
BORN = D + np.diag(np.linspace(0, 0.05, 40))
DIRECTED = D + np.triu(np.full((40, 40), 0.01), 1).astype(np.float32)


def assert_same_cocycles(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert [len(degree) for degree in ours["cocycles"]] == [len(degree) for degree in theirs["cocycles"]]
    for mine, other in zip(ours["cocycles"], theirs["cocycles"], strict=True):
        for a, b in zip(mine, other, strict=True):
            np.testing.assert_array_equal(a, b)


LEFT: dict[str, tuple[Any, dict[str, Any], str]] = {
    "degree 2": (X, {"maxdim": 2}, "maxdim=2"),
    "Z/3": (X, {"coeff": 3}, "coeff=3"),
    "cocycles": (X, {"do_cocycles": True}, "do_cocycles=True"),
    "cocycles of degree 0": (X, {"do_cocycles": True, "maxdim": 0}, "do_cocycles=True"),
    "cocycles of a matrix": (D, {"do_cocycles": True, "distance_matrix": True}, "do_cocycles=True"),
    "cocycles of some": (X, {"do_cocycles": True, "n_perm": 15}, "do_cocycles=True"),
    "degree 2 below": (X, {"maxdim": 2, "thresh": 0.4}, "maxdim=2"),
    "births": (BORN, {"distance_matrix": True}, "diagonal"),
    "births of some": (BORN, {"distance_matrix": True, "n_perm": 15}, "diagonal"),
    "directed": (DIRECTED, {"distance_matrix": True}, "not symmetric"),
    "directed and some": (DIRECTED, {"distance_matrix": True, "n_perm": 15}, "not symmetric"),
}


@pytest.mark.parametrize(("x", "options", "what"), LEFT.values(), ids=LEFT.keys())
def test_it_is_ripsers_answer(x: Any, options: dict[str, Any], what: str) -> None:
    theirs = pytest.importorskip("ripser").ripser
    ours = ripser(x, **options)
    if options.get("distance_matrix"):
        expected = theirs(x, **options)
    else:  # of our distances
        some = ours["dperm2all"][:, ours["idx_perm"]]
        expected = theirs(some, distance_matrix=True, **{k: v for k, v in options.items() if k != "n_perm"})
        if "n_perm" in options:
            for cocycle in [one for degree in expected["cocycles"] for one in degree]:
                cocycle[:, :-1] = ours["idx_perm"][cocycle[:, :-1]]
    assert_same_diagrams(ours, expected)
    assert_same_cocycles(ours, expected)
    assert ours["num_edges"] == expected["num_edges"]
    assert list(ours) == list(expected)


@pytest.mark.parametrize(("x", "options", "what"), LEFT.values(), ids=LEFT.keys())
def test_without_ripser_one_learns_what_to_install(
    x: Any, options: dict[str, Any], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ripser", None)
    with pytest.raises(BackendUnavailableError, match=rf"{what}.* is left to ripser\.py.*pip install ripser"):
        ripser(x, **options)


def test_sparse_graphs_with_births_or_directions() -> None:
    theirs = pytest.importorskip("ripser").ripser
    sparse = pytest.importorskip("scipy.sparse")
    nearest = np.argsort(D, axis=1)[:, 1:6].ravel()
    origin = np.repeat(np.arange(40), 5)
    graph = sparse.csr_matrix((D[origin, nearest], (origin, nearest)), shape=(40, 40))
    assert (graph != graph.T).nnz > 0
    heights = np.sin(np.arange(40.0))
    path = sparse.coo_matrix(
        (
            np.r_[heights, np.maximum(heights[1:], heights[:-1])],
            (np.r_[np.arange(40), np.arange(39)], np.r_[np.arange(40), np.arange(1, 40)]),
        ),
        shape=(40, 40),
    )
    for given in (graph, path):
        ours, expected = ripser(given, distance_matrix=True), theirs(given, distance_matrix=True)
        assert_same_diagrams(ours, expected)
        assert ours["num_edges"] == expected["num_edges"]
        assert ours["dperm2all"] is given


def test_asymmetry_within_rounding_is_read_above_the_diagonal() -> None:
    theirs = pytest.importorskip("ripser").ripser
    nearly = D.copy()
    nearly[np.tril_indices(40, -1)] = np.nextafter(nearly[np.tril_indices(40, -1)], np.float32(0))
    assert_same_diagrams(ripser(nearly, distance_matrix=True), theirs(nearly, distance_matrix=True))


def test_degrees_0_and_1_over_z2_need_neither_ripser_nor_scikit_learn() -> None:
    code = """
import sys
for name in ("ripser", "sklearn", "scipy", "persim", "matplotlib"):
    sys.modules[name] = None
import numpy as np
from adabet_fast import Rips, correlation_to_distance, lower_star_img, ripser
x = np.random.default_rng(0).random((30, 3))
D = ripser(x)["dperm2all"]
for options in ({}, {"n_perm": 9}, {"thresh": 0.3}, {"maxdim": 0}):
    for metric in ("euclidean", "l1", "cosine", "correlation", lambda a, b: abs(a - b).max()):
        ripser(x, metric=metric, **options)["num_edges"]
    ripser(D, distance_matrix=True, **options)
rips = Rips(verbose=False)
rips.fit_transform(x)
lower_star_img(x)
correlation_to_distance(np.eye(3))
from adabet_fast import BackendUnavailableError
for call in (lambda: ripser(x, metric="canberra"), rips.plot):
    try:
        call()
    except BackendUnavailableError as error:
        print(str(error).split("pip ")[1].split(".")[0])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "install scikit-learn\ninstall persim\n", done


def test_an_alias_does_not_call_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ripser", adabet_fast)
    assert len(sys.modules["ripser"].ripser(X)["dgms"]) == 2
    with pytest.raises(BackendUnavailableError, match=r"instead of replacing sys\.modules"):
        sys.modules["ripser"].ripser(X, maxdim=2)


def test_the_environment_may_name_ripser(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ripser")
    calls: list[Callable[[], dict[str, Any]]] = [
        lambda: ripser(X),
        lambda: ripser(X, metric="cosine"),
        lambda: ripser(X, n_perm=7),
        lambda: ripser(D, 0, distance_matrix=True),
    ]
    expected = [call() for call in calls]
    monkeypatch.setenv("ADABET_BACKEND", "ripser")
    got = [call() for call in calls]
    for mine, other in zip(got, expected, strict=True):
        assert_same(mine, other)
