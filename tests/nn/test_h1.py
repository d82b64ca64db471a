"""nn.h1: the engine's values, exact gradients through birth and death edges, and a network that learns from them."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

import adabet_fast
from adabet_fast import InvalidInputError
from adabet_fast.nn import h1, h1_batch

METRICS = ("euclidean", "sqeuclidean", "cityblock", "chebyshev", "cosine", "correlation")


def points(n: int = 14, d: int = 4, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(n, d, dtype=dtype, generator=torch.Generator().manual_seed(seed)).requires_grad_()


def distances(x: torch.Tensor) -> torch.Tensor:
    matrix = torch.linalg.vector_norm(x[:, None] - x[None], dim=-1)
    upper = matrix.triu(1)
    return upper + upper.T


@pytest.mark.parametrize("metric", METRICS)
def test_values_are_the_engine_s_and_gradients_hold(metric: str) -> None:
    x = points()
    bars = h1(x, metric=metric)
    assert np.array_equal(bars.detach().numpy(), adabet_fast.h1(x, metric=metric, dtype="float64").intervals)
    assert len(bars) > 0
    assert torch.autograd.gradcheck(lambda t: h1(t, metric=metric), (x,))


def test_second_derivatives_hold() -> None:
    assert torch.autograd.gradgradcheck(h1, (points(),))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_low_precision_points(dtype: torch.dtype) -> None:
    x = points(60, 8, dtype=torch.float32).detach().to(dtype).requires_grad_()
    bars = h1(x)
    assert bars.dtype == torch.float32
    assert np.array_equal(bars.detach().numpy(), adabet_fast.h1(x).intervals)
    (bars[:, 1] - bars[:, 0]).sum().backward()
    assert x.grad is not None
    assert x.grad.dtype == dtype
    assert x.grad.isfinite().all()
    assert x.grad.any()


def test_gradient_of_a_square_by_hand() -> None:
    x = torch.tensor([[0.0, 0.0], [2.0, 0.0], [2.0, 1.0], [0.0, 1.0]], requires_grad=True)
    edges = adabet_fast.h1(x)
    for column, ends in ((0, edges.birth_edges[0]), (1, edges.death_edges[0])):
        (gradient,) = torch.autograd.grad(h1(x)[0, column], x)
        i, j = ends.tolist()
        direction = (x[i] - x[j]).detach()
        direction = direction / direction.norm()
        expected = torch.zeros(4, 2)
        expected[i], expected[j] = direction, -direction
        assert torch.allclose(gradient, expected)


def test_images_and_other_shapes_are_flattened() -> None:
    x = points(12, 8)
    assert torch.equal(h1(x.reshape(12, 2, 2, 2)), h1(x))
    assert torch.autograd.gradcheck(h1, (x.detach().reshape(12, 2, 4).requires_grad_(),))


def test_distance_matrix_gets_the_gradient_above_the_diagonal() -> None:
    x = points(16)
    matrix = distances(x).detach().requires_grad_()
    bars = h1(matrix, distance_matrix=True)
    assert torch.allclose(bars, h1(x))
    bars[:, 1].sum().backward()
    assert matrix.grad is not None
    deaths = adabet_fast.h1(matrix, distance_matrix=True, dtype="float64").death_edges
    expected = torch.zeros(16, 16, dtype=torch.float64)
    for i, j in deaths.tolist():
        expected[i, j] += 1
    assert torch.equal(matrix.grad, expected)
    assert not matrix.grad.tril().any()


def test_through_a_matrix_as_through_the_points() -> None:
    x = points(16)
    (direct,) = torch.autograd.grad(h1(x).sum(), x)
    (through,) = torch.autograd.grad(h1(distances(x), distance_matrix=True).sum(), x)
    assert torch.allclose(direct, through)


def test_essential_bars_have_no_gradient_and_no_nan() -> None:
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]], dtype=torch.float64, requires_grad=True)
    bars = h1(x, threshold=1.2)
    assert bars.detach().tolist() == [[1.0, math.inf]]
    (gradient,) = torch.autograd.grad(bars[0, 1], x, retain_graph=True)
    assert not gradient.any()
    # The length of an essential bar is inf, and all the same its gradient is that of its birth.
    (gradient,) = torch.autograd.grad((bars[:, 1] - bars[:, 0]).sum(), x, retain_graph=True)
    (births,) = torch.autograd.grad(-bars[:, 0].sum(), x, retain_graph=True)
    assert torch.equal(gradient, births)
    (gradient,) = torch.autograd.grad(bars[:, 1].exp().sum(), x)  # an infinite gradient comes in
    assert not gradient.any()


def test_coinciding_points_give_no_nan() -> None:
    ring = torch.linspace(0, 2 * math.pi, 9, dtype=torch.float64)[:-1]
    circle = torch.stack([ring.cos(), ring.sin()], dim=1)
    x = torch.cat([circle, circle, circle[:3]]).requires_grad_()
    for metric in METRICS[:4]:
        bars = h1(x, metric=metric)
        assert len(bars) == 1
        (gradient,) = torch.autograd.grad((bars[:, 1] - bars[:, 0]).sum(), x)
        assert gradient.isfinite().all()
        assert gradient.any()
    same = torch.zeros(6, 2, requires_grad=True)
    h1(same).sum().backward()
    assert same.grad is not None
    assert not same.grad.any()


@pytest.mark.parametrize("n", [0, 1, 3])
def test_no_bars_is_a_tensor_too(n: int) -> None:
    x = torch.zeros(n, 2, requires_grad=True)
    bars = h1(x)
    assert bars.shape == (0, 2)
    bars.sum().backward()
    assert x.grad is not None
    assert not x.grad.any()


def test_without_gradients_nothing_is_recorded() -> None:
    x = points().detach()
    assert not h1(x).requires_grad
    with torch.no_grad():
        assert not h1(points()).requires_grad


def test_min_persistence_and_threshold() -> None:
    x = points(40, 2)
    bars = h1(x)
    lengths = bars[:, 1] - bars[:, 0]
    ranked = lengths.detach().sort().values
    least = ranked[2:4].mean().item()  # between two, so that a nudge of the points moves none across
    assert torch.equal(h1(x, min_persistence=least), bars[lengths > least])
    assert torch.autograd.gradcheck(lambda t: h1(t, min_persistence=least), (x,))
    assert (h1(x, threshold=0.5)[:, 0] <= 0.5).all()


def test_batches_are_their_clouds() -> None:
    stack = torch.stack([points(12, 3, seed).detach() for seed in range(3)]).requires_grad_()
    bars = h1_batch(stack)
    assert all(torch.equal(each, h1(cloud)) for each, cloud in zip(bars, stack, strict=True))
    torch.cat(bars).sum().backward()
    assert stack.grad is not None
    assert stack.grad.flatten(1).any(1).all()
    sizes = [points(n, 3) for n in (5, 20, 11)]
    assert [len(each) for each in h1_batch(sizes)] == [len(adabet_fast.h1(x, dtype="float64")) for x in sizes]
    matrices = torch.stack([distances(cloud) for cloud in stack])
    by_matrix = h1_batch(matrices, distance_matrix=True)
    assert all(torch.allclose(a, b) for a, b in zip(by_matrix, bars, strict=True))
    assert h1_batch([]) == []


def test_refusals() -> None:
    with pytest.raises(InvalidInputError, match="x is a ndarray, expected a floating-point tensor"):
        h1(np.zeros((5, 2)))  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match=r"x is a tensor of torch.int64, expected a floating-point tensor"):
        h1(torch.zeros(5, 2, dtype=torch.int64))
    with pytest.raises(InvalidInputError, match=r"x has shape \(10,\), expected a square distance matrix"):
        h1(torch.zeros(10), distance_matrix=True)
    with pytest.raises(InvalidInputError, match="min_persistence is -1"):
        h1(torch.zeros(5, 2), min_persistence=-1)
    with pytest.raises(InvalidInputError, match="metric is 'hamming'"):
        h1(torch.zeros(5, 2, requires_grad=True), metric="hamming")
    with pytest.raises(InvalidInputError, match=r"xs has shape \(5, 2\), expected a stack"):
        h1_batch(torch.zeros(5, 2))
    with pytest.raises(InvalidInputError, match="xs is a int, expected a stack"):
        h1_batch(3)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match=r"cloud 1: .*nan"):
        h1_batch([torch.zeros(5, 2), torch.full((5, 2), math.nan)])
    with pytest.raises(adabet_fast.BackendUnavailableError, match="does not tell edges"):
        h1(points(dtype=torch.float32), backend="ripser")


# -- the example


@pytest.fixture(scope="module")
def example() -> ModuleType:
    path = Path(__file__).parents[2] / "examples" / "topological_regulariser.py"
    spec = importlib.util.spec_from_file_location("topological_regulariser", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look their annotations up
    spec.loader.exec_module(module)
    return module


def test_a_loop_appears_where_it_is_asked_for(example: ModuleType) -> None:
    torch.manual_seed(0)
    data = example.blob(48)
    left_alone = example.train(data, None, steps=120)
    asked = example.train(data, 1, steps=120)
    assert left_alone.n_loops == 0
    assert asked.n_loops == 1
    assert asked.losses[-1] < 0.4 * asked.losses[0]


def test_a_loop_vanishes_where_none_is_wanted(example: ModuleType) -> None:
    torch.manual_seed(0)
    data = example.ring(48)
    left_alone = example.train(data, None, steps=120)
    asked = example.train(data, 0, steps=120)
    assert left_alone.n_loops == 1
    assert asked.n_loops == 0
    assert max(asked.lengths, default=0) < 0.1
    assert asked.losses[-1] < 0.4 * asked.losses[0]
    assert asked.reconstruction < 0.05
