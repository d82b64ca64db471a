"""The measure of scores that need the bars themselves, not only their number."""

from __future__ import annotations

from dataclasses import dataclass

from adabet_fast.errors import InvalidInputError
from adabet_fast.homology import h1
from adabet_fast.nn._measure import PooledCloud
from adabet_fast.nn.criteria import ScoreFunction, call_score
from adabet_fast.nn.layers import Layer
from adabet_fast.nn.tally import Engine


@dataclass(frozen=True)
class BarSums:
    """What was made of a cloud's bars: their number, their summed lengths, and what a callable score returned."""

    b1: int
    total_persistence: float | None = None
    value: float | None = None


@dataclass(frozen=True)
class Bars:
    """Measures the barcode of a cloud's distances, and gives it to a callable score.

    Attributes
    ----------
    engine
        How.
    score
        The caller's own score; None for the summed lengths alone.
    """

    engine: Engine
    score: ScoreFunction | None = None
    name: str = "bars"

    @property
    def needs_activations(self) -> bool:
        """Whether the score looks at them."""
        return self.score is not None

    def __call__(self, layer: Layer, cloud: PooledCloud) -> BarSums:
        """Measure one layer."""
        bars = h1(
            cloud.distances,
            distance_matrix=True,
            dtype=self.engine.dtype,
            backend=self.engine.backend,
            n_threads=self.engine.n_threads,
            max_memory=self.engine.max_memory,
        )
        if self.score is None:
            return BarSums(len(bars), bars.total_persistence())
        if cloud.activations is None:
            raise InvalidInputError(f"score: the activations of layer '{layer.name}' were not kept")
        points = cloud.activations.flatten(1)
        bars.d = points.shape[1]
        value = call_score(self.score, points, bars, layer.module, layer.name)
        return BarSums(len(bars), bars.total_persistence(), value)
