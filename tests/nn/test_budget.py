"""Budgets against the truth: what a step was said to cost is what it costs when it is run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn import BudgetWarning, LayerScores, Selection, score_layers, select_layers
from adabet_fast.nn.trace import StepTracer, optimizer_state_bytes
from tests.nn.networks import Encoder, ResNet, images, resnet, state_of
from tests.nn.test_units import LooksAtValues


@pytest.fixture(scope="module")
def scores() -> LayerScores:
    return score_layers(resnet(), images())


def sgd(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9)


@pytest.mark.parametrize("optimizer", [torch.optim.AdamW, sgd, torch.optim.Adagrad])
@pytest.mark.parametrize("limit", [20_000, 45_000, 60_000, 10**7])
def test_bytes_are_what_a_true_step_holds(scores: LayerScores, optimizer: Any, limit: int) -> None:
    model, batch = resnet(), images(1)[0]
    before = state_of(model)
    selection = scores.select(budget_bytes=limit, model=model, batch=batch, optimizer=optimizer)
    assert state_of(model) == before
    budget = selection.budget
    assert budget is not None
    assert budget.used <= limit
    assert budget.used == selection.cost(model, batch, optimizer=optimizer).total_bytes
    assert selection.always_train == ("fc",)
    nothing = scores.select_named([]).cost(model, batch, optimizer=optimizer)
    assert budget.least == nothing.total_bytes
    assert Selection.from_json(selection.to_json()) == selection


def test_layers_are_taken_in_the_order_of_their_rank_and_passed_over(scores: LayerScores) -> None:
    model, batch = resnet(), images(1)[0]
    names = [layer.name for layer in scores.ranked() if layer.name != "fc"]
    limit = 45_000
    selection = scores.select(budget_bytes=limit, model=model, batch=batch)
    assert selection.budget is not None
    expected: list[str] = []
    for name in names:
        if scores.select_named([*expected, name]).cost(model, batch).total_bytes <= limit:
            expected.append(name)
    assert list(selection.layers) == expected
    last = names.index(expected[-1])
    assert selection.budget.skipped == tuple(name for name in names[:last] if name not in expected)
    assert f"of {limit:,} bytes" in str(selection)


def true_flops(model: nn.Module, batch: torch.Tensor) -> int:
    counter = FlopCounterMode(display=False)
    with counter:
        model(batch).sum().backward()
    return int(counter.get_total_flops())


@pytest.mark.parametrize("limit", [7e5, 1.2e6, 1e9])
def test_operations_are_what_a_true_step_takes(scores: LayerScores, limit: float) -> None:
    model, batch = resnet(), images(1)[0]
    selection = scores.select(budget_flops=limit, model=model, batch=batch)
    assert selection.budget is not None
    with selection.applied(model):
        model.train()
        assert selection.budget.used == true_flops(model, batch) <= limit
    assert "operations" in selection.summary()


def test_a_frozen_layer_on_the_way_counts() -> None:
    """Training the first layer holds what the frozen layers above it save for the gradient that passes through."""
    model, batch = resnet(), images(1)[0]
    tracer = StepTracer(model, batch)
    first, last = tracer(["stem.weight"]).saved_bytes, tracer(["fc.weight"]).saved_bytes
    assert first > 10 * last
    assert tracer.fake


def test_the_head_is_counted_but_never_dropped(scores: LayerScores) -> None:
    model, batch = resnet(), images(1)[0]
    with pytest.warns(BudgetWarning, match=r"always trained \(fc\) alone cost .* more than the budget of 100"):
        selection = scores.select(budget_bytes=100, model=model, batch=batch)
    assert selection.layers == ()
    assert selection.always_train == ("fc",)
    with pytest.raises(InvalidInputError, match=r"^budget_bytes: no layer fits into 100"):
        scores.select(budget_bytes=100, model=model, batch=batch, always_train=None)


def test_models_that_look_at_values_are_run_truly() -> None:
    torch.manual_seed(0)
    model = LooksAtValues()
    before = state_of(model)
    selection = select_layers(model, images(), budget_bytes=10**6)
    assert selection.budget is not None
    assert selection.budget.used == selection.cost(model, images(1)[0]).total_bytes
    tracer = StepTracer(model, images(1)[0])
    assert tracer(["fc.weight"], flops=True).flops > 0
    assert not tracer.fake
    after = state_of(model)
    for facts in (before, after):
        facts["parameters"] = {n: value for n, (_, _, value) in facts["parameters"].items()}
    assert after == before


def test_attention_with_masks_and_a_loss_of_ones_own() -> None:
    torch.manual_seed(0)
    model = Encoder()
    ids = [torch.randint(0, 30, (8, 6)) for _ in range(5)]
    batches = [{"input_ids": x, "attention_mask": torch.ones_like(x)} for x in ids]
    labelled = {**batches[0], "labels": torch.arange(8) % 3}

    def step(network: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        logits = network(batch["input_ids"], batch["attention_mask"])
        return nn.functional.cross_entropy(logits, batch["labels"])

    selection = select_layers(
        model, batches, budget_bytes=150_000, reduce="mean", train_batch=labelled, step=step, unit="block"
    )
    assert selection.budget is not None
    assert selection.layers
    found = selection.cost(model, labelled, step=step)
    assert found.total_bytes == selection.budget.used <= 150_000
    assert found.without_gradient == ()


def test_cost_of_an_applied_selection_and_of_a_dead_parameter(scores: LayerScores) -> None:
    class Unused(ResNet):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc(self.block2(self.stem(x)).mean((2, 3)))

    model = Unused()
    selection = scores.select_named(["block1.conv1", "stem"])
    found = selection.cost(model, images(1)[0])
    assert found.without_gradient == ("block1.conv1.weight",)
    with selection.applied(model):
        model.eval()
        assert selection.cost(model, images(1)[0]) == found
        assert not model.training


def test_optimizer_states_are_measured() -> None:
    parameters = [torch.ones(3, 4), torch.ones(5), torch.ones(3, 4, dtype=torch.bfloat16)]
    assert optimizer_state_bytes(parameters, torch.optim.Adam) == [100, 44, 52]
    assert optimizer_state_bytes(parameters, lambda p: torch.optim.SGD(p, lr=1.0)) == [0, 0, 0]
    assert optimizer_state_bytes(parameters, sgd) == [48, 20, 24]


class Query(nn.Module):
    """A module that is given a parameter as its input."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.randn(1, 8))
        self.norm, self.first, self.last = nn.LayerNorm(8), nn.Linear(16, 8), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(torch.tanh(self.first(x)) * self.norm(self.query))


