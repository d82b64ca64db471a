"""What layers cost, against counts by hand, and scores divided by it."""

from __future__ import annotations

import time

import pytest
import torch
from torch import nn

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn import LayerScore, LayerScores, score_layers
from adabet_fast.nn.layer_costs import measure_cost, measure_flops, measure_latency, measure_saved_bytes
from adabet_fast.nn.layers import find_layers
from tests.nn.networks import Reused, images, mlp, resnet, state_of, vectors
from tests.nn.test_units import LooksAtValues


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.conv, self.bn, self.fc = nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(torch.relu(self.bn(self.conv(x * self.scale))).mean((2, 3)))


X = torch.ones(2, 3, 6, 6)
PIXELS = 2 * 4 * 4 * 4


def test_operations_by_hand() -> None:
    model = Net()
    before = state_of(model)
    found = measure_flops(model, find_layers(model), lambda net: net(X))
    assert found == {
        "": 2 * 5,  # the layers inside count for themselves
        "conv": 2 * 3 * 9 * PIXELS + PIXELS,
        "bn": PIXELS,
        "fc": 2 * 2 * 4 * 5 + 2 * 5,
    }
    assert state_of(model) == before


def test_saved_bytes_by_hand() -> None:
    model = Net()
    before = state_of(model)
    found = measure_saved_bytes(model, find_layers(model), lambda net: net(X))
    assert found["conv"] == X.numel() * 4
    assert found["fc"] == 2 * 4 * 4
    assert found["bn"] == PIXELS * 4 + 2 * 4 * 4, "its input, and mean and deviation of the batch"
    assert state_of(model) == before


def test_reused_layers_add_up() -> None:
    model = Reused()
    x = vectors(4)[0]
    flops = measure_flops(model, find_layers(model), lambda net: net(x))
    assert flops["cell"] == 3 * (2 * 8 * 4 * 4 + 8 * 4)


def test_latency_is_time_in_the_layer() -> None:
    class Slow(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            time.sleep(0.02)
            return super().forward(x)

    model = nn.Sequential(nn.Linear(4, 4), Slow(4, 4))
    found = measure_latency(model, find_layers(model), lambda net: net(torch.ones(2, 4)))
    assert found["1"] >= 0.02
    assert 0 < found["0"] < found["1"]


def test_models_that_look_at_values() -> None:
    model = LooksAtValues()
    before = state_of(model)
    layers = find_layers(model)
    assert measure_flops(model, layers, lambda net: net(images(1)[0]))["fc"] == 2 * 8 * 144 * 3 + 8 * 3
    assert measure_saved_bytes(model, layers, lambda net: net(images(1)[0]))["fc"] == 8 * 144 * 4
    after = state_of(model)
    for facts in (before, after):
        facts["parameters"] = {n: value for n, (_, _, value) in facts["parameters"].items()}
    assert after == before


@pytest.mark.parametrize("name", ["flops", "saved_bytes"])
def test_scores_are_divided_by_the_cost_of_a_sample(name: str) -> None:
    model = resnet()
    before = state_of(model)
    scores = score_layers(model, images(), normalize=name)  # type: ignore[arg-type]
    assert state_of(model) == before
    costs = measure_cost(name, model, find_layers(model), lambda net: net(images(1)[0]), 8)
    for layer in scores:
        assert getattr(layer, name) == costs[layer.name]
        assert layer.b1 is not None
        assert layer.score == layer.b1 / costs[layer.name]
    assert scores.settings.normalize == name
    assert LayerScores.from_json(scores.to_json()) == scores
    assert scores.rescore("adabet", "activation").ranked()[0].score == score_layers(model, images()).ranked()[0].score
    assert scores.rescore("adabet").rescore("adabet", name) == scores  # type: ignore[arg-type]
    persistence = score_layers(model, images(), score="total_persistence", normalize=name)  # type: ignore[arg-type]
    assert persistence["stem"].score == persistence["stem"].total_persistence / costs["stem"]


def test_latency_divides_too() -> None:
    scores = score_layers(resnet(), images(), normalize="latency")
    for layer in scores:
        assert layer.latency is not None
        assert layer.latency > 0
        assert layer.score == layer.b1 / layer.latency


def test_a_callable_cost() -> None:
    def root(layer: LayerScore) -> float:
        assert layer.size is not None
        return layer.size**0.5

    model = mlp(6, 8, 8, 3)
    scores = score_layers(model, vectors(6), normalize=root)
    assert scores["0"].score == scores["0"].b1 / 8**0.5
    assert scores.settings.normalize == "root"
    assert scores.rescore("adabet").rescore("adabet", root) == scores
    for bad in (0, -1.0, float("nan"), "x", None):
        with pytest.raises(InvalidInputError, match=r"^normalize: expected a positive number for layer '0'"):
            score_layers(model, vectors(6), normalize=lambda _layer, bad=bad: bad)


def test_costs_that_were_not_measured_or_have_no_effect() -> None:
    scores = score_layers(mlp(6, 8, 3), vectors(6))
    with pytest.raises(InvalidInputError, match=r"^normalize: 'flops' was not measured"):
        scores.rescore("adabet", "flops")
    with pytest.raises(InvalidInputError, match=r"^normalize: 'flops' has no effect with score='size'"):
        score_layers(mlp(6, 8, 3), vectors(6), score="size", normalize="flops")
    with pytest.raises(InvalidInputError, match=r"^normalize: expected one of 'activation'"):
        score_layers(mlp(6, 8, 3), vectors(6), normalize="bytes")  # type: ignore[arg-type]
