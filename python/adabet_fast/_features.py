"""From H1 diagrams to vectors: counts, sums, Betti curves; landscapes and persistence images through GUDHI."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from adabet_fast.errors import BackendUnavailableError

Floats = NDArray[np.float64]
Diagrams = Sequence[Floats]

FEATURES = ("count", "total_persistence", "betti_curve", "landscape", "persistence_image")
SAMPLED = frozenset({"betti_curve", "landscape", "persistence_image"})
"""Features sampled over a range, which has to be the same for all diagrams."""

GUDHI_INSTALL = "pip install gudhi"


class Ranges(NamedTuple):
    """Where sampled features look: filtration values, and the birth and persistence axes of an image."""

    values: tuple[float, float]
    births: tuple[float, float]
    lengths: tuple[float, float]

    @classmethod
    def of(cls, diagrams: Diagrams) -> Ranges:
        """The ranges that hold all bars of these (finite) diagrams; [0, 1] where there is none."""
        bars = np.concatenate([np.empty((0, 2)), *diagrams])
        if len(bars) == 0:
            return cls((0.0, 1.0), (0.0, 1.0), (0.0, 1.0))
        births, deaths = bars[:, 0], bars[:, 1]
        longest = float((deaths - births).max()) or 1.0
        first, last = float(births.min()), float(births.max())
        if first == last:  # one birth: an image needs an axis all the same
            first, last = max(0.0, first - longest / 2), last + longest / 2
        return cls((float(births.min()), max(float(deaths.max()), last)), (first, last), (0.0, longest))


class Sampling(NamedTuple):
    """How finely features are sampled."""

    resolution: int
    n_landscapes: int
    pixels: int
    bandwidth: float | None


def width(feature: str, sampling: Sampling) -> int:
    """How many columns a feature has."""
    return {
        "betti_curve": sampling.resolution,
        "landscape": sampling.n_landscapes * sampling.resolution,
        "persistence_image": sampling.pixels**2,
    }.get(feature, 1)


def names(feature: str, sampling: Sampling) -> list[str]:
    """The columns' names."""
    if feature == "landscape":
        layers, points = range(1, sampling.n_landscapes + 1), range(sampling.resolution)
        return [f"landscape_{layer}_{i}" for layer in layers for i in points]
    if feature == "persistence_image":
        return [f"persistence_image_{y}_{x}" for y in range(sampling.pixels) for x in range(sampling.pixels)]
    count = width(feature, sampling)
    return [feature] if count == 1 and feature not in SAMPLED else [f"{feature}_{i}" for i in range(count)]


def vectors(feature: str, diagrams: Diagrams, ranges: Ranges, sampling: Sampling) -> Floats:
    """One row for each (finite) diagram."""
    if feature == "count":
        return np.array([[len(bars)] for bars in diagrams], dtype=np.float64).reshape(-1, 1)
    if feature == "total_persistence":
        return np.array([[np.sum(bars[:, 1] - bars[:, 0])] for bars in diagrams], dtype=np.float64).reshape(-1, 1)
    if feature == "betti_curve":
        return _betti_curves(diagrams, np.linspace(*ranges.values, sampling.resolution))
    if feature == "landscape":
        return _landscapes(diagrams, ranges, sampling)
    return _images(diagrams, ranges, sampling)


def padded(diagrams: Diagrams) -> Floats:
    """The array that giotto-tda takes: (birth, death, 1), and points of length zero where there is no bar."""
    most = max(1, *(len(bars) for bars in diagrams))
    array = np.zeros((len(diagrams), most, 3))
    array[:, :, 2] = 1
    for row, bars in zip(array, diagrams, strict=True):
        row[: len(bars), :2] = bars
        row[len(bars) :, :2] = bars[:, 0].min() if len(bars) else 0.0  # a scale that the diagram knows
    return array


def _betti_curves(diagrams: Diagrams, grid: Floats) -> Floats:
    """Bars with birth <= t < death, for each t of the grid."""
    curves = np.empty((len(diagrams), len(grid)))
    for curve, bars in zip(curves, diagrams, strict=True):
        born = np.searchsorted(np.sort(bars[:, 0]), grid, side="right")
        curve[:] = born - np.searchsorted(np.sort(bars[:, 1]), grid, side="right")
    return curves


def _landscapes(diagrams: Diagrams, ranges: Ranges, sampling: Sampling) -> Floats:
    representations = import_representations("landscape")
    landscape = representations.Landscape(
        num_landscapes=sampling.n_landscapes, resolution=sampling.resolution, sample_range=list(ranges.values)
    )
    rows: Floats = landscape.fit(diagrams).transform(diagrams)
    rows /= np.sqrt(2)  # GUDHI's are sqrt(2) times the landscapes as they are defined
    return rows


def _images(diagrams: Diagrams, ranges: Ranges, sampling: Sampling) -> Floats:
    representations = import_representations("persistence_image")
    sides = max(ranges.births[1] - ranges.births[0], ranges.lengths[1] - ranges.lengths[0])
    image = representations.PersistenceImage(
        bandwidth=sides / sampling.pixels if sampling.bandwidth is None else sampling.bandwidth,
        weight=lambda point: point[1],  # by persistence, so that short bars fade away steadily
        resolution=[sampling.pixels, sampling.pixels],
        im_range=[*ranges.births, *ranges.lengths],
    )
    rows: Floats = image.fit(diagrams).transform(diagrams)
    return rows


def import_representations(feature: str) -> Any:
    """The module `gudhi.representations`."""
    try:
        import gudhi.representations
    except ImportError as error:
        raise BackendUnavailableError(
            f"output {feature!r} is computed by GUDHI, which cannot be imported ({error}): {GUDHI_INSTALL}"
        ) from error
    return gudhi.representations
