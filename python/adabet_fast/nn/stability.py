"""How far a ranking of layers can be trusted: over parts of the samples, and on new data."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike

from adabet_fast.errors import InvalidInputError
from adabet_fast.homology import betti1_batch
from adabet_fast.nn._measure import PooledCloud
from adabet_fast.nn.bars import Bars, BarSums
from adabet_fast.nn.layers import label
from adabet_fast.nn.patterns import Patterns, kept

if TYPE_CHECKING:
    from adabet_fast.nn.layers import Layer
    from adabet_fast.nn.scores import LayerScores
    from adabet_fast.nn.selection import Selection

Resamples: TypeAlias = Literal["batches"] | int
UNSTABLE = 0.5
"""A ranking whose Kendall tau over parts of the samples is below this is called unstable."""

MIN_PART = 4
"""A loop needs four points."""


class RankingWarning(UserWarning):
    """A ranking that says little: flat, or another one with other samples."""


def kendall_tau(a: ArrayLike, b: ArrayLike) -> float:
    """Rank correlation with ties, tau-b.

    Parameters
    ----------
    a, b
        Numbers of the same things, as many of each.

    Returns
    -------
    float
        From -1 to 1; NaN if one of the two has no order at all. Time and memory O(n^2).

    Examples
    --------
    >>> kendall_tau([1, 2, 3, 4], [1, 2, 4, 3])
    0.6666666666666666
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.ndim != 1 or first.shape != second.shape:
        raise InvalidInputError(f"b: expected as many numbers as a, got shapes {first.shape} and {second.shape}")
    upper = np.triu_indices(len(first), 1)
    signs_a = np.sign(first[:, None] - first[None, :])[upper]
    signs_b = np.sign(second[:, None] - second[None, :])[upper]
    pairs = math.sqrt(np.count_nonzero(signs_a) * np.count_nonzero(signs_b))
    return float((signs_a * signs_b).sum() / pairs) if pairs else float("nan")


@dataclass(frozen=True)
class Resampled:
    """Measures b1 of parts of a layer's samples, from the distances that are there already.

    Attributes
    ----------
    parts
        ``"batches"``: each batch by itself; an integer: that many draws of all samples with replacement (bootstrap),
        the same for every layer.
    seed
        Of the draws.
    n_threads
        As in :func:`adabet_fast.betti1_batch`.
    bars
        Where the score is made of more than b1: measures the bars of a part.
    """

    parts: Resamples = "batches"
    seed: int = 0
    n_threads: int | None = None
    bars: Bars | None = None
    name: str = "resampled"

    @property
    def needs_activations(self) -> bool:
        """Whether the score looks at them."""
        return self.bars is not None and self.bars.needs_activations

    def __post_init__(self) -> None:
        if self.parts == "batches":
            return
        if isinstance(self.parts, bool) or not isinstance(self.parts, int) or self.parts < 2:
            raise InvalidInputError(f"resamples: expected 'batches' or a number of draws from 2 on, got {self.parts!r}")

    def rows(self, batch_sizes: Sequence[int]) -> list[np.ndarray[Any, np.dtype[np.intp]]]:
        """Return the rows of each part.

        >>> [rows.tolist() for rows in Resampled("batches").rows([4, 5])]
        [[0, 1, 2, 3], [4, 5, 6, 7, 8]]
        """
        n = sum(batch_sizes)
        if self.parts == "batches":
            if len(batch_sizes) < 2 or min(batch_sizes) < MIN_PART:
                raise InvalidInputError(
                    f"resamples: 'batches' needs two batches or more of at least {MIN_PART} samples, "
                    f"got {', '.join(map(str, batch_sizes))}; give a number of draws instead"
                )
            ends = np.cumsum(batch_sizes)
            return [np.arange(end - size, end) for end, size in zip(ends, batch_sizes, strict=True)]
        generator = np.random.default_rng(self.seed)
        return [np.sort(generator.integers(0, n, n)) for _ in range(self.parts)]

    def __call__(self, layer: Layer, cloud: PooledCloud) -> tuple[BarSums, ...]:
        """Measure the bars of each part."""
        drawn = self.rows(cloud.batch_sizes)
        parts = [np.ascontiguousarray(cloud.distances[np.ix_(rows, rows)]) for rows in drawn]
        dtype = "float64" if cloud.distances.dtype == np.float64 else "float32"
        if self.bars is None:
            counts = betti1_batch(parts, distance_matrix=True, dtype=dtype, n_threads=self.n_threads)
            return tuple(BarSums(int(count)) for count in counts)
        points = cloud.activations
        return tuple(
            self.bars(
                layer, PooledCloud(part, (len(part),), None if points is None else points[torch.from_numpy(rows)])
            )
            for part, rows in zip(parts, drawn, strict=True)
        )


