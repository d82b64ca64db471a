"""Real 8x8 digits from scikit-learn, cut into what is known before (0-4) and what is new (5-9)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor

SOURCE_DIGITS = (0, 1, 2, 3, 4)
TARGET_DIGITS = (5, 6, 7, 8, 9)
SPLIT_SEED = 2510


@dataclass(frozen=True)
class Images:
    """Images of shape (n, 1, 8, 8), float32, standardised, and their classes 0-4, int64, shape (n,)."""

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return len(self.y)

    def take(self, index: Tensor) -> Images:
        return Images(self.x[index], self.y[index])


@dataclass(frozen=True)
class Digits:
    """The four parts: the old task's two, and the new task's training pool and held-out test images."""

    source_train: Images
    source_test: Images
    target_pool: Images
    target_test: Images


def load() -> Digits:
    """Load scikit-learn's 1,797 digits and split each half of the classes into training and test, class by class."""
    bunch = load_digits()
    pixels = np.asarray(bunch.images, dtype=np.float32) / np.float32(16)
    labels = np.asarray(bunch.target, dtype=np.int64)
    # Both halves are scaled by figures of the old task alone: the new task's images are not looked at for this.
    old = pixels[np.isin(labels, SOURCE_DIGITS)]
    x = torch.from_numpy((pixels - old.mean()) / old.std()).unsqueeze(1)
    y = torch.from_numpy(labels)
    generator = torch.Generator().manual_seed(SPLIT_SEED)
    source_train, source_test = _split(x, y, SOURCE_DIGITS, 0.8, generator)
    target_pool, target_test = _split(x, y, TARGET_DIGITS, 0.5, generator)
    return Digits(source_train, source_test, target_pool, target_test)


def labelled_subset(pool: Images, per_class: int, generator: torch.Generator) -> Images:
    """Draw `per_class` labelled images of each class."""
    picked = []
    for label in torch.unique(pool.y):
        members = torch.nonzero(pool.y == label).flatten()
        picked.append(members[torch.randperm(len(members), generator=generator)[:per_class]])
    return pool.take(torch.cat(picked))


def unlabelled_batches(pool: Images, n_batches: int, batch_size: int) -> list[Tensor]:
    """Draw `n_batches` of `batch_size` images without their labels, the same ones in every run."""
    generator = torch.Generator().manual_seed(SPLIT_SEED)
    index = torch.randperm(len(pool), generator=generator)[: n_batches * batch_size]
    return list(torch.split(pool.x[index], batch_size))


def _split(
    x: Tensor, y: Tensor, digits: tuple[int, ...], share: float, generator: torch.Generator
) -> tuple[Images, Images]:
    first, second = [], []
    for digit in digits:
        members = torch.nonzero(y == digit).flatten()
        members = members[torch.randperm(len(members), generator=generator)]
        cut = round(share * len(members))
        first.append(members[:cut])
        second.append(members[cut:])
    low = digits[0]
    parts = [torch.cat(first), torch.cat(second)]
    return Images(x[parts[0]], y[parts[0]] - low), Images(x[parts[1]], y[parts[1]] - low)
