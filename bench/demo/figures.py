"""What the demo measures, as plain records, and the little statistics that its report needs."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .model import N_CLASSES
from .training import Recipe


@dataclass(frozen=True)
class LayerRow:
    """One scored layer: |a| activations of one sample, b1, score = b1 / |a|, rank from 1 (the head has none)."""

    name: str
    kind: str
    parameters: int
    activations: int
    b1: int
    score: float
    rank: int | None
    chosen: bool


@dataclass(frozen=True)
class Run:
    """One fine-tuning: who, which seed, which layers trained (the head among them), and what came of it."""

    strategy: str
    seed: int
    layers: tuple[str, ...]
    accuracy: float
    trainable_parameters: int
    saved_bytes: int
    gradient_bytes: int
    optimizer_bytes: int
    epoch_seconds: float


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation (n - 1 below the line); one value alone has no deviation."""

    mean: float
    std: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None)


@dataclass(frozen=True)
class Summary:
    """A strategy's runs put together; bytes and parameters are means, as random layers differ from seed to seed."""

    strategy: str
    title: str
    accuracy: Spread
    n_layers: Spread
    trainable_parameters: Spread
    saved_bytes: Spread
    gradient_bytes: Spread
    optimizer_bytes: Spread
    epoch_seconds: float

    @classmethod
    def of(cls, title: str, runs: Sequence[Run]) -> Summary:
        return cls(
            strategy=runs[0].strategy,
            title=title,
            accuracy=Spread.of([run.accuracy for run in runs]),
            n_layers=Spread.of([len(run.layers) for run in runs]),
            trainable_parameters=Spread.of([run.trainable_parameters for run in runs]),
            saved_bytes=Spread.of([run.saved_bytes for run in runs]),
            gradient_bytes=Spread.of([run.gradient_bytes for run in runs]),
            optimizer_bytes=Spread.of([run.optimizer_bytes for run in runs]),
            epoch_seconds=statistics.median(run.epoch_seconds for run in runs),
        )

    @property
    def total_bytes(self) -> float:
        return self.saved_bytes.mean + self.gradient_bytes.mean + self.optimizer_bytes.mean


@dataclass(frozen=True)
class Duel:
    """AdaBet against another strategy, seed by seed: the same images, head and order on both sides."""

    strategy: str
    title: str
    difference: Spread
    ahead: int
    behind: int

    @property
    def exceeds_std(self) -> bool | None:
        """Whether the mean difference is larger than its standard deviation; None with a single seed."""
        return None if self.difference.std is None else abs(self.difference.mean) > self.difference.std


@dataclass(frozen=True)
class Settings:
    """Everything that was decided before the first figure was known."""

    seeds: tuple[int, ...]
    rho: float
    n_batches: int
    batch_size: int
    images_per_class: int
    pretraining: Recipe
    fine_tuning: Recipe


@dataclass(frozen=True)
class Preparation:
    """What is known before fine-tuning: the pre-trained network and its scored layers, in the network's order."""

    settings: Settings
    pretrained_accuracy: float
    pretraining_seconds: float
    scoring_seconds: float
    n_source_train: int
    n_source_test: int
    n_target_test: int
    n_parameters: int
    head: LayerRow
    layers: tuple[LayerRow, ...]
    rank_agreement: float
    shared_with_size: int

    @property
    def n_labelled(self) -> int:
        return N_CLASSES * self.settings.images_per_class

    @property
    def ranked(self) -> list[LayerRow]:
        """The layers, best first."""
        return sorted(self.layers, key=lambda row: row.rank or 0)

    @property
    def chosen(self) -> tuple[str, ...]:
        """The chosen layers' names, best first."""
        return tuple(row.name for row in self.ranked if row.chosen)

    @property
    def n_smallest(self) -> int:
        """How many layers put out as few numbers as the smallest, between which 1/|a| cannot tell."""
        sizes = [row.activations for row in self.layers]
        return sizes.count(min(sizes))


@dataclass(frozen=True)
class Outcome:
    """What fine-tuning brought: every run, each strategy's summary, and AdaBet against each of the others."""

    runs: tuple[Run, ...]
    summaries: tuple[Summary, ...]
    duels: tuple[Duel, ...]

    @classmethod
    def of(cls, runs: Sequence[Run], titles: Mapping[str, str], ours: str) -> Outcome:
        """Put `runs` together by strategy, in the order of `titles`; `ours` is set against each of the others."""
        grouped = {key: [run for run in runs if run.strategy == key] for key in titles}
        return cls(
            runs=tuple(runs),
            summaries=tuple(Summary.of(title, grouped[key]) for key, title in titles.items()),
            duels=tuple(duel(title, grouped[ours], grouped[key]) for key, title in titles.items() if key != ours),
        )


def duel(title: str, ours: Sequence[Run], theirs: Sequence[Run]) -> Duel:
    """Set two strategies' runs of the same seeds against each other."""
    if [run.seed for run in ours] != [run.seed for run in theirs]:
        raise ValueError("both strategies must have run the same seeds in the same order")
    differences = [a.accuracy - b.accuracy for a, b in zip(ours, theirs, strict=True)]
    return Duel(
        theirs[0].strategy,
        title,
        Spread.of(differences),
        ahead=sum(d > 0 for d in differences),
        behind=sum(d < 0 for d in differences),
    )


def kendall_tau(x: Sequence[float], y: Sequence[float]) -> float:
    """Kendall's rank correlation in its tau-b form, which allows for ties; 0 if one side is all ties."""
    agree = against = only_x = only_y = 0
    for i in range(len(x)):
        for j in range(i):
            a = (x[i] > x[j]) - (x[i] < x[j])
            b = (y[i] > y[j]) - (y[i] < y[j])
            agree += a * b > 0
            against += a * b < 0
            only_x += a != 0 and b == 0
            only_y += a == 0 and b != 0
    scale = ((agree + against + only_x) * (agree + against + only_y)) ** 0.5
    return (agree - against) / scale if scale else 0.0
