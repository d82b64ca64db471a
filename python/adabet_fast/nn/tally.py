"""From each layer's points to distances at once, and from all layers' distances to bars in one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from adabet_fast._memory import resolve_budget
from adabet_fast.distances import pairwise_distances
from adabet_fast.errors import BackendUnavailableError, MemoryBudgetError
from adabet_fast.homology import betti1_batch
from adabet_fast.nn._measure import Measure, PooledCloud
from adabet_fast.nn.activations import Order
from adabet_fast.nn.cloud import samples_of
from adabet_fast.nn.layers import Layer
from adabet_fast.nn.memory import Meter
from adabet_fast.nn.shelf import Place, Shelf
from adabet_fast.nn.team import team_distances

_LOOKED_AT = 512
"""Activations compared beside the distances when batches are told apart: each is in a cache line of its own."""


@dataclass(frozen=True)
class Engine:
    """How distances and bars are computed; see :func:`adabet_fast.betti1`."""

    dtype: str = "float32"
    backend: str = "auto"
    n_threads: int | None = None
    max_memory: int | None = None


@dataclass
class Found:
    """What was measured of one layer.

    Attributes
    ----------
    size
        Activations of one sample.
    b1
        Bars of each of its clouds.
    results
        For each measure, by name, what it returned for each cloud.
    parts
        A mark for each batch's points, where there are several; equal marks, equal points.
    spread
        Whether any two points differ.
    """

    size: int
    b1: list[int] = field(default_factory=list)
    results: dict[str, list[Any]] = field(default_factory=dict)
    parts: list[bytes] = field(default_factory=list)
    spread: bool = False

    def join(self, other: Found) -> None:
        """Add what another rank found on its own clouds."""
        self.b1 += other.b1
        for name, results in other.results.items():
            self.results.setdefault(name, []).extend(results)
        self.parts += other.parts
        self.spread |= other.spread

    @property
    def repeated(self) -> bool:
        """Whether several batches gave the same points."""
        return len(self.parts) > 1 and len(set(self.parts)) == 1


class Tally:
    """Takes clouds while passes run, and counts the bars of all of them at the end.

    Parameters
    ----------
    engine
        How.
    measures
        What to measure besides the count.
    meter
        Is told what is held.
    limit
        Bytes that activations and distances may take; where they would be more, bars are counted before the end.
    n_batches
        Batches of all ranks: where there is but one, it need not be told from others.
    """

    def __init__(
        self, engine: Engine, measures: Sequence[Measure[Any]], meter: Meter, limit: int, n_batches: int
    ) -> None:
        self.engine = engine
        self.measures = measures
        self.meter = meter
        self.limit = limit
        self.n_batches = n_batches
        self.found: dict[str, Found] = {}
        self.seconds_distances = 0.0
        self.seconds_homology = 0.0
        self._waiting: list[_Waiting] = []
        self._bytes = 0
        self._shelf = Shelf()
        self._scratch = resolve_budget(None)  # for the distances of one layer

    def add(self, layer: Layer, rows: torch.Tensor, orders: tuple[Order, ...], batch_sizes: tuple[int, ...]) -> None:
        """Take one cloud; its points are not needed after the return.

        Parameters
        ----------
        layer
            The layer.
        rows
            Its points, of shape (samples, activations).
        orders
            The order of their coordinates, one entry a call.
        batch_sizes
            Samples of each batch among them.

        Raises
        ------
        InvalidInputError
            If an activation is NaN or infinite.
        """
        started = perf_counter()
        distances = self._distances(rows)
        self.seconds_distances += perf_counter() - started
        self.make_room(distances.nbytes)
        waiting = _Waiting(layer, self._shelf.put(distances), batch_sizes)
        found = self.found.setdefault(layer.name, Found(rows.shape[1]))
        found.spread |= bool(distances.any())
        if self.n_batches > 1:
            found.parts += _marks(rows, distances, batch_sizes)
        asking = [measure for measure in self.measures if measure.needs_activations]
        if asking:
            started = perf_counter()
            # A copy: the measure may keep it, and the model may go on to change what it was made of.
            whole = PooledCloud(distances, batch_sizes, samples_of(rows, orders).clone())
            for measure in asking:
                found.results.setdefault(measure.name, []).append(measure(layer, whole))
            self.seconds_homology += perf_counter() - started
        self._waiting.append(waiting)
        self._bytes += distances.nbytes
        self.meter.hold(distances.nbytes)

    def make_room(self, n_bytes: int) -> None:
        """Count the bars of what waits if so many more bytes could not be held besides."""
        if self._waiting and self.meter.held + n_bytes > self.limit:
            self.count()

    @property
    def seconds(self) -> float:
        """Time spent here so far."""
        return self.seconds_distances + self.seconds_homology

    def forget(self, name: str) -> None:
        """Drop what was taken of a layer."""
        self.found.pop(name, None)
        gone = sum(each.place.n_bytes for each in self._waiting if each.layer.name == name)
        self._waiting = [each for each in self._waiting if each.layer.name != name]
        self._bytes -= gone
        self.meter.drop(gone)

    def count(self) -> None:
        """Count the bars of all clouds that wait, in one call, and drop their distances."""
        started = perf_counter()
        waiting, self._waiting = self._waiting, []
        room = None if self.engine.max_memory is None else max(1, self.engine.max_memory - self.meter.held)
        if waiting:
            clouds = [PooledCloud(each.place.array(), each.batch_sizes) for each in waiting]
            counts = betti1_batch(
                [cloud.distances for cloud in clouds],
                distance_matrix=True,
                dtype=self.engine.dtype,
                backend=self.engine.backend,
                n_threads=self.engine.n_threads,
                max_memory=room,
            )
            for each, cloud, b1 in zip(waiting, clouds, counts.tolist(), strict=True):
                found = self.found[each.layer.name]
                found.b1.append(b1)
                for measure in self.measures:
                    if not measure.needs_activations:
                        found.results.setdefault(measure.name, []).append(measure(each.layer, cloud))
        self.meter.drop(self._bytes)
        self._bytes = 0
        self._shelf = Shelf()
        self.seconds_homology += perf_counter() - started

    def _distances(self, rows: torch.Tensor) -> NDArray[np.floating[Any]]:
        """Compute distances on the points' own device; on the CPU where this build has no kernels for it."""
        if rows.device.type != "cpu":
            try:
                made: NDArray[np.floating[Any]] = pairwise_distances(rows, dtype=self.engine.dtype).cpu().numpy()
            except (BackendUnavailableError, MemoryBudgetError):  # no kernels, or no memory left beside the model
                rows = rows.cpu()
            else:
                return made
        return team_distances(rows, self.engine.dtype, self.engine.n_threads, self._scratch)


@dataclass(frozen=True)
class _Waiting:
    """A cloud whose bars are not counted yet."""

    layer: Layer
    place: Place
    batch_sizes: tuple[int, ...]


def _marks(rows: torch.Tensor, distances: NDArray[np.floating[Any]], batch_sizes: tuple[int, ...]) -> list[bytes]:
    """Return one mark a batch, equal for batches whose points are equal.

    It is made of the distances inside the batch, of which every activation has a part, and of some activations.
    """
    marks = []
    start = 0
    for size in batch_sizes:
        end = start + size
        mark = blake2b(np.ascontiguousarray(distances[start:end, start:end]).tobytes(), digest_size=16)
        first = rows[start]
        mark.update(first[:: max(1, len(first) // _LOOKED_AT)].double().cpu().resolve_neg().numpy().tobytes())
        marks.append(mark.digest())
        start = end
    return marks
