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

ScoreName: TypeAlias = Literal["adabet", "b1", "size", "total_persistence"]
ScoreFunction: TypeAlias = Callable[[torch.Tensor, "Barcode", nn.Module], float]
"""Takes a layer's cloud (samples, activations), its H1 barcode and its module."""
Normalize: TypeAlias = Literal["activation", "none", "parameters"]
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
    check_choice("normalize", normalize, Normalize)
    if normalize == "parameters" and score not in ("adabet", "total_persistence"):
        name = "a callable score" if callable(score) else f"score={score!r}"
        raise InvalidInputError(f"normalize: 'parameters' has no effect with {name}; leave it at its default")


def score_of(
    score: ScoreName,
    normalize: Normalize,
    *,
    b1: int,
    total_persistence: float | None,
    size: int,
    n_parameters: int,
) -> float:
    """Compute a layer's score from its numbers.

    Parameters
    ----------
    score
        ``"adabet"``: b1 over the divisor; ``"total_persistence"``: the summed lengths of the bars over the divisor;
        ``"b1"``: b1 alone; ``"size"``: one over the activations of one sample.
    normalize
        The divisor: ``"activation"``, the activations of one sample; ``"parameters"``; or ``"none"``, 1.
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
    divisor = {"activation": size, "none": 1, "parameters": n_parameters}[normalize]
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
