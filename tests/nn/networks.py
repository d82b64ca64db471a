"""Small networks of every kind that layers are chosen in, and a reference count that shares nothing with ours."""

from __future__ import annotations

import random
import warnings
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from ripser import ripser
from torch import nn


class Residual(nn.Module):
    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__()
        wide = channels * stride
        self.conv1 = nn.Conv2d(channels, wide, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(wide)
        self.conv2 = nn.Conv2d(wide, wide, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(wide)
        self.shortcut = nn.Conv2d(channels, wide, 1, stride) if stride > 1 else nn.Identity()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, 1, 1)
        self.relu = nn.ReLU(inplace=True)
        self.block1 = Residual(4)
        self.block2 = Residual(4, 2)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.drop(self.block2(self.block1(self.relu(self.stem(x)))).mean((2, 3))))


def resnet() -> ResNet:
    """A residual network whose running statistics have seen data."""
    torch.manual_seed(0)
    model = ResNet()
    model.train()
    with torch.no_grad():
        for _ in range(3):
            model(torch.randn(16, 1, 8, 8))
    return model


def mlp(*widths: int) -> nn.Sequential:
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for a, b in pairwise(widths):
        layers += [nn.Linear(a, b), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


class Tagger(nn.Module):
    """Embedding, LSTM over (length, samples), linear head: outputs are tuples, samples are on axis 1 inside."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 6)
        self.lstm = nn.LSTM(6, 7)
        self.head = nn.Linear(7, 3)

    def forward(self, input_ids: torch.Tensor) -> dict[str, torch.Tensor]:
        out, (hidden, _) = self.lstm(self.embedding(input_ids).transpose(0, 1))
        return {"hidden": hidden, "logits": self.head(out[-1])}


class Encoder(nn.Module):
    """A small BERT: keyword arguments, a padding mask, position embeddings without samples."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(30, 8)
        self.positions = nn.Embedding(16, 8)
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.classifier = nn.Linear(8, 3)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        x = self.words(input_ids) + self.positions(torch.arange(input_ids.shape[1]))[None]
        x = self.encoder(x, src_key_padding_mask=attention_mask == 0)
        weights = attention_mask[..., None].float()
        return self.classifier((x * weights).sum(1) / weights.sum(1))


class TiedLanguageModel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wte = nn.Embedding(12, 6)
        self.mix = nn.Linear(6, 6)
        self.lm_head = nn.Linear(6, 12, bias=False)
        self.lm_head.weight = self.wte.weight

    def get_output_embeddings(self) -> nn.Module:
        return self.lm_head

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.lm_head(torch.tanh(self.mix(self.wte(ids))))


class Reused(nn.Module):
    """One linear layer called three times in a pass."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.Linear(4, 4)
        self.out = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(3):
            x = torch.tanh(self.cell(x))
        return self.out(x)


def images(n_batches: int = 5, size: int = 8, seed: int = 1) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(size, 1, 8, 8, generator=generator) for _ in range(n_batches)]


def vectors(width: int, n_batches: int = 5, size: int = 8, seed: int = 1) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(size, width, generator=generator) for _ in range(n_batches)]


def count_bars(cloud: torch.Tensor) -> int:
    """H1 bars of a cloud, by ripser.py."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of clouds with more columns than rows
        return len(ripser(cloud.float().numpy(), maxdim=1)["dgms"][1])


def bars(cloud: torch.Tensor) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(ripser(cloud.float().numpy(), maxdim=1)["dgms"][1])


def bytes_of(tensor: torch.Tensor) -> bytes:
    values = tensor.detach()
    return (values.float() if values.dtype == torch.bfloat16 else values.clone()).numpy().tobytes()


def state_of(model: nn.Module) -> dict[str, Any]:
    """Everything about a model and the random generators that scoring could change, as comparable values."""
    return {
        "parameters": {n: (id(p), p._version, bytes_of(p)) for n, p in model.named_parameters()},
        "buffers": {n: (id(b), bytes_of(b)) for n, b in model.named_buffers()},
        "gradients": {n: None if p.grad is None else id(p.grad) for n, p in model.named_parameters()},
        "requires_grad": {n: p.requires_grad for n, p in model.named_parameters()},
        "training": {n: m.training for n, m in model.named_modules()},
        "attributes": {n: set(vars(m)) for n, m in model.named_modules()},
        "hooks": {
            n: [
                len(hooks)
                for hooks in (m._forward_hooks, m._forward_pre_hooks, m._backward_hooks, m._forward_hooks_with_kwargs)
            ]
            for n, m in model.named_modules()
        },
        "torch random": torch.get_rng_state().numpy().tobytes(),
        "numpy random": np.random.get_state()[1].tobytes() + bytes([np.random.get_state()[2] % 256]),  # noqa: NPY002
        "python random": random.getstate(),
        "grad mode": torch.is_grad_enabled(),
        "fused transformers": torch.backends.mha.get_fastpath_enabled(),
    }
