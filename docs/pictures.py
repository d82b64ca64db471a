"""The pictures of docs/method.md, each drawn from what the package computes: `python docs/pictures.py [FOLDER]`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure

from adabet_fast import h1, pairwise_distances

BLUE, RED, GOLD, GREY, DARK = "#1f6f8b", "#d1495b", "#edae49", "#b8bec4", "#4a4f54"


def noisy_circle(n: int = 60) -> Any:
    """Points near the unit circle."""
    rng = np.random.default_rng(0)
    angles = rng.uniform(0, 2 * np.pi, n)
    return np.column_stack([np.cos(angles), np.sin(angles)]) + rng.normal(0, 0.08, (n, 2))


def shortest_path(distances: Any, start: int, end: int, below: float) -> list[int]:
    """The shortest path whose edges are all shorter than `below` (Dijkstra)."""
    n = len(distances)
    length = np.full(n, np.inf)
    before = np.full(n, -1)
    length[start] = 0
    waiting = set(range(n))
    while waiting:
        here = min(waiting, key=lambda v: length[v])
        waiting.remove(here)
        for there in waiting:
            step = distances[here, there]
            if step < below and length[here] + step < length[there]:
                length[there], before[there] = length[here] + step, here
    path = [end]
    while path[-1] != start:
        path.append(int(before[path[-1]]))
    return path


def edges_up_to(distances: Any, scale: float) -> Any:
    """Pairs i < j at most `scale` apart."""
    i, j = np.nonzero(np.triu(distances <= scale, 1))
    return np.column_stack([i, j])


def empty_lune(distances: Any) -> Any:
    """The pairs with no third point nearer to both ends than these are to each other."""
    nearer = np.maximum(distances[:, None, :], distances[None, :, :]).min(
        axis=2,
        initial=np.inf,
        where=~(np.eye(len(distances), dtype=bool)[:, None] | np.eye(len(distances), dtype=bool)),
    )
    i, j = np.nonzero(np.triu(distances <= nearer, 1))
    return np.column_stack([i, j])


def segments(ax: Any, points: Any, edges: Any, **style: Any) -> None:
    """Draw edges."""
    ax.add_collection(LineCollection([points[edge] for edge in edges], **style))


def bare(ax: Any, title: str) -> None:
    """A picture of points needs no axes."""
    ax.set_aspect("equal")
    ax.set_axis_off()
    ax.set_title(title, fontsize=10)


def filtration() -> Figure:
    """A noisy circle at four scales, two of them the birth and the death of its longest bar."""
    points = noisy_circle()
    distances = pairwise_distances(points)
    bars = h1(points)
    birth, death = bars.intervals[int(np.argmax(bars.persistence))]
    figure = Figure(figsize=(10, 3.1), layout="constrained")
    for ax, scale, what in zip(
        figure.subplots(1, 4),
        (birth / 2, birth, (birth + death) / 2, death),
        ("before", "birth", "while it lives", "death"),
        strict=True,
    ):
        near = distances <= scale
        triangles = [
            points[[i, j, k]]
            for i, j in edges_up_to(distances, scale)
            for k in range(j + 1, len(points))
            if near[i, k] and near[j, k]
        ]
        filled = PolyCollection(triangles, facecolor="#fbe7bd", linewidth=0, rasterized=True, zorder=0)
        ax.add_collection(filled)
        segments(ax, points, edges_up_to(distances, scale), color=GREY, linewidth=0.3, zorder=1)
        ax.scatter(*points.T, s=9, color=BLUE, zorder=2)
        loops = bars.betti(scale)
        bare(ax, f"{what}: {scale:.2f}\n{loops} loop{'' if loops == 1 else 's'}")
    return figure


def loop() -> Figure:
    """The loop that the birth edge of the longest bar closes, and the edge that fills it."""
    points = noisy_circle()
    bars = h1(points)
    longest = int(np.argmax(bars.persistence))
    i, j = bars.birth_edges[longest]
    birth, death = bars.intervals[longest]
    path = shortest_path(pairwise_distances(points), i, j, birth)
    figure = Figure(figsize=(9, 4), layout=None)
    ax, right = figure.subplots(1, 2, gridspec_kw={"left": 0.02, "right": 0.97, "bottom": 0.13, "top": 0.92})
    ax.scatter(*points.T, s=14, color=GREY, zorder=1)
    ax.plot(*points[path].T, color=BLUE, linewidth=1.6, marker="o", markersize=3, label="shorter edges")
    ax.plot(*points[[i, j]].T, color=RED, linewidth=3, label=f"birth edge, {birth:.2f}", zorder=3)
    ax.plot(
        *points[bars.death_edges[longest]].T, color=GOLD, linewidth=2, linestyle="--", label=f"death edge, {death:.2f}"
    )
    ax.legend(loc="center", frameon=True, framealpha=0.85, edgecolor="none", fontsize=9)
    bare(ax, "the loop of the longest bar")
    bars.plot(kind="barcode", ax=right)
    right.set_title(f"its barcode: {len(bars)} bars", fontsize=10)
    return figure


def lens(a: Any, b: Any) -> Any:
    """The outline of all that is nearer to both ends than these are to each other: two arcs of a third of a turn."""
    towards = np.arctan2(*(b - a)[::-1])
    arc = np.linspace(-np.pi / 3, np.pi / 3, 60)[:, None]
    turned = [np.hstack([np.cos(arc + angle), np.sin(arc + angle)]) for angle in (towards, towards + np.pi)]
    return np.vstack([a + np.hypot(*(b - a)) * turned[0], b + np.hypot(*(b - a)) * turned[1]])


def lune() -> Figure:
    """Two pairs of points with their lunes, one empty; and the relative neighbourhood graph with the births on it."""
    points = np.random.default_rng(5).random((24, 2)) * (1.3, 1)
    distances = pairwise_distances(points)
    graph = empty_lune(distances)
    bars = h1(points)
    inside = {tuple(edge) for edge in graph.tolist()}
    closing = max(inside, key=lambda e: distances[e])
    # A pair near in length, with points in its lune.
    pairs = [
        (i, j) for i, j in edges_up_to(distances, np.inf).tolist() if (i, j) not in inside and closing[0] not in (i, j)
    ]
    other = min(pairs, key=lambda e: abs(distances[e] - 1.2 * distances[closing]))

    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.scatter(*points.T, s=16, color=GREY, zorder=2)
    for (i, j), colour in ((closing, BLUE), (other, RED)):
        radius = distances[i, j]
        left.fill(*lens(points[i], points[j]).T, color=colour, alpha=0.16, linewidth=0)
        left.plot(*points[[i, j]].T, color=colour, linewidth=2)
        between = np.flatnonzero((distances[i] < radius) & (distances[j] < radius))
        between = between[(between != i) & (between != j)]
        left.scatter(*points[between].T, s=26, color=colour, zorder=3)
    bare(left, "an empty lune (blue); one with points in it (red)")

    segments(right, points, graph, color=GREY, linewidth=1.4, zorder=1)
    segments(right, points, bars.birth_edges, color=RED, linewidth=2.4, zorder=2)
    right.scatter(*points.T, s=16, color=DARK, zorder=3)
    edges = len(points) * (len(points) - 1) // 2
    bare(right, f"{len(graph)} of {edges} edges have an empty lune; {len(bars)} are births (red)")
    return figure


def betti() -> Figure:
    """The Betti number of the noisy circle by scale."""
    points = noisy_circle()
    bars = h1(points)
    scales = np.linspace(0, 1.05 * float(bars.deaths.max()), 400)
    figure = Figure(figsize=(9, 2.8), layout="constrained")
    ax = figure.subplots()
    ax.step(scales, bars.betti(scales), where="post", color=BLUE, linewidth=1.6)
    ax.set_xlabel("scale")
    ax.set_ylabel("loops at that scale")
    ax.set_title(
        f"the Betti number changes with the scale; AdaBet's count is one number, here {len(bars)}", fontsize=10
    )
    ax.spines[["right", "top"]].set_visible(False)
    return figure


PICTURES = {"filtration": filtration, "loop": loop, "lune": lune, "betti": betti}


def draw_all(folder: Path) -> list[Path]:
    """Write each as an SVG, the same bytes each time."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with mpl.rc_context({"svg.hashsalt": "adabet_fast", "svg.fonttype": "path"}):
        for name, make in PICTURES.items():
            written.append(folder / f"{name}.svg")
            make().savefig(written[-1], dpi=150, metadata={"Date": None}, facecolor="white")
    return written


if __name__ == "__main__":
    draw_all(Path(sys.argv[1] if len(sys.argv) > 1 else "pictures"))
