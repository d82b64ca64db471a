"""One training loop for everything: pre-training and every strategy of fine-tuning run exactly this."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .data import Images


@dataclass(frozen=True)
class Recipe:
    """How to train: Adam, a learning rate that falls to zero along a cosine, shuffled batches."""

    epochs: int
    batch_size: int
    learning_rate: float


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Adam:
    """Adam over the parameters that train; the frozen ones get no state."""
    trained = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.Adam(trained, lr=recipe.learning_rate)


def train(
    model: nn.Module,
    images: Images,
    recipe: Recipe,
    seed: int,
    *,
    progress: Callable[[int], None] | None = None,
) -> list[float]:
    """Train `model` in place; return the seconds that each epoch's steps took."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = make_optimizer(model, recipe)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, recipe.epochs)
    seconds = []
    for epoch in range(recipe.epochs):
        batches = list(_batches(images, recipe.batch_size, generator))
        model.train()
        start = time.perf_counter()
        for x, y in batches:
            optimizer.zero_grad(set_to_none=True)
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
        seconds.append(time.perf_counter() - start)
        schedule.step()
        if progress is not None:
            progress(epoch + 1)
    return seconds


def accuracy(model: nn.Module, images: Images) -> float:
    """Share of images whose class is found, in eval mode."""
    model.eval()
    with torch.inference_mode():
        hits: Tensor = model(images.x).argmax(dim=1) == images.y
    return float(hits.float().mean())


def _batches(images: Images, size: int, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    order = torch.randperm(len(images), generator=generator)
    for index in torch.split(order, size):
        if len(index) > 1:  # one image alone has no variance for BatchNorm to divide by
            yield images.x[index], images.y[index]