def check_resamples(parts: Resamples, pooling: str, n_threads: int | None, bars: Bars | None) -> Resampled:
    """Return the measure that ``resamples=`` asks for, or raise."""
    if pooling != "pool":
        raise InvalidInputError("resamples: parts of the samples are parts of one cloud; needs pooling='pool'")
    return Resampled(parts, n_threads=n_threads, bars=bars)


@dataclass(frozen=True)
class Stability:
    """How well the rankings by parts of the samples agree.

    Attributes
    ----------
    taus
        Kendall tau of each pair of parts.
    tau
        Their mean; NaN if a part ranks nothing.
    top
        The share of its best tenth of layers (at least one) that a part has in common with all samples, on average.
    n_parts, n_layers
        How many parts and layers.
    """

    taus: tuple[float, ...]
    tau: float
    top: float
    n_parts: int
    n_layers: int

    @property
    def is_stable(self) -> bool:
        """Whether the mean is at least 0.5."""
        return self.tau >= UNSTABLE

    def __str__(self) -> str:
        return (
            f"Kendall tau {self.tau:.2f} over {self.n_parts} parts of the samples ({self.n_layers} layers); "
            f"{100 * self.top:.0f} % of the best tenth in common with all samples"
        )


def stability_of(scores: LayerScores) -> Stability:
    """Compare the rankings by parts of the samples; see :meth:`LayerScores.stability`."""
    ranked = scores.ranked()
    if not ranked or any(len(layer.resampled) < 2 for layer in ranked):
        raise InvalidInputError("resamples: parts were not measured; give resamples= to score_layers")
    if not _parts_are_scored(scores):
        raise InvalidInputError(
            f"score: parts were not measured for {scores.settings.score!r}; give score= and resamples= to score_layers"
        )
    columns = list(zip(*(layer.resampled_scores for layer in ranked), strict=True))
    return compare([layer.score or 0.0 for layer in ranked], columns)


def _parts_are_scored(scores: LayerScores) -> bool:
    return all(layer.resampled and len(layer.resampled_scores) == len(layer.resampled) for layer in scores.ranked())


def compare(whole: Sequence[float], parts: Sequence[Sequence[float]]) -> Stability:
    """Compare the scores by parts of the samples with each other, and their best tenth with that of all samples.

    >>> compare([3.0, 2.0, 1.0], [[3.0, 2.0, 1.0], [30.0, 10.0, 20.0]]).taus
    (0.3333333333333333,)
    """
    taus = tuple(kendall_tau(a, b) for a, b in combinations(parts, 2))
    k = max(1, len(whole) // 10)
    best = set(_top(whole, k))
    common = [len(best.intersection(_top(part, k))) / k for part in parts]
    return Stability(taus, float(np.mean(taus)), float(np.mean(common)), len(parts), len(whole))


def _top(scores: Sequence[float], k: int) -> list[int]:
    return sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:k]


def warn_if_flat(scores: LayerScores, candidates: Sequence[str], k: int) -> None:
    """Warn if half of the layers or more share the best score and not all of them are chosen: then order decided."""
    best = scores[candidates[0]].score if candidates else None
    same = sum(scores[name].score == best for name in candidates)
    if not 0 < k < same or 2 * same < len(candidates) or same < 3:
        return
    warnings.warn(
        f"the ranking is flat: {same} of {len(candidates)} layers have the best score, {best:.4g}, and {k} of them "
        "were chosen by their order in the network. Give more samples (n_batches=, larger batches), or rank by another "
        "score",
        RankingWarning,
        stacklevel=4,
    )


def warn_if_unstable(scores: LayerScores) -> None:
    """Warn if parts of the samples were measured and rank the layers differently."""
    if not scores.ranked() or not _parts_are_scored(scores):
        return
    found = stability_of(scores)
    if found.is_stable:
        return
    warnings.warn(
        f"the ranking is unstable: {found}. Other samples would choose other layers. Give more samples (n_batches=, "
        "larger batches) until tau is above 0.5, choose more layers, or compare with score='size', which no sample "
        "changes",
        RankingWarning,
        stacklevel=4,
    )


