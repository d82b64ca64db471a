"""Plain text tables."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]], right: str) -> str:
    """Lay out a table.

    Parameters
    ----------
    header
        The columns' names.
    rows
        Cells, one a column.
    right
        For each column ``>`` or ``<``: where its cells stand.

    Returns
    -------
    str
        Lines without trailing blanks.

    Examples
    --------
    >>> print(format_table(["layer", "b1"], [["conv1", "7"], ["fc", "12"]], "<>"))
    layer  b1
    -----  --
    conv1   7
    fc     12
    """
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    lines = [header, ["-" * width for width in widths], *rows]
    return "\n".join(
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(line, right, widths, strict=True)).rstrip()
        for line in lines
    )


def as_html(text: str) -> str:
    """Set text for a notebook, every blank in its place.

    >>> as_html("b1 < |a|")
    '<pre style="white-space: pre">b1 &lt; |a|</pre>'
    """
    return f'<pre style="white-space: pre">{escape(text)}</pre>'


def format_bytes(count: int) -> str:
    """Write a number of bytes for people.

    >>> format_bytes(512), format_bytes(1536), format_bytes(3 * 2**30)
    ('512 B', '1.5 KiB', '3.0 GiB')
    """
    size = float(count)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{count} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
