"""A small residual network for 8x8 images: 27 modules with parameters, three resolutions, two strided shortcuts."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

N_CLASSES = 5
WIDTHS = (16, 32, 64)
BLOCKS = (1, 2, 2)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside an identity, or a 1x1 convolution where the shape changes."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential()
        if stride != 1 or in_channels != channels:
            self.shortcut.add_module("conv", nn.Conv2d(in_channels, channels, 1, stride, bias=False))
            self.shortcut.add_module("bn", nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        # Out-of-place on purpose: what a layer put out stays what it put out, for whoever looks at it.
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        shortcut: Tensor = self.shortcut(x)
        return F.relu(y + shortcut)


class DigitResNet(nn.Module):
    """Stem, one block at 8x8, two at 4x4, two at 2x2, average pool, classifier `fc`."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, WIDTHS[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        stages: list[nn.Module] = []
        channels = WIDTHS[0]
        for level, (width, blocks) in enumerate(zip(WIDTHS, BLOCKS, strict=True)):
            stage = nn.Sequential()
            for index in range(blocks):
                stride = 2 if level > 0 and index == 0 else 1
                stage.append(ResidualBlock(channels, width, stride))
                channels = width
            stages.append(stage)
        self.stage1, self.stage2, self.stage3 = stages
        self.fc = nn.Linear(channels, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.stage3(self.stage2(self.stage1(x)))
        logits: Tensor = self.fc(x.mean(dim=(2, 3)))
        return logits


def build(seed: int) -> DigitResNet:
    """Make the network with the initialisation that `seed` gives, leaving the caller's random state alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return DigitResNet()


def replace_head(model: DigitResNet, seed: int) -> None:
    """Give `model` a fresh classifier for the new classes; nothing of the old classes' one is kept."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model.fc = nn.Linear(model.fc.in_features, N_CLASSES)
