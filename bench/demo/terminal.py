"""Plain text that is pleasant to read: headings, wrapped paragraphs, aligned tables, bold where a terminal shows it."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Sequence

WIDTH = 98
INDENT = "   "


def styled() -> bool:
    """Whether standard output is a terminal that shows bold type, and the user has not asked for none (NO_COLOR)."""
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def bold(text: str) -> str:
    return f"\033[1m{text}\033[0m" if styled() else text


def heading(number: int, text: str) -> str:
    return "\n" + bold(f"{number}  {text}")


def paragraph(text: str, *, bullet: str = "") -> str:
    """Wrap `text` to the page, indented under its heading, hanging from `bullet` if there is one."""
    first = INDENT + bullet
    joined = " ".join(text.split()).replace(" %", "\N{NO-BREAK SPACE}%")  # a figure and its sign stay on one line
    filled = textwrap.fill(joined, WIDTH, initial_indent=first, subsequent_indent=" " * len(first))
    return filled.replace("\N{NO-BREAK SPACE}", " ")


def legend(pairs: Sequence[tuple[str, str]]) -> str:
    """A column's name and what it means, one below the other."""
    width = max(len(name) for name, _ in pairs)
    lines = []
    for name, meaning in pairs:
        lead = f"{INDENT}{name.ljust(width)}  "
        lines.append(textwrap.fill(meaning, WIDTH, initial_indent=lead, subsequent_indent=" " * len(lead)))
    return "\n".join(lines)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, align: str, strong: Sequence[int] = ()) -> str:
    """Set `rows` under `header`; `align` has "<" or ">" for each column, the rows in `strong` are bold."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        return INDENT + "  ".join(f"{c:{a}{w}}" for c, a, w in zip(cells, align, widths, strict=True)).rstrip()

    rule = INDENT + "-" * (sum(widths) + 2 * (len(widths) - 1))
    body = [bold(line(row)) if i in strong else line(row) for i, row in enumerate(rows)]
    return "\n".join([line(header), rule, *body])


class Status:
    """One line that says what runs now and goes away again; nothing where output is not a terminal."""

    def __init__(self) -> None:
        self._on = sys.stderr.isatty()

    def show(self, text: str) -> None:
        if self._on:
            print(f"\r{INDENT}{text}\033[K", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self._on:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
