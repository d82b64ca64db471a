"""Scoring the layers of a network beside its forward passes alone and beside the reference way; each peak in a process
of its own.

The reference way is that of AdaBet's released code: keep what every layer returns, flatten it, give it to ripser.py.
"""

from __future__ import annotations

import statistics
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np
import torch
from torch import nn

from adabet_fast import betti1_batch, pairwise_distances
from adabet_fast.nn import score_layers
from bench.meter import Meter


def small() -> tuple[nn.Module, torch.Tensor]:
    """Twelve convolutions of 3 x 3 with batch norms: 0.36 million activations a sample."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    channels = 3
    for wide in (32, 32, 32, 64, 64, 64):
        stride = 2 if wide != channels and channels != 3 else 1
        layers += [nn.Conv2d(channels, wide, 3, stride, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU()]
        layers += [nn.Conv2d(wide, wide, 3, 1, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU()]
        channels = wide
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    return model.eval(), torch.randn(40, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def resnet50() -> tuple[nn.Module, torch.Tensor]:
    """ResNet50 in transformers' configuration, random weights, 40 images of 224 x 224."""
    from transformers import ResNetConfig, ResNetForImageClassification

    torch.manual_seed(0)
    model: nn.Module = ResNetForImageClassification(ResNetConfig())
    return model.eval(), torch.randn(40, 3, 224, 224, generator=torch.Generator().manual_seed(1))


MODELS: dict[str, Callable[[], tuple[nn.Module, torch.Tensor]]] = {"small": small, "resnet50": resnet50}


def layers_of(model: nn.Module) -> dict[str, nn.Module]:
    return {
        name: module for name, module in model.named_modules() if any(True for _ in module.parameters(recurse=False))
    }


def hooked_pass(model: nn.Module, x: torch.Tensor, look: Callable[[str, torch.Tensor], None]) -> None:
    """One forward pass in which `look` sees what every layer returns."""
    with ExitStack() as hooks, torch.no_grad():
        for name, module in layers_of(model).items():
            hook = module.register_forward_hook(lambda _m, _i, output, name=name: look(name, output))
            hooks.callback(hook.remove)
        model(x)


def forward(model: nn.Module, x: torch.Tensor) -> None:
    with torch.no_grad():
        model(x)


def ripser_count(cloud: Any, **how: Any) -> int:
    from ripser import ripser

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a cloud has more columns than rows, which activations have
        return len(ripser(cloud, **how)["dgms"][1])


def ripser_counts(model: nn.Module, x: torch.Tensor) -> dict[str, int]:
    """Bars that ripser.py finds on our distances of each layer's activations."""
    found: dict[str, int] = {}

    def look(name: str, output: torch.Tensor) -> None:
        matrix = np.asarray(pairwise_distances(output.flatten(1)))
        found[name] = ripser_count(matrix, distance_matrix=True)
        assert betti1_batch([matrix], distance_matrix=True)[0] == found[name]

    hooked_pass(model, x, look)
    return found


def reference(model: nn.Module, x: torch.Tensor) -> dict[str, int]:
    """Keep, flatten, ripser.py: from points, distances by scikit-learn."""
    kept: dict[str, torch.Tensor] = {}
    hooked_pass(model, x, lambda name, output: kept.update({name: output.flatten(1)}))
    return {name: ripser_count(output.numpy()) for name, output in kept.items()}


def seconds(call: Callable[[], object]) -> float:
    """Time of one call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def reference_times(arguments: dict[str, Any], meter: Meter) -> dict[str, Any]:
    """Time the reference way in this process, and three passes alone before it: it leaves memory behind that later
    passes need not ask the system for."""
    model, x = MODELS[arguments["model"]]()
    forward(model, x)
    alone = statistics.median(seconds(lambda: forward(model, x)) for _ in range(3))
    meter.measure(lambda: reference(model, x))
    return {"forward": alone, "reference": meter.seconds[0]}


def measure(arguments: dict[str, Any], meter: Meter) -> dict[str, Any]:
    """Measure the peak of one way in this process, after one small pass that loads what the first pass loads."""
    model, x = MODELS[arguments["model"]]()
    forward(model, x[:1])
    if arguments["way"] == "forward":
        meter.measure(lambda: forward(model, x))
        return {}
    if arguments["way"] == "reference":
        return {"b1": meter.measure(lambda: reference(model, x))}
    score_layers(model, [x[:4, :, :32, :32]])
    batches = [x] if arguments["batches"] == 1 else list(x.chunk(arguments["batches"]))
    how = {name: arguments[name] for name in ("max_memory", "memory_way") if name in arguments}
    scores = meter.measure(lambda: score_layers(model, batches, n_batches=None, **how))
    use = scores.settings.memory
    assert use is not None
    return {
        "b1": {layer.name: layer.b1 for layer in scores},
        "scores": {layer.name: layer.score for layer in scores},
        "use": use.summary(),
        "held": use.peak_bytes,
    }
