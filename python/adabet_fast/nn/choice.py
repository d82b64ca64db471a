"""Which layers a share, a list of names or a pattern means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from fractions import Fraction
from math import ceil, floor

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn.criteria import check_choice
from adabet_fast.nn.layers import ROOT_LABEL
from adabet_fast.nn.scores import LayerScores
from adabet_fast.nn.selection import Rounding, Selection


def choose(
    scores: LayerScores, rho: float, *, rounding: Rounding, always_train: str | Sequence[str] | None
) -> Selection:
    """Choose the best ``rho`` of the scored layers; see :func:`adabet_fast.nn.select_layers`."""
    check_choice("rounding", rounding, Rounding)
    if isinstance(rho, bool) or not isinstance(rho, (int, float)) or not 0 <= rho <= 1:
        raise InvalidInputError(f"rho: expected a share from 0 to 1, got {rho!r}")
    always, reason = find_always_train(scores, always_train)
    candidates = [layer.name for layer in scores.ranked() if layer.name not in always]
    k = count_layers(rho, len(candidates), rounding)
    if k == 0 and not always:
        raise InvalidInputError(
            f"rho: {rho!r} of {len(candidates)} layers rounds ({rounding}) to none, so nothing would be trained"
        )
    return Selection(scores, tuple(candidates[:k]), always, reason, float(rho), rounding)


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
