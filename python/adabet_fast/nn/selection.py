"""A choice of layers to train, and what follows from it."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from fractions import Fraction
from math import ceil, floor
from os import PathLike
from typing import Any, Literal, NamedTuple, TypeAlias

from torch import nn

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn.criteria import check_choice
from adabet_fast.nn.files import read_json, write_json
from adabet_fast.nn.freeze import freeze, is_frozen, thaw
from adabet_fast.nn.layers import ROOT_LABEL, check_model, label
from adabet_fast.nn.parameters import format_trainable_parameters
from adabet_fast.nn.scores import LayerScores
from adabet_fast.nn.table import format_bytes

Rounding: TypeAlias = Literal["ceil", "floor", "round"]


class SharedParameter(NamedTuple):
    """A parameter that is trained because one layer is, though another layer that holds it is not chosen."""

    parameter: str
    trained_with: str
    also_in: str

    def __str__(self) -> str:
        used, also = label(self.trained_with), label(self.also_in)
        return f"'{self.parameter}' is trained with '{used}' and is also part of '{also}', which is not chosen"


@dataclass(frozen=True)
class Selection:
    """A choice of layers of a network: these are trained, all others frozen.

    A plain value that can be saved, and applied to any model with the same parameters (names, shapes, dtypes).
    Apply it *before* an optimizer, a ``Trainer``, DDP or FSDP is built: they take up the parameters as they find them.

    Attributes
    ----------
    scores
        What the choice was made from.
    layers
        Names of the chosen layers, best first.
    always_train
        Names of the layers that are trained besides and do not count in ``rho``, usually the classifier head.
    always_train_reason
        How they came to be.
    rho, rounding
        The share of layers that was asked for; None where the layers were named.
    """

    scores: LayerScores
    layers: tuple[str, ...]
    always_train: tuple[str, ...]
    always_train_reason: str
    rho: float | None = None
    rounding: Rounding | None = None
    _applied: list[weakref.ref[nn.Module]] = field(default_factory=list, init=False, compare=False, repr=False)

    @property
    def trained_layers(self) -> tuple[str, ...]:
        """Names of all layers that are trained, in the order of the network."""
        names = {*self.layers, *self.always_train}
        return tuple(layer.name for layer in self.scores if layer.name in names)

    @property
    def trained_parameters(self) -> tuple[str, ...]:
        """Names of all parameters that are trained, as ``model.named_parameters()`` gives them."""
        return tuple(dict.fromkeys(name for layer in self.trained_layers for name in self.scores[layer].parameters))

    @property
    def n_trainable(self) -> int:
        """Number of trained parameter elements."""
        return sum(self.scores.fingerprint.parameters[name].n_elements for name in self.trained_parameters)

    @property
    def n_parameters(self) -> int:
        """Number of parameter elements of the model, shared ones counted once."""
        return sum(shape.n_elements for shape in self.scores.fingerprint.parameters.values() if shape.tied_to is None)

    @property
    def trainable_bytes(self) -> int:
        """Bytes of the trained parameters, which is also what their gradients take."""
        return sum(self.scores.fingerprint.parameters[name].n_bytes for name in self.trained_parameters)

    @property
    def shared(self) -> tuple[SharedParameter, ...]:
        """Parameters that are trained though a layer that holds them is not chosen."""
        trained = self.trained_layers
        trained_with = {name: layer for layer in reversed(trained) for name in self.scores[layer].parameters}
        return tuple(
            SharedParameter(name, trained_with[name], layer.name)
            for layer in self.scores
            if layer.name not in trained
            for name in layer.parameters
            if name in trained_with
        )

    def apply(self, model: nn.Module, *, hold_statistics: bool = True) -> None:
        """Freeze the model but for the chosen layers.

        ``requires_grad`` is set on every parameter. Frozen normalisation layers with running statistics (and frozen
        parametrisations that iterate, such as spectral normalisation) are put in eval mode and stay there through
        later ``model.train()`` calls, in copies and pickles of the model too.

        Build the optimizer afterwards; one that was built before goes on updating frozen parameters that still have a
        gradient. Freeze before ``DistributedDataParallel`` and FSDP wrap the model. Frozen layers below a trained one
        cost no activations; those between a trained layer and the loss still do.

        Parameters
        ----------
        model
            A model with the parameters of the one that was scored.
        hold_statistics
            False lets frozen running statistics follow the new data.

        Raises
        ------
        InvalidInputError
            If the model has other parameters.
        RuntimeError
            If a selection is applied to it already.
        """
        network = check_model(model)
        self.scores.fingerprint.check(network, "this selection")
        freeze(network, frozenset(self.trained_parameters), hold_statistics=hold_statistics)
        self._applied.append(weakref.ref(network))

    def undo(self, model: nn.Module | None = None) -> None:
        """Take an :meth:`apply` back: flags and modes are restored exactly.

        Parameters
        ----------
        model
            Which model; the one that this selection was applied to last if None. A copy of a frozen model can be
            named here too.

        Raises
        ------
        RuntimeError
            If no selection is applied.
        """
        if model is None:
            alive = [
                network for network in (ref() for ref in self._applied) if network is not None and is_frozen(network)
            ]
            if not alive:
                raise RuntimeError("this selection is applied to no model, so there is nothing to undo")
            network = alive[-1]
        else:
            network = check_model(model)
        thaw(network)
        self._applied[:] = [ref for ref in self._applied if ref() not in (None, network)]

    @contextmanager
    def applied(self, model: nn.Module, *, hold_statistics: bool = True) -> Iterator[nn.Module]:
        """Apply for the length of a ``with`` block, and undo at its end, also after an error."""
        self.apply(model, hold_statistics=hold_statistics)
        try:
            yield model
        finally:
            self.undo(model)

    def print_trainable_parameters(self) -> None:
        """Print what is trained, in the format of PEFT."""
        print(format_trainable_parameters(self.n_trainable, self.n_parameters))  # noqa: T201

    def table(self) -> str:
        """Lay the scores out as text, with what was chosen."""
        marks = dict.fromkeys(self.layers, "yes") | dict.fromkeys(self.always_train, "always")
        return self.scores.table(marks)

    def summary(self) -> str:
        """Say in a few lines what was chosen and what is trained."""
        asked = "" if self.rho is None else f" (rho={self.rho:g}, {self.rounding})"
        lines = [f"chosen: {', '.join(map(label, self.layers)) or 'no layer'}{asked}"]
        if self.always_train:
            lines.append(f"always trained: {', '.join(map(label, self.always_train))} ({self.always_train_reason})")
        else:
            lines.append(f"always trained: none ({self.always_train_reason})")
        lines.append(format_trainable_parameters(self.n_trainable, self.n_parameters))
        lines.append(f"trained values: {format_bytes(self.trainable_bytes)}, and as much for their gradients")
        return "\n".join(lines + [f"shared: {shared}" for shared in self.shared])

    def __str__(self) -> str:
        return f"{self.table()}\n\n{self.scores.summary()}\n{self.summary()}"

    def __repr__(self) -> str:
        names = f"layers={list(self.layers)}, always_train={list(self.always_train)}"
        return f"Selection({names}, n_trainable={self.n_trainable})"

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_applied": []}

    def to_json(self, path: str | PathLike[str] | None = None) -> str:
        """Return the selection, its scores and the fingerprint as JSON, and write it to a file if a path is given."""
        data = {
            "layers": list(self.layers),
            "always_train": list(self.always_train),
            "always_train_reason": self.always_train_reason,
            "rho": self.rho,
            "rounding": self.rounding,
            "scores": self.scores.to_dict(),
        }
        return write_json("Selection", data, path)

    @classmethod
    def from_json(cls, source: str | PathLike[str]) -> Selection:
        """Read what :meth:`to_json` wrote: the text, or the path of a file."""

        def make(data: Mapping[str, Any]) -> Selection:
            scores = LayerScores.from_dict(data["scores"])
            names = {layer.name for layer in scores}
            layers, always = tuple(data["layers"]), tuple(data["always_train"])
            if not names.issuperset(layers + always):
                raise ValueError(f"layers {sorted({*layers, *always} - names)} are not among the scores")
            return cls(scores, layers, always, data["always_train_reason"], data["rho"], data["rounding"])

        return read_json("Selection", source, make)


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
    """Compute how many of ``n_layers`` layers a share is, which is read as the decimal number that it is written as.

    >>> count_layers(0.1, 26, "ceil"), count_layers(0.1, 26, "floor"), count_layers(0.1, 5, "round")
    (3, 2, 1)
    >>> count_layers(0.07, 100, "ceil")  # 0.07 * 100 is 7.000000000000001
    7
    """
    exact = Fraction(repr(float(rho))) * n_layers
    return {"ceil": ceil(exact), "floor": floor(exact), "round": floor(exact + Fraction(1, 2))}[rounding]


def find_always_train(scores: LayerScores, always_train: str | Sequence[str] | None) -> tuple[tuple[str, ...], str]:
    """Return the names of the layers that are always trained, and why."""
    if isinstance(always_train, str) and always_train == "auto":
        return scores.head, scores.head_reason
    patterns = [always_train] if isinstance(always_train, str) else list(always_train or ())
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
