"""Which layers a share, a list of names or a pattern means."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from fractions import Fraction
from math import ceil, floor

from torch import nn

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn.budget import BudgetKind, StepCost, check_budget, default_optimizer, fill_truly
from adabet_fast.nn.criteria import check_choice
from adabet_fast.nn.layers import ROOT_LABEL, check_model, label
from adabet_fast.nn.patterns import Patterns, check_patterns, kept
from adabet_fast.nn.scores import LayerScores
from adabet_fast.nn.selection import Rounding, Selection
from adabet_fast.nn.stability import warn_if_flat, warn_if_unstable
from adabet_fast.nn.trace import OptimizerFactory, StepTracer


@dataclass(frozen=True)
class Wish:
    """How many layers are asked for: one of the four, and what goes with it; see :meth:`LayerScores.select`."""

    rho: float | None = None
    k: int | None = None
    budget_bytes: float | None = None
    budget_flops: float | None = None
    rounding: Rounding = "ceil"
    include: Patterns = None
    exclude: Patterns = None

    def check(self) -> Wish:
        """Raise for what does not go together; a share of 0.1 is asked for if nothing is."""
        check_choice("rounding", self.rounding, Rounding)
        check_patterns("include", self.include)
        check_patterns("exclude", self.exclude)
        asked = [name for name in ("rho", "k", "budget_bytes", "budget_flops") if getattr(self, name) is not None]
        if len(asked) > 1:
            raise InvalidInputError(f"{asked[1]}: cannot be given together with {asked[0]}; ask for one of them")
        if not asked:
            return replace(self, rho=0.1)
        rho, k = self.rho, self.k
        if rho is not None and (isinstance(rho, bool) or not isinstance(rho, (int, float)) or not 0 <= rho <= 1):
            raise InvalidInputError(f"rho: expected a share from 0 to 1, got {rho!r}")
        if k is not None and (isinstance(k, bool) or not isinstance(k, int) or k < 0):
            raise InvalidInputError(f"k: expected a number of layers, got {k!r}")
        return self


def choose(
    scores: LayerScores,
    wish: Wish,
    always_train: str | Sequence[str] | None,
    model: nn.Module | None = None,
    tracer: Callable[[nn.Module], StepTracer] | None = None,
    optimizer: OptimizerFactory | None = None,
) -> Selection:
    """Choose the best layers; see :meth:`LayerScores.select`."""
    wish = wish.check()
    always, reason = find_always_train(scores, always_train)
    names = [layer.name for layer in scores.ranked() if layer.name not in always]
    candidates = kept(names, wish.include, wish.exclude)
    if not scores.ranked() and not (wish.rho == 0 or wish.k == 0):
        why = "; ".join(f"'{label(layer.name)}': {layer.status}" for layer in scores.layers[:3])
        raise InvalidInputError(f"model: none of its {len(scores)} layers could be scored: {why}")
    if names and not candidates:
        raise InvalidInputError(f"include: no scored layer is left of {len(names)} by include and exclude")
    if wish.budget_bytes is not None or wish.budget_flops is not None:
        if model is None or tracer is None:
            raise InvalidInputError("model: a budget needs the model and a batch; give model= and batch=")
        selection = _within(scores, wish, candidates, always, reason, model, tracer, optimizer)
        warn_if_flat(scores, candidates, len(selection.layers))
        warn_if_unstable(scores)
        return selection
    if wish.k is not None:
        k = wish.k
        if k > len(candidates):
            raise InvalidInputError(f"k: {k} layers asked for, but only {len(candidates)} can be chosen")
    else:
        k = count_layers(wish.rho or 0.0, len(candidates), wish.rounding)
    if k == 0 and not always:
        asked = f"k: {k}" if wish.k is not None else f"rho: {wish.rho!r}"
        raise InvalidInputError(
            f"{asked} of {len(candidates)} layers rounds ({wish.rounding}) to none, so nothing would be trained"
        )
    warn_if_flat(scores, candidates, k)
    warn_if_unstable(scores)
    share = None if wish.rho is None else float(wish.rho)
    rounding = None if wish.rho is None else wish.rounding
    return Selection(scores, tuple(candidates[:k]), always, reason, share, rounding, wish.k)


def _within(
    scores: LayerScores,
    wish: Wish,
    candidates: list[str],
    always: tuple[str, ...],
    reason: str,
    model: nn.Module,
    tracer: Callable[[nn.Module], StepTracer],
    optimizer: OptimizerFactory | None,
) -> Selection:
    """Choose under a budget; see :func:`adabet_fast.nn.budget.fill`."""
    kind: BudgetKind = "flops" if wish.budget_bytes is None else "bytes"
    limit = check_budget(f"budget_{kind}", wish.budget_bytes if kind == "bytes" else wish.budget_flops)
    network = check_model(model)
    scores.fingerprint.check(network, "this ranking")
    cost = StepCost(network, tracer(network), kind, optimizer or default_optimizer)
    chosen, budget = fill_truly(cost, limit, candidates, always, lambda layer: scores[layer].parameters)
    if not chosen and not always:
        raise InvalidInputError(f"budget_{kind}: no layer fits into {limit:,}, so nothing would be trained")
    if budget.least > limit:
        warnings.warn(
            f"the layers that are always trained ({', '.join(map(label, always))}) alone cost {budget.least:,} {kind}, "
            f"more than the budget of {limit:,}; no other layer was chosen. Raise the budget or give always_train=None",
            BudgetWarning,
            stacklevel=4,
        )
    return Selection(scores, chosen, always, reason, budget=budget)


class BudgetWarning(UserWarning):
    """What must be trained costs more than the budget."""


def choose_named(
    scores: LayerScores, layers: str | Sequence[str], *, always_train: str | Sequence[str] | None
) -> Selection:
    """Choose layers by name or pattern; see :meth:`LayerScores.select_named`."""
    always, reason = find_always_train(scores, always_train)
    named = [
        name
        for name in match_layers(scores, [layers] if isinstance(layers, str) else layers, "layers")
        if name not in always
    ]
    if not named and not always:
        raise InvalidInputError("layers: is empty, so nothing would be trained")
    return Selection(scores, tuple(named), always, reason)


def count_layers(rho: float, n_layers: int, rounding: Rounding) -> int:
    """Compute how many of ``n_layers`` layers a share is, which is read as a decimal number of at most 12 digits.

    >>> count_layers(0.1, 26, "ceil"), count_layers(0.1, 26, "floor"), count_layers(0.1, 5, "round")
    (3, 2, 1)
    >>> count_layers(0.07, 100, "ceil")  # 0.07 * 100 is 7.000000000000001
    7
    >>> count_layers(0.1 + 0.2, 10, "ceil")  # 0.30000000000000004, as in numpy.linspace(0, 1, 11)
    3
    """
    exact = Fraction(f"{float(rho):.12g}") * n_layers
    return {"ceil": ceil(exact), "floor": floor(exact), "round": floor(exact + Fraction(1, 2))}[rounding]


def find_always_train(scores: LayerScores, always_train: str | Sequence[str] | None) -> tuple[tuple[str, ...], str]:
    """Return the names of the layers that are always trained, and why."""
    if isinstance(always_train, str) and always_train == "auto":
        return scores.head, scores.head_reason
    patterns = [always_train] if isinstance(always_train, str) else () if always_train is None else always_train
    return tuple(match_layers(scores, patterns, "always_train")), "as asked"


def match_layers(scores: LayerScores, patterns: Sequence[str], argument: str) -> list[str]:
    """Find layers by their names, by the name of a module around them, or by shell patterns.

    Parameters
    ----------
    scores
        The layers.
    patterns
        ``"layer4.0.conv1"``, ``"layer4"`` for all layers inside it, ``"*.bn?"``. The model itself is ``"(model)"``.
    argument
        What the patterns were given as, for the message.

    Returns
    -------
    list of str
        In the order of the patterns, each layer once.

    Raises
    ------
    InvalidInputError
        If a pattern matches no layer, naming close ones.
    """
    if not isinstance(patterns, Iterable):
        raise InvalidInputError(f"{argument}: expected names or patterns, got {patterns!r}")
    names = [layer.name for layer in scores]
    found: dict[str, None] = {}
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise InvalidInputError(f"{argument}: expected names or patterns, got {pattern!r}")
        wanted = "" if pattern == ROOT_LABEL else pattern
        matches = [wanted] if wanted in names else []
        if not matches and wanted:
            matches = [name for name in names if name.startswith(f"{wanted}.") or fnmatchcase(name, wanted)]
        if not matches:
            close = get_close_matches(pattern, names, n=3, cutoff=0.5)
            hint = f"; close: {', '.join(map(repr, close))}" if close else ""
            raise InvalidInputError(f"{argument}: {pattern!r} matches no layer{hint}")
        found.update(dict.fromkeys(matches))
    return list(found)
