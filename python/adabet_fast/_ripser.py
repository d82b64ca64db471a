"""ripser.py as an engine of its own, and as the judge of ours."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adabet_fast._backends import RIPSER_INSTALL
from adabet_fast.errors import BackendUnavailableError, CrossCheckError

Float32s = NDArray[np.float32]

_SHOWN = 10


def import_ripser() -> Any:
    """The function `ripser.ripser`."""
    try:
        from ripser import ripser
    except ImportError as error:
        raise BackendUnavailableError(f"ripser.py cannot be imported ({error}): {RIPSER_INSTALL}") from error
    return ripser


def ripser_intervals(matrix: Float32s, threshold: float) -> tuple[Float32s, Float32s]:
    """H0 and H1 of a square float32 matrix by ripser.py, in the form of a `Barcode`: sorted, no bars of length zero."""
    ripser = import_ripser()
    n = len(matrix)
    if n < 2:  # ripser.py warns or fails on these
        return np.array([[0, np.inf]] * n, dtype=np.float32).reshape(n, 2), np.empty((0, 2), dtype=np.float32)
    finite = np.isfinite(matrix)
    if not finite.all():
        # An infinite length is no edge for us; below the largest finite one ripser.py sees no infinite edge either.
        threshold = min(threshold, float(matrix[finite].max()))
    h0, h1 = ripser(matrix, maxdim=1, thresh=threshold, distance_matrix=True)["dgms"][:2]
    return _canonical(h0), _canonical(h1)


def _canonical(intervals: NDArray[np.floating[Any]]) -> Float32s:
    bars = np.asarray(intervals, dtype=np.float32).reshape(-1, 2)
    bars = bars[bars[:, 1] > bars[:, 0]]
    return bars[np.lexsort((bars[:, 1], bars[:, 0]))]


def cross_check(intervals: Float32s, matrix: Float32s, threshold: float) -> None:
    """Raise CrossCheckError unless ripser.py finds exactly these intervals in this matrix."""
    theirs = ripser_intervals(matrix, threshold)[1]
    if np.array_equal(intervals, theirs):
        return
    ours_only = Counter(map(tuple, intervals.tolist()))
    theirs_only = Counter(map(tuple, theirs.tolist()))
    common = ours_only & theirs_only
    raise CrossCheckError(
        f"the H1 barcodes of {len(matrix)} points differ: {len(intervals)} bars here, {len(theirs)} by ripser.py.\n"
        f"only here: {_shown(ours_only - common)}\n"
        f"only by ripser.py: {_shown(theirs_only - common)}\n"
        "To reproduce, save `error.distance_matrix` as D and compare\n"
        f"    adabet_fast.h1(D, distance_matrix=True, threshold={threshold!r}).intervals\n"
        f"    ripser.ripser(D, maxdim=1, distance_matrix=True, thresh={threshold!r})['dgms'][1]",
        ours=intervals,
        theirs=theirs,
        distance_matrix=matrix,
    )


def _shown(intervals: Counter[tuple[Any, ...]]) -> str:
    bars = sorted(intervals.elements())
    more = f" and {len(bars) - _SHOWN} more" if len(bars) > _SHOWN else ""
    return ", ".join(f"[{birth!r}, {death!r})" for birth, death in bars[:_SHOWN]) + more or "none"
