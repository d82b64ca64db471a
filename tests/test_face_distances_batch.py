"""`pairwise_distances_batch`: the bytes of one call a cloud, whatever the shapes, the layout, and the threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from adabet_fast import (
    InvalidInputError,
    MemoryBudgetError,
    distances,
    pairwise_distances,
    pairwise_distances_batch,
)

METRICS = ["euclidean", "sqeuclidean", "cityblock", "chebyshev", "cosine", "correlation"]
RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("condensed", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(7, 10, 3), (9, 40, 300), (3, 130, 70), (2, 40, 20_000), (5, 200, 5)])
def test_the_bytes_of_one_by_one(metric: str, condensed: bool, dtype: str, shape: tuple[int, ...]) -> None:
    stack = RANDOM.standard_normal(shape, dtype=np.float32)
    options: dict[str, Any] = {"metric": metric, "dtype": dtype, "condensed": condensed}
    expected = np.stack([pairwise_distances(x, **options) for x in stack])
    for n_threads in (1, 2, 3):
        got = pairwise_distances_batch(stack, n_threads=n_threads, **options)
        assert got.shape == expected.shape
        assert got.dtype == dtype
        assert got.tobytes() == expected.tobytes()


@pytest.mark.parametrize("shape", [(1, 5), (130, 3), (129, 64), (260, 65), (40, 9000), (300, 1100)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_condensed_has_the_bytes_of_the_square(shape: tuple[int, int], dtype: str) -> None:
    x = RANDOM.standard_normal(shape, dtype=np.float32)
    above = np.triu_indices(len(x), 1)
    for metric in ("euclidean", "chebyshev"):
        square = pairwise_distances(x, metric=metric, dtype=dtype)
        for n_threads in (1, 2):
            condensed = pairwise_distances(x, metric=metric, dtype=dtype, condensed=True, n_threads=n_threads)
            assert condensed.tobytes() == square[above].tobytes()


def test_clouds_of_any_sizes() -> None:
    """A list gives a list, each in the library of its cloud; scratch of one cloud does not reach into the next."""
    shapes = [(5, 3), (200, 70), (1, 9), (0, 4), (40, 9000), (7, 0), (130, 64), (5, 3), (6, 2, 4), (40, 9001)]
    clouds = [RANDOM.standard_normal(shape) for shape in shapes]
    for metric in ("euclidean", "cityblock", "cosine"):
        some = [x for x in clouds if metric != "cosine" or x.size]
        for n_threads in (1, 2):
            got = pairwise_distances_batch(iter(some), metric=metric, n_threads=n_threads)
            assert isinstance(got, list)
            for x, matrix in zip(some, got, strict=True):
                assert matrix.tobytes() == pairwise_distances(x, metric=metric).tobytes()
    tensors = pairwise_distances_batch([torch.from_numpy(clouds[0]), clouds[1]])
    assert [type(out) for out in tensors] == [torch.Tensor, np.ndarray]
    assert pairwise_distances_batch([]) == []


def test_stacks_of_any_kind() -> None:
    stack = torch.randn(6, 20, 4, 5, generator=torch.Generator().manual_seed(0))
    expected = np.stack([pairwise_distances(x.numpy()) for x in stack])
    kinds = (stack, stack.clone().requires_grad_(), stack.transpose(0, 1).contiguous().transpose(0, 1))
    for tensor in kinds:
        got = pairwise_distances_batch(tensor)
        assert type(got) is torch.Tensor
        assert got.numpy().tobytes() == expected.tobytes()
    array = stack.numpy()
    assert pairwise_distances_batch(array[::-1, :, ::-1, ::-1]).tobytes() == expected[::-1].tobytes()
    halves = pairwise_distances_batch(stack.bfloat16())
    assert torch.equal(halves, pairwise_distances_batch(stack.bfloat16().float()))
    assert pairwise_distances_batch(np.empty((0, 4, 2))).shape == (0, 4, 4)
    assert pairwise_distances_batch(np.empty((3, 0, 2))).shape == (3, 0, 0)
    assert pairwise_distances_batch(np.empty((3, 1, 2)), condensed=True).shape == (3, 0)
    assert pairwise_distances_batch(np.empty((3, 4, 0)), condensed=True).tolist() == np.zeros((3, 6)).tolist()


def test_what_is_refused() -> None:
    stack = RANDOM.standard_normal((4, 6, 3))
    for wrong in (stack[0], stack[0, 0], torch.ones(3, 4)):
        with pytest.raises(InvalidInputError, match=r"xs has shape .* expected a stack .* goes to pairwise_distances$"):
            pairwise_distances_batch(wrong)
    for wrong in (None, "clouds", 3, {"a": stack}):
        with pytest.raises(InvalidInputError, match=r"^xs is .* expected"):
            pairwise_distances_batch(wrong)
    with pytest.raises(InvalidInputError, match=r"^cloud 1: x has shape \(3,\)"):
        pairwise_distances_batch([stack[0], [1, 2, 3]])
    bad = stack.copy()
    bad[2, 4, 1] = np.nan
    for n_threads in (1, 2):
        for xs in (bad, list(bad)):
            with pytest.raises(InvalidInputError, match=r"^cloud 2: x: expected finite .* nan at row 4, column 1"):
                pairwise_distances_batch(xs, n_threads=n_threads)
    with pytest.raises(InvalidInputError, match=r"^cloud 0: x: row 0 is zero"):
        pairwise_distances_batch(np.zeros((2, 3, 4)), metric="cosine")
    with pytest.raises(InvalidInputError, match="metric"):
        pairwise_distances_batch(stack, metric="minkowski")
    with pytest.raises(InvalidInputError, match="condensed"):
        pairwise_distances_batch(stack, condensed=1)  # type: ignore[arg-type]


def test_memory_is_counted_before_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = np.broadcast_to(RANDOM.standard_normal((300, 3)), (1_000_000, 300, 3))

    def leave(size: int) -> None:
        monkeypatch.setattr(distances, "resolve_budget", lambda _: size)

    leave(2**30)
    for xs in (stack[:100_000], list(stack[:5000])):
        with pytest.raises(MemoryBudgetError, match="clouds"):
            pairwise_distances_batch(xs)
    size = 300 * 300 * 4 * 10
    leave(size // 2 + 2**16)  # enough for ten condensed matrices, not for ten squares
    with pytest.raises(MemoryBudgetError):
        pairwise_distances_batch(stack[:10])
    assert pairwise_distances_batch(stack[:10], condensed=True).shape == (10, 300 * 299 // 2)
    points = RANDOM.standard_normal((2000, 2))
    leave(2000 * 2000 * 4 // 2 + 2**17)
    assert pairwise_distances(points, condensed=True).shape == (1999 * 1000,)
    with pytest.raises(MemoryBudgetError):
        pairwise_distances(points)
