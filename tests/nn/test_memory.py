"""Within any budget the scores are the same, to the bit; what cannot fit is refused before it starts."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from adabet_fast.errors import InvalidInputError, MemoryBudgetError
from adabet_fast.nn import LayerScores, score_layers
from adabet_fast.nn import spill as spill_module
from adabet_fast.nn.memory import MemoryUse
from adabet_fast.nn.spill import SpillFile
from tests.nn.networks import ResNet, Reused, Tagger, images, mlp, resnet, state_of, vectors

KEPT = 320_000  # a little more than all that the residual network returns for 40 samples, and its distances


def fast(model: nn.Module) -> nn.Module:
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def token_batches() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randint(0, 20, (8, 8), generator=generator) for _ in range(5)]


CASES: dict[str, Any] = {
    "residual": lambda: (resnet(), images()),
    "channels last": lambda: (fast(resnet()), [x.to(memory_format=torch.channels_last) for x in images()]),
    "reused": lambda: (Reused(), vectors(4)),
    "recurrent": lambda: (Tagger(), token_batches()),
    "bfloat16": lambda: (mlp(6, 64, 64, 3).bfloat16(), [x.bfloat16() for x in vectors(6)]),
    "uneven": lambda: (resnet(), [*images(2), images()[2][:3], images()[3]]),
}


def told(scores: LayerScores) -> list[tuple[object, ...]]:
    return [(x.name, x.status, x.b1, x.size, x.total_persistence, x.score, x.rank, x.calls, x.note) for x in scores]


def use_of(scores: LayerScores) -> MemoryUse:
    assert scores.settings.memory is not None
    return scores.settings.memory


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("pooling", ["pool", "sum"])
def test_every_way_gives_the_same_scores(case: str, pooling: str) -> None:
    torch.manual_seed(0)
    model, batches = CASES[case]()
    how: dict[str, Any] = {"score": "total_persistence", "pooling": pooling}
    expected = score_layers(model, batches, memory_way="groups", **how)
    assert (use_of(expected).way, use_of(expected).groups, use_of(expected).passes) == ("groups", 1, len(batches))
    most = use_of(expected).peak_bytes
    floor = 100_000  # distances of 40 points, and what their bars need
    before = state_of(model)
    smaller = score_layers(model, batches, memory_way="groups", max_memory=max(floor, int(0.8 * most)), **how)
    spilled = score_layers(model, batches, memory_way="spill", **how)
    assert told(smaller) == told(spilled) == told(expected)
    assert use_of(spilled).way == "spill"
    assert use_of(spilled).file_bytes > 0
    if pooling == "pool" and 0.8 * most > floor:
        assert use_of(smaller).groups > 1
        assert use_of(smaller).stopped_early > 0
    for scores in (expected, smaller, spilled):
        assert use_of(scores).peak_bytes <= use_of(scores).budget
    if pooling == "sum":
        hooked = score_layers(model, batches, **how)
        assert told(hooked) == told(expected)
        assert use_of(hooked).way == "hook"
    assert state_of(model) == before


@pytest.mark.parametrize("case", CASES)
def test_one_batch_is_measured_in_the_hook(case: str) -> None:
    torch.manual_seed(0)
    model, batches = CASES[case]()
    batches = [torch.cat(batches)]
    hooked = score_layers(model, batches)
    kept = score_layers(model, batches, memory_way="groups")
    assert told(hooked) == told(kept)
    assert use_of(hooked).way == "hook"
    # A layer that is called again can be measured only when all its calls are there: in a second pass.
    assert use_of(hooked).passes == (2 if case == "reused" else 1)
    matrices = sum(layer.rank is not None for layer in hooked) * 4 * sum(map(len, batches)) ** 2
    if case != "reused":
        assert use_of(hooked).peak_bytes == matrices
    assert use_of(kept).peak_bytes > matrices


def test_merged_batches_are_one_batch() -> None:
    merged = score_layers(resnet(), images(), merge_batches=True)
    assert (use_of(merged).way, merged.settings.merged) == ("hook", 5)
    assert told(merged) == told(score_layers(resnet(), [torch.cat(images())]))


def test_the_budget_decides_between_groups_and_a_file() -> None:
    ways = {}
    for budget in (2 * KEPT, KEPT // 2, 120_000, 100_000, 60_000):
        scores = score_layers(resnet(), images(), max_memory=budget)
        use = use_of(scores)
        assert use.budget == budget
        assert use.peak_bytes <= budget
        ways[budget] = (use.way, use.groups)
    assert ways[2 * KEPT] == ("groups", 1)
    assert ways[KEPT // 2][0] == "groups"
    assert ways[KEPT // 2][1] > 1
    assert ways[60_000] == ("spill", 1), "no layer of 128 activations and 40 samples fits beside the distances"


def test_what_a_run_did_is_told() -> None:
    scores = score_layers(resnet(), images(), max_memory=KEPT // 2)
    use = use_of(scores)
    assert f"{use.groups} groups of layers, {use.passes} passes ({use.stopped_early} stopped early)" in str(scores)
    assert use.passes == 5 * use.groups
    # The last layer of the last group ends the pass, and so does that of each group before it.
    assert use.stopped_early == 5 * (use.groups - 1)
    assert use.resident_peak >= use.resident_before > 0
    assert LayerScores.from_json(scores.to_json()).settings.memory == use


def test_what_cannot_fit_is_refused_before_it_starts() -> None:
    passes: list[int] = []
    model = resnet()
    model.register_forward_hook(lambda *_: passes.append(1))
    with pytest.raises(
        MemoryBudgetError, match=r"^max_memory: 30000 bytes .* distances of 40 samples .* need \d+ b"
    ) as e:
        score_layers(model, images(), max_memory=30_000)
    assert passes == []
    assert e.value.budget == 30_000
    assert e.value.needed is not None
    assert 30_000 < e.value.needed < 60_000
    with pytest.raises(MemoryBudgetError, match=r"^max_memory: .* layer 'stem' alone .* need (\d+) bytes") as e:
        score_layers(model, images(), max_memory=60_000, memory_way="groups")
    assert passes == [1], "sizes are known after one pass"
    assert e.value.needed is not None
    assert 60_000 < e.value.needed <= 90_000
    assert use_of(score_layers(model, images(), max_memory=e.value.needed, memory_way="groups")).groups > 1
    with pytest.raises(InvalidInputError, match="max_memory is '2 stones'"):
        score_layers(model, images(), max_memory="2 stones")


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 10, 0))  # type: ignore[attr-defined]
    with pytest.raises(MemoryBudgetError, match=r"'stem' alone .* a file of \d+ bytes does not fit .* has 0 free"):
        score_layers(resnet(), images(), max_memory=60_000)
    with pytest.raises(MemoryBudgetError, match=r"a file of \d+ bytes does not fit"):
        score_layers(resnet(), images(), memory_way="spill")
    # More groups than the file is thought to cost, but there is no file to be had.
    assert use_of(score_layers(resnet(), images(), max_memory=90_000)).way == "groups"


def test_a_disk_that_fills_up_meanwhile_raises_and_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spill_module.os, "posix_fallocate", full)
    model = resnet()
    before = state_of(model)
    with pytest.raises(MemoryBudgetError, match="No space left on device"):
        score_layers(model, images(), memory_way="spill")
    assert state_of(model) == before


def test_a_file_keeps_what_was_written_when_its_pages_are_given_back() -> None:
    file = SpillFile(2**16)
    first, second = file.allocate(3, 500, torch.float32), file.allocate(2, 3, torch.bfloat16)
    first.copy_(torch.arange(1500.0).view(3, 500))
    second.fill_(2)
    for rows in (first, first[1:], second):
        file.give_back(rows)
    assert torch.equal(first, torch.arange(1500.0).view(3, 500))
    assert second.dtype == torch.bfloat16
    assert second.tolist() == [[2.0] * 3] * 2
    with pytest.raises(MemoryBudgetError, match="is full"):
        file.allocate(100, 1000, torch.float32)


def test_hook_needs_the_whole_pool_in_one_batch() -> None:
    with pytest.raises(InvalidInputError, match=r"^memory_way: 'hook' needs the whole pool in one batch, got 5"):
        score_layers(resnet(), images(), memory_way="hook")
    with pytest.raises(InvalidInputError, match=r"^memory_way:"):
        score_layers(resnet(), images(), memory_way="disk")  # type: ignore[arg-type]


class Restless(ResNet):
    """Draws random numbers and changes a buffer in every pass, in eval mode too; both go into the activations."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))
        self.passes = 0
        self.fail_at = 10**6

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.passes += 1
        x = x + 0.1 * torch.randn_like(x) + 0.01 * self.seen
        out = super().forward(x)
        self.seen += out.abs().mean()
        if self.passes >= self.fail_at:
            raise RuntimeError("half way")
        return out


