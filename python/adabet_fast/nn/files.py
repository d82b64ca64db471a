"""JSON files with a format name and a version."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from adabet_fast.errors import InvalidInputError

VERSION = 1
"""Version of the JSON layout; raised when a reader of the one before could not read it."""

T = TypeVar("T")


def write_json(kind: str, data: Mapping[str, Any], path: str | PathLike[str] | None) -> str:
    """Return data as JSON under a format name, and write it to a file if a path is given."""
    text = json.dumps({"format": f"adabet_fast.{kind}", "version": VERSION, **data}, indent=1, allow_nan=False)
    if path is not None:
        Path(path).write_text(text + "\n", encoding="utf-8")
    return text


def read_json(kind: str, source: str | PathLike[str], make: Callable[[Mapping[str, Any]], T]) -> T:
    """Make an object from JSON text or a file of it.

    Parameters
    ----------
    kind
        The format name expected.
    source
        Text that begins with a brace, or the path of a file.
    make
        From the data to the object.

    Returns
    -------
    The object.

    Raises
    ------
    InvalidInputError
        If it is not JSON, or of another format or version, or incomplete.
    """
    is_text = isinstance(source, str) and source.lstrip().startswith("{")
    text = str(source) if is_text else Path(source).read_text(encoding="utf-8")
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidInputError(f"source: is not JSON: {error}") from error
    found, version = (data.get("format"), data.get("version")) if isinstance(data, dict) else (None, None)
    if found != f"adabet_fast.{kind}" or version != VERSION:
        raise InvalidInputError(
            f"source: expected format 'adabet_fast.{kind}', version {VERSION}; got {found!r}, version {version!r}"
        )
    try:
        return make(data)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InvalidInputError(
            f"source: is not a complete adabet_fast.{kind}: {type(error).__name__}: {error}"
        ) from error
