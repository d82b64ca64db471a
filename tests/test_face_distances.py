"""`pairwise_distances` of the face: values, libraries, shapes. The kernels' bits have tests of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist, squareform

from adabet_fast import h1, pairwise_distances

METRICS = ["euclidean", "sqeuclidean", "cityblock", "chebyshev", "cosine", "correlation"]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(2, 3), (17, 5), (40, 300)])
def test_against_scipy(metric: str, dtype: str, shape: tuple[int, int]) -> None:
    x = np.random.default_rng(0).standard_normal(shape)
    expected = pdist(x, metric)
    square = pairwise_distances(x, metric=metric, dtype=dtype)
    condensed = pairwise_distances(x, metric=metric, dtype=dtype, condensed=True)
    tolerance = 2e-7 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(condensed, expected, rtol=tolerance, atol=tolerance)
    np.testing.assert_array_equal(square, squareform(condensed))
    assert square.dtype == condensed.dtype == dtype
    assert square.flags.c_contiguous
    assert h1(x, metric=metric, dtype=dtype) == h1(square, distance_matrix=True, dtype=dtype)


@pytest.mark.parametrize("dtype", [np.float32, "float64", np.dtype("float32"), np.float64])
def test_precision_by_any_name(dtype: Any) -> None:
    assert pairwise_distances(np.ones((3, 2)), dtype=dtype).dtype == dtype


def test_tensors_give_tensors() -> None:
    x = torch.randn(20, 6, generator=torch.Generator().manual_seed(0))
    expected = pairwise_distances(x.numpy())
    for tensor in (x, x.clone().requires_grad_(), torch.nn.Parameter(x), x.reshape(20, 2, 3)):
        got = pairwise_distances(tensor)
        assert type(got) is torch.Tensor
        assert not got.requires_grad
        assert got.dtype == torch.float32
        assert got.device == x.device
        np.testing.assert_array_equal(got.numpy(), expected)
    assert pairwise_distances(x, dtype="float64", condensed=True).dtype == torch.float64
    assert pairwise_distances(x.bfloat16()).dtype == torch.float32
    np.testing.assert_array_equal(
        pairwise_distances(x.bfloat16()).numpy(), pairwise_distances(x.bfloat16().float()).numpy()
    )
    assert type(pairwise_distances(x.tolist())) is np.ndarray


def test_library_of_the_array_standard() -> None:
    """An array that names its namespace gets an array of it."""

    class Namespace:
        @staticmethod
        def asarray(array: np.ndarray) -> tuple[str, np.ndarray]:
            return ("theirs", array)

    class Array:
        shape = (4, 2)
        tensor = torch.ones(4, 2)

        def __dlpack__(self, **options: Any) -> Any:
            return self.tensor.__dlpack__(**options)

        def __dlpack_device__(self) -> tuple[int, int]:
            return (1, 0)

        def __array_namespace__(self) -> Any:
            return Namespace

    label, array = pairwise_distances(Array())
    assert label == "theirs"
    assert array.tolist() == np.zeros((4, 4)).tolist()


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_points(n: int) -> None:
    x = np.arange(n * 2.0).reshape(n, 2)
    assert pairwise_distances(x).shape == (n, n)
    assert pairwise_distances(x, condensed=True).shape == (n * (n - 1) // 2,)
    assert pairwise_distances(torch.from_numpy(x)).shape == (n, n)
    assert pairwise_distances(np.empty((n, 0))).tolist() == np.zeros((n, n)).tolist()


def test_far_from_the_origin_nothing_cancels() -> None:
    x = np.random.default_rng(1).standard_normal((20, 4096)) * 0.01
    for shift in (0, 1e3):
        cloud = (x + shift).astype(np.float32)
        exact = pdist(cloud.astype(np.float64))
        np.testing.assert_allclose(pairwise_distances(cloud, condensed=True), exact, rtol=2e-7)
    assert len(h1(x + 1e8, dtype="float64")) > 0
