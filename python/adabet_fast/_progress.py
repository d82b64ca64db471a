"""What `progress=` of a long call does with the figures that the engine reports."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from adabet_fast.errors import InvalidInputError

Report = Callable[[int, int, int, float], None]


@contextmanager
def reporting(progress: object) -> Iterator[Report | None]:
    """What to call with (edges, births, alive, radius): a bar that closes at the end, the caller's own, or nothing."""
    if progress is False or progress is None:
        yield None
        return
    if callable(progress):
        yield _by_name(progress)
        return
    if progress is not True:
        raise InvalidInputError(
            f"progress is {progress!r}, expected True, False, or a function of edges, births, alive and radius"
        )
    try:
        from tqdm.auto import tqdm
    except ImportError:
        warnings.warn("progress=True shows a bar where tqdm is installed: pip install tqdm", UserWarning, stacklevel=4)
        yield None
        return
    # Deaths are what a run waits for: it ends when no class is left alive.
    with tqdm(desc="H1", unit=" deaths", leave=False) as bar:

        def show(edges: int, births: int, alive: int, radius: float) -> None:
            bar.total = births
            bar.set_postfix(edges=f"{edges:,}", alive=f"{alive:,}", radius=f"{radius:.4g}", refresh=False)
            bar.update(births - alive - bar.n)

        yield show


def _by_name(callback: Callable[..., object]) -> Report:
    def call(edges: int, births: int, alive: int, radius: float) -> None:
        callback(edges=edges, births=births, alive=alive, radius=radius)

    return call
