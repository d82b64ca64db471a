"""Slips that users make: each is named, and leaves the model as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn import LayerScores, RankingWarning, score_layers, select_layers
from tests.nn.networks import images, mlp, resnet, state_of, vectors


@pytest.fixture(scope="module")
def scores() -> LayerScores:
    return score_layers(resnet(), images())


def lbfgs(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.LBFGS(parameters)


def test_a_model_of_which_nothing_could_be_scored() -> None:
    scores = score_layers(resnet(), images(), n_samples=7)
    assert scores.ranked() == []
    with pytest.raises(InvalidInputError, match=r"^model: none of its 11 layers could be scored: 'stem': output of"):
        scores.select()
    with pytest.raises(InvalidInputError, match=r"^model: none of its 11 layers could be scored"):
        scores.select(budget_bytes=10**6, model=resnet(), batch=images(1)[0])
    assert scores.select(0).trained_layers == scores.head, "the head alone needs no score"


def no_loss(model: nn.Module, batch: torch.Tensor) -> Any:
    model(batch).sum()


@pytest.mark.parametrize("limits", [{"budget_bytes": 10**6}, {"budget_flops": 1e9}])
def test_a_step_that_returns_no_loss(scores: LayerScores, limits: dict[str, Any]) -> None:
    model, batch = resnet(), images(1)[0]
    before = state_of(model)
    with pytest.raises(InvalidInputError, match=r"^step: expected the loss, a tensor, got a NoneType"):
        scores.select(model=model, batch=batch, step=no_loss, **limits)
    with pytest.raises(InvalidInputError, match=r"^step: expected the loss, a tensor, got a NoneType"):
        scores.select(0.2).cost(model, batch, step=no_loss)
    after = state_of(model)
    for facts in (before, after):  # values are put back, which counts up versions
        facts["parameters"] = {n: value for n, (_, _, value) in facts["parameters"].items()}
    assert after == before


@pytest.mark.parametrize(
    "ask",
    [
        lambda scores, model, batch: scores.select(0.2).cost(model, batch, optimizer=lbfgs),
        lambda scores, model, batch: scores.select(budget_bytes=10**6, model=model, batch=batch, optimizer=lbfgs),
    ],
)
def test_an_optimizer_that_needs_a_closure(scores: LayerScores, ask: Callable[..., object]) -> None:
    with pytest.raises(InvalidInputError, match=r"^optimizer: LBFGS takes no step from gradients alone"):
        ask(scores, resnet(), images(1)[0])


def test_drift_of_another_model(scores: LayerScores) -> None:
    with pytest.raises(InvalidInputError, match=r"^model: this selection was made for a model with other parameters"):
        scores.select(0.2).drift(vectors(6), mlp(6, 8, 3))


def test_a_model_whose_channels_are_cut(scores: LayerScores) -> None:
    model = resnet()
    selection = scores.select(k=3).with_channels(model, images(), 0.5)
    assert selection.channels
    with selection.applied(model):
        with pytest.raises(InvalidInputError, match=r"trains channels as parameters of their own; undo it first"):
            selection.with_channels(model, images(), 0.5)
        assert selection.drift(images(), model).tau == 1.0


def test_a_flat_ranking_warns_under_a_budget_too() -> None:
    line = mlp(1, 1, 1, 1, 1, 3)
    batches = vectors(1)
    scores = score_layers(line, batches)
    two = scores.select_named(["0", "2"]).cost(line, batches[0]).total_bytes
    with pytest.warns(RankingWarning, match=r"ranking is flat: 4 of 4 layers have the best score") as caught:
        selection = scores.select(budget_bytes=two, model=line, batch=batches[0])
    assert caught[0].filename == __file__
    assert len(selection.layers) in (1, 2, 3)
    by_batch = score_layers(resnet(), images(), resamples="batches")
    with pytest.warns(RankingWarning, match="ranking is unstable"):
        select_layers(resnet(), images(), budget_bytes=10**6, resamples="batches")
    assert not by_batch.stability().is_stable


def test_a_reduction_that_turns_its_input_round_does_not_turn_the_models() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8), nn.Linear(8, 8))
    generator = torch.Generator().manual_seed(2)
    batches = [torch.randn(12, 8, 8, generator=generator) for _ in range(3)]
    how = {"mask": lambda x: torch.ones(x.shape[:2])}
    expected = score_layers(model, batches, reduce=lambda x, _: x.transpose(1, 2).sum(2), **how)
    turned = score_layers(model, batches, reduce=lambda x, _: x.transpose_(1, 2).sum(2), **how)
    assert [layer.b1 for layer in turned] == [layer.b1 for layer in expected]


def test_views_with_a_negative_bit_are_read_as_they_read() -> None:
    class Negative(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = super().forward(x)
            return torch.complex(y, -y).conj().imag

    torch.manual_seed(0)
    plain = nn.Linear(5, 30).double()
    model = nn.Sequential(Negative(5, 30).double(), nn.Linear(30, 2).double())
    model[0].load_state_dict(plain.state_dict())
    batches = [x.double() for x in vectors(5, 3, 12)]
    for pooling in ("pool", "sum"):
        scores = score_layers(model, batches, pooling=pooling)
        same = score_layers(nn.Sequential(plain, model[1]), batches, pooling=pooling)
        assert [layer.b1 for layer in scores] == [layer.b1 for layer in same]