@dataclass(frozen=True)
class Drift:
    """What new data would change about a selection.

    Attributes
    ----------
    tau
        Kendall tau between the old and the new scores of the layers that have both.
    again
        Chosen layers that would be chosen again.
    leaving, entering
        Chosen layers that would not, and layers that would take their place.
    scores
        The scores on the new data.
    no_rule
        Why only scores are compared, and no layer leaves or enters: the layers were chosen by name; or empty.
    """

    tau: float
    again: tuple[str, ...]
    leaving: tuple[str, ...]
    entering: tuple[str, ...]
    scores: LayerScores
    no_rule: str = ""

    @property
    def kept(self) -> float:
        """The share of chosen layers that would be chosen again."""
        return len(self.again) / max(1, len(self.again) + len(self.leaving))

    def __str__(self) -> str:
        tau = f"Kendall tau {self.tau:.2f} between old and new scores"
        if self.no_rule:
            return f"{tau}; {self.no_rule}, so no layer leaves or enters"
        n_chosen = len(self.again) + len(self.leaving)
        lines = [f"{tau}; {len(self.again)} of {n_chosen} chosen layers would be chosen again"]
        if self.leaving:
            lines.append(f"would leave: {', '.join(map(label, self.leaving))}")
        if self.entering:
            lines.append(f"would enter: {', '.join(map(label, self.entering))}")
        return "\n".join(lines)


def cut_again(selection: Selection, new: LayerScores, fill: Callable[[list[str]], tuple[str, ...]]) -> Drift:
    """Compare a selection's scores with new ones, and cut those by the rule that the selection was made by.

    Parameters
    ----------
    selection
        The choice.
    new
        The layers' scores on new data.
    fill
        Chooses within the selection's budget, from candidates in the order of their new scores.

    Returns
    -------
    Drift
        With ``no_rule`` for layers chosen by name, and where the rule that is known does not give the selection from
        its own scores: older files hold no ``include`` and ``exclude``.
    """
    scores = {layer.name: layer.score or 0.0 for layer in new.ranked()}
    both = [layer for layer in selection.scores.ranked() if layer.name in scores]
    tau = kendall_tau([layer.score or 0.0 for layer in both], [scores[layer.name] for layer in both])
    before, after = _candidates(selection, selection.scores), _candidates(selection, new)
    if selection.rho is None and selection.k is None and selection.budget is None:
        why = "the layers were chosen by name"
    elif not _follows(selection, before):
        why = "by which rule the layers were chosen is not known"
    else:
        why = ""
    if why:
        return Drift(tau, selection.layers, (), (), new, why)
    if before == after:
        best = selection.layers  # what a step costs does not follow from the scores
    else:
        best = tuple(after[: _count(selection, after)]) if selection.budget is None else fill(after)
    return Drift(
        tau=tau,
        again=tuple(name for name in selection.layers if name in best),
        leaving=tuple(name for name in selection.layers if name not in best),
        entering=tuple(name for name in best if name not in selection.layers),
        scores=new,
    )


def as_recorded(patterns: Patterns) -> Patterns:
    """Return patterns as a selection keeps them: a list as a tuple, so that it equals what is read from a file."""
    return patterns if patterns is None or isinstance(patterns, str) else tuple(patterns)


def _candidates(selection: Selection, scores: LayerScores) -> list[str]:
    names = [layer.name for layer in scores.ranked() if layer.name not in selection.always_train]
    return kept(names, selection.include, selection.exclude)


def _count(selection: Selection, candidates: Sequence[str]) -> int:
    from adabet_fast.nn.choice import count_layers  # choices know selections, and those know drift

    if selection.k is not None:
        return selection.k
    return count_layers(selection.rho or 0.0, len(candidates), selection.rounding or "ceil")


def _follows(selection: Selection, candidates: Sequence[str]) -> bool:
    """Whether the rule gives the selection; of a budget, whether each better layer was chosen or did not fit."""
    if selection.budget is None:
        return selection.layers == tuple(candidates[: _count(selection, candidates)])
    named = {*selection.layers, *selection.budget.skipped}
    return set(candidates[: len(named)]) == named