class Checkpointed(nn.Module):
    """A block that is run again in the backward pass, with a parameter as an input inside."""

    def __init__(self, reentrant: bool) -> None:
        super().__init__()
        self.reentrant = reentrant
        self.first, self.last = nn.Linear(16, 8), nn.Linear(8, 3)
        self.block = nn.Sequential(weight_norm(nn.Linear(8, 8)), nn.Tanh())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(checkpoint(self.block, self.first(x), use_reentrant=self.reentrant))


LINEAR_STEP = 2 * 8 * (16 * 8 + 8 * 8 + 8 * 3)
"""One product of each layer of 16, 8, 8 and 3 channels, eight samples."""


@pytest.mark.parametrize(
    ("make", "flops"),
    [
        # Forward, gradients of all weights, and gradients of all inputs but the first layer's.
        (lambda: nn.Sequential(nn.Linear(16, 8), weight_norm(nn.Linear(8, 8)), nn.Linear(8, 3)), 0),
        # PyTorch's counter leaves the products of a matrix and a vector out.
        (lambda: nn.Sequential(nn.Linear(16, 8), spectral_norm(nn.Linear(8, 8)), nn.Linear(8, 3)), 0),
        # No middle layer.
        (Query, -3 * 2 * 8 * 8 * 8),
        # The block's product once more.
        (lambda: Checkpointed(False), 2 * 8 * 8 * 8),
    ],
)
@pytest.mark.parametrize("looks", [False, True])
def test_operations_where_a_module_is_given_a_parameter(make: Callable[[], nn.Module], flops: int, looks: bool) -> None:
    torch.manual_seed(0)
    model, batch = make().train(), torch.randn(8, 16)
    names = {name for name, _ in model.named_parameters()}

    def step(network: nn.Module, x: torch.Tensor) -> torch.Tensor:
        assert not looks or float(x.sum()) < 1e9  # no fake tensor can tell
        found: torch.Tensor = network(x).sum()
        return found

    tracer = StepTracer(model, batch, step=step)
    found = tracer(names, flops=True).flops
    assert tracer.fake is not looks
    assert found == 3 * LINEAR_STEP - 2 * 8 * 16 * 8 + flops
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_budget_of_operations_for_a_normalised_weight() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 8), spectral_norm(nn.Linear(8, 8)), nn.Linear(8, 3))
    batches = [torch.randn(8, 16) for _ in range(5)]
    before = state_of(model)
    selection = select_layers(model, batches, budget_flops=1e9)
    assert state_of(model) == before
    assert selection.budget is not None
    with selection.applied(model):
        model.train()
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        loss = model(batches[0]).sum()
        with FlopCounterMode(display=False) as forward:
            model(batches[0])
        with FlopCounterMode(display=False) as backward:
            torch.autograd.grad(loss, trained)
    assert selection.budget.used == forward.get_total_flops() + backward.get_total_flops()


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
def test_operations_with_reentrant_checkpointing_are_refused() -> None:
    torch.manual_seed(0)
    model = Checkpointed(True)
    batches = [torch.randn(8, 16) for _ in range(5)]
    before = state_of(model)
    scores = score_layers(model, batches)
    with pytest.raises(InvalidInputError, match=r"^model: uses reentrant activation .* use_reentrant=False, or give"):
        scores.select(budget_flops=1e9, model=model, batch=batches[0])
    assert state_of(model) == before
    selection = scores.select(budget_bytes=1e9, model=model, batch=batches[0])
    assert selection.budget is not None
    assert selection.budget.used == selection.cost(model, batches[0]).total_bytes


def test_bad_budgets(scores: LayerScores) -> None:
    with pytest.raises(InvalidInputError, match=r"^model: a budget needs the model and a batch"):
        scores.select(budget_bytes=100)
    for bad in (0, -1, float("nan"), float("inf"), "1", True):
        with pytest.raises(InvalidInputError, match=r"^budget_flops: expected a positive number"):
            scores.select(budget_flops=bad, model=resnet(), batch=images(1)[0])  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match=r"^budget_flops: cannot be given together with budget_bytes"):
        scores.select(budget_bytes=1, budget_flops=1)
    with pytest.raises(InvalidInputError, match=r"^step: expected a callable"):
        scores.select(budget_bytes=1e5, model=resnet(), batch=images(1)[0], step=3)  # type: ignore[arg-type]
    other = resnet()
    other.fc = nn.Linear(8, 7)
    with pytest.raises(InvalidInputError, match=r"^model: this ranking was made for a model with other"):
        scores.select(budget_bytes=1e5, model=other, batch=images(1)[0])
