"""The result is a dict in every respect, and makes the distances only when they are asked for."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from adabet_fast import pairwise_distances, ripser
from adabet_fast._drop_in import call
from adabet_fast._drop_in.result import Deferred, LazyDict

KEYS = ["dgms", "cocycles", "num_edges", "dperm2all", "idx_perm", "r_cover"]
X = np.random.default_rng(0).random((30, 3))


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What has been computed late, by name."""
    log: list[str] = []

    def watched(name: str) -> Callable[..., Any]:
        function = getattr(call, name)

        def run(*arguments: Any) -> Any:
            log.append(name)
            return function(*arguments)

        return run

    for name in ("native_distances", "count_edges_of_points"):
        monkeypatch.setattr(call, name, watched(name))
    return log


def test_asking_for_bars_makes_no_distances(made: list[str]) -> None:
    result = ripser(X)
    assert len(result) == 6
    assert list(result) == list(result.keys()) == KEYS
    assert "dperm2all" in result
    assert result["dgms"] is result.get("dgms")
    assert result["r_cover"] == 0.0
    assert made == []
    first = result["dperm2all"]
    assert result["dperm2all"] is first
    assert made == ["native_distances"]
    assert result["num_edges"] == result["num_edges"]
    assert made == ["native_distances", "count_edges_of_points"]
    np.testing.assert_array_equal(first, pairwise_distances(X, dtype="float64"))


WAYS: dict[str, Callable[[Any], Any]] = {
    "items": lambda r: dict(list(r.items())),
    "values": lambda r: dict(zip(r, r.values(), strict=True)),
    "get": lambda r: {key: r.get(key) for key in r},
    "pop": lambda r: {key: r.pop(key) for key in list(r)},
    "popitem": lambda r: dict([r.popitem() for _ in range(6)][::-1]),
    "setdefault": lambda r: {key: r.setdefault(key, None) for key in r},
    "dict": dict,
    "unpacked": lambda r: {**r},
    "arguments": lambda r: (lambda **given: given)(**r),
    "update": lambda r: (lambda d: d.update(r) or d)({}),
    "or": lambda r: r | {},
    "ror": lambda r: {} | r,
    "ior": lambda r: (lambda d: d.__ior__(r))({}),
    "class": lambda r: type(r)(r),
    "class of pairs": lambda r: type(r)(list(r.items())),
    "copy method": lambda r: r.copy(),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda r: pickle.loads(pickle.dumps(r)),
    "old pickle": lambda r: pickle.loads(pickle.dumps(r, protocol=0)),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_nobody_sees_what_is_deferred(way: Callable[[Any], Any]) -> None:
    expected = ripser(X)
    got = way(ripser(X))
    assert list(got) == KEYS
    assert len(got) == 6
    values = list(dict.values(got))  # as they lie there, where the way made a plain dict
    assert type(got) is not dict or not any(isinstance(value, Deferred) for value in values)
    for key in ("num_edges", "dperm2all", "idx_perm", "r_cover"):
        np.testing.assert_array_equal(got[key], expected[key])
    for mine, other in zip(got["dgms"], expected["dgms"], strict=True):
        np.testing.assert_array_equal(mine, other)


def test_copies_and_pickles_stay_lazy() -> None:
    result = LazyDict(a=Deferred(np.arange, 5), b=2)
    for other in (copy.copy(result), result.copy(), copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        assert isinstance(other, LazyDict)
        assert isinstance(dict.__getitem__(other, "a"), Deferred)
        np.testing.assert_array_equal(other["a"], np.arange(5))
        assert isinstance(dict.__getitem__(result, "a"), Deferred)


def test_a_pickle_holds_the_points_instead_of_the_distances() -> None:
    many = np.random.default_rng(0).random((1500, 2))
    text = pickle.dumps(ripser(many))
    assert len(text) < 200_000
    np.testing.assert_array_equal(pickle.loads(text)["dperm2all"], pairwise_distances(many, dtype="float64"))


def test_it_can_be_written_to_and_compared() -> None:
    result = ripser(X)
    result["dperm2all"] = "mine"
    result["more"] = 1
    assert result["dperm2all"] == "mine"
    assert result.pop("more") == 1
    del result["num_edges"]
    assert "num_edges" not in result
    with pytest.raises(KeyError):
        result["num_edges"]
    assert result.pop("num_edges", None) is None
    assert result.get("num_edges", 3) == 3
    assert LazyDict(a=Deferred(int, 5)) == {"a": 5} == LazyDict(a=Deferred(int, 5))
    assert LazyDict(a=Deferred(int, 5)) != {"a": 6}
    assert repr(LazyDict(a=Deferred(int, 5))) == "{'a': 5}"
    result.clear()
    assert not result
    with pytest.raises(TypeError, match="unhashable"):
        hash(result)


def test_json_and_savez(tmp_path: Any) -> None:
    text = json.dumps(ripser(X), default=lambda array: array.tolist())
    read = json.loads(text)
    assert list(read) == KEYS
    np.testing.assert_array_equal(read["dperm2all"], pairwise_distances(X, dtype="float64"))
    result = ripser(X)
    np.savez(tmp_path / "r.npz", **{key: result[key] for key in ("dperm2all", "num_edges", "idx_perm")})
    assert int(np.load(tmp_path / "r.npz")["num_edges"]) == result["num_edges"]


def test_pattern_matching_and_formatting() -> None:
    match ripser(X):
        case {"num_edges": int(edges), "dperm2all": np.ndarray()}:
            assert edges == ripser(X)["num_edges"]
        case _:
            pytest.fail("no match")
    assert "{num_edges}".format(**ripser(X)) == "%(num_edges)d" % ripser(X) == str(ripser(X)["num_edges"])  # noqa: UP031
