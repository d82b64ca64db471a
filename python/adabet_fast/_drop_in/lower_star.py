"""Degree 0 of an image's lower-star filtration."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from adabet_fast.errors import InvalidInputError

Float32s = NDArray[np.float32]
Indices = NDArray[np.int64]


def lower_star_img(img: ArrayLike) -> NDArray[np.float64]:
    """Degree-0 persistence of an image's sublevel sets, each pixel joined to its eight neighbours. As in ripser.py.

    Parameters
    ----------
    img : array_like of shape (m, n)
        One channel. A pixel that is NaN has no neighbours.

    Returns
    -------
    ndarray of float64, shape (k, 2)
        Births (values of local minima) and deaths, rising by death, in float32 precision; bars of length zero are left
        out; the infinite one, born at the least value, comes last.

    Raises
    ------
    InvalidInputError
        A ValueError: where `img` has not two axes, or no real numbers.

    Notes
    -----
    Takes O(m n log(m n)) time and O(m n) memory. Each pixel first flows to the lowest of its neighbours; that joins it
    to a local minimum at its own value, a pair of length zero. What is left is a small graph of basins, which merge in
    the order of their passes: of two basins, the younger dies (Edelsbrunner, Letscher, Zomorodian, Topological
    persistence and simplification, 2002).

    Examples
    --------
    >>> import numpy as np
    >>> from adabet_fast import lower_star_img
    >>> lower_star_img(np.array([[0, 3, 1], [5, 4, 6]]))
    array([[ 1.,  3.],
           [ 0., inf]])
    """
    try:
        image = np.asarray(img)
    except ValueError as error:
        raise InvalidInputError(f"img cannot be read as an array: {error}") from None
    if image.ndim != 2:
        raise InvalidInputError(f"img has shape {image.shape}, expected (m, n), one channel")
    if image.dtype.kind not in "fiub":
        raise InvalidInputError(f"img has dtype {image.dtype}, expected real numbers")
    with np.errstate(over="ignore"):
        values = image.astype(np.float32)
    basins = _basins(values)
    return _merge(values, basins, *_passes(values, basins))


def _neighbours() -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Pairs of views of an image, such that each pair of neighbouring pixels is met once."""
    every, first, last = slice(None), slice(None, -1), slice(1, None)
    yield (every, first), (every, last)
    yield (first, every), (last, every)
    yield (first, first), (last, last)
    yield (first, last), (last, first)


def _basins(values: Float32s) -> Indices:
    """For each pixel the one that it flows to in the end; a pixel that is NaN stays where it is."""
    order = np.argsort(values, axis=None, kind="stable")  # NaN last
    flat = np.empty(values.size, dtype=np.int64)
    flat[order] = np.arange(values.size)
    rank: Indices = flat.reshape(values.shape)
    lowest = rank.copy()
    for here, there in _neighbours():
        np.minimum(lowest[here], rank[there], out=lowest[here])
        np.minimum(lowest[there], rank[here], out=lowest[there])
    missing = np.isnan(values)
    lowest[missing] = rank[missing]

    downstream = np.empty(values.size, dtype=np.int64)
    downstream[rank.ravel()] = lowest.ravel()
    while True:  # each round doubles the way that a pixel has gone
        further = downstream[downstream]
        if np.array_equal(further, downstream):
            break
        downstream = further
    bottoms: Indices = order[downstream[rank]]
    return bottoms


def _passes(values: Float32s, basins: Indices) -> tuple[Indices, Float32s]:
    """The lowest passes between neighbouring basins, (k, 2) pixels that they belong to, and heights, rising."""
    pairs, heights = [], []
    for here, there in _neighbours():
        height = np.maximum(values[here], values[there])  # NaN where either is
        between = (basins[here] != basins[there]) & ~np.isnan(height)
        a, b = basins[here][between], basins[there][between]
        pairs.append(np.minimum(a, b) * values.size + np.maximum(a, b))
        heights.append(height[between])
    pair, height = np.concatenate(pairs), np.concatenate(heights)
    order = np.argsort(height, kind="stable")
    pair, height = pair[order], height[order]
    lowest = np.sort(np.unique(pair, return_index=True)[1])  # of each pair the first, in the order of heights
    return np.column_stack(np.divmod(pair[lowest], max(1, values.size))), height[lowest]


def _merge(values: Float32s, basins: Indices, pairs: Indices, heights: Float32s) -> NDArray[np.float64]:
    """Merge basins over their passes: the younger dies, that is, the one with the higher bottom."""
    flat = values.ravel()
    bottoms = np.flatnonzero(basins.ravel() == np.arange(flat.size))
    bottoms = bottoms[np.argsort(flat[bottoms], kind="stable")]  # the elder first; NaN last
    number = np.empty(flat.size, dtype=np.int64)
    number[bottoms] = np.arange(len(bottoms))
    births = flat[bottoms].tolist()
    elder = list(range(len(bottoms)))
    bars = []
    for (a, b), death in zip(number[pairs].tolist(), heights.tolist(), strict=True):
        while elder[a] != a:
            elder[a] = a = elder[elder[a]]
        while elder[b] != b:
            elder[b] = b = elder[elder[b]]
        if a != b:
            a, b = min(a, b), max(a, b)
            elder[b] = a
            if death > births[b]:
                bars.append((births[b], death))
    bars += [(birth, np.inf) for i, birth in enumerate(births) if elder[i] == i]
    return np.array(bars, dtype=np.float64).reshape(-1, 2)
