"""Train an autoencoder whose two-dimensional code is told how many loops to have.

    python examples/topological_regulariser.py               # loops: none, one; beside training without the term
    python examples/topological_regulariser.py --steps 50    # a quick look

The data are 64 points in ten dimensions. Each training step asks `adabet_fast.nn.h1` for the bars of the code, a
(k, 2) tensor that carries gradients to the points, and adds to the reconstruction error what the bars lack: for one
loop, that the longest bar is as long as the code is wide, and no other has any length; for none, that no bar has.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass

import torch
from torch import nn

from adabet_fast.nn import h1


@dataclass(frozen=True)
class Outcome:
    """What training came to: each step's loss, and the lengths of the code's bars at the end, longest first."""

    losses: list[float]
    reconstruction: float
    lengths: list[float]
    code: torch.Tensor

    @property
    def n_loops(self) -> int:
        """Bars longer than half the spread of the code: loops that one sees."""
        return sum(length > 0.5 for length in self.lengths)


def blob(n: int = 64) -> torch.Tensor:
    """Draw points without a loop: a gaussian in ten dimensions of unequal widths."""
    return torch.randn(n, 10) * torch.tensor([1.0, 0.9, 0.3] + [0.1] * 7)


def ring(n: int = 64) -> torch.Tensor:
    """Draw points of a loop: a noisy circle in ten dimensions."""
    angles = torch.rand(n) * 2 * math.pi
    points = torch.zeros(n, 10)
    points[:, 0], points[:, 1], points[:, 2] = angles.cos(), angles.sin(), 0.3 * (2 * angles).cos()
    return points + 0.05 * torch.randn(n, 10)


def topological_loss(code: torch.Tensor, n_loops: int) -> torch.Tensor:
    """What the bars of a code lack of `n_loops` long ones and none besides, in units of its spread."""
    lengths = bar_lengths(code)
    wanted, rest = lengths[:n_loops], lengths[n_loops:]
    return (1.0 - wanted).relu().square().sum() + (n_loops - len(wanted)) + rest.square().sum()


def bar_lengths(code: torch.Tensor) -> torch.Tensor:
    """Lengths of the bars, longest first, over the root mean square distance from the centre."""
    spread = (code - code.mean(0)).square().sum(1).mean().sqrt()
    bars = h1(code / spread)
    return (bars[:, 1] - bars[:, 0]).sort(descending=True).values


def train(data: torch.Tensor, n_loops: int | None, *, weight: float = 1.0, steps: int = 300, seed: int = 0) -> Outcome:
    """Train an autoencoder on `data` with a code of `n_loops` loops, or without that term."""
    torch.manual_seed(seed)
    encoder = nn.Sequential(nn.Linear(data.shape[1], 64), nn.Tanh(), nn.Linear(64, 2))
    decoder = nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, data.shape[1]))
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=5e-3)
    losses = []
    for _ in range(steps):
        code = encoder(data)
        loss = nn.functional.mse_loss(decoder(code), data)
        if n_loops is not None:
            loss = loss + weight * topological_loss(code, n_loops)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        code = encoder(data)
        reconstruction = nn.functional.mse_loss(decoder(code), data).item()
        return Outcome(losses, reconstruction, bar_lengths(code).tolist(), code)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300, help="steps of each training (default: 300)")
    parser.add_argument("--weight", type=float, default=1.0, help="weight of the topological term (default: 1)")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    print("data  loops wanted  first loss  last loss  reconstruction  longest bars over the spread")
    for name, data in (("blob", blob()), ("ring", ring())):
        for wanted in (None, 0, 1):
            outcome = train(data, wanted, weight=arguments.weight, steps=arguments.steps)
            longest = ", ".join(f"{length:.2f}" for length in outcome.lengths[:3]) or "none"
            asked = "not asked" if wanted is None else str(wanted)
            print(
                f"{name}  {asked:>12}  {outcome.losses[0]:10.3f}  {outcome.losses[-1]:9.3f}  "
                f"{outcome.reconstruction:14.4f}  {longest}"
            )


if __name__ == "__main__":
    main()
