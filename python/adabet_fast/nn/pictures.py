"""Scores of layers as a table, for terminals, notebooks and rich, and as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn.layers import label
from adabet_fast.nn.table import as_html, format_table
from adabet_fast.plotting import import_pyplot

if TYPE_CHECKING:
    from adabet_fast.nn.layer_score import LayerScore
    from adabet_fast.nn.scores import LayerScores

_CHOSEN, _ALWAYS, _REST, _RULE = "#d1495b", "#edae49", "#8fa3ad", "#dfe3e6"
_LOGARITHMIC = 30.0
"""Scores whose largest is more than this many times the smallest are drawn on a logarithmic axis."""


@dataclass(frozen=True)
class Table:
    """Cells with their columns' names; ``sides`` has ``<`` or ``>`` for each column, ``marks`` a word for each row."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    sides: str
    marks: Sequence[str]

    def text(self) -> str:
        """As lines of text."""
        return format_table(self.columns, self.rows, self.sides)

    def html(self) -> str:
        """As an HTML table; marked rows are bold."""
        head = "".join(self._cell("th", name, side) for name, side in zip(self.columns, self.sides, strict=True))
        body = []
        for row, mark in zip(self.rows, self.marks, strict=True):
            cells = "".join(self._cell("td", cell, side) for cell, side in zip(row, self.sides, strict=True))
            body.append(f'<tr style="font-weight: bold">{cells}</tr>' if mark else f"<tr>{cells}</tr>")
        return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"

    @staticmethod
    def _cell(kind: str, text: str, side: str) -> str:
        align = "left" if side == "<" else "right"
        return f'<{kind} style="text-align: {align}">{escape(text)}</{kind}>'

    def rich(self) -> Any:
        """As a table of rich, which has asked for it; marked rows are bold."""
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable()
        for name, side in zip(self.columns, self.sides, strict=True):
            table.add_column(Text(name), justify="left" if side == "<" else "right")
        for row, mark in zip(self.rows, self.marks, strict=True):
            table.add_row(*map(Text, row), style="bold" if mark else None)
        return table


def table_of(scores: LayerScores, marks: Mapping[str, str]) -> Table:
    """Lay scores out in the order of the network, with what is said of some layers; empty last columns are left out."""
    header = ["layer", "type", "parameters", "b1", "|a|", "score", "rank"]
    rows = [_row(layer, marks.get(layer.name, "")) for layer in scores]
    columns, sides = [*header, "chosen", "remarks"], "<<>>>>><<"
    keep = [i for i in range(len(columns)) if i < len(header) or any(row[i] for row in rows)]
    return Table(
        [columns[i] for i in keep],
        [[row[i] for i in keep] for row in rows],
        "".join(sides[i] for i in keep),
        [marks.get(layer.name, "") for layer in scores],
    )


def _row(layer: LayerScore, mark: str) -> list[str]:
    remark = "; ".join(filter(None, ["" if layer.status == "scored" else layer.status, layer.note]))
    score = "" if layer.score is None else f"{layer.score:.4g}"
    numbers = [_number(layer.b1), _number(layer.size), score, _number(layer.rank)]
    return [label(layer.name), layer.type, f"{layer.n_parameters:,}", *numbers, mark, remark]


def _number(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


class Shown:
    """What scores and selections have in common: they are seen as a table, or drawn."""

    def _marked(self) -> tuple[LayerScores, Mapping[str, str]]:
        """The scores, and a word about each chosen layer: ``"yes"`` or ``"always"``."""
        raise NotImplementedError

    def _said(self) -> str:
        """What stands below the table."""
        return str(self).partition("\n\n")[2]

    def _repr_html_(self) -> str:
        return table_of(*self._marked()).html() + as_html(self._said())

    def __rich__(self) -> Any:
        from rich.console import Group
        from rich.text import Text

        return Group(table_of(*self._marked()).rich(), Text(self._said()))

    def plot(self, *, ax: Any = None) -> Any:
        """Draw the score of each layer in the order of the network, with matplotlib.

        Beside each stands what it was made of, b1 and the activations of a sample. Chosen layers are coloured. Layers
        without a score are left out. The axis is logarithmic where scores differ much; a score of zero is then a
        hollow point at its end.

        Parameters
        ----------
        ax
            Matplotlib axes to draw on; a new figure if None.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        BackendUnavailableError
            Where matplotlib is not installed.
        InvalidInputError
            Where no layer has a score.
        """
        return plot_scores(*self._marked(), ax=ax)


def plot_scores(scores: LayerScores, marks: Mapping[str, str], *, ax: Any = None) -> Any:
    """Draw scores; see :meth:`Shown.plot`."""
    scored = [(layer, layer.score) for layer in scores if layer.score is not None]
    if not scored:
        raise InvalidInputError("no layer has a score, so there is nothing to draw")
    plt = import_pyplot()
    if ax is None:
        height = min(40.0, 1.2 + 0.24 * len(scored))
        _, ax = plt.subplots(figsize=(7.5, max(2.4, height)), layout="constrained")
    values = [score for _, score in scored]
    logarithmic = min(values) >= 0 and max(values) > _LOGARITHMIC * min(filter(None, values), default=1.0)
    least = min((value for value in values if value > 0), default=1.0)
    left = least / 2 if logarithmic else min(0.0, *values)
    for colour, mark, meaning in ((_REST, "", None), (_CHOSEN, "yes", "chosen"), (_ALWAYS, "always", "always trained")):
        rows = [i for i, (layer, _) in enumerate(scored) if marks.get(layer.name, "") == mark]
        ends = [max(left, values[i]) for i in rows]
        ax.hlines(rows, left, ends, color=colour, linewidth=2, zorder=2)
        hollow = [logarithmic and values[i] == 0 for i in rows]
        faces = ["white" if empty else colour for empty in hollow]
        ax.scatter(
            ends, rows, s=34, color=faces, edgecolors=colour, zorder=3, clip_on=False, label=meaning if rows else None
        )
    for i, (layer, value) in enumerate(scored):
        what = "" if layer.b1 is None or layer.size is None else f"{layer.b1:,} / {layer.size:,}"
        ax.annotate(
            what,
            (max(left, value), i),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color="#555",
        )
    if logarithmic:
        ax.set_xscale("log")
    right = max(values) if max(values) > left else left + 1.0
    # Room for the words beside the longest line.
    ax.set_xlim(left, right * (right / left) ** 0.15 if logarithmic else right + 0.15 * (right - left))
    ax.set_yticks(range(len(scored)), [label(layer.name) for layer, _ in scored], fontsize=8)
    ax.set_ylim(len(scored) - 0.4, -0.6)
    ax.grid(axis="x", color=_RULE, zorder=0)
    ax.set_axisbelow(True)
    ax.set_xlabel(f"score {scores.settings.score!r}; beside it b1 / activations of a sample")
    left_out = len(scores) - len(scored)
    ax.set_title(f"{len(scored)} layers" + (f", {left_out} more without a score" if left_out else ""), fontsize=10)
    if any(marks.get(layer.name) for layer, _ in scored):
        ax.legend(frameon=False, fontsize=8, loc="best")
    for side in ("right", "top", "left"):
        ax.spines[side].set_visible(False)
    ax.tick_params(axis="y", length=0)
    return ax
