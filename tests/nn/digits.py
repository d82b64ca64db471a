"""Real images for small training runs: scikit-learn's digits, split into what was learnt and what is new."""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits


def load(classes: range, n: int, start: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Images (n, 1, 8, 8) in -1 ... 1 and labels from 0 on, of some of the digits."""
    data = load_digits()
    images = torch.from_numpy(data.images).float().unsqueeze(1) / 8 - 1
    labels = torch.from_numpy(data.target).long()
    chosen = torch.isin(labels, torch.tensor(list(classes)))
    return images[chosen][start : start + n], labels[chosen][start : start + n] - classes[0]


NEW = range(5, 10)
"""The digits that a network is adapted to."""
