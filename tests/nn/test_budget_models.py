"""Budgets for networks in their true shapes: the chosen layers' own step is run, and stays below."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from adabet_fast.nn import LayerScores, score_layers
from tests.nn.test_models import mobilenet, quick_init, vgg16, weights

pytestmark = pytest.mark.slow


def logits(model: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    output = model(batch)
    return output if isinstance(output, torch.Tensor) else output.logits


def loss(model: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(logits(model, batch), torch.zeros(len(batch), dtype=torch.long))


def true_flops(model: nn.Module, batch: torch.Tensor) -> int:
    counter = FlopCounterMode(display=False)
    with counter:
        loss(model, batch).backward()
    model.zero_grad()
    return int(counter.get_total_flops())


def values(model: nn.Module) -> list[object]:
    """Names, identities and sums; a step that is run and taken back counts up versions."""
    return [(name, which, total) for name, which, _, total in weights(model)]


@pytest.fixture(scope="module", params=[mobilenet, vgg16])
def scored(request: pytest.FixtureRequest) -> tuple[nn.Module, LayerScores, torch.Tensor]:
    make: Callable[[], nn.Module] = request.param
    model = quick_init(make).train()
    batch = torch.randn(4, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    return model, score_layers(model, [batch], unit="block"), batch[:2]


def test_bytes(scored: tuple[nn.Module, LayerScores, torch.Tensor]) -> None:
    model, scores, batch = scored
    before = values(model)
    head = scores.select_named([]).cost(model, batch, step=loss).total_bytes
    # Half of what all layers return, beside what the head takes: some fit, and not all.
    limit = head + 2 * len(batch) * sum(layer.size or 0 for layer in scores)
    selection = scores.select(budget_bytes=limit, model=model, batch=batch, step=loss)
    assert selection.budget is not None
    assert 0 < len(selection.layers) < len(scores) - 1
    cost = selection.cost(model, batch, step=loss)
    assert cost.total_bytes == selection.budget.used <= limit
    assert selection.budget.least == head
    assert cost.without_gradient == ()
    left = [layer.name for layer in scores.ranked() if layer.name not in selection.trained_layers]
    wider = scores.select_named([*selection.layers, left[0]]).cost(model, batch, step=loss)
    assert wider.total_bytes > limit, "the best layer that was left out does not fit"
    assert values(model) == before


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_operations(scored: tuple[nn.Module, LayerScores, torch.Tensor], share: float) -> None:
    model, scores, batch = scored
    with scores.select_named([]).applied(model):
        least = true_flops(model, batch)
    with scores.select(rho=1.0).applied(model):
        most = true_flops(model, batch)
    limit = least + share * (most - least)
    selection = scores.select(budget_flops=limit, model=model, batch=batch, step=loss)
    assert selection.budget is not None
    assert 0 < len(selection.layers) < len(scores) - 1
    with selection.applied(model):
        model.train()
        assert true_flops(model, batch) == selection.budget.used <= limit
        assert {name for name, p in model.named_parameters() if p.requires_grad} == set(selection.trained_parameters)
    assert all(p.requires_grad for p in model.parameters())
