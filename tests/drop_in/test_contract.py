"""The contract of `adabet_fast.ripser`, row by row: keys, shapes, dtypes, order, edge cases, warnings and errors."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
import pytest

import adabet_fast
from adabet_fast import InvalidInputError, ripser
from tests.drop_in.ripsers import assert_same

KEYS = ["dgms", "cocycles", "num_edges", "dperm2all", "idx_perm", "r_cover"]
SQUARE = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0]])
D = adabet_fast.pairwise_distances(SQUARE, dtype="float64")


def cloud(n: int = 60, d: int = 3) -> np.ndarray:
    return np.random.default_rng(n).random((n, d))


def test_the_signature_begins_with_ripsers() -> None:
    theirs = pytest.importorskip("ripser").ripser
    ours, expected = inspect.signature(ripser).parameters, inspect.signature(theirs).parameters
    assert list(ours)[: len(expected)] == list(expected)
    assert [ours[name].default for name in expected] == [parameter.default for parameter in expected.values()]
    assert all(ours[name].kind is inspect.Parameter.KEYWORD_ONLY for name in list(ours)[len(expected) :])


def test_keys_types_and_shapes() -> None:
    result = ripser(cloud(60))
    assert isinstance(result, dict)
    assert list(result) == KEYS
    assert [type(bars) for bars in result["dgms"]] == [np.ndarray] * 2
    assert [bars.dtype for bars in result["dgms"]] == [np.float64] * 2
    assert result["dgms"][0].shape == (60, 2)
    assert result["dgms"][1].shape[1] == 2
    assert result["cocycles"] == [[], []]
    assert type(result["num_edges"]) is int
    assert result["dperm2all"].shape == (60, 60)
    np.testing.assert_array_equal(result["idx_perm"], np.arange(60))
    assert (type(result["r_cover"]), result["r_cover"]) == (float, 0.0)


def test_float64_arrays_hold_float32_values() -> None:
    for bars in ripser(cloud())["dgms"]:
        np.testing.assert_array_equal(bars, bars.astype(np.float32).astype(np.float64))


def test_no_bars_are_of_shape_0_2() -> None:
    bars = ripser(SQUARE[:3])["dgms"][1]
    assert (bars.shape, bars.dtype) == ((0, 2), np.float64)


def test_order() -> None:
    points, loops = ripser(cloud(200))["dgms"]
    assert (np.diff(points[:-1, 1]) >= 0).all()
    assert np.isinf(points[-1, 1])
    assert (points[:, 0] == 0).all()
    assert len(loops) > 5
    assert (np.diff(loops[:, 0]) <= 0).all()


def test_one_infinite_bar_a_component() -> None:
    apart = np.r_[cloud(20), cloud(20) + 100, cloud(20) - 100]
    bars = ripser(apart, thresh=50)["dgms"][0]
    assert np.isinf(bars[:, 1]).sum() == 3
    assert np.isinf(bars[-3:, 1]).all()


def test_equal_points_make_no_bars() -> None:
    assert len(ripser(np.repeat(SQUARE, 3, axis=0))["dgms"][0]) == 4


@pytest.mark.parametrize("maxdim", [0, 1, -1, 1.0, np.int64(1)])
def test_maxdim(maxdim: Any) -> None:
    result = ripser(SQUARE, maxdim=maxdim)
    degrees = max(0, int(maxdim)) + 1
    assert len(result["dgms"]) == len(result["cocycles"]) == degrees
    assert len(result["dgms"][0]) == 4


def test_thresh() -> None:
    assert ripser(SQUARE, thresh=2)["dgms"][1].tolist() == [[2.0, np.inf]]
    assert ripser(SQUARE, thresh=np.nextafter(2, 1))["dgms"][1].tolist() == [[2.0, np.inf]]  # 2 in float32
    assert ripser(SQUARE, thresh=1.9)["dgms"][1].shape == (0, 2)
    assert ripser(SQUARE, thresh=-1)["dgms"][0].tolist() == [[0.0, np.inf]] * 4
    assert ripser(SQUARE, thresh=1e39)["num_edges"] == ripser(SQUARE)["num_edges"] == 6


def test_num_edges_counts_lengths_up_to_the_threshold_or_the_enclosing_radius() -> None:
    x = cloud(100)
    lengths = adabet_fast.pairwise_distances(x)
    above = lengths[np.triu_indices(100, 1)]
    assert ripser(x)["num_edges"] == np.count_nonzero(above <= lengths.max(axis=1).min())
    for thresh in (0.1, 0.5, 1.6):  # the last one beyond the enclosing radius
        assert ripser(x, thresh=thresh)["num_edges"] == np.count_nonzero(above <= np.float32(thresh))
        assert (
            ripser(lengths, thresh=thresh, distance_matrix=True)["num_edges"] == ripser(x, thresh=thresh)["num_edges"]
        )


def test_num_edges_of_many_points_comes_block_by_block(monkeypatch: pytest.MonkeyPatch) -> None:
    x = cloud(100)
    for thresh in (np.inf, 0.4):
        expected = ripser(adabet_fast.pairwise_distances(x), thresh=thresh, distance_matrix=True)["num_edges"]
        monkeypatch.setattr("adabet_fast._drop_in.engines._BLOCK", 7)
        assert ripser(x, thresh=thresh)["num_edges"] == expected
        monkeypatch.undo()


def test_no_points() -> None:
    for result in (ripser(np.empty((0, 0)), distance_matrix=True), ripser(np.empty((0, 0)), metric="precomputed")):
        assert result["dgms"][0].tolist() == [[0.0, np.inf]]
        assert result["dgms"][1].shape == (0, 2)
        assert (result["num_edges"], len(result["idx_perm"])) == (0, 0)
    with pytest.warns(UserWarning, match="more columns than rows"):
        assert ripser(np.empty((0, 3)))["dgms"][0].tolist() == [[0.0, np.inf]]


def test_no_points_in_a_sparse_matrix() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    assert [bars.shape for bars in ripser(sparse.csr_matrix((0, 0)), distance_matrix=True)["dgms"]] == [(0, 2), (0, 2)]


@pytest.mark.filterwarnings("ignore:The input matrix is square")
@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_points(n: int) -> None:
    matrix = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    of_matrix = ripser(matrix, distance_matrix=True)
    assert of_matrix["dgms"][0].tolist() == [[0.0, 1.0]] * (n - 1) + [[0.0, np.inf]]
    assert of_matrix["dgms"][1].shape == (0, 2)
    assert_same(ripser(np.arange(float(n)).reshape(n, 1)), {**of_matrix, "dperm2all": matrix.astype(float)})


def test_one_point_and_no_coordinates() -> None:
    with pytest.warns(UserWarning, match="more columns than rows"):
        assert ripser(np.ones((1, 3)))["dgms"][0].tolist() == [[0.0, np.inf]]
    result = ripser(np.empty((5, 0)))
    assert result["dgms"][0].tolist() == [[0.0, np.inf]]
    assert result["num_edges"] == 10


def test_lists_are_taken() -> None:
    assert ripser(SQUARE.tolist())["dgms"][1].tolist() == ripser(SQUARE)["dgms"][1].tolist()
    assert ripser(D.tolist(), distance_matrix=True)["dgms"][1].tolist() == ripser(SQUARE)["dgms"][1].tolist()


def test_a_given_matrix_is_given_back() -> None:
    assert ripser(D, distance_matrix=True)["dperm2all"] is D
    assert ripser(D, metric="precomputed", n_threads=-1)["dperm2all"] is D


def test_nothing_given_is_changed() -> None:
    x, matrix = cloud(), D.copy()
    before = x.copy()
    x.setflags(write=False)
    matrix.setflags(write=False)
    for n_perm in (None, 2):
        ripser(x, n_perm=n_perm)["dperm2all"]
        ripser(matrix, distance_matrix=True, n_perm=n_perm)["num_edges"]
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(matrix, D)


def test_points_may_change_before_the_distances_are_read() -> None:
    for x in (cloud(30, 3), cloud(8, 4)):
        before = x.copy()
        result = ripser(x)
        x += 17.0 * np.arange(len(x))[:, None]
        expected = adabet_fast.pairwise_distances(before, dtype="float64")
        np.testing.assert_array_equal(result["dperm2all"], expected)
        assert result["num_edges"] == ripser(expected, distance_matrix=True)["num_edges"]


def test_giotto_phs_way_of_writing() -> None:
    x = cloud(40)
    matrix = adabet_fast.pairwise_distances(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = ripser(matrix, metric="precomputed", maxdim=1, thresh=np.inf, n_threads=-1)
    assert_same(result, ripser(matrix, distance_matrix=True, n_threads=2))
    np.testing.assert_array_equal(result["dgms"][1], ripser(x, n_threads=1)["dgms"][1])
    with pytest.raises(InvalidInputError, match="n_threads is 0"):
        ripser(x, n_threads=0)


def test_warnings_are_ripsers() -> None:
    with pytest.warns(UserWarning, match="The input") as caught:
        _ = ripser(cloud(3, 3)), ripser(cloud(3, 10))
    assert [str(warning.message) for warning in caught] == [
        "The input matrix is square, but the distance_matrix flag is off.  "
        "Did you mean to indicate that this was a distance matrix?",
        "The input point cloud has more columns than rows; did you mean to transpose?",
    ]
    assert {warning.filename for warning in caught} == {__file__}


def test_a_forgotten_flag_warns_once() -> None:
    with pytest.warns(UserWarning, match="distance_matrix flag is off") as caught:
        ripser(D)
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (cloud(4, 3), {"distance_matrix": True}, "Distance matrix is not square"),
        (np.zeros(6), {"distance_matrix": True}, "Distance matrix is not square"),
        (
            cloud(),
            {"n_perm": 61},
            "Number of points in greedy permutation is greater than number of points in the point",
        ),
        (cloud(), {"n_perm": -1}, "Should be a strictly positive number of points in the greedy permutation"),
        (np.zeros(5), {}, r"X has shape \(5,\)"),
        (np.zeros((5, 3, 2)), {}, r"X has shape \(5, 3, 2\)"),
        (np.array([[0.0], [np.nan]]), {}, "nan"),
        (np.array([[0.0], [np.inf]]), {}, "inf"),
        (np.array([[0, np.nan], [np.nan, 0]]), {"distance_matrix": True}, "NaN|nan"),
        (np.array([[np.nan, 1], [1, 0]]), {"distance_matrix": True}, "NaN|nan"),
        (np.array([[0, -1], [-1, 0]]), {"distance_matrix": True}, "negative"),
        (np.array([[0, -1], [1, 0]]), {"distance_matrix": True}, "negative"),
        (cloud(), {"thresh": np.nan}, "thresh is NaN"),
        (cloud(), {"metric": 5}, "metric is 5"),
        (cloud(), {"metric": "euclid"}, "euclid"),
        (np.array([["a", "b"], ["c", "d"], ["e", "f"]]), {}, "dtype"),
        (np.ones((4, 3)), {"metric": "correlation"}, "constant"),
    ],
)
def test_errors_are_value_errors(x: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ripser(x, **options)


@pytest.mark.parametrize("thresh", [None, "1", [1, 2]])
def test_a_threshold_that_is_no_number(thresh: Any) -> None:
    with pytest.raises(TypeError):
        ripser(cloud(), thresh=thresh)


def test_sparse_matrices_and_subsamples() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(ValueError, match="Greedy permutation is not supported for sparse distance matrices"):
        ripser(sparse.csr_matrix(D), distance_matrix=True, n_perm=2)
    with pytest.raises(ValueError, match="Distance matrix is not square"):
        ripser(sparse.csr_matrix((3, 4)), distance_matrix=True)


def test_sparse_matrices_where_we_differ() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    lower = ripser(sparse.csr_matrix(np.tril(D)), distance_matrix=True)
    upper = ripser(sparse.csr_matrix(np.triu(D)), distance_matrix=True)
    assert lower["num_edges"] == upper["num_edges"] == 6
    np.testing.assert_array_equal(lower["dgms"][1], upper["dgms"][1])
    twice = sparse.coo_matrix(([1.0, 1.0, 1.0], ([0, 0, 1], [1, 1, 2])), shape=(3, 3))
    with pytest.raises(InvalidInputError, match="more than once"):
        ripser(twice, distance_matrix=True)
    infinite = sparse.coo_matrix(([1.0, np.inf], ([0, 1], [1, 2])), shape=(3, 3))
    assert ripser(infinite, distance_matrix=True)["dgms"][0].tolist() == [[0, 1], [0, np.inf], [0, np.inf]]


def test_max_memory_is_heeded() -> None:
    with pytest.raises(adabet_fast.MemoryBudgetError):
        ripser(cloud(2000), max_memory="1MiB")
