"""What a model must have in common with the one that was scored: names, shapes and dtypes of its parameters."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from torch import nn

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn.layers import owned_parameters


@dataclass(frozen=True)
class ParameterShape:
    """Shape and dtype of one parameter; ``tied_to`` names the parameter it is the same object as, if any."""

    shape: tuple[int, ...]
    dtype: str
    itemsize: int
    tied_to: str | None = None

    @property
    def n_elements(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def n_bytes(self) -> int:
        """Bytes of the values."""
        return self.n_elements * self.itemsize

    def __str__(self) -> str:
        text = f"{self.dtype}[{', '.join(map(str, self.shape))}]"
        return text if self.tied_to is None else f"{text} = {self.tied_to}"


@dataclass(frozen=True)
class Fingerprint:
    """Names, shapes and dtypes of a model's parameters, not their values.

    Examples
    --------
    >>> from torch import nn
    >>> fingerprint = Fingerprint.of(nn.Linear(2, 3))
    >>> {name: str(shape) for name, shape in fingerprint.parameters.items()}
    {'weight': 'float32[3, 2]', 'bias': 'float32[3]'}
    >>> fingerprint == Fingerprint.of(nn.Linear(2, 3))
    True
    """

    parameters: Mapping[str, ParameterShape]

    @classmethod
    def of(cls, model: nn.Module) -> Fingerprint:
        """Take the fingerprint of a model."""
        first: dict[int, str] = {}
        shapes: dict[str, ParameterShape] = {}
        for name, parameter in owned_parameters(model):
            original = first.setdefault(id(parameter), name)
            shapes[name] = ParameterShape(
                shape=tuple(parameter.shape),
                dtype=str(parameter.dtype).removeprefix("torch."),
                itemsize=parameter.element_size(),
                tied_to=None if original == name else original,
            )
        return cls(shapes)

    @property
    def is_cut(self) -> bool:
        """Whether channels are cut from some layer: then it has parameters that the model itself does not know."""
        return any(name.rpartition(".")[2].startswith("adabet_") for name in self.parameters)

    @property
    def digest(self) -> str:
        """SHA-256 of the fingerprint, in hexadecimal."""
        return hashlib.sha256(json.dumps(self.to_dict()).encode()).hexdigest()

    def to_dict(self) -> dict[str, list[object]]:
        """Return plain lists, strings and numbers, for JSON."""
        return {name: [list(p.shape), p.dtype, p.itemsize, p.tied_to] for name, p in self.parameters.items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, tuple[list[int], str, int, str | None]]) -> Fingerprint:
        """Undo :meth:`to_dict`."""
        return cls(
            {
                name: ParameterShape(tuple(shape), dtype, itemsize, tied)
                for name, (shape, dtype, itemsize, tied) in data.items()
            }
        )

    def check(self, model: nn.Module, what: str) -> None:
        """Raise unless a model has this fingerprint.

        Parameters
        ----------
        model
            The model.
        what
            What was made for another model, for the message: "this selection".

        Raises
        ------
        InvalidInputError
            Naming the first parameters that differ.
        """
        found = Fingerprint.of(model)
        if found == self:
            return
        if found.is_cut:
            raise InvalidInputError(
                "model: a selection is applied to it that trains channels as parameters of their own; undo it first"
            )
        differences = []
        for name in [*self.parameters, *(name for name in found.parameters if name not in self.parameters)]:
            expected, got = self.parameters.get(name), found.parameters.get(name)
            if expected != got:
                differences.append(
                    f"'{name}': expected {expected or 'no such parameter'}, got {got or 'no such parameter'}"
                )
        shown = "; ".join(differences[:3])
        more = f"; and {len(differences) - 3} more" if len(differences) > 3 else ""
        raise InvalidInputError(f"model: {what} was made for a model with other parameters: {shown}{more}")
