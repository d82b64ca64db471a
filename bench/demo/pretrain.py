"""The network that knows digits 0-4: trained once, kept in a folder, made anew when anything behind it changes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from . import data, model, training
from .training import Recipe

SEED = 4


@dataclass(frozen=True)
class Pretrained:
    """Weights that know digits 0-4, their accuracy there, their file, and the seconds of training (0: cached)."""

    state: dict[str, Tensor]
    test_accuracy: float
    path: Path
    seconds: float

    def network(self) -> model.DigitResNet:
        """Return a fresh copy of the network."""
        network = model.build(SEED)
        network.load_state_dict(self.state)
        return network


def cache_key(recipe: Recipe) -> str:
    """Name what the weights follow from: recipe, seed, the code that made data and network, and torch's version."""
    digest = hashlib.sha256()
    config = {**dataclasses.asdict(recipe), "seed": SEED, "torch": str(torch.__version__)}
    digest.update(json.dumps(config, sort_keys=True).encode())
    for module in (data, model, training):
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.hexdigest()[:12]


def load_or_train(
    digits: data.Digits, recipe: Recipe, folder: Path, progress: Callable[[int], None] | None = None
) -> Pretrained:
    """Read the weights from `folder`, or train them and put them there."""
    path = folder / f"digits04-{cache_key(recipe)}.pt"
    state = _read(path)
    seconds = 0.0
    if state is None:
        start = time.perf_counter()
        network = model.build(SEED)
        training.train(network, digits.source_train, recipe, SEED, progress=progress)
        state = {name: value.detach().clone() for name, value in network.state_dict().items()}
        seconds = time.perf_counter() - start
        _write(path, state)
    network = model.build(SEED)
    network.load_state_dict(state)
    return Pretrained(state, training.accuracy(network, digits.source_test), path, seconds)


def _read(path: Path) -> dict[str, Tensor] | None:
    if not path.exists():
        return None
    try:
        state: dict[str, Tensor] = torch.load(path, weights_only=True)
        model.build(SEED).load_state_dict(state)
    except Exception:  # a damaged file can fail in any way; whatever it was, train again and overwrite it
        return None
    return state


def _write(path: Path, state: dict[str, Tensor]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f"{path.name}.{os.getpid()}")
    torch.save(state, scratch)
    os.replace(scratch, path)
