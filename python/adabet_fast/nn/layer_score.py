"""One layer with what was measured of it, and how."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn.criteria import MEASURED_COSTS, Normalize, ScoreName, call_cost, score_of
from adabet_fast.nn.layers import label
from adabet_fast.nn.memory import MemoryUse


@dataclass(frozen=True)
class LayerScore:
    """One layer and what was measured of it.

    Attributes
    ----------
    name
        The module's name in the model; the empty string for the model itself.
    type
        The module's class.
    parameters
        Names of its parameters in the model.
    n_parameters
        Their elements.
    status
        ``"scored"``, or why it was not: ``"not observed"`` (its module was never called), ``"tied to ..."`` (all its
        parameters belong to an earlier layer, which carries the score), ...
    b1
        H1 bars of its activations; with ``pooling="sum"`` summed over the batches. None if not scored.
    size
        |a|, the activations of one sample.
    total_persistence
        Summed lengths of the bars, if asked for.
    score
        The score, larger is better.
    rank
        1 for the best.
    flops, saved_bytes, latency
        Per sample, if measured: operations of its forward pass, bytes it saves for backward when everything is
        trained, seconds of its forward pass on this device.
    resampled
        b1 of each part of the samples, if parts were measured.
    resampled_persistence
        Summed lengths of the bars of each part, if the score needed the bars.
    resampled_scores
        The score by each part.
    members
        With ``unit="block"`` the normalisation layers that belong to it; their parameters are among its own.
    calls
        Times the module was called in a forward pass; outputs of several calls stand side by side.
    note
        How its outputs were read, if that was not plain.
    """

    name: str
    type: str
    parameters: tuple[str, ...]
    n_parameters: int
    status: str = "scored"
    b1: int | None = None
    size: int | None = None
    total_persistence: float | None = None
    score: float | None = None
    rank: int | None = None
    calls: int = 0
    note: str = ""
    flops: float | None = None
    saved_bytes: float | None = None
    latency: float | None = None
    resampled: tuple[int, ...] = ()
    resampled_persistence: tuple[float, ...] = ()
    resampled_scores: tuple[float, ...] = ()
    members: tuple[str, ...] = ()

    def scored_by(self, score: ScoreName, normalize: Normalize) -> float:
        """Return the score that a rule gives these measurements."""
        if self.b1 is None or self.size is None:
            raise InvalidInputError(f"score: layer '{label(self.name)}' was not measured")
        return score_of(
            score,
            normalize,
            b1=self.b1,
            total_persistence=self.total_persistence,
            size=self.size,
            n_parameters=self.n_parameters,
            cost=self.cost_by(normalize),
        )

    def parts_scored_by(self, score: ScoreName, normalize: Normalize) -> tuple[float, ...]:
        """Return the score by each part of the samples; nothing where they were not measured for it."""
        if score == "total_persistence" and not self.resampled_persistence:
            return ()
        lengths = self.resampled_persistence or (None,) * len(self.resampled)
        return tuple(
            replace(self, b1=b1, total_persistence=length).scored_by(score, normalize)
            for b1, length in zip(self.resampled, lengths, strict=True)
        )

    def cost_by(self, normalize: Normalize) -> float | None:
        """Return the cost that a divisor beyond the paper's names; None for the paper's."""
        if callable(normalize):
            return call_cost(normalize, self)
        return getattr(self, normalize) if normalize in MEASURED_COSTS else None


@dataclass(frozen=True)
class Settings:
    """How scores came about.

    Attributes
    ----------
    score, normalize, pooling, unit, dtype
        As given to :func:`adabet_fast.nn.score_layers`; callables by their names.
    batch_sizes
        Samples of each forward pass.
    merged
        Batches of all ranks that were merged, into one pass on each, which changes low bits of activations; None if run
        as given.
    seconds_forward, seconds_distances, seconds_homology
        Time of the forward passes with the copies of the activations, of the distances, and of H1.
    ranks
        Processes that scored together.
    memory
        How activations were kept, and the most that was held, as measured.
    """

    score: str = "adabet"
    normalize: str = "activation"
    pooling: str = "pool"
    unit: str = "module"
    dtype: str = "float32"
    batch_sizes: tuple[int, ...] = ()
    merged: int | None = None
    seconds_forward: float = field(default=0.0, compare=False)
    seconds_distances: float = field(default=0.0, compare=False)
    seconds_homology: float = field(default=0.0, compare=False)
    ranks: int = 1
    memory: MemoryUse | None = field(default=None, compare=False)
