"""From what was measured of a layer to its score."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import torch
from torch import nn

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn.layers import label

if TYPE_CHECKING:
    from adabet_fast.barcode import Barcode
    from adabet_fast.nn.layer_score import LayerScore

ScoreName: TypeAlias = Literal["adabet", "b1", "size", "total_persistence"]
ScoreFunction: TypeAlias = Callable[[torch.Tensor, "Barcode", nn.Module], float]
"""Takes a layer's cloud (samples, activations), its H1 barcode and its module."""
CostName: TypeAlias = Literal["activation", "none", "parameters", "flops", "saved_bytes", "latency"]
CostFunction: TypeAlias = Callable[["LayerScore"], float]
"""Takes a layer with its measured numbers, and returns what its score is divided by: a positive number."""
Normalize: TypeAlias = CostName | CostFunction
Unit: TypeAlias = Literal["module", "block"]
MEASURED_COSTS = ("flops", "saved_bytes", "latency")
"""Divisors that need a measurement of their own."""
Pooling: TypeAlias = Literal["pool", "sum"]


def check_choice(argument: str, value: object, choices: object) -> None:
    """Raise unless a value is one of a ``Literal``'s.

    >>> check_choice("pooling", "pool", Pooling)
    """
    names = get_args(choices)
    if value not in names:
        raise InvalidInputError(f"{argument}: expected one of {', '.join(map(repr, names))}, got {value!r}")


def check_criterion(score: object, normalize: object) -> None:
    """Raise unless ``score=`` and ``normalize=`` go together."""
    if not callable(score):
        check_choice("score", score, ScoreName)
    if not callable(normalize):
        check_choice("normalize", normalize, CostName)
    plain = normalize in ("activation", "none")
    if not plain and score not in ("adabet", "total_persistence"):
        name = "a callable score" if callable(score) else f"score={score!r}"
        raise InvalidInputError(f"normalize: {name_of(normalize)!r} has no effect with {name}; leave it at its default")


def name_of(choice: object) -> str:
    """Return how a choice that may be a callable is written down.

    >>> name_of("flops"), name_of(len)
    ('flops', 'len')
    """
    return choice if isinstance(choice, str) else getattr(choice, "__name__", type(choice).__name__)


def score_of(
    score: ScoreName,
    normalize: Normalize,
    *,
    b1: int,
    total_persistence: float | None,
    size: int,
    n_parameters: int,
    cost: float | None = None,
) -> float:
    """Compute a layer's score from its numbers.

    Parameters
    ----------
    score
        ``"adabet"``: b1 over the divisor; ``"total_persistence"``: the summed lengths of the bars over the divisor;
        ``"b1"``: b1 alone; ``"size"``: one over the activations of one sample.
    normalize
        The divisor: ``"activation"``, the activations of one sample; ``"parameters"``; ``"none"``, 1; or a cost.
    cost
        For other divisors than these three: what they came to. A measured cost below one byte or operation counts as
        one, so that a layer that costs nothing has a score.
    b1, total_persistence, size, n_parameters
        The layer's numbers.

    Returns
    -------
    float
        Larger is better.

    Examples
    --------
    >>> score_of("adabet", "activation", b1=12, total_persistence=None, size=600, n_parameters=30)
    0.02
    >>> score_of("size", "activation", b1=12, total_persistence=None, size=500, n_parameters=30)
    0.002
    """
    divisor: float | None = cost
    if not callable(normalize):
        divisor = {"activation": size, "none": 1, "parameters": n_parameters}.get(normalize, cost)
    if divisor is None:
        raise InvalidInputError(f"normalize: {normalize!r} was not measured; ask score_layers for it")
    if normalize in ("flops", "saved_bytes"):
        divisor = max(divisor, 1.0)
    if score == "adabet":
        return b1 / divisor
    if score == "b1":
        return float(b1)
    if score == "size":
        return 1 / size
    if total_persistence is None:
        raise InvalidInputError("score: 'total_persistence' was not measured; ask score_layers for it")
    return total_persistence / divisor


def call_score(function: ScoreFunction, cloud: torch.Tensor, barcode: Barcode, module: nn.Module, name: str) -> float:
    """Call the caller's score function, and check what it returns."""
    value = function(cloud, barcode, module)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not isfinite(number):
        raise InvalidInputError(f"score: expected a finite number for layer '{label(name)}', got {value!r}")
    return number


def call_cost(function: CostFunction, layer: LayerScore) -> float:
    """Call the caller's cost function, and check what it returns."""
    value = function(layer)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not (isfinite(number) and number > 0):
        raise InvalidInputError(f"normalize: expected a positive number for layer '{label(layer.name)}', got {value!r}")
    return number
