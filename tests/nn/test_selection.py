"""How many layers a share is, what is always trained, what a selection says, and its JSON."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn import LayerScores, Selection, print_trainable_parameters, score_layers, select_layers
from tests.nn.networks import images, mlp, resnet, vectors


@pytest.fixture(scope="module")
def scores() -> LayerScores:
    return score_layers(resnet(), images())


def test_the_best_layers_are_chosen(scores: LayerScores) -> None:
    selection = scores.select(0.25)
    ranked = [layer.name for layer in scores.ranked() if layer.name != "fc"]
    assert selection.layers == tuple(ranked[:3])  # 10 layers beside the head
    assert selection.always_train == ("fc",)
    assert set(selection.trained_layers) == {*ranked[:3], "fc"}
    assert selection == select_layers(resnet(), images(), 0.25)


@pytest.mark.parametrize(
    ("rho", "rounding", "count"),
    [
        (0.1, "ceil", 1),
        (0.11, "ceil", 2),
        (0.01, "ceil", 1),
        (0.3, "ceil", 3),
        (0.7, "ceil", 7),
        (0.19, "floor", 1),
        (0.09, "floor", 0),
        (0.25, "round", 3),
        (0.24, "round", 2),
        (0.1 + 0.2, "ceil", 3),
        (1, "ceil", 10),
        (1.0, "floor", 10),
        (0, "ceil", 0),
    ],
)
def test_shares(scores: LayerScores, rho: float, rounding: str, count: int) -> None:
    assert len(scores.select(rho, rounding=rounding).layers) == count  # type: ignore[arg-type]


@pytest.mark.parametrize("rho", [-0.1, 1.1, float("nan"), "0.1", True])
def test_bad_shares(scores: LayerScores, rho: object) -> None:
    with pytest.raises(InvalidInputError, match=r"^rho: expected a share from 0 to 1"):
        scores.select(rho)  # type: ignore[arg-type]


def test_a_choice_of_nothing_is_refused(scores: LayerScores) -> None:
    with pytest.raises(InvalidInputError, match=r"^rho: 0.05 of 11 layers rounds \(floor\) to none"):
        scores.select(0.05, rounding="floor", always_train=None)
    with pytest.raises(InvalidInputError, match=r"^layers: is empty"):
        scores.select_named([], always_train=())
    with pytest.raises(InvalidInputError, match=r"^rounding"):
        scores.select(0.1, rounding="up")  # type: ignore[arg-type]


def test_what_is_always_trained(scores: LayerScores) -> None:
    best = scores.ranked()[0].name
    assert best == "fc"
    none = scores.select(0.05, always_train=None)
    assert none.layers == ("fc",)
    assert none.always_train == ()
    assert scores.select(0.05, always_train=()) == none
    assert scores.select(0.2, always_train="block2").always_train == tuple(
        f"block2.{name}" for name in ("conv1", "bn1", "conv2", "bn2", "shortcut")
    )
    several = scores.select(0.2, always_train=["*.bn?", "fc", "block1.bn1"])
    assert several.always_train == ("block1.bn1", "block1.bn2", "block2.bn1", "block2.bn2", "fc")
    assert len(several.layers) == 2  # ceil(0.2 * 6)
    assert not set(several.layers) & set(several.always_train)
    for bad, message in (
        (["block3"], "'block3' matches no layer; close: "),
        ([3], "expected names or patterns, got 3"),
    ):
        with pytest.raises(InvalidInputError, match=f"^always_train: {message}"):
            scores.select(0.1, always_train=bad)  # type: ignore[arg-type]


def test_layers_chosen_by_name(scores: LayerScores) -> None:
    selection = scores.select_named(["block2.bn1", "stem"])
    assert selection.layers == ("block2.bn1", "stem")
    assert selection.trained_layers == ("stem", "block2.bn1", "fc")
    assert scores.select_named([]).trained_layers == ("fc",)
    assert scores.select_named("*", always_train=None).n_trainable == selection.n_parameters
    assert selection.rho is None
    with pytest.raises(InvalidInputError, match=r"^layers: 'stern' matches no layer; close: 'stem'"):
        scores.select_named("stern")
    for nothing in (None, 5):
        with pytest.raises(InvalidInputError, match=r"^layers: expected names or patterns, got"):
            scores.select_named(nothing)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match=r"^always_train: expected names or patterns, got 5"):
        scores.select(0.1, always_train=5)  # type: ignore[arg-type]


def test_numbers_and_pefts_format(scores: LayerScores, capsys: pytest.CaptureFixture[str]) -> None:
    model = resnet()
    selection = scores.select_named(["block2.conv1", "stem"])
    selection.apply(model)
    trained = [p for p in model.parameters() if p.requires_grad]
    assert selection.n_trainable == sum(p.numel() for p in trained) == 288 + 40 + 45
    assert selection.trainable_bytes == sum(p.numel() * p.element_size() for p in trained)
    assert selection.n_parameters == sum(p.numel() for p in model.parameters())
    assert selection.trained_parameters == tuple(n for n, p in model.named_parameters() if p.requires_grad)
    selection.print_trainable_parameters()
    print_trainable_parameters(model)
    first, second = capsys.readouterr().out.splitlines()
    assert first == second == "trainable params: 373 || all params: 1,325 || trainable%: 28.1509"


def test_notebooks_show_the_table(scores: LayerScores) -> None:
    for shown in (scores, scores.select(0.1)):
        html = shown._repr_html_()
        assert html.startswith("<table>")
        assert "block2.shortcut" in html


def test_the_report(scores: LayerScores) -> None:
    text = str(scores.select_named(["block2.conv1"]))
    lines = text.splitlines()
    assert lines[0].split()[-1] == "chosen"
    assert next(line for line in lines if line.startswith("block2.conv1 ")).endswith("yes")
    assert next(line for line in lines if line.startswith("fc ")).endswith("always")
    assert not next(line for line in lines if line.startswith("stem ")).endswith(("yes", "always"))
    assert "chosen: block2.conv1" in text
    assert "always trained: fc (its output is the model's)" in text
    assert "trained values: 1.3 KiB, and as much for their gradients" in text
    assert "chosen: " in str(scores.select(0.1))
    assert "(rho=0.1, ceil)" in str(scores.select(0.1))
    assert "always trained: none (as asked)" in str(scores.select(0.1, always_train=None))
    assert repr(scores.select_named(["stem"])) == "Selection(layers=['stem'], always_train=['fc'], n_trainable=85)"


def test_json_brings_the_same_selection_back(scores: LayerScores, tmp_path: Path) -> None:
    selection = scores.select(0.3)
    text = selection.to_json(tmp_path / "adabet_selection.json")
    assert json.loads(text)["format"] == "adabet_fast.Selection"
    for source in (text, tmp_path / "adabet_selection.json", str(tmp_path / "adabet_selection.json")):
        again = Selection.from_json(source)
        assert again == selection
        assert str(again) == str(selection)
    model = resnet()
    again.apply(model)
    assert {n for n, p in model.named_parameters() if p.requires_grad} == set(selection.trained_parameters)
    assert again.scores.fingerprint.digest == scores.fingerprint.digest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: "{" + text, "is not JSON"),
        (
            lambda text: text.replace("adabet_fast.Selection", "peft.LoraConfig"),
            "expected format 'adabet_fast.Selection'",
        ),
        (lambda text: text.replace('"version": 1', '"version": 99'), "version 99"),
        (lambda text: text.replace('"rho"', '"share"'), "is not a complete adabet_fast.Selection: KeyError: 'rho'"),
        (lambda text: text.replace('"stem"', '"trunk"', 1), "not among the scores"),
        (lambda text: text.replace('"layers": [\n  "stem"', '"layers": 3, "x": [\n  "stem"', 1), "is not a complete"),
    ],
)
def test_bad_json_is_named(scores: LayerScores, change: object, message: str) -> None:
    text = scores.select_named(["stem"]).to_json()
    assert change(text) != text  # type: ignore[operator]
    with pytest.raises(InvalidInputError, match=f"^source: .*{message}"):
        Selection.from_json(change(text))  # type: ignore[operator]


def test_a_missing_file_is_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Selection.from_json(tmp_path / "nothing.json")


def test_a_selection_copies_and_pickles_without_its_models(scores: LayerScores) -> None:
    selection = scores.select(0.2)
    model = resnet()
    selection.apply(model)
    for again in (pickle.loads(pickle.dumps(selection)), copy.deepcopy(selection)):
        assert again == selection
        with pytest.raises(RuntimeError, match="nothing to undo"):
            again.undo()
        again.undo(model)
        selection.apply(model)
    selection.undo()


def test_more_layers_leave_more_trained() -> None:
    model = mlp(6, 8, 8, 8, 3)
    scores = score_layers(model, vectors(6))
    chosen: set[str] = set()
    for rho in (0.1, 0.4, 0.7):
        now = set(scores.select(rho).layers)
        assert chosen < now
        chosen = now
    assert chosen == {"0", "2", "4"}


def test_layers_without_a_score_are_never_chosen() -> None:
    torch.manual_seed(0)
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 1, enable_nested_tensor=False)
    scores = score_layers(model, [torch.randn(8, 4, 8) for _ in range(5)])
    selection = scores.select(1.0)
    assert "layers.0.self_attn.out_proj" not in selection.layers
    assert len(selection.layers) == len(scores) - 1
    by_hand = scores.select(0.1, always_train="*.out_proj")
    assert by_hand.always_train == ("layers.0.self_attn.out_proj",)
