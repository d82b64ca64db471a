"""What `ripser` returns: a dict some of whose entries are computed when they are first read."""

from __future__ import annotations

import copy
from collections.abc import Callable, ItemsView, Iterator, ValuesView
from typing import Any


class Deferred:
    """A value that has not been computed yet: a function that pickles, and its arguments."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.function = function
        self.arguments = arguments

    def __call__(self) -> Any:
        return self.function(*self.arguments)


class LazyDict(dict[str, Any]):
    """A dict whose `Deferred` values are computed, and kept, when they are first read.

    The C level of dict copies values without asking the class for them, but only as long as the class leaves some
    methods alone (``__iter__``, say, for ``dict(x)`` and ``{**x}``); those are here too, so that nobody sees a
    `Deferred`. Pickles and copies leave what has not been computed uncomputed.
    """

    def settle(self) -> LazyDict:
        """Compute every deferred value."""
        for key in self:
            self[key]
        return self

    def __getitem__(self, key: str) -> Any:
        value = super().__getitem__(key)
        if isinstance(value, Deferred):
            value = value()
            self[key] = value
        return value

    def __iter__(self) -> Iterator[str]:
        return super().__iter__()

    def get(self, key: str, default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default

    def setdefault(self, key: str, default: Any = None) -> Any:
        super().setdefault(key, default)
        return self[key]

    def pop(self, key: str, *default: Any) -> Any:
        value = super().pop(key, *default)
        return value() if isinstance(value, Deferred) else value

    def popitem(self) -> tuple[str, Any]:
        key, value = super().popitem()
        return key, value() if isinstance(value, Deferred) else value

    def values(self) -> ValuesView[Any]:  # type: ignore[override]
        return dict.values(self.settle())

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]
        return dict.items(self.settle())

    def copy(self) -> LazyDict:
        return copy.copy(self)

    def __eq__(self, other: object) -> bool:
        return dict.__eq__(self.settle(), other.settle() if isinstance(other, LazyDict) else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __or__(self, other: Any) -> Any:
        return dict(self) | other

    def __ror__(self, other: Any) -> Any:
        return other | dict(self)

    def __repr__(self) -> str:
        return dict.__repr__(self.settle())

    def __reduce_ex__(self, protocol: Any) -> Any:
        return (type(self), (), None, None, iter(list(dict.items(self))))
