"""Fine-tune the pre-trained network with some layers and the head, and take down what came of it."""

from __future__ import annotations

import statistics

import torch
import torch.nn.functional as F
from torch import Tensor

from adabet_fast.nn import TrainingCost, training_cost

from . import data, model, training
from .figures import Run
from .pretrain import Pretrained
from .strategies import Strategy
from .training import Recipe

TRAIN, HEAD, ORDER = 1000, 2000, 3000  # a seed's three sources of chance get numbers of their own


def fine_tune(
    strategy: Strategy,
    seed: int,
    pretrained: Pretrained,
    digits: data.Digits,
    images_per_class: int,
    recipe: Recipe,
) -> Run:
    """Run one strategy with one seed: same images, head and order of batches for every strategy of that seed."""
    images = data.labelled_subset(digits.target_pool, images_per_class, torch.Generator().manual_seed(TRAIN + seed))
    network = pretrained.network()
    model.replace_head(network, HEAD + seed)
    selection = strategy.select(seed)
    selection.apply(network)
    cost = _cost(network, images, recipe)
    seconds = training.train(network, images, recipe, ORDER + seed)
    return Run(
        strategy=strategy.key,
        seed=seed,
        layers=selection.trained_layers,
        accuracy=training.accuracy(network, digits.target_test),
        trainable_parameters=sum(p.numel() for p in network.parameters() if p.requires_grad),
        saved_bytes=cost.saved_bytes,
        gradient_bytes=cost.gradient_bytes,
        optimizer_bytes=cost.optimizer_bytes,
        epoch_seconds=statistics.median(seconds),
    )


def _cost(network: model.DigitResNet, images: data.Images, recipe: Recipe) -> TrainingCost:
    """Measure one training step on one full batch; the network is left as it was."""
    batch = images.take(torch.arange(recipe.batch_size) % len(images))

    def step() -> Tensor:
        return F.cross_entropy(network(batch.x), batch.y)

    network.train()
    return training_cost(network, step, training.make_optimizer(network, recipe))
