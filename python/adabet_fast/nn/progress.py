"""A progress bar, where tqdm is installed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Progress:
    """Counts layers that were observed; shows nothing."""

    def step(self) -> None:
        """Count one layer of one batch."""


class _Bar(Progress):
    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def step(self) -> None:
        self._bar.update()


@contextmanager
def progress_bar(shown: bool, total: int) -> Iterator[Progress]:
    """Show a bar while the body runs, on standard error.

    Parameters
    ----------
    shown
        Whether to show it.
    total
        Layers times batches.

    Yields
    ------
    Progress
    """
    if not shown:
        yield Progress()
        return
    try:
        from tqdm.auto import tqdm
    except ImportError:
        warnings.warn(
            "progress: tqdm is not installed, so there is no bar: pip install tqdm", UserWarning, stacklevel=4
        )
        yield Progress()
        return
    with tqdm(total=total, desc="layers", unit="layer", leave=False) as bar:
        yield _Bar(bar)