def test_replayed_passes_start_from_the_same_state() -> None:
    torch.manual_seed(0)
    model = Restless()
    before = state_of(model)
    expected = score_layers(model, images())
    assert state_of(model) == before
    for how in ({"max_memory": KEPT // 2}, {"memory_way": "spill"}):
        again = score_layers(model, images(), **how)  # type: ignore[arg-type]
        assert told(again) == told(expected)
        # What the last layers leave in a buffer the first ones see in the next batch: no pass may end early.
        assert use_of(again).stopped_early == 0
        assert state_of(model) == before


@pytest.mark.parametrize("fail_at", [1, 4, 6, 9])
@pytest.mark.parametrize("how", [{"max_memory": KEPT // 2}, {"memory_way": "spill"}, {"pooling": "sum"}], ids=str)
def test_nothing_changes_when_a_pass_fails(fail_at: int, how: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = Restless()
    model.fc.register_forward_hook(lambda *_: None)
    before = state_of(model)
    model.fail_at = fail_at
    if fail_at > {"max_memory": 10, "memory_way": 6, "pooling": 5}[next(iter(how))]:
        score_layers(model, images(), **how)
    else:
        with pytest.raises(RuntimeError, match="half way"):
            score_layers(model, images(), **how)
    assert state_of(model) == before


class Moody(nn.Module):
    """Another course with every pass."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 200), nn.Linear(200, 200)
        self.passes = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.passes += 1
        x = self.a(x)
        return self.b(x[:, None] if self.passes > 5 else x)


def test_a_model_that_cannot_be_replayed_is_told() -> None:
    model = Moody()
    before = state_of(model)
    with pytest.raises(InvalidInputError, match=r"^model: batches\[0\] was run again .* layer '[ab]' returned another"):
        score_layers(model, vectors(6), max_memory=90_000, memory_way="groups")
    before["attributes"] = state_of(model)["attributes"]
    assert state_of(model) == before


class Careless(nn.Module):
    """Catches every exception of its blocks, and checkpoints them."""

    def __init__(self, reentrant: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(nn.Linear(80, 80) for _ in range(6))
        self.reentrant = reentrant

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            try:
                x = x + torch.tanh(checkpoint(block, x, use_reentrant=self.reentrant))
            except Exception:  # noqa: PERF203 (it is what is tested)
                x = x * 0
        return x


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad=True")
def test_passes_end_early_in_checkpointed_blocks_and_past_careless_handlers(reentrant: bool) -> None:
    torch.manual_seed(0)
    model = Careless(reentrant)
    model.train()
    before = state_of(model)
    expected = score_layers(model, vectors(80))
    assert all(layer.calls == 1 for layer in expected)
    smaller = score_layers(model, vectors(80), max_memory=60_000, memory_way="groups")
    assert told(smaller) == told(expected)
    assert use_of(smaller).groups > 1
    assert use_of(smaller).stopped_early > 0
    assert state_of(model) == before


def test_a_callable_score_sees_the_same_whatever_the_way() -> None:
    def spread(cloud: torch.Tensor, _barcode: object, _module: nn.Module) -> float:
        return float(cloud.double().std() + cloud[3, -1])

    for case in ("residual", "channels last", "reused"):
        torch.manual_seed(0)
        model, batches = CASES[case]()
        expected = told(score_layers(model, batches, score=spread))
        for how in ({"max_memory": 100_000}, {"memory_way": "spill"}):
            assert told(score_layers(model, batches, score=spread, **how)) == expected
    whole = [torch.cat(images())]
    asked = score_layers(resnet(), whole, score=spread, memory_way="hook")
    assert told(asked) == told(score_layers(resnet(), whole, score=spread))
    assert use_of(asked).way == "hook"
    with pytest.raises(InvalidInputError, match=r"memory_way: 'hook' .* layer 'cell' is called several times"):
        score_layers(Reused(), [torch.cat(vectors(4))], score=spread, memory_way="hook")


def test_distances_are_dropped_when_they_are_many() -> None:
    """A hundred batches of their own: a hundred matrices a layer."""
    batches = vectors(6, 100, 16)
    free = score_layers(mlp(6, 8, 8, 3), batches, n_batches=None, pooling="sum")
    tight = score_layers(mlp(6, 8, 8, 3), batches, n_batches=None, pooling="sum", max_memory=60_000)
    assert told(free) == told(tight)
    assert use_of(tight).peak_bytes <= 60_000 < use_of(free).peak_bytes


def test_progress_counts_every_layer_of_every_batch(capsys: pytest.CaptureFixture[str]) -> None:
    score_layers(resnet(), images(), progress=True, max_memory=KEPT // 2)
    assert "/55 [" in capsys.readouterr().err
    score_layers(resnet(), images())
    assert capsys.readouterr().err == ""
