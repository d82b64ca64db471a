"""When two barcodes are the same: bit for bit on one matrix, or as close as the distances are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bars = NDArray[np.floating[Any]]

TOLERANCE = 1e-5
"""Of the largest finite value. Bars move by no more than the distances do (stability of the bottleneck distance), and
the least careful of the peers' distances were 3e-6 off, relatively."""


def save(path: str | Path, answer: list[Bars]) -> None:
    """Write the bars of one or many clouds."""
    bars = [np.asarray(b, dtype=np.float64).reshape(-1, 2) for b in answer]
    offsets = np.cumsum([0, *(len(b) for b in bars)])
    np.savez(path, bars=np.concatenate([np.empty((0, 2)), *bars]), offsets=offsets)


def load(path: str | Path) -> list[Bars]:
    with np.load(path) as stored:
        return np.split(stored["bars"], stored["offsets"][1:-1]) if len(stored["offsets"]) > 1 else []


def canonical(bars: Bars, dtype: Any = np.float64) -> Bars:
    """Bars with death > birth after the cast, sorted."""
    bars = np.asarray(bars).astype(dtype).reshape(-1, 2)
    bars = bars[bars[:, 1] > bars[:, 0]]
    return bars[np.lexsort((bars[:, 1], bars[:, 0]))]


def differ(ours: list[Bars], theirs: list[Bars]) -> str:
    """How the multisets of float32 intervals differ, cloud by cloud; empty where they do not."""
    if len(ours) != len(theirs):
        return f"{len(ours)} clouds against {len(theirs)}"
    for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        a, b = canonical(one, np.float32), canonical(other, np.float32)
        if not np.array_equal(a, b):
            where = f"cloud {index}: " if len(ours) > 1 else ""
            if len(a) != len(b):
                return f"{where}{len(a)} bars against {len(b)}"
            return f"{where}{int(np.any(a != b, axis=1).sum())} of {len(a)} bars differ"
    return ""


def far(ours: list[Bars], theirs: list[Bars], tolerance: float = TOLERANCE) -> str:
    """Why the bottleneck distance exceeds the tolerance, in some cloud; empty where it does not."""
    if len(ours) != len(theirs):
        return f"{len(ours)} clouds against {len(theirs)}"
    for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        if reason := _far(canonical(one), canonical(other), tolerance):
            return f"cloud {index}: {reason}" if len(ours) > 1 else reason
    return ""


def _far(a: Bars, b: Bars, tolerance: float) -> str:
    finite = np.concatenate([a[np.isfinite(a)], b[np.isfinite(b)]])
    eps = tolerance * float(finite.max(initial=0.0))
    a_ends, b_ends = (np.sort(bars[np.isinf(bars[:, 1]), 0]) for bars in (a, b))
    if len(a_ends) != len(b_ends):
        return f"{len(a_ends)} essential bars against {len(b_ends)}"
    if np.any(np.abs(a_ends - b_ends) > eps):
        return f"essential bars differ by {np.abs(a_ends - b_ends).max():.3g}, allowed {eps:.3g}"
    a, b = a[np.isfinite(a[:, 1])], b[np.isfinite(b[:, 1])]
    if a.shape == b.shape and np.all(np.abs(a - b) <= eps):  # one after another: the usual case
        return ""
    # Bars of up to twice the tolerance may vanish. A matching that covers the longer bars of one side and another that
    # covers those of the other side give one that covers both (Mendelsohn and Dulmage).
    for these, those, who in ((a, b, "ours"), (b, a, "theirs")):
        alone = _unmatched(these[these[:, 1] - these[:, 0] > 2 * eps], those, eps)
        if alone:
            return f"{alone} of {who} ({len(a)} bars against {len(b)}) have no partner within {eps:.3g}"
    return ""


def _unmatched(bars: Bars, candidates: Bars, eps: float) -> int:
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import maximum_bipartite_matching
    from scipy.spatial import cKDTree

    if not len(bars) or not len(candidates):
        return len(bars)
    near = cKDTree(candidates).query_ball_point(bars, eps, p=np.inf)
    ends = np.cumsum([0, *(len(found) for found in near)])
    indices = np.concatenate([np.empty(0, dtype=np.int64), *(np.asarray(found, dtype=np.int64) for found in near)])
    graph = csr_matrix((np.ones(len(indices), dtype=np.int8), indices, ends), shape=(len(bars), len(candidates)))
    return int((maximum_bipartite_matching(graph, perm_type="column") < 0).sum())
