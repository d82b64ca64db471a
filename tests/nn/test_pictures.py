"""Scores and selections in notebooks, in rich, and as pictures."""

from __future__ import annotations

import dataclasses
import html.parser
import io
from collections.abc import Iterator

import matplotlib as mpl
import pytest
import rich.console
import torch
from torch import nn

mpl.use("agg")
import matplotlib.pyplot as plt

from adabet_fast import InvalidInputError, LayerScores, score_layers


@pytest.fixture(scope="module")
def scores() -> LayerScores:
    torch.manual_seed(0)
    names = ["first", "squash", "wide<b>", "squash2", "unused", "head"]
    modules = [nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Identity(), nn.Linear(16, 3)]
    network = nn.Sequential()
    for name, module in zip(names, modules, strict=True):
        network.add_module(name, module)
    network.unused.never_called = nn.Linear(2, 2)
    return score_layers(network, [torch.randn(8, 4) for _ in range(5)])


@pytest.fixture(autouse=True)
def no_figures_are_left() -> Iterator[None]:
    yield
    plt.close("all")


class Cells(html.parser.HTMLParser):
    """The cells of a table, row by row, whether a row is bold, and tags in the order they open and close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.bold: list[bool] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
            self.bold.append("bold" in str(dict(attributes).get("style", "")))
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def test_a_table_in_notebooks(scores: LayerScores) -> None:
    selection = scores.select(0.5)
    for shown, marks in ((scores, {}), (selection, {"head": "always", selection.layers[0]: "yes"})):
        cells = Cells(shown._repr_html_())
        assert cells.open == []
        header, *rows = cells.rows
        assert header[:7] == ["layer", "type", "parameters", "b1", "|a|", "score", "rank"]
        assert [row[0] for row in rows] == [layer.name for layer in scores]
        for row, bold, layer in zip(rows, cells.bold[1:], scores, strict=True):
            assert row[3] == ("" if layer.b1 is None else str(layer.b1))
            assert bold == (layer.name in marks)
            if marks:
                assert row[header.index("chosen")] == marks.get(layer.name, "")
    assert "wide<b>" not in shown._repr_html_()  # escaped
    assert "trainable params" in selection._repr_html_()


def test_the_same_cells_as_in_text(scores: LayerScores) -> None:
    lines = str(scores.select(0.5)).splitlines()
    for row, line in zip(Cells(scores.select(0.5)._repr_html_()).rows[1:], lines[2:], strict=False):
        assert " ".join(" ".join(row).split()) == " ".join(line.split())


def test_rich_shows_a_table(scores: LayerScores) -> None:
    console = rich.console.Console(file=io.StringIO(), width=140)
    console.print(scores)
    console.print(scores.select(0.5))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "│ head" in text
    assert "│ wide<b>" in text
    assert "trainable params" in text


def test_a_picture_of_scores(scores: LayerScores) -> None:
    ax = scores.plot()
    scored = [layer for layer in scores if layer.score is not None]
    assert [text.get_text() for text in ax.get_yticklabels()] == [layer.name for layer in scored]
    assert ax.yaxis_inverted()  # the first layer on top
    points = ax.collections[1].get_offsets()
    assert points[:, 0].tolist() == pytest.approx([layer.score for layer in scored])
    assert [text.get_text() for text in ax.texts] == [f"{layer.b1} / {layer.size}" for layer in scored]
    assert ax.get_title() == f"{len(scored)} layers, 1 more without a score"
    assert ax.get_legend() is None
    ax.figure.canvas.draw()


def test_a_picture_of_a_selection(scores: LayerScores) -> None:
    _, given = plt.subplots()
    ax = scores.select(0.5).plot(ax=given)
    assert ax is given
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["chosen", "always trained"]
    ax.figure.canvas.draw()


@pytest.mark.parametrize("values", [(0.001, 1.0, 0.0), (0.0, 0.0, 0.0), (0.0, 5.0, 0.0), (-1.0, 2.0, 0.5)])
def test_scores_of_any_size(values: tuple[float, ...], scores: LayerScores) -> None:
    replaced = iter(values)
    layers = [layer if layer.score is None else dataclasses.replace(layer, score=next(replaced)) for layer in scores]
    ax = dataclasses.replace(scores, layers=tuple(layers)).plot()
    assert ax.get_xscale() == ("log" if values == (0.001, 1.0, 0.0) else "linear")
    left, right = ax.get_xlim()
    assert left < right
    assert all(left <= max(value, left) < right for value in values)
    ax.figure.canvas.draw()


def test_nothing_to_draw(scores: LayerScores) -> None:
    bare = [dataclasses.replace(layer, score=None, rank=None) for layer in scores]
    with pytest.raises(InvalidInputError, match="no layer has a score"):
        dataclasses.replace(scores, layers=tuple(bare)).plot()
