"""Choosing layers: what budgets, blocks, channels and resampling take, after their answers were checked.

Beside bench/test_bench_selection.py, which measures scoring.
`pytest --benchmark-only -m heavy bench/test_bench_choosing.py` runs ResNet50 at 224 x 224.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from adabet_fast.nn import score_layers
from adabet_fast.nn.blocks import find_owners
from adabet_fast.nn.layers import find_layers
from bench.selection_jobs import MODELS, ripser_count

pytest.importorskip("ripser")

BOTH = pytest.mark.parametrize("name", ["small", pytest.param("resnet50", marks=pytest.mark.heavy)])
BYTES = {"small": 10e6, "resnet50": 200e6}
FLOPS = {"small": 2e9, "resnet50": 150e9}
N_TRAINED = 8
"""Samples of a training step."""


@BOTH
@pytest.mark.parametrize("kind", ["bytes", "flops"])
def test_bench_budget(benchmark: BenchmarkFixture, name: str, kind: str) -> None:
    """A selection within a budget; the bytes are asserted to be those of a true step."""
    model, x = MODELS[name]()
    batch = x[:N_TRAINED]
    scores = score_layers(model, [x], unit="block")
    limit: dict[str, Any] = {f"budget_{kind}": {"bytes": BYTES, "flops": FLOPS}[kind][name]}
    selection = scores.select(**limit, model=model, batch=batch)
    budget = selection.budget
    assert budget is not None
    assert budget.least < budget.used <= budget.limit
    truth = selection.cost(model, batch)
    if kind == "bytes":
        assert truth.total_bytes == budget.used
    benchmark.extra_info |= {
        "layers": len(scores),
        "chosen": len(selection.layers),
        "traced_steps": budget.n_traced,
        "used": budget.used,
        "saved_bytes": truth.saved_bytes,
        "gradient_bytes": truth.gradient_bytes,
        "optimizer_bytes": truth.optimizer_bytes,
    }
    benchmark.group = f"budget {name}"
    benchmark.name += f" [{len(selection.layers)} of {len(scores)} layers, {budget.n_traced} traced steps]"
    benchmark.pedantic(lambda: scores.select(**limit, model=model, batch=batch), rounds=1)


@BOTH
def test_bench_blocks(benchmark: BenchmarkFixture, name: str) -> None:
    """Which layer each normalisation belongs to, by one pass on tensors without values."""
    model, x = MODELS[name]()
    layers = find_layers(model)

    def owners() -> dict[str, str]:
        return find_owners(model, layers, lambda network: network(x[:N_TRAINED]))

    norms = [layer.name for layer in layers if type(layer.module).__name__ == "BatchNorm2d"]
    assert list(owners()) == norms
    benchmark.extra_info["normalisations"] = len(norms)
    benchmark.group = f"blocks {name}"
    benchmark.pedantic(owners, rounds=3)


@BOTH
def test_bench_channels(benchmark: BenchmarkFixture, name: str) -> None:
    """Each channel's own cloud, for a tenth of the layers; every 16th is counted by ripser.py too."""
    model, x = MODELS[name]()
    batches = list(x.chunk(5))
    selection = score_layers(model, batches, unit="block").select(rho=0.1)
    cut = selection.with_channels(model, batches, 0.25)
    assert cut.channels
    with torch.no_grad():
        for layer, choice in cut.channels.items():
            seen: list[torch.Tensor] = []
            hook = model.get_submodule(layer).register_forward_hook(
                lambda _m, _i, out, seen=seen: seen.append(out.clone())
            )
            for batch in batches:
                model(batch)
            hook.remove()
            clouds = torch.cat(seen).transpose(0, 1).flatten(2).numpy()
            assert all(choice.b1[i] == ripser_count(clouds[i]) for i in range(0, choice.n_channels, 16))
    whole, sliced = (each.cost(model, x[:N_TRAINED]) for each in (selection, cut))
    assert sliced.saved_bytes == whole.saved_bytes
    n_clouds = sum(choice.n_channels for choice in cut.channels.values())
    benchmark.extra_info |= {
        "clouds": n_clouds,
        "whole": [whole.saved_bytes, whole.gradient_bytes, whole.optimizer_bytes],
        "sliced": [sliced.saved_bytes, sliced.gradient_bytes, sliced.optimizer_bytes],
    }
    benchmark.group = f"channels {name}"
    benchmark.name += (
        f" [{n_clouds} clouds; gradients {whole.gradient_bytes / 2**20:.2f} to {sliced.gradient_bytes / 2**20:.2f} MiB]"
    )
    benchmark.pedantic(lambda: selection.with_channels(model, batches, 0.25), rounds=1)


@BOTH
def test_bench_resampling(benchmark: BenchmarkFixture, name: str) -> None:
    """Twenty bootstrap draws of every layer, on top of scoring, without another forward pass."""
    model, x = MODELS[name]()
    plain = score_layers(model, [x])
    drawn = score_layers(model, [x], resamples=20)
    assert [layer.b1 for layer in plain] == [layer.b1 for layer in drawn]
    found = drawn.stability()
    benchmark.extra_info |= {
        "tau": found.tau,
        "clouds": 20 * len(drawn),
        "homology_seconds": plain.settings.seconds_homology,
        "homology_seconds_resampled": drawn.settings.seconds_homology,
    }
    benchmark.group = f"stability {name}"
    benchmark.name += f" [tau {found.tau:.2f}; {20 * len(drawn)} clouds more]"
    benchmark.pedantic(lambda: score_layers(model, [x], resamples=20), rounds=1)
