"""``adabet-fast demo``: a circle, a torus and a small network, with nothing but the installed package."""

from __future__ import annotations

import argparse
import time
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adabet_fast.cli.output import bar_lines, longest_first, print_json
from adabet_fast.homology import h1

Floats = NDArray[np.float64]


def run(options: argparse.Namespace) -> int:
    """Show what the package does, step by step."""
    clouds = [
        ("noisy circle", circle(), "one long bar: the circle"),
        ("torus", torus(), "two long bars: both ways round"),
    ]
    results: dict[str, Any] = {"clouds": []}
    say = (lambda *_: None) if options.json else print
    for name, points, expect in clouds:
        started = time.perf_counter()
        bars = h1(points)
        seconds = time.perf_counter() - started
        longest = longest_first(bars.intervals)[:4]
        results["clouds"].append(
            {"name": name, "shape": points.shape, "bars": len(bars), "longest": longest, "seconds": seconds}
        )
        n, d = points.shape
        say(f"A {name}: {n} points in R^{d}, {len(bars)} bars in {seconds * 1000:.1f} ms. Of the longest four,")
        say(f"{expect}; the short ones are noise.\n")
        say("\n".join(bar_lines(longest)) + "\n")
    if find_spec("torch") is None:
        results["selection"] = None
        say("Layers are chosen in PyTorch, which is not installed here: pip install torch")
    else:
        selection, seconds = _select()
        results["selection"] = {"layers": selection.layers, "always_train": selection.always_train, "seconds": seconds}
        say(f"A small network, its layers scored on 40 samples in {seconds * 1000:.0f} ms and the best half chosen:\n")
        say(f"{selection.table()}\n")
    say("The same in Python:\n")
    say("  import adabet_fast")
    say("  bars = adabet_fast.h1(points)                              # bars.intervals, bars.plot()")
    say("  selection = adabet_fast.select_layers(model, batches, rho=0.1)")
    say("  selection.apply(model)                                     # then build the optimizer")
    if options.json:
        print_json(results)
    return 0


def circle(n: int = 200) -> Floats:
    """Draw a unit circle with some noise."""
    rng = np.random.default_rng(0)
    angles = rng.random(n) * 2 * np.pi
    points: Floats = np.stack([np.cos(angles), np.sin(angles)], axis=1) + 0.08 * rng.standard_normal((n, 2))
    return points


def torus(n: int = 800) -> Floats:
    """Draw points of a torus of radii 2 and 1."""
    u, v = np.random.default_rng(0).random((2, n)) * 2 * np.pi
    return np.stack([(2 + np.cos(v)) * np.cos(u), (2 + np.cos(v)) * np.sin(u), np.sin(v)], axis=1)


def _select() -> tuple[Any, float]:
    import torch
    from torch import nn

    from adabet_fast.nn import select_layers

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(
            *(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 16, 3), nn.ReLU(), nn.Flatten()),
            *(nn.Linear(256, 32), nn.ReLU(), nn.Linear(32, 10)),
        )
        batches = torch.rand(5, 8, 1, 8, 8).unbind()
        started = time.perf_counter()
        selection = select_layers(network, batches, rho=0.5)
        return selection, time.perf_counter() - started
