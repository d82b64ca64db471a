"""Two and three processes with gloo: one pooled cloud, layers shared out, the same result everywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from adabet_fast.nn import LayerScores, Selection, score_layers, select_layers
from tests.nn.networks import images, resnet

ROOT = Path(__file__).resolve().parents[2]


WAYS = ["pool", "tight", "spill", "sum"]


@pytest.fixture(scope="module")
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Run rank_tasks.py in so many processes; give what each of them wrote down."""
    size: int = request.param
    folder = tmp_path_factory.mktemp("ranks")
    tasks = [*WAYS, "choices", *(["uneven", "merged", "errors", "wrapped"] if size == 2 else [])]
    command = [sys.executable, "-W", "error::UserWarning", "-m", "tests.nn.rank_tasks", str(folder)]
    processes = [
        subprocess.Popen(
            [*command, str(rank), str(size), *tasks],
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(size)
    ]
    try:
        errors = [process.communicate(timeout=500)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert [process.returncode for process in processes] == [0] * size, "\n".join(errors)
    found = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(size)]
    return [{**each, "stderr": error} for each, error in zip(found, errors, strict=True)]


two = pytest.mark.parametrize("told", [2], indirect=True)
two_and_three = pytest.mark.parametrize("told", [2, 3], indirect=True)


def numbers(scores: LayerScores) -> list[tuple[object, ...]]:
    return [(x.name, x.status, x.b1, x.size, x.score, x.rank, x.total_persistence, x.note) for x in scores]


@two_and_three
@pytest.mark.parametrize("task", WAYS)
def test_all_ranks_get_the_selection_of_all_samples(told: list[dict[str, Any]], task: str) -> None:
    size, told = len(told), [each[task] for each in told]
    texts = {each["selection"] for each in told}
    assert len(texts) == 1, "the same to the letter on every rank"
    selection = Selection.from_json(texts.pop())
    # One process with the batches of all ranks, in the order of the ranks.
    alone = score_layers(resnet(), images(6), n_batches=None, score="total_persistence", pooling=told[0]["pooling"])
    assert numbers(selection.scores) == numbers(alone)
    assert selection.trained_layers == alone.select(0.3).trained_layers
    assert selection.scores.settings.batch_sizes == (8,) * 6
    assert selection.scores.settings.ranks == size
    use = selection.scores.settings.memory
    assert use is not None
    assert use.way == {"pool": "groups", "tight": "groups", "spill": "spill", "sum": "hook"}[task]
    assert (use.groups > 1) == (task == "tight")
    measured = [each["measured"] for each in told]
    if task == "sum":
        assert measured == [11] * size, "each rank measures its own batches"
    else:
        assert sum(measured) == 11, "each layer is measured on one rank"
        assert max(measured) - min(measured) <= 1 + use.groups
    assert all(each["unchanged"] for each in told)


@two_and_three
def test_channels_and_budgets_are_the_same_on_all_ranks(told: list[dict[str, Any]]) -> None:
    size, told = len(told), [each["choices"] for each in told]
    for kind in ("channels", "budget"):
        assert len({each[kind] for each in told}) == 1, "the same to the letter on every rank"
    cut = Selection.from_json(told[0]["channels"])
    alone = select_layers(resnet(), images(6), k=5, n_batches=None, unit="block", rho_channel=0.4)
    assert cut.channels == alone.channels
    assert len(cut.channels) > 2
    for rank, each in enumerate(told):
        own = images(6)[rank * (6 // size) : (rank + 1) * (6 // size)]
        expected = alone.with_channels(resnet(), own, 0.4)
        assert each["apart"] == {name: list(choice.b1) for name, choice in expected.channels.items()}
        assert each["unchanged"]
        assert "nothing like this" in each["wrong"]
    budget = select_layers(resnet(), images(6), n_batches=None, budget_bytes=45_000)
    assert Selection.from_json(told[0]["budget"]).budget == budget.budget


@two
def test_uneven_ranks(told: list[dict[str, Any]]) -> None:
    told = [each["uneven"] for each in told]
    texts = {each["selection"] for each in told}
    assert len(texts) == 1
    scores = Selection.from_json(texts.pop()).scores
    batches = images(4)
    assert numbers(scores) == numbers(
        score_layers(resnet(), [batches[0], batches[1][:5], batches[2], batches[3]], score="total_persistence")
    )


@two
def test_merged_batches_of_uneven_ranks(told: list[dict[str, Any]]) -> None:
    texts = {each["merged"]["selection"] for each in told}
    assert len(texts) == 1, "the same to the letter on every rank"
    scores = Selection.from_json(texts.pop()).scores
    assert scores.settings.merged == 6
    assert scores.settings.batch_sizes == (32, 16)
    assert "6 batches merged into one on each rank" in scores.summary()


@two
def test_an_error_on_one_rank_ends_all_of_them(told: list[dict[str, Any]]) -> None:
    told = [each["errors"] for each in told]
    for name, at_fault, message in [
        ("nan", 1, "batches[0]: layer 'stem' returned nan"),
        ("model", 0, "half way"),
        ("argument", 1, "n_batches: expected a positive integer"),
        ("score", 0, "no score"),
    ]:
        for rank, each in enumerate(told):
            mine = each[name]
            if rank == at_fault:
                assert message in mine, name
                assert "rank" not in mine
            else:
                assert mine.startswith(f"InvalidInputError: rank {at_fault} failed:"), name
                assert message in mine
    for rank, each in enumerate(told):
        assert each["weights"].startswith("InvalidInputError: model: 'fc.bias' has other values on rank")
        assert each["shapes"].startswith("InvalidInputError: model: has other parameters on rank")
        assert each["sizes"].startswith("InvalidInputError: batches: layer 'stem' has samples of different sizes")
        assert "ranks='own'" in each["weights"] or rank
        assert each["unchanged"]


@two
def test_wrapped_models_and_one_rank_of_many(told: list[dict[str, Any]]) -> None:
    errors = [each["stderr"] for each in told]
    told = [each["wrapped"] for each in told]
    for each in told:
        assert "must be built after freezing; choose layers on the module inside it" in each["ddp"]
        assert "FullyShardedDataParallel wrapper, which must be built after freezing" in each["fsdp"]
        assert "is shared out among ranks; choose layers before fully_shard" in each["fully_shard"]
        assert each["own"] == 1
        assert each["hook"].startswith("InvalidInputError: memory_way: 'hook' cannot pool the samples of several ranks")
        assert each["trained after"] == "as chosen"
    assert "layers" in errors[0], "the bar is on rank 0"
    assert "layers" not in errors[1]
