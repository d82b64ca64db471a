"""Pictures of barcodes and loops: what is drawn is what the barcode says."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import matplotlib as mpl
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse.csgraph import dijkstra

mpl.use("agg")
import matplotlib.pyplot as plt

import adabet_fast
from adabet_fast import BackendUnavailableError, Barcode, InvalidInputError, h1


@pytest.fixture(autouse=True)
def no_figures_are_left() -> Iterator[None]:
    yield
    plt.close("all")


def ring(n: int = 60, d: int = 2) -> NDArray[np.float64]:
    r = np.random.default_rng(0)
    angles = r.random(n) * 2 * np.pi
    points = np.zeros((n, d))
    points[:, 0], points[:, 1] = np.cos(angles), np.sin(angles)
    return points + 0.12 * r.standard_normal((n, d))


def with_loops(points: NDArray[np.float64]) -> Barcode:
    """A barcode with a loop for each bar: the birth edge, and the shortest way back along shorter edges."""
    bars = h1(points)
    distances = adabet_fast.pairwise_distances(points)
    loops = []
    for birth, (i, j) in zip(bars.births, bars.birth_edges.tolist(), strict=True):
        graph = np.where(distances < birth, distances, 0)
        previous = dijkstra(graph, indices=i, return_predecessors=True)[1]
        loop = [j]
        while loop[-1] != i:
            loop.append(int(previous[loop[-1]]))
        loops.append([np.array(loop)])
    object.__setattr__(bars, "representatives", loops)
    return bars


def test_both_side_by_side() -> None:
    bars = h1(ring())
    axes = bars.plot()
    assert axes.shape == (2,)
    assert axes[0].get_title() == f"H1 barcode, {len(bars)} bars"
    (lines,) = axes[0].collections
    drawn = np.array([segment[:, 0] for segment in lines.get_segments()])
    assert np.array_equal(drawn.astype(np.float32), bars.intervals)
    points = axes[1].collections[-1].get_offsets()
    assert np.array_equal(np.asarray(points).astype(np.float32), bars.intervals)
    axes[0].figure.canvas.draw()


@pytest.mark.parametrize("kind", ["barcode", "diagram"])
def test_one_on_given_axes(kind: str) -> None:
    figure, ax = plt.subplots()
    assert h1(ring()).plot(kind=kind, ax=ax) is ax
    assert ax.collections
    figure.canvas.draw()
    assert h1(ring()).plot(kind=kind).figure is not figure


def test_given_pair_of_axes() -> None:
    _, pair = plt.subplots(2, 1)
    assert list(h1(ring()).plot(ax=pair)) == list(pair)
    with pytest.raises(InvalidInputError, match="ax holds 1 axes, expected two"):
        h1(ring()).plot(ax=pair[0])


def test_essential_bars_are_marked() -> None:
    bars = h1(ring(), threshold=0.7)
    assert np.isinf(bars.deaths).sum() == 1
    axes = bars.plot()
    assert [line.get_marker() for line in axes[0].lines] == ["|", ">"]
    assert len(axes[0].lines[1].get_xdata()) == 1
    assert [text.get_text() for text in axes[1].texts] == ["∞"]
    axes[0].figure.canvas.draw()


def test_only_long_bars() -> None:
    bars = h1(ring())
    ax = bars.plot(kind="barcode", min_persistence=0.5)
    assert ax.get_title() == f"H1 barcode, {bars.count(0.5)} bar" == "H1 barcode, 1 bar"


@pytest.mark.parametrize("kind", ["both", "barcode", "diagram"])
def test_no_bars(kind: str) -> None:
    axes = h1(np.zeros((5, 2))).plot(kind=kind)
    np.ravel(axes)[0].figure.canvas.draw()


@pytest.mark.parametrize("d", [2, 3])
def test_loops_among_their_points(d: int) -> None:
    points = ring(d=d)
    bars = with_loops(points)
    ax = bars.plot_representatives(points, top=2)
    assert (getattr(ax, "name", "") == "3d") == (d == 3)
    longest = np.argsort(-bars.persistence)[:2]
    assert len(ax.lines) == 2
    for line, bar in zip(ax.lines, longest, strict=True):
        drawn = np.stack(line.get_data_3d() if d == 3 else line.get_data(), axis=1)
        assert np.array_equal(drawn[0], drawn[-1])  # closed
        loop = bars.representatives[bar][0]  # type: ignore[attr-defined, unused-ignore]
        assert np.array_equal(drawn[:-1], points[loop])
    birth, death = bars.intervals[longest[0]]
    assert ax.get_legend().get_texts()[0].get_text() == f"[{birth:.3g}, {death:.3g})"
    ax.figure.canvas.draw()


def test_a_bar_of_two_loops_has_one_name() -> None:
    points = ring()
    bars = h1(points)
    loops = [[np.array([0, 1, 2]), np.array([3, 4, 5, 6])] for _ in range(len(bars))]
    object.__setattr__(bars, "representatives", loops)
    ax = bars.plot_representatives(points, top=1)
    assert len(ax.lines) == 2
    assert len(ax.get_legend().get_texts()) == 1
    assert ax.lines[0].get_color() == ax.lines[1].get_color()


def test_loops_on_given_axes_and_of_no_bars() -> None:
    points = ring()
    figure, ax = plt.subplots()
    assert with_loops(points).plot_representatives(points, ax=ax) is ax
    none = with_loops(np.zeros((4, 2)))
    assert none.plot_representatives(np.zeros((4, 2))).get_title() == "no bars, no loops"
    figure.canvas.draw()


def test_refusals() -> None:
    points = ring()
    bars = h1(points)
    with pytest.raises(InvalidInputError, match="kind is 'pie', expected one of 'both', 'barcode', 'diagram'"):
        bars.plot(kind="pie")
    with pytest.raises(InvalidInputError, match="min_persistence is -1"):
        bars.plot(min_persistence=-1)
    with pytest.raises(InvalidInputError, match=r"compute it with h1\(x, representatives=True\)"):
        bars.plot_representatives(points)
    bars = with_loops(points)
    for wrong in (points[:5], np.zeros((60, 4)), np.zeros(60)):
        with pytest.raises(InvalidInputError, match=r"expected \(60, 2\) or \(60, 3\)"):
            bars.plot_representatives(wrong)
    for top in (0, -1, 1.5, True):
        with pytest.raises(InvalidInputError, match="top is"):
            bars.plot_representatives(points, top=top)  # type: ignore[arg-type]
    _, ax = plt.subplots()
    with pytest.raises(InvalidInputError, match="ax is not of that dimension"):
        bars.plot_representatives(np.zeros((60, 3)), ax=ax)


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    bars = h1(ring())
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(BackendUnavailableError, match=r"drawn by matplotlib, .*: pip install matplotlib"):
        bars.plot()


def test_matplotlib_is_imported_by_the_first_picture() -> None:
    code = (
        "import sys, numpy, adabet_fast, adabet_fast.plotting; bars = adabet_fast.h1(numpy.eye(5))\n"
        "print('matplotlib' in sys.modules); bars.plot(); print('matplotlib' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"MPLBACKEND": "agg"}
    )
    assert done.stdout.split() == ["False", "True"]
