"""The examples in the docstrings of the package."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

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


@pytest.mark.parametrize("name", sorted(set(adabet_fast.__all__)))
def test_public_functions_have_an_example(name: str) -> None:
    item = getattr(adabet_fast, name)
    if not callable(item) or (isinstance(item, type) and issubclass(item, Exception)):
        pytest.skip("not a function")
    assert ">>>" in (item.__doc__ or ""), f"{name}: no example in its docstring"
