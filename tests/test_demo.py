"""The demo runs from end to end on a small scale, and its figures agree with one another."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")

import torch
from PIL import Image

from bench.demo import __main__ as demo
from bench.demo import data, model, pretrain, strategies, terminal
from bench.demo.figures import LayerRow, Outcome, Preparation, Run, Spread, kendall_tau
from bench.demo.sentences import sentences
from bench.demo.training import Recipe

ROOT = Path(__file__).resolve().parents[1]
KEYS = ["adabet", "full", "head", "size", "b1", "random", "matched"]
SAME_NUMBER = ("size", "b1", "random", "matched")
TIMES = ("pretraining_seconds", "scoring_seconds", "epoch_seconds", "seconds")


def run_demo(folder: Path, *options: str) -> tuple[str, dict[str, Any]]:
    """Run the demo as a user does; return what it printed and the figures it wrote."""
    command = [sys.executable, "-m", "bench.demo", "--output", str(folder / "out"), "--cache", str(folder / "cache")]
    done = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    figures: dict[str, Any] = json.loads((folder / "out" / "demo.json").read_text(encoding="utf-8"))
    return done.stdout, figures


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def quick(folder: Path) -> tuple[str, dict[str, Any]]:
    return run_demo(folder, "--quick")


def without_times(figure: Any) -> Any:
    if isinstance(figure, dict):
        return {key: without_times(value) for key, value in figure.items() if key not in TIMES and key != "sentences"}
    return [without_times(value) for value in figure] if isinstance(figure, list) else figure


def test_layers_are_ranked_by_b1_over_activations(quick: tuple[str, dict[str, Any]]) -> None:
    _, figures = quick
    layers = figures["layers"]
    assert [layer["name"] for layer in layers] == [
        name
        for name, module in model.build(0).named_modules()
        if any(True for _ in module.parameters(recurse=False)) and name != figures["head"]["name"]
    ]
    for layer in layers:
        assert layer["score"] == pytest.approx(layer["b1"] / layer["activations"], rel=1e-12)
    assert sum(layer["b1"] for layer in layers) > 0
    ranked = sorted(layers, key=lambda layer: layer["rank"])
    assert [layer["rank"] for layer in ranked] == list(range(1, len(layers) + 1))
    assert [layer["score"] for layer in ranked] == sorted((layer["score"] for layer in layers), reverse=True)
    n_chosen = math.ceil(figures["settings"]["rho"] * len(layers))
    assert [layer["chosen"] for layer in ranked] == [layer["rank"] <= n_chosen for layer in ranked]


def test_activations_are_the_true_sizes(quick: tuple[str, dict[str, Any]]) -> None:
    """|a| is taken by hooks of our own here, and the parameters from the modules themselves."""
    _, figures = quick
    sizes: dict[str, int] = {}
    network = model.build(0).eval()
    for name, module in network.named_modules():
        module.register_forward_hook(lambda _m, _i, out, name=name: sizes.update({name: out[0].numel()}))
    network(torch.zeros(2, 1, 8, 8))
    modules = dict(network.named_modules())
    for layer in [*figures["layers"], figures["head"]]:
        assert layer["activations"] == sizes[layer["name"]]
        assert layer["parameters"] == sum(p.numel() for p in modules[layer["name"]].parameters())


def test_every_strategy_ran_and_trained_what_it_says(quick: tuple[str, dict[str, Any]]) -> None:
    _, figures = quick
    runs = {run["strategy"]: run for run in figures["runs"]}
    assert [run["strategy"] for run in figures["runs"]] == KEYS
    head, layers = figures["head"]["name"], figures["layers"]
    n_chosen = sum(layer["chosen"] for layer in layers)
    assert set(runs["adabet"]["layers"]) == {layer["name"] for layer in layers if layer["chosen"]} | {head}
    assert runs["head"]["layers"] == [head]
    assert len(runs["full"]["layers"]) == len(layers) + 1
    for key in SAME_NUMBER:
        assert len(runs[key]["layers"]) == len(set(runs[key]["layers"])) == n_chosen + 1
        assert head in runs[key]["layers"]
    assert runs["matched"]["trainable_parameters"] == pytest.approx(runs["adabet"]["trainable_parameters"], rel=0.11)
    largest_b1 = sorted((layer["b1"] for layer in layers), reverse=True)[:n_chosen]
    smallest = sorted(layer["activations"] for layer in layers)[:n_chosen]
    by_name = {layer["name"]: layer for layer in layers}
    assert sorted((by_name[n]["b1"] for n in runs["b1"]["layers"] if n != head), reverse=True) == largest_b1
    assert sorted(by_name[n]["activations"] for n in runs["size"]["layers"] if n != head) == smallest
    in_head = model.N_CLASSES * (model.WIDTHS[-1] + 1)
    assert figures["head"]["parameters"] == in_head
    for run in runs.values():
        expected = in_head + sum(by_name[name]["parameters"] for name in run["layers"] if name != head)
        assert run["trainable_parameters"] == expected
        assert run["gradient_bytes"] == 4 * expected
        assert run["optimizer_bytes"] >= 2 * 4 * expected
        hits = run["accuracy"] * figures["n_target_test"]
        assert 0 <= hits <= figures["n_target_test"]
        assert hits == pytest.approx(round(hits), abs=1e-3)
        assert run["epoch_seconds"] > 0
    assert runs["full"]["trainable_parameters"] == figures["n_parameters"]


def test_bytes_saved_grow_with_what_is_trained(quick: tuple[str, dict[str, Any]]) -> None:
    _, figures = quick
    saved = {run["strategy"]: run["saved_bytes"] for run in figures["runs"]}
    assert 0 < saved["head"] < saved["full"]
    for key in ("adabet", *SAME_NUMBER):
        assert saved["head"] <= saved[key] <= saved["full"]


def test_summaries_and_differences_follow_from_the_runs(quick: tuple[str, dict[str, Any]]) -> None:
    _, figures = quick
    accuracy = {run["strategy"]: run["accuracy"] for run in figures["runs"]}
    for summary in figures["summaries"]:
        assert summary["accuracy"] == {"mean": accuracy[summary["strategy"]], "std": None}
    assert [duel["strategy"] for duel in figures["duels"]] == KEYS[1:]
    for duel in figures["duels"]:
        difference = accuracy["adabet"] - accuracy[duel["strategy"]]
        assert duel["difference"] == {"mean": pytest.approx(difference), "std": None}
        assert (duel["ahead"], duel["behind"]) == (int(difference > 0), int(difference < 0))


def test_the_picture_is_an_image(quick: tuple[str, dict[str, Any]], folder: Path) -> None:
    printed, _ = quick
    path = folder / "out" / "scores.png"
    assert str(path) in printed
    with Image.open(path) as image:
        image.load()
        assert image.format == "PNG"
        assert image.width > 800
        assert image.height > 600
        assert len(image.convert("RGB").getcolors(maxcolors=1 << 24) or []) > 100


def test_the_report_names_the_choice_and_every_strategy(quick: tuple[str, dict[str, Any]]) -> None:
    printed, figures = quick
    text = " ".join(printed.split())
    chosen = sorted((layer for layer in figures["layers"] if layer["chosen"]), key=lambda layer: layer["rank"])
    assert "rounded up: " + ", ".join(layer["name"] for layer in chosen) + "." in text
    for summary in figures["summaries"]:
        assert summary["title"] in text
    for sentence in figures["sentences"]:
        assert sentence in text
    assert "\033" not in printed
    assert max(len(line) for line in printed.splitlines() if "/out/" not in line) <= terminal.WIDTH + 10


@pytest.mark.slow
def test_a_second_run_reads_the_cache_and_finds_the_same(quick: tuple[str, dict[str, Any]], folder: Path) -> None:
    printed, figures = quick
    assert "trained now" in printed
    again, same = run_demo(folder, "--quick")
    assert "from the cache" in again
    assert len(list((folder / "cache").iterdir())) == 1
    assert without_times(same) == without_times(figures)


def test_cached_weights_are_made_anew_when_the_recipe_changes_or_the_file_is_damaged(tmp_path: Path) -> None:
    digits = data.load()
    few = dataclasses.replace(digits, source_train=digits.source_train.take(torch.arange(0, 700, 20)))
    recipe = Recipe(epochs=1, batch_size=16, learning_rate=1e-3)
    first = pretrain.load_or_train(few, recipe, tmp_path)
    assert first.seconds > 0
    assert pretrain.load_or_train(few, recipe, tmp_path).seconds == 0
    other = pretrain.load_or_train(few, dataclasses.replace(recipe, learning_rate=2e-3), tmp_path)
    assert other.seconds > 0
    assert other.path != first.path
    first.path.write_bytes(first.path.read_bytes()[:1000])
    mended = pretrain.load_or_train(few, recipe, tmp_path)
    assert mended.seconds > 0
    for name, values in first.state.items():
        assert torch.equal(mended.state[name], values)
    assert sorted(tmp_path.iterdir()) == sorted([first.path, other.path])


def test_data_are_real_disjoint_and_drawn_by_the_seed() -> None:
    digits = data.load()
    parts = (digits.source_train, digits.source_test, digits.target_pool, digits.target_test)
    assert sum(map(len, parts)) == 1797
    pool = {tuple(image.flatten().tolist()) for image in digits.target_pool.x}
    held_out = {tuple(image.flatten().tolist()) for image in digits.target_test.x}
    assert len(pool) == len(digits.target_pool)
    assert not pool & held_out
    for images in parts:
        assert torch.bincount(images.y, minlength=5).min() > 30
    draw = [data.labelled_subset(digits.target_pool, 7, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert torch.bincount(draw[0].y).tolist() == [7] * 5
    assert torch.equal(draw[0].x, draw[1].x)
    assert not torch.equal(draw[0].x, draw[2].x)
    batches = data.unlabelled_batches(digits.target_pool, 5, 8)
    assert [tuple(batch.shape) for batch in batches] == [(8, 1, 8, 8)] * 5
    assert len({tuple(image.flatten().tolist()) for image in torch.cat(batches)} & pool) == 40


def test_random_layers_are_distinct_and_follow_the_seed() -> None:
    names = [f"layer{i}" for i in range(26)]
    drawn = [strategies.draw_layers(names, 3, seed) for seed in range(20)]
    assert drawn == [strategies.draw_layers(names, 3, seed) for seed in range(20)]
    assert all(len(set(picked)) == 3 and set(picked) <= set(names) for picked in drawn)
    assert len(set(drawn)) > 10


def test_matched_random_layers_have_as_many_parameters() -> None:
    parameters = {f"layer{i}": 10 * (i + 1) for i in range(20)}
    drawn = [strategies.draw_matched(parameters, 3, 200, seed) for seed in range(20)]
    assert all(len(set(names)) == 3 and 180 <= sum(parameters[name] for name in names) <= 220 for names in drawn)
    assert len(set(drawn)) > 10
    assert set(strategies.draw_matched(parameters, 2, 5, 0)) == {"layer0", "layer1"}  # none is near: the nearest


def test_kendall_tau_is_scipys() -> None:
    stats = pytest.importorskip("scipy.stats")
    generator = torch.Generator().manual_seed(0)
    for n in (2, 5, 26):
        for _ in range(20):
            x, y = torch.randint(0, 6, (2, n), generator=generator).tolist()
            expected = stats.kendalltau(x, y).statistic
            assert kendall_tau(x, y) == pytest.approx(0.0 if math.isnan(expected) else expected, abs=1e-12)


def invented(accuracies: dict[str, list[float]]) -> list[Run]:
    return [
        Run(key, seed, ("fc",), value, 10, 10, 10, 10, 0.1)
        for key, values in accuracies.items()
        for seed, value in enumerate(values)
    ]


def invented_preparation() -> Preparation:
    rows = [LayerRow(f"layer{i}", "Conv2d", 9, 16, 8 - i, (8 - i) / 16, i + 1, i == 0) for i in range(4)]
    head = LayerRow("fc", "Linear", 25, 5, 2, 0.4, None, False)
    return Preparation(demo.FULL, 0.99, 0.0, 0.1, 700, 180, 448, 1000, head, tuple(rows), 0.5, 1)


@pytest.mark.parametrize("wins", [True, False])
def test_sentences_say_who_wins_whoever_it_is(wins: bool) -> None:
    titles = {key: key for key in KEYS}
    accuracies = {key: [0.5, 0.52, 0.51] for key in titles}
    accuracies["adabet"] = [0.9, 0.91, 0.92] if wins else [0.1, 0.11, 0.12]
    outcome = Outcome.of(invented(accuracies), titles, "adabet")
    assert Spread.of([0.5, 0.52, 0.51]).std == pytest.approx(0.01)
    for duel in outcome.duels:
        assert duel.exceeds_std is True
        assert (duel.ahead, duel.behind) == ((3, 0) if wins else (0, 3))
    text = " ".join(sentences(invented_preparation(), outcome, "adabet"))
    assert ("AdaBet is ahead of full" in text) == wins
    assert ("AdaBet is behind full" in text) != wins
    assert ("40.0 points more" in text) == wins
    assert ("Highest mean accuracy: adabet, 91.0 ± 1.0 %" in text) == wins


def test_differences_within_their_deviation_are_not_called_wins() -> None:
    titles = {"adabet": "AdaBet", "full": "full"}
    outcome = Outcome.of(invented({"adabet": [0.5, 0.7, 0.6], "full": [0.6, 0.5, 0.6]}), titles, "adabet")
    assert outcome.duels[0].exceeds_std is False


def test_options_are_read_and_checked(capsys: pytest.CaptureFixture[str]) -> None:
    settings = demo.settings_of(demo.parse(["--quick", "--seeds", "3", "--lr", "0.01", "--rho", "0.2"]))
    assert (settings.seeds, settings.fine_tuning.epochs, settings.pretraining.epochs) == ((0, 1, 2), 1, 1)
    assert (settings.fine_tuning.learning_rate, settings.rho) == (0.01, 0.2)
    assert demo.settings_of(demo.parse([])) == demo.FULL
    for wrong in (["--seeds", "0"], ["--epochs", "x"], ["--lr", "-1"], ["--rho", "1.5"], ["--rho", "nan"]):
        with pytest.raises(SystemExit):
            demo.parse(wrong)
        assert wrong[0] in capsys.readouterr().err
