"""What commands print: JSON that every reader takes, and bars drawn in text."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WIDTH = 44


def print_json(data: Any) -> None:
    """Print data as JSON; infinite numbers, which JSON does not have, become null."""
    print(json.dumps(plain(data), indent=1, allow_nan=False))


def plain(data: Any) -> Any:
    """Lists, dictionaries and numbers that JSON has.

    >>> plain({"bars": np.array([[1, np.inf]], dtype=np.float32), "n": np.int64(2)})
    {'bars': [[1.0, None]], 'n': 2}
    """
    if isinstance(data, dict):
        return {str(key): plain(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [plain(value) for value in data]
    if isinstance(data, np.ndarray):
        return plain(data.tolist())
    if isinstance(data, np.generic):
        return plain(data.item())
    if isinstance(data, float) and not math.isfinite(data):
        return None
    return data


def longest_first(intervals: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """The bars by falling length; among equal ones the earlier born first."""
    lengths = intervals[:, 1] - intervals[:, 0]
    return intervals[np.lexsort((intervals[:, 0], -lengths))]


def bar_lines(intervals: NDArray[np.floating[Any]], top: int = 0) -> list[str]:
    """A table of the longest bars, each drawn on one axis of scales; `top` 0 for all.

    >>> lines = bar_lines(np.array([[1.0, 2.0], [0.5, np.inf]]))
    >>> [line.split()[:3] for line in lines]
    [['birth', 'death', 'length'], ['0.5', 'inf', 'inf'], ['1', '2', '1']]
    >>> lines[1].endswith(">"), lines[1].count(lines[1][-2]) > lines[2].count(lines[2][-1]) > 10
    (True, True)
    """
    bars = longest_first(intervals)
    shown = bars[:top] if top else bars
    if len(shown) == 0:
        return []
    right = float(bars[np.isfinite(bars)].max()) or 1.0
    stroke = "━" if _can_encode("━") else "="
    lines = [f"{'birth':>10}  {'death':>10}  {'length':>10}"]
    for birth, death in shown.astype(np.float64).tolist():
        start = round(birth / right * _WIDTH)
        end = _WIDTH if math.isinf(death) else max(start + 1, round(death / right * _WIDTH))
        drawn = " " * start + stroke * (end - start) + (">" if math.isinf(death) else "")
        lines.append(f"{birth:10.5g}  {death:10.5g}  {death - birth:10.5g}  {drawn}")
    if len(shown) < len(bars):
        lines.append(f"{'':>10}  and {len(bars) - len(shown)} shorter; --top 0 shows all")
    return lines


def readable(size: int) -> str:
    """A number of bytes for people.

    >>> readable(3 * 2**30), readable(512)
    ('3.0 GiB', '512 B')
    """
    for unit, bytes_each in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= bytes_each:
            return f"{size / bytes_each:.1f} {unit}"
    return f"{size} B"


def _can_encode(text: str) -> bool:
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
