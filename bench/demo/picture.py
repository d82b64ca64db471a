"""The picture of the scores: b1, |a| and b1/|a| of every layer, in the network's order, the chosen ones in colour."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from .figures import LayerRow, Preparation
from .report import describe

CHOSEN = "#d1495b"
OTHER = "#9fb3c8"
INK = "#22303c"
FAINT = "#6b7a88"


def draw(known: Preparation, path: Path) -> None:
    """Write the picture to `path` as PNG."""
    rows = known.layers
    figure = Figure(figsize=(11, 0.27 * len(rows) + 2.1), dpi=150, layout="constrained")
    left, middle, right = figure.subplots(1, 3, sharey=True, width_ratios=[1, 1, 1.6])
    _bars(left, rows, [row.b1 for row in rows], [str(row.b1) for row in rows])
    _bars(middle, rows, [row.activations for row in rows], [f"{row.activations:,}" for row in rows])
    _bars(right, rows, [1000 * row.score for row in rows], [f"{1000 * row.score:.2f}  (#{row.rank})" for row in rows])
    left.set_title("b1: loops in the activations", **_title())
    middle.set_title("|a|: activations of one image", **_title())
    right.set_title("score: 1000 × b1/|a|  (rank)", **_title())
    left.set_yticks(range(len(rows)), [row.name for row in rows], fontsize=8)
    left.set_ylim(len(rows) - 0.4, -0.6)  # the input on top
    for label, row in zip(left.get_yticklabels(), rows, strict=True):
        label.set_color(CHOSEN if row.chosen else INK)
        label.set_fontweight("bold" if row.chosen else "normal")
    figure.suptitle(
        f"AdaBet's choice: {len(known.chosen)} of {len(rows)} layers, from {describe(known.settings)}",
        fontsize=12,
        color=INK,
        fontweight="bold",
    )
    figure.legend(
        handles=[Patch(color=CHOSEN, label="chosen"), Patch(color=OTHER, label="frozen")],
        loc="outside lower right",
        ncols=2,
        frameon=False,
        fontsize=8,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, format="png", metadata={"Software": None})


def _title() -> dict[str, object]:
    return {"fontsize": 9, "color": INK, "loc": "left"}


def _bars(axes: Axes, rows: Sequence[LayerRow], values: Sequence[float], labels: Sequence[str]) -> None:
    bars = axes.barh(range(len(rows)), values, color=[CHOSEN if row.chosen else OTHER for row in rows], height=0.72)
    axes.bar_label(bars, labels, padding=3, fontsize=7, color=FAINT)
    axes.set_xlim(0, max(*values, 1e-9) * 1.28)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(OTHER)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=7, colors=FAINT)
    axes.grid(axis="x", color="#e6ebf0", linewidth=0.8)
    axes.set_axisbelow(True)
