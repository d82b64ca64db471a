"""Pictures of barcodes, and of loops among their points. matplotlib is imported when the first one is drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from adabet_fast._inputs import as_array
from adabet_fast._options import check_length
from adabet_fast.errors import BackendUnavailableError, InvalidInputError

if TYPE_CHECKING:
    from adabet_fast.barcode import Barcode

MATPLOTLIB_INSTALL = "pip install matplotlib"
KINDS = ("both", "barcode", "diagram")

_BARS, _QUIET, _RULE = "#1f6f8b", "#b8bec4", "#8a8f94"
_LOOPS = ("#d1495b", "#1f6f8b", "#edae49", "#5b8e55", "#6a4c93", "#8d6346")  # told apart without red and green alone


def import_pyplot() -> Any:
    """The module `matplotlib.pyplot`."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise BackendUnavailableError(
            f"pictures are drawn by matplotlib, which cannot be imported ({error}): {MATPLOTLIB_INSTALL}"
        ) from error
    return plt


def plot_barcode(bars: Barcode, *, kind: str = "both", min_persistence: float = 0.0, ax: Any = None) -> Any:
    """Draw a barcode; see `Barcode.plot`."""
    if kind not in KINDS:
        raise InvalidInputError(f"kind is {kind!r}, expected one of {', '.join(map(repr, KINDS))}")
    least = check_length(min_persistence, "min_persistence")
    intervals = bars.intervals[bars.persistence > least].astype(np.float64)
    plt = import_pyplot()
    if kind != "both":
        if ax is None:
            _, ax = plt.subplots(figsize=(5.2, 4.4), layout="constrained")
        (_draw_bars if kind == "barcode" else _draw_diagram)(ax, intervals)
        return ax
    if ax is None:
        _, ax = plt.subplots(1, 2, figsize=(10, 4.4), layout="compressed", width_ratios=(1.3, 1))
    pair = np.ravel(ax)
    if len(pair) != 2:
        raise InvalidInputError(f"ax holds {len(pair)} axes, expected two for kind='both', or kind='barcode'")
    _draw_bars(pair[0], intervals)
    _draw_diagram(pair[1], intervals)
    return pair


def _draw_bars(ax: Any, intervals: NDArray[np.float64]) -> None:
    from matplotlib.collections import LineCollection

    order = np.lexsort((intervals[:, 1], intervals[:, 0]))
    low, high = _range(intervals)
    beyond = high + 0.06 * (high - low)
    ends = np.where(np.isinf(intervals[order, 1]), beyond, intervals[order, 1])
    heights = np.arange(len(order), dtype=np.float64)
    segments = np.stack([np.stack([intervals[order, 0], heights], 1), np.stack([ends, heights], 1)], axis=1)
    width = min(6.0, max(0.6, 200 / max(1, len(order))))
    lines = LineCollection(list(segments), colors=_BARS, linewidths=width)
    lines.set_capstyle("butt")
    ax.add_collection(lines)
    # A mark at each birth, so that bars shorter than a pixel are seen.
    ax.plot(intervals[order, 0], heights, "|", color=_BARS, markersize=width, markeredgewidth=0.8)
    endless = np.isinf(intervals[order, 1])
    if endless.any():  # an empty artist that is not clipped would upset a layout engine
        ax.plot(np.full(endless.sum(), beyond), heights[endless], ">", color=_BARS, markersize=6, clip_on=False)
    ax.set_xlim(low, beyond if endless.any() else high + 0.03 * (high - low))
    ax.set_ylim(-1, max(1, len(order)))
    ax.set_yticks([])
    ax.set_xlabel("scale")
    ax.set_title(f"H1 barcode, {_count(len(order))}")
    for side in ("left", "right", "top"):
        ax.spines[side].set_visible(False)


