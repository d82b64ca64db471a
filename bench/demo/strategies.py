"""Ways to choose the layers that train: AdaBet, and the plainer ones that it has to be held against."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import torch
from torch import Tensor, nn

from adabet_fast.nn import LayerScore, LayerScores, Selection, score_layers

from .figures import LayerRow, kendall_tau

OURS = "adabet"
RANDOM, MATCHED = 4000, 5000  # apart from the numbers that a seed has for images, head and order
TOLERANCE = 0.1
MAX_DRAWS = 2000


@dataclass(frozen=True)
class Strategy:
    """A way to choose: its key, its title, and its selection for a seed."""

    key: str
    title: str
    select: Callable[[int], Selection]


@dataclass(frozen=True)
class Scoring:
    """The scores of the pre-trained network's layers, AdaBet's choice, and what the report says of them."""

    scores: LayerScores
    chosen: Selection
    rho: float
    seconds: float

    @property
    def candidates(self) -> list[LayerScore]:
        """The layers that compete, in the network's order: all but the head, which is trained anyway."""
        return [layer for layer in self.scores if layer.name not in self.chosen.always_train]

    @property
    def head(self) -> LayerRow:
        """The head; it has no rank, as it does not compete."""
        (name,) = self.chosen.always_train
        return _row(self.scores[name], None, chosen=False)

    @property
    def rows(self) -> tuple[LayerRow, ...]:
        """The candidates as the report shows them, ranked among themselves."""
        ranked = [layer.name for layer in self.scores.ranked() if layer.name not in self.chosen.always_train]
        rank = {name: place for place, name in enumerate(ranked, start=1)}
        return tuple(_row(each, rank[each.name], chosen=each.name in self.chosen.layers) for each in self.candidates)

    @property
    def shared_with_size(self) -> int:
        """How many of AdaBet's layers 1/|a| would have chosen as well."""
        return len(set(self.chosen.layers) & set(self.by_other_score("size").layers))

    @property
    def rank_agreement(self) -> float:
        """Kendall's tau between the candidates' scores and 1/|a|."""
        rows = self.rows
        return kendall_tau([row.score for row in rows], [1 / row.activations for row in rows])

    def by_other_score(self, score: Literal["size", "b1"]) -> Selection:
        """Choose as many layers by another score of the same measurements: "size" is 1/|a|, "b1" is b1 alone."""
        return self.scores.rescore(score).select(self.rho)


def score(network: nn.Module, batches: Sequence[Tensor], rho: float) -> Scoring:
    """Score the layers on unlabelled batches and choose the best `rho` of them: AdaBet, two lines."""
    start = time.perf_counter()
    scores = score_layers(network, batches)
    chosen = scores.select(rho)
    return Scoring(scores, chosen, rho, time.perf_counter() - start)


def strategies(scoring: Scoring) -> list[Strategy]:
    """List the contestants: all train the head, and the last four train as many layers as AdaBet."""
    scores = scoring.scores
    names = [layer.name for layer in scoring.candidates]
    parameters = {layer.name: layer.n_parameters for layer in scoring.candidates}
    n_chosen = len(scoring.chosen.layers)
    n_parameters = sum(parameters[name] for name in scoring.chosen.layers)

    def always(selection: Selection) -> Callable[[int], Selection]:
        return lambda seed: selection

    def draw(seed: int) -> Selection:
        return scores.select_named(draw_layers(names, n_chosen, seed))

    def draw_like_ours(seed: int) -> Selection:
        return scores.select_named(draw_matched(parameters, n_chosen, n_parameters, seed))

    return [
        Strategy(OURS, "AdaBet", always(scoring.chosen)),
        Strategy("full", "full training", always(scores.select_named(names))),
        Strategy("head", "head only", always(scores.select_named([]))),
        Strategy("size", "1/|a|", always(scoring.by_other_score("size"))),
        Strategy("b1", "raw b1", always(scoring.by_other_score("b1"))),
        Strategy("random", "random layers", draw),
        Strategy("matched", "matched random", draw_like_ours),
    ]


def draw_layers(names: Sequence[str], n_layers: int, seed: int) -> tuple[str, ...]:
    """Draw `n_layers` of `names`, each once."""
    return next(_draws(names, n_layers, RANDOM + seed))


def draw_matched(parameters: Mapping[str, int], n_layers: int, target: int, seed: int) -> tuple[str, ...]:
    """Draw `n_layers` until they own about `target` parameters (TOLERANCE); failing that, take the nearest drawn."""

    def distance(names: tuple[str, ...]) -> int:
        return abs(sum(parameters[name] for name in names) - target)

    nearest: tuple[str, ...] = ()
    for names in islice(_draws(list(parameters), n_layers, MATCHED + seed), MAX_DRAWS):
        if distance(names) <= TOLERANCE * target:
            return names
        if not nearest or distance(names) < distance(nearest):
            nearest = names
    return nearest


def _draws(names: Sequence[str], n_layers: int, seed: int) -> Iterator[tuple[str, ...]]:
    generator = torch.Generator().manual_seed(seed)
    while True:
        order: list[int] = torch.randperm(len(names), generator=generator)[:n_layers].tolist()
        yield tuple(names[index] for index in order)


def _row(layer: LayerScore, rank: int | None, *, chosen: bool) -> LayerRow:
    if layer.size is None or layer.b1 is None or layer.score is None:
        raise RuntimeError(f"layer {layer.name!r} of the demo's own network has no score: {layer.status}")
    return LayerRow(layer.name, layer.type, layer.n_parameters, layer.size, layer.b1, layer.score, rank, chosen)
