"""Scores against ripser.py on activations that a plain forward pass gives, layer by layer."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn import LayerScores, score_layers
from tests.nn.networks import (
    Reused,
    TiedLanguageModel,
    bars,
    count_bars,
    images,
    mlp,
    resnet,
    vectors,
)


def resnet_activations(model: nn.Module, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """What each layer of the residual network returns, written out by hand."""
    relu = torch.relu
    found: dict[str, torch.Tensor] = {}

    def conv(module: nn.Conv2d, name: str, x: torch.Tensor) -> torch.Tensor:
        found[name] = torch.nn.functional.conv2d(x, module.weight, module.bias, module.stride, module.padding)
        return found[name]

    def norm(module: nn.BatchNorm2d, name: str, x: torch.Tensor) -> torch.Tensor:
        found[name] = torch.nn.functional.batch_norm(
            x, module.running_mean, module.running_var, module.weight, module.bias, False, 0.0, module.eps
        )
        return found[name]

    x = relu(conv(model.stem, "stem", x))
    for name in ("block1", "block2"):
        block = getattr(model, name)
        out = relu(norm(block.bn1, f"{name}.bn1", conv(block.conv1, f"{name}.conv1", x)))
        out = norm(block.bn2, f"{name}.bn2", conv(block.conv2, f"{name}.conv2", out))
        short = conv(block.shortcut, f"{name}.shortcut", x) if name == "block2" else x
        x = relu(out + short)
    found["fc"] = torch.nn.functional.linear(x.mean((2, 3)), model.fc.weight, model.fc.bias)
    return found


@pytest.fixture(scope="module")
def by_hand() -> dict[str, list[torch.Tensor]]:
    model = resnet()
    with torch.no_grad():
        passes = [resnet_activations(model, x) for x in images()]
    return {name: [each[name].flatten(1) for each in passes] for name in passes[0]}


def test_b1_of_the_pooled_cloud_over_the_activations(by_hand: dict[str, list[torch.Tensor]]) -> None:
    scores = score_layers(resnet(), images())
    assert [layer.name for layer in scores] == [
        *("stem", "block1.conv1", "block1.bn1", "block1.conv2", "block1.bn2"),
        *("block2.conv1", "block2.bn1", "block2.conv2", "block2.bn2", "block2.shortcut", "fc"),
    ]
    for layer in scores:
        cloud = torch.cat(by_hand[layer.name])
        assert (layer.size, layer.b1) == (cloud.shape[1], count_bars(cloud)), layer.name
        assert layer.score == layer.b1 / layer.size
        assert (layer.status, layer.calls, layer.note) == ("scored", 1, "")
    assert len({layer.b1 for layer in scores}) > 4, "the example must tell layers apart"
    assert scores.settings.batch_sizes == (8,) * 5
    assert scores.settings.merged is None


def test_sum_over_batches(by_hand: dict[str, list[torch.Tensor]]) -> None:
    for layer in score_layers(resnet(), images(3, 12), pooling="sum"):
        assert layer.size == by_hand[layer.name][0].shape[1]
    for layer in score_layers(resnet(), images(), pooling="sum"):
        assert layer.b1 == sum(map(count_bars, by_hand[layer.name])), layer.name


def test_normalisation_and_other_scores(by_hand: dict[str, list[torch.Tensor]]) -> None:
    model = resnet()
    plain = score_layers(model, images(), normalize="none")
    by_parameters = score_layers(model, images(), normalize="parameters")
    size, b1 = score_layers(model, images(), score="size"), score_layers(model, images(), score="b1")
    persistence = score_layers(model, images(), score="total_persistence")
    parameters = {name: sum(p.numel() for p in module.parameters()) for name, module in model.named_modules()}
    for layer in plain:
        cloud = torch.cat(by_hand[layer.name])
        n_bars = count_bars(cloud)
        assert plain[layer.name].score == b1[layer.name].score == n_bars
        assert by_parameters[layer.name].score == n_bars / parameters[layer.name]
        assert size[layer.name].score == 1 / cloud.shape[1]
        lengths = bars(cloud)[:, 1] - bars(cloud)[:, 0]
        assert persistence[layer.name].total_persistence == pytest.approx(lengths.sum(), rel=1e-5)
        assert persistence[layer.name].score == pytest.approx(lengths.sum() / cloud.shape[1], rel=1e-5)
        assert persistence[layer.name].b1 == n_bars


def test_other_rules_on_the_same_measurements() -> None:
    model = resnet()
    scores = score_layers(model, images(), score="total_persistence")
    for score, normalize in (
        ("adabet", "activation"),
        ("adabet", "none"),
        ("b1", "activation"),
        ("size", "activation"),
    ):
        again = scores.rescore(score, normalize)
        measured = score_layers(model, images(), score=score, normalize=normalize)
        assert [(x.name, x.score, x.rank) for x in again] == [(x.name, x.score, x.rank) for x in measured]
        assert (again.settings.score, again.settings.normalize) == (score, normalize)
    with pytest.raises(InvalidInputError, match="total_persistence"):
        score_layers(model, images()).rescore("total_persistence")
    with pytest.raises(InvalidInputError, match="score"):
        scores.rescore(lambda *_: 1.0)  # type: ignore[arg-type]


def test_a_callable_sees_cloud_barcode_and_module(by_hand: dict[str, list[torch.Tensor]]) -> None:
    seen = {}

    def longest(cloud: torch.Tensor, barcode: object, module: nn.Module) -> float:
        seen[type(module).__name__] = tuple(cloud.shape)
        return float(barcode.persistence.max())  # type: ignore[attr-defined]

    scores = score_layers(resnet(), images(), score=longest)
    assert seen == {"Conv2d": (40, 128), "BatchNorm2d": (40, 128), "Linear": (40, 5)}
    assert scores.settings.score == "longest"
    for layer in scores:
        found = bars(torch.cat(by_hand[layer.name]))
        assert layer.score == pytest.approx((found[:, 1] - found[:, 0]).max(), rel=1e-5)
        assert layer.b1 == len(found)
    for bad in (float("nan"), float("inf"), "high", None):
        with pytest.raises(InvalidInputError, match=r"score: .*'stem'"):
            score_layers(resnet(), images(), score=lambda *_, bad=bad: bad)


def test_ties_go_to_the_earlier_layer() -> None:
    scores = score_layers(resnet(), images(), score=lambda cloud, *_: float(cloud.shape[1] == 128))
    assert [layer.name for layer in scores.ranked()] == [
        *("block2.conv1", "block2.bn1", "block2.conv2", "block2.bn2", "block2.shortcut"),
        *("stem", "block1.conv1", "block1.bn1", "block1.conv2", "block1.bn2", "fc"),
    ]


def test_batches_are_run_as_given_and_merged_only_when_asked() -> None:
    sizes: list[int] = []
    model = mlp(6, 8, 3)
    model[0].register_forward_hook(lambda _m, inputs, _o: sizes.append(len(inputs[0])))
    as_given = score_layers(model, [(x, torch.zeros(8)) for x in vectors(6)])
    assert sizes == [8] * 5
    assert "merged" not in as_given.summary()
    sizes.clear()
    merged = score_layers(model, [(x, torch.zeros(8)) for x in vectors(6)], merge_batches=True)
    assert sizes == [40]
    assert merged.settings.merged == 5
    assert merged.settings.batch_sizes == (40,)
    assert "5 batches merged into one" in merged.summary()
    with pytest.raises(InvalidInputError, match="pooling"):
        score_layers(model, vectors(6), merge_batches=True, pooling="sum")
    with pytest.raises(InvalidInputError, match="merge_batches: shapes"):
        score_layers(model, [torch.zeros(8, 6), torch.zeros(8, 5)], merge_batches=True)


def test_a_layer_called_three_times_stands_side_by_side() -> None:
    torch.manual_seed(0)
    model = Reused()
    clouds = []
    with torch.no_grad():
        for x in vectors(4):
            rows = []
            for _ in range(3):
                rows.append(model.cell(x))
                x = torch.tanh(rows[-1])
            clouds.append(torch.cat(rows, dim=1))
    scores = score_layers(model, vectors(4))
    assert (scores["cell"].calls, scores["cell"].size) == (3, 12)
    assert scores["cell"].b1 == count_bars(torch.cat(clouds))
    assert (scores["out"].calls, scores["out"].size) == (1, 2)


def test_bfloat16_activations_are_taken_as_they_are() -> None:
    model = mlp(6, 8, 8, 3).to(torch.bfloat16)
    batches = [x.to(torch.bfloat16) for x in vectors(6)]
    scores = score_layers(model, batches)
    with torch.no_grad():
        hidden = torch.cat([model[2](torch.tanh(model[0](x))) for x in batches])
    assert hidden.dtype == torch.bfloat16
    assert scores["2"].b1 == count_bars(hidden)
    assert scores["2"].size == 8


def test_tied_parameters_are_scored_once() -> None:
    torch.manual_seed(0)
    scores = score_layers(TiedLanguageModel(), [torch.randint(0, 12, (8, 4)) for _ in range(5)])
    assert scores["lm_head"].status == "tied to wte"
    assert scores["lm_head"].score is None
    assert scores["wte"].b1 is not None
    assert scores.head == ()
    assert "shares a parameter with 'wte'" in scores.head_reason


def test_the_model_itself_and_odd_outputs() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(3))
            self.gates = nn.ParameterList([nn.Parameter(torch.ones(3))])
            self.silent = nn.Linear(3, 3)
            self.index = IndexOnly()
            self.nothing = nn.Linear(2, 2)

        def forward(self, x: torch.Tensor) -> tuple[None, dict[str, torch.Tensor]]:
            self.index(x)
            return None, {"out": torch.nn.functional.linear(x, self.silent.weight) * self.scale * self.gates[0]}

    class IndexOnly(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bias = nn.Parameter(torch.zeros(3))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (x + self.bias).argmax(1)

    torch.manual_seed(0)
    model = Odd()
    scores = score_layers(model, vectors(3))
    assert [layer.name for layer in scores] == ["", "silent", "index", "nothing"]
    assert scores[""].parameters == ("scale", "gates.0")
    assert scores[""].b1 == count_bars(torch.cat(vectors(3)) @ model.silent.weight.detach().T)
    assert scores["silent"].status == scores["nothing"].status == "not observed"
    assert scores["index"].status == "returns no tensor of floating-point numbers"
    assert "(model)" in str(scores)


def test_a_container_behaves_as_a_sequence() -> None:
    scores = score_layers(mlp(6, 8, 3), vectors(6))
    assert (len(scores), scores[0].name, scores[-1].name) == (2, "0", "2")
    assert scores["2"] is scores[1]
    assert next(reversed(scores)) is scores[1]
    assert [layer.name for layer in scores[:1]] == ["0"]
    with pytest.raises(KeyError):
        scores["3"]
    assert "2" in scores
    assert "3" not in scores
    assert scores[0] in scores
    assert repr(scores).startswith("LayerScores(2 layers, score='adabet', 40 samples, best='")


def test_the_table_tells_everything() -> None:
    scores = score_layers(resnet(), images())
    lines = str(scores).splitlines()
    assert lines[0].split() == ["layer", "type", "parameters", "b1", "|a|", "score", "rank"]
    best = scores.ranked()[0]
    row = next(line.split() for line in lines if line.startswith(f"{best.name} "))
    assert row == [
        best.name,
        best.type,
        f"{best.n_parameters:,}",
        str(best.b1),
        str(best.size),
        f"{best.score:.4g}",
        "1",
    ]
    assert "11 of 11 layers scored by 'adabet'" in str(scores)
    assert "head: fc (its output is the model's)" in str(scores)


def test_json_brings_the_same_scores_back(tmp_path: object) -> None:
    scores = score_layers(resnet(), images(), score="total_persistence")
    assert LayerScores.from_json(scores.to_json()) == scores
    path = f"{tmp_path}/scores.json"
    scores.to_json(path)
    assert LayerScores.from_json(path) == scores


def test_float64_and_threads() -> None:
    model = mlp(6, 8, 3).double()
    batches = [x.double() for x in vectors(6)]
    scores = score_layers(model, batches, dtype="float64", n_threads=1)
    assert scores.settings.dtype == "float64"
    assert scores["0"].b1 == count_bars(torch.cat([model[0](x) for x in batches]).detach())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"score": "betti"}, "score"),
        ({"normalize": "activations"}, "normalize"),
        ({"score": "b1", "normalize": "parameters"}, "normalize"),
        ({"pooling": "mean"}, "pooling"),
        ({"unit": "layer"}, "unit"),
        ({"dtype": "float16"}, "dtype"),
        ({"sample_axis": -1}, "sample_axis"),
        ({"sample_axis": True}, "sample_axis"),
        ({"forward": "model"}, "forward"),
        ({"mask": "attention_mask"}, "mask"),
        ({"n_batches": 0}, "n_batches"),
        ({"n_batches": 2.0}, "n_batches"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=f"^{message}:"):
        score_layers(mlp(6, 8, 3), vectors(6), **arguments)  # type: ignore[arg-type]