def _draw_diagram(ax: Any, intervals: NDArray[np.float64]) -> None:
    from matplotlib.ticker import MaxNLocator

    low, high = _range(intervals)
    top = high + 0.1 * (high - low)
    ax.plot([low, top], [low, top], color=_RULE, linewidth=1)
    ax.fill_between([low, top], [low, top], low, color=_QUIET, alpha=0.18, linewidth=0)
    finite = np.isfinite(intervals[:, 1])
    size = min(30.0, max(6.0, 2000 / max(1, len(intervals))))
    ax.scatter(*intervals[finite].T, s=size, color=_BARS, alpha=0.75, linewidths=0, zorder=3)
    if not finite.all():
        ceiling = high + 0.06 * (high - low)
        ax.axhline(ceiling, color=_RULE, linewidth=1, linestyle=(0, (4, 3)))
        ax.annotate("∞", (low, ceiling), xytext=(3, 2), textcoords="offset points", color=_RULE)
        ax.scatter(intervals[~finite, 0], np.full((~finite).sum(), ceiling), s=size, color=_BARS, marker="^", zorder=3)
    ax.set_xlim(low, top)
    ax.set_ylim(low, top)
    ax.set_aspect("equal")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(6))
    ax.set_xlabel("birth")
    ax.set_ylabel("death")
    ax.set_title("persistence diagram")
    for side in ("right", "top"):
        ax.spines[side].set_visible(False)


def _range(intervals: NDArray[np.float64]) -> tuple[float, float]:
    """From 0 to the largest finite end, as distances are read."""
    finite = intervals[np.isfinite(intervals)]
    return 0.0, float(finite.max(initial=0.0)) or 1.0


def plot_representatives(bars: Barcode, points: Any, *, top: int = 3, ax: Any = None) -> Any:
    """Draw loops among their points; see `Barcode.plot_representatives`."""
    loops: Sequence[Sequence[NDArray[np.int64]]] | None = getattr(bars, "representatives", None)
    if loops is None:
        raise InvalidInputError("the barcode has no representatives: compute it with h1(x, representatives=True)")
    coordinates = np.asarray(as_array(points, "points"), dtype=np.float64)
    if coordinates.ndim != 2 or coordinates.shape[1] not in (2, 3) or len(coordinates) != bars.n:
        raise InvalidInputError(
            f"points has shape {coordinates.shape}, expected ({bars.n}, 2) or ({bars.n}, 3): a picture has two "
            "axes or three; for other clouds pass a projection of the same points"
        )
    if isinstance(top, bool) or not isinstance(top, (int, np.integer)) or top < 1:
        raise InvalidInputError(f"top is {top!r}, expected a positive integer")
    plt = import_pyplot()
    solid = coordinates.shape[1] == 3
    if ax is None:
        # A box in space leaves room around it by itself; a plane one has its legend beside it.
        figure = plt.figure(figsize=(6.4, 4.8), layout="tight" if solid else "compressed")
        ax = figure.add_subplot(projection="3d" if solid else None)
    elif solid != (getattr(ax, "name", "") == "3d"):
        raise InvalidInputError(f"points has {coordinates.shape[1]} coordinates, but ax is not of that dimension")
    ax.scatter(*coordinates.T, s=14, color=_QUIET, linewidths=0, zorder=1)
    lengths = bars.persistence
    shown = sorted(range(len(bars)), key=lambda bar: (-float(lengths[bar]), bar))[: int(top)]
    for colour, bar in zip(_cycled(len(shown)), shown, strict=True):
        birth, death = bars.intervals[bar]
        end = "∞" if math.isinf(death) else f"{death:.3g}"
        label: str | None = f"[{birth:.3g}, {end})"
        for loop in loops[bar]:
            closed = coordinates[np.append(loop, loop[:1])]
            ax.plot(*closed.T, color=colour, linewidth=2, marker="o", markersize=3, label=label, zorder=3)
            label = None  # one entry a bar
    if solid:
        from matplotlib.ticker import MaxNLocator

        ax.set_box_aspect(np.ptp(coordinates, axis=0).clip(1e-12), zoom=1.1)
        for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
            axis.set_major_locator(MaxNLocator(4))
    else:
        ax.set_aspect("equal")
    ax.set_title(f"loops of the {_count(len(shown), 'longest bar')}" if shown else "no bars, no loops")
    if shown:
        beside = {} if solid else {"bbox_to_anchor": (1.0, 1.0)}
        ax.legend(title="birth, death", frameon=False, loc="upper right" if solid else "upper left", **beside)
    return ax


def _cycled(count: int) -> list[str]:
    return [_LOOPS[i % len(_LOOPS)] for i in range(count)]


def _count(count: int, what: str = "bar") -> str:
    return f"{what}" if count == 1 and what != "bar" else f"{count} {what}{'' if count == 1 else 's'}"
