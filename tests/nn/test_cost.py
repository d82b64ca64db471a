"""Training cost against bytes counted by hand."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from adabet_fast.nn import TrainingCost, score_layers, training_cost
from tests.nn.networks import images, resnet, state_of

N, A, B, C = 16, 10, 20, 5
X = torch.ones(N, A)
FLOAT = 4


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(A, B), nn.ReLU(), nn.Linear(B, C))


def cost_of(model: nn.Module, optimizer: torch.optim.Optimizer) -> TrainingCost:
    return training_cost(model, lambda: model(X).pow(2).sum(), optimizer)


LOGITS = N * C * FLOAT  # pow saves its input
HIDDEN = N * B * FLOAT  # ReLU saves its result, which is also the second layer's input: one storage
INPUT = N * A * FLOAT


def test_all_layers_trained() -> None:
    model = network()
    found = cost_of(model, torch.optim.SGD(model.parameters(), lr=0.1))
    parameters = (A * B + B + B * C + C) * FLOAT
    assert found == TrainingCost(INPUT + HIDDEN + LOGITS, parameters, 0)
    assert found.total_bytes == INPUT + HIDDEN + LOGITS + parameters


def test_adam_keeps_two_moments_and_a_step_a_parameter() -> None:
    model = network()
    parameters = (A * B + B + B * C + C) * FLOAT
    assert cost_of(model, torch.optim.Adam(model.parameters())).optimizer_bytes == 2 * parameters + 4 * FLOAT
    momentum = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    assert cost_of(model, momentum).optimizer_bytes == parameters


def test_head_only_saves_no_input() -> None:
    model = network()
    model[0].requires_grad_(False)
    found = cost_of(model, torch.optim.SGD(model.parameters(), lr=0.1))
    assert found == TrainingCost(HIDDEN + LOGITS, (B * C + C) * FLOAT, 0)


def test_a_frozen_layer_above_a_trained_one_still_costs() -> None:
    model = network()
    model[2].requires_grad_(False)
    found = cost_of(model, torch.optim.SGD(model.parameters(), lr=0.1))
    # The gradient passes through ReLU (its result) and the loss; the frozen layer needs its weight alone.
    assert found == TrainingCost(INPUT + HIDDEN + LOGITS, (A * B + B) * FLOAT, 0)


def test_views_of_one_storage_count_once() -> None:
    model = nn.Linear(4, 1)
    base = torch.ones(100, 4)

    def step() -> torch.Tensor:
        return torch.stack([model(base[i : i + 10]).sum() for i in range(0, 100, 10)]).sum()

    found = training_cost(model, step, torch.optim.SGD(model.parameters()))
    assert found.saved_bytes == 100 * 4 * FLOAT


def test_everything_is_put_back() -> None:
    model = resnet()
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    x = images(1)[0]
    model(x).sum().backward()
    optimizer.step()
    state = {n: {k: v.clone() for k, v in optimizer.state[p].items()} for n, p in model.named_parameters()}
    gradients = {n: p.grad.clone() for n, p in model.named_parameters()}
    before = state_of(model)
    training_cost(model, lambda: model(x).sum(), optimizer)
    after = state_of(model)
    for facts in (before, after):  # parameters were written and written back: values count, not the version
        facts["parameters"] = {n: (where, value) for n, (where, _, value) in facts["parameters"].items()}
    assert after == before
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter.grad, gradients[name])
        for key, value in optimizer.state[parameter].items():
            assert torch.equal(value, state[name][key])
    optimizer.step()


def test_everything_is_put_back_after_an_error() -> None:
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    before = {name: value.clone() for name, value in model.state_dict().items()}

    def step() -> torch.Tensor:
        with torch.no_grad():
            model[0].weight.zero_()
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        training_cost(model, step, optimizer)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not optimizer.state


def test_a_selection_near_the_loss_costs_less() -> None:
    model = resnet()
    model.train()
    scores = score_layers(model, images())
    x = images(1)[0]
    costs = []
    for layers in (["*"], ["block2"], []):
        with scores.select_named(layers).applied(model):
            trained = [p for p in model.parameters() if p.requires_grad]
            costs.append(training_cost(model, lambda: model(x).sum(), torch.optim.SGD(trained, lr=0.1, momentum=0.9)))
    for more, less in pairwise(costs):
        assert more.saved_bytes > less.saved_bytes
        assert more.gradient_bytes > less.gradient_bytes
        assert more.optimizer_bytes == more.gradient_bytes
