"""Include and exclude patterns, read as PEFT reads its ``target_modules``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from adabet_fast.errors import InvalidInputError

Patterns: TypeAlias = str | Sequence[str] | None


def check_patterns(argument: str, patterns: object) -> None:
    """Raise unless a value is a regular expression, a sequence of names, or None."""
    if patterns is None:
        return
    if isinstance(patterns, str):
        try:
            re.compile(patterns)
        except re.error as error:
            raise InvalidInputError(f"{argument}: {patterns!r} is no regular expression: {error}") from error
    elif not isinstance(patterns, Iterable) or not all(isinstance(name, str) for name in patterns):
        raise InvalidInputError(f"{argument}: expected a regular expression or a list of names, got {patterns!r}")


def matches(name: str, patterns: Patterns) -> bool:
    r"""Tell whether a module's name matches as PEFT has it.

    Parameters
    ----------
    name
        The module's dotted name.
    patterns
        A string is a regular expression for the whole name. Of a list each entry is the whole name or its end from a
        dot on. None matches nothing.

    Returns
    -------
    bool

    Examples
    --------
    >>> matches("encoder.0.fc", r"encoder\..*"), matches("encoder.0.fc", "encoder")
    (True, False)
    >>> matches("encoder.0.fc", ["fc"]), matches("encoder.0.fc", ["0.fc"]), matches("encoder.0.gfc", ["fc"])
    (True, True, False)
    """
    if patterns is None:
        return False
    if isinstance(patterns, str):
        return re.fullmatch(patterns, name) is not None
    return any(name == end or name.endswith(f".{end}") for end in patterns)


def kept(names: Iterable[str], include: Patterns, exclude: Patterns) -> list[str]:
    """Return the names that match ``include`` (all, if None) and not ``exclude``.

    >>> kept(["conv1", "bn1", "fc"], None, ["bn1"]), kept(["conv1", "bn1", "fc"], r".*1", ["bn1"])
    (['conv1', 'fc'], ['conv1'])
    """
    return [name for name in names if (include is None or matches(name, include)) and not matches(name, exclude)]
