"""Every peer's time on every cloud, on one logarithmic axis."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from bench.peers.store import OURS, seconds

MARKS = {"ripser.py": "s", "GUDHI": "D", "pydory": "v", "giotto-ph": "o"}
COLOURS = {"ripser.py": "#7b6cb0", "GUDHI": "#2f8f6b", "pydory": "#c08a1e", "giotto-ph": "#4a84c4", OURS: "#c8323c"}


def draw(clouds: dict[str, Any], path: Path, order: list[str]) -> None:
    """A row a cloud; hollow marks are lower bounds, settings of one peer share a colour."""
    import matplotlib
    from matplotlib.figure import Figure

    rows = list(clouds)
    figure = Figure(figsize=(9, 1.4 + 0.24 * max(1, len(rows))), layout="constrained")
    axes = figure.subplots()
    named: set[str] = set()
    for y, name in enumerate(rows):
        for who in [*order, OURS]:
            record = clouds[name].get(who)
            if not record or not record["runs"]:
                continue
            taken, bound = seconds(record)
            if not math.isfinite(taken):
                continue
            family = next((family for family in MARKS if who.startswith(family)), OURS)
            axes.plot(
                taken,
                y,
                linestyle="none",
                marker=MARKS.get(family, "*"),
                markersize=9 if family == OURS else 5,
                color=COLOURS[family],
                markerfacecolor="none" if bound or "collapse" in who else COLOURS[family],
                label=None if family in named or bound or "collapse" in who else family,
            )
            if not (bound or "collapse" in who):
                named.add(family)
            if bound:
                axes.annotate(
                    "›", (taken, y), color=COLOURS[family], va="center", xytext=(4, 0), textcoords="offset points"
                )
    axes.set_xscale("log")
    axes.set_yticks(range(len(rows)), rows, fontsize=7)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(axis="both", alpha=0.25, linewidth=0.6)
    axes.set_xlabel("seconds, end to end from points (hollow: stopped ›, or with edge collapse)")
    axes.spines[["top", "right"]].set_visible(False)
    if named:
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(named), frameon=False)
    with matplotlib.rc_context({"svg.hashsalt": "adabet_fast"}):  # the same file from the same figures
        figure.savefig(path, metadata={"Date": None})
