"""The examples in the docstrings of the package and in the README."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import adabet_fast

OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def modules() -> list[str]:
    found = pkgutil.walk_packages(adabet_fast.__path__, "adabet_fast.")
    return ["adabet_fast", *sorted(m.name for m in found if not m.name.endswith(("._core", ".__main__")))]


@pytest.mark.parametrize("name", modules())
def test_examples_of_module(name: str) -> None:
    module = importlib.import_module(name)
    assert doctest.testmod(module, optionflags=OPTIONS).failed == 0, "see the captured output"


@pytest.mark.parametrize("name", ["README.md"])  # the pages in docs/: test_docs.py
def test_examples_of_texts(name: str) -> None:
    text = Path(__file__).parents[1] / name
    results = doctest.testfile(str(text), module_relative=False, optionflags=OPTIONS)
    assert results.attempted > 10
    assert results.failed == 0, "see the captured output"


def public_functions() -> list[str]:
    return sorted(name for name in adabet_fast.__all__ if inspect.isroutine(getattr(adabet_fast, name)))


@pytest.mark.parametrize("name", public_functions())
def test_public_functions_have_an_example(name: str) -> None:
    assert ">>>" in (getattr(adabet_fast, name).__doc__ or ""), f"{name}: no example in its docstring"
