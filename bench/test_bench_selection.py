"""Scoring layers: time and memory on top of the forward passes, beside the reference way, in one run.

Every benchmark first asserts the answer: b1 of every layer is what ripser.py finds on the same distances, and the
scores are the same to the bit whatever way the activations are kept. ``extra_info`` (in the JSON) and the names hold:
`overhead_percent`, the time on top of the forward pass alone, medians of pairs measured in turn;
`reference_overhead_percent`, that of the reference way, which keeps what every layer returns, flattens it and gives it
to ripser.py, in a process of its own; `peak_percent`, the peak resident size on top of that of the forward pass alone,
medians of three fresh processes each, and `reference_peak_times`, how many times more the reference adds.
`pytest --benchmark-only -m heavy bench/test_bench_selection.py` runs ResNet50, and asserts there that the time on top
is at most a tenth of the pass and a fiftieth of the reference's, and that one batch that holds the whole pool is scored
within 110 % of its forward pass's peak.
"""

from __future__ import annotations

import itertools
import statistics
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import nn

from adabet_fast.nn import score_layers
from bench import fresh, selection_jobs
from bench.selection_jobs import MODELS, forward, ripser_counts, seconds

pytest.importorskip("ripser")

BOTH = pytest.mark.parametrize("name", ["small", pytest.param("resnet50", marks=pytest.mark.heavy)])
TIGHT = {"small": "32MiB", "resnet50": "1GiB"}


@BOTH
def test_bench_scoring_time(benchmark: BenchmarkFixture, name: str) -> None:
    model, x = MODELS[name]()
    counts = ripser_counts(model, x)
    scores = score_layers(model, [x])
    assert {layer.name: layer.b1 for layer in scores} == counts
    # In turn, each scoring against the passes before and after it: the machine's speed drifts more than the difference.
    pure, scored = [seconds(lambda: forward(model, x))], []
    for _ in range(15):
        scored.append(seconds(lambda: score_layers(model, [x])))
        pure.append(seconds(lambda: forward(model, x)))
    alone = statistics.median(pure)
    beside = [(before + after) / 2 for before, after in itertools.pairwise(pure)]
    on_top = statistics.median(both - one for both, one in zip(scored, beside, strict=True)) / alone
    theirs = reference_on_top(name)
    if name == "resnet50":
        assert on_top <= 0.1
        assert 50 * on_top <= theirs
    benchmark.extra_info |= {
        "forward_seconds": alone,
        "scoring_seconds": statistics.median(scored),
        "overhead_percent": 100 * on_top,
        "reference_overhead_percent": 100 * theirs,
        "layers": len(scores),
    }
    benchmark.group = f"scoring {name}"
    benchmark.name += f" [+{100 * on_top:.1f} % of the forward pass; ripser.py on each layer +{100 * theirs:.0f} %]"
    benchmark.pedantic(lambda: score_layers(model, [x]), rounds=3)


def reference_on_top(name: str) -> float:
    """Return the time of the reference way on top of the pass, in passes of its own process."""
    job = f"{selection_jobs.__name__}:{selection_jobs.reference_times.__name__}"
    outcome = fresh.run(job, {"model": name}, fresh.Limits(seconds=900))
    assert outcome.done, outcome.reason
    return float(outcome.result["reference"] / outcome.result["forward"] - 1)


def peak(name: str, way: str, batches: int = 1, **how: Any) -> fresh.Outcome:
    job = f"{selection_jobs.__name__}:measure"
    outcome = fresh.run(job, {"model": name, "way": way, "batches": batches, **how}, fresh.Limits(seconds=900))
    assert outcome.done, outcome.reason
    return outcome


def usual_peak(name: str, way: str) -> fresh.Outcome:
    """Return the median of three processes' peaks: a block as large as an activation fits a gap, or does not."""
    return sorted((peak(name, way) for _ in range(3)), key=lambda outcome: outcome.peak_bytes)[1]


@BOTH
def test_bench_scoring_memory(benchmark: BenchmarkFixture, name: str) -> None:
    alone = usual_peak(name, "forward")
    ours = usual_peak(name, "score")
    theirs = peak(name, "reference")
    kept = peak(name, "score", memory_way="groups", max_memory=TIGHT[name])
    assert ours.result["scores"] == kept.result["scores"]
    model, x = MODELS[name]()
    assert ours.result["b1"] == ripser_counts(model, x)
    on_top = ours.peak_bytes - alone.peak_bytes
    theirs_on_top = theirs.peak_bytes - alone.peak_bytes
    if name == "resnet50":
        assert on_top <= alone.peak_bytes / 10
    benchmark.extra_info |= {
        "forward_peak_bytes": alone.peak_bytes,
        "scoring_peak_bytes": ours.peak_bytes,
        "reference_peak_bytes": theirs.peak_bytes,
        "peak_percent": 100 * on_top / alone.peak_bytes,
        "reference_peak_times": theirs_on_top / max(on_top, 1),
        "groups": kept.result["use"],
        "groups_peak_bytes": kept.peak_bytes,
    }
    benchmark.group = f"memory {name}"
    benchmark.name += (
        f" [forward {alone.peak_bytes / 2**20:.0f} MiB, scoring {on_top / 2**20:+.1f} MiB, "
        f"reference {theirs_on_top / 2**20:+.0f} MiB]"
    )
    benchmark.pedantic(lambda: score_layers(model, [x]), rounds=1)


def forward_all(model: nn.Module, batches: list[torch.Tensor]) -> None:
    for batch in batches:
        forward(model, batch)


@BOTH
@pytest.mark.parametrize("way", ["kept", "groups", "spill"])
def test_bench_five_batches(benchmark: BenchmarkFixture, name: str, way: str) -> None:
    """Five batches of eight, as the paper has them, within several budgets: the same scores."""
    model, x = MODELS[name]()
    batches = list(x.chunk(5))
    how: dict[str, Any] = {
        "kept": {"max_memory": "5GiB"},
        "groups": {"memory_way": "groups", "max_memory": TIGHT[name]},
        "spill": {"memory_way": "spill", "max_memory": TIGHT[name]},
    }[way]
    outcome = peak(name, "score", batches=5, **how)
    other = peak(name, "score", batches=5, **({"memory_way": "spill"} if way == "kept" else {"max_memory": "5GiB"}))
    assert outcome.result["scores"] == other.result["scores"]
    alone = statistics.median(seconds(lambda: forward_all(model, batches)) for _ in range(3))
    taken = statistics.median(seconds(lambda: score_layers(model, batches, **how)) for _ in range(3))
    benchmark.extra_info |= {
        "use": outcome.result["use"],
        "held_bytes": outcome.result["held"],
        "peak_bytes": outcome.peak_bytes,
        "overhead_percent": 100 * (taken / alone - 1),
    }
    benchmark.group = f"five batches {name}"
    benchmark.name += f" [+{100 * (taken / alone - 1):.0f} %, peak {outcome.peak_bytes / 2**20:.0f} MiB]"
    benchmark.pedantic(lambda: score_layers(model, batches, **how), rounds=1)
