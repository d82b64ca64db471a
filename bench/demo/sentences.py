"""Sentences that follow from the figures, whoever wins: nothing here knows an outcome beforehand."""

from __future__ import annotations

from .figures import Duel, Outcome, Preparation, Spread
from .report import spread


def sentences(known: Preparation, outcome: Outcome, ours: str) -> list[str]:
    """Say where `ours` stands, against whom the seeds can tell, what it saves, and what its score is made of."""
    return [
        _place(outcome, ours),
        _told_apart(outcome.duels),
        _cost(outcome, ours),
        _frontier(outcome, ours),
        _sizes(outcome),
        _score(known),
        "One small network, one shift, one learning rate: this shows how the method is used, it does not judge it.",
    ]


def _place(outcome: Outcome, ours: str) -> str:
    best = max(outcome.summaries, key=lambda s: s.accuracy.mean)
    mine = next(s for s in outcome.summaries if s.strategy == ours)
    place = 1 + sum(s.accuracy.mean > mine.accuracy.mean for s in outcome.summaries)
    if best is mine:
        return f"Highest mean accuracy: {mine.title}, {spread(mine.accuracy)} %."
    return (
        f"Highest mean accuracy: {best.title}, {spread(best.accuracy)} %. {mine.title}: {spread(mine.accuracy)} %, "
        f"place {place} of {len(outcome.summaries)}."
    )


def _told_apart(duels: tuple[Duel, ...]) -> str:
    if any(each.exceeds_std is None for each in duels):
        return "With one seed there is no deviation, so none of these differences can be told from chance."
    ahead = [d.title for d in duels if d.exceeds_std and d.difference.mean > 0]
    behind = [d.title for d in duels if d.exceeds_std and d.difference.mean < 0]
    neither = [d.title for d in duels if not d.exceeds_std]
    clauses = [
        f"{word} {listed(names)}"
        for word, names in (("ahead of", ahead), ("behind", behind), ("not told apart from", neither))
        if names
    ]
    return "Counting only differences larger than their deviation, AdaBet is " + "; ".join(clauses) + "."


def _cost(outcome: Outcome, ours: str) -> str:
    by_key = {s.strategy: s for s in outcome.summaries}
    mine, full = by_key[ours], by_key["full"]
    difference = mine.accuracy.mean - full.accuracy.mean
    accuracy = f"{100 * abs(difference):.1f} points {'more' if difference > 0 else 'less'}" if difference else "equal"
    time = 100 * mine.epoch_seconds / full.epoch_seconds
    return (
        f"Of what full training takes, AdaBet's pick takes {_share(mine.saved_bytes, full.saved_bytes)} of the bytes "
        f"saved for backward, {_share(mine.gradient_bytes, full.gradient_bytes)} of the gradients, "
        f"{_share(mine.optimizer_bytes, full.optimizer_bytes)} of the optimizer's state and {time:.0f} % of the time; "
        f"its accuracy is {accuracy}."
    )


def _frontier(outcome: Outcome, ours: str) -> str:
    mine = next(s for s in outcome.summaries if s.strategy == ours)
    others = [s for s in outcome.summaries if s.strategy != ours]
    cheaper = [s.title for s in others if s.total_bytes <= mine.total_bytes and s.accuracy.mean >= mine.accuracy.mean]
    dearer = [s.title for s in others if s.total_bytes > mine.total_bytes and s.accuracy.mean <= mine.accuracy.mean]
    best = f"At least as accurate with no more bytes in all: {listed(cheaper) if cheaper else 'none of the others'}."
    worst = (
        f"More bytes in all for no more accuracy than AdaBet's: {listed(dearer) if dearer else 'none of the others'}."
    )
    return f"{best} {worst}"


def _sizes(outcome: Outcome) -> str:
    trained = [
        f"{s.title} {s.trainable_parameters.mean:,.0f}" for s in outcome.summaries if s.strategy not in ("full", "head")
    ]
    return f"As many layers are not as many parameters. Trained, with the head's: {listed(trained)}."


def _score(known: Preparation) -> str:
    return (
        f'Is the score more than "smallest activations first"? AdaBet and 1/|a| share {known.shared_with_size} of '
        f"their {len(known.chosen)} layers, and Kendall's tau between the two rankings of all {len(known.layers)} "
        f"layers is {known.rank_agreement:+.2f} (+1: the same order). "
        f"{known.n_smallest} layers tie for the smallest |a|; 1/|a| takes the earliest of them."
    )


def _share(part: Spread, whole: Spread) -> str:
    return f"{100 * part.mean / whole.mean:.1f} %"


def listed(names: list[str]) -> str:
    """Join names as a sentence does."""
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
