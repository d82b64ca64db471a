"""Comparison of our result with ripser.py's."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def sorted_bars(bars: NDArray[Any]) -> NDArray[Any]:
    return bars[np.lexsort((bars[:, 1], bars[:, 0]))]


def assert_same_diagrams(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """The same bits, in ripser.py's order; among equal births of degree 1, any."""
    assert len(ours["dgms"]) == len(theirs["dgms"])
    for mine, other in zip(ours["dgms"], theirs["dgms"], strict=True):
        assert mine.dtype == other.dtype == np.float64
        assert mine.shape == other.shape
        assert mine.flags.c_contiguous
        assert mine.flags.writeable
    np.testing.assert_array_equal(ours["dgms"][0], theirs["dgms"][0])
    if len(ours["dgms"]) > 1:
        np.testing.assert_array_equal(ours["dgms"][1][:, 0], theirs["dgms"][1][:, 0])
        np.testing.assert_array_equal(sorted_bars(ours["dgms"][1]), sorted_bars(theirs["dgms"][1]))


def assert_same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """All entries of the two results are the same."""
    assert list(ours) == list(theirs)
    assert_same_diagrams(ours, theirs)
    assert ours["cocycles"] == theirs["cocycles"]
    assert type(ours["num_edges"]) is type(theirs["num_edges"])
    assert ours["num_edges"] == theirs["num_edges"]
    assert ours["idx_perm"].dtype == theirs["idx_perm"].dtype
    np.testing.assert_array_equal(ours["idx_perm"], theirs["idx_perm"])
    assert type(ours["r_cover"]) is type(theirs["r_cover"])
    assert ours["r_cover"] == theirs["r_cover"]
    assert type(ours["dperm2all"]) is type(theirs["dperm2all"])
    assert ours["dperm2all"].shape == theirs["dperm2all"].shape
    assert ours["dperm2all"].dtype == theirs["dperm2all"].dtype
    if isinstance(ours["dperm2all"], np.ndarray):
        np.testing.assert_array_equal(ours["dperm2all"], theirs["dperm2all"])
