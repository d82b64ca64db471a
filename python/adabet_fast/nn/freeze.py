"""Freeze a network but for some parameters, in a way that holds through training, and take it back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.utils.parametrize import ParametrizationList
from torch.nn.utils.spectral_norm import SpectralNorm

from adabet_fast.errors import InvalidInputError

_RECORD = "_adabet_applied"
"""Attribute of a frozen model that keeps its requires_grad flags; plain data, so it copies and pickles with it."""

_CHOICE = "_adabet_choice"
"""Attribute of a frozen model that tells what is trained: parameters, and the channels of layers that are cut."""


class StayInEval:
    """Stands in for one module's ``train`` and keeps the module in eval mode, whatever is asked for.

    An instance attribute rather than a hook or a subclass: it works for ``model.train()`` and for compiled models, it
    leaves the type and the state dict alone, and copies and pickles along with its module.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.flags = [(part, part.training) for part in module.modules()]
        self.asked: bool | None = None
        self.previous = vars(module).get("train")

    def __call__(self, mode: bool = True) -> nn.Module:
        """Note the mode asked for, stay in eval."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.asked = mode
        for part in self.module.modules():
            part.training = False
        return self.module

    def hold(self) -> None:
        """Take over the module's ``train``."""
        vars(self.module)["train"] = self
        for part in self.module.modules():
            part.training = False

    def release(self, training: bool) -> None:
        """Give ``train`` back, and the mode that the module would have by now in a model with this mode.

        Where the mode last asked for here is not the model's, flags were set directly (Lightning does so after
        validation) and what they would be is not known: the module gets the mode that it had.
        """
        del vars(self.module)["train"]
        if self.previous is not None:
            vars(self.module)["train"] = self.previous
        if self.asked is training:
            self.flags = [(part, self.asked) for part in self.module.modules()]
        for part, flag in self.flags:
            part.training = flag


def freeze(
    model: nn.Module,
    trained: Collection[str],
    *,
    hold_statistics: bool = True,
    channels: Mapping[str, Collection[int]] | None = None,
) -> None:
    """Turn gradients on for some parameters and off for all others.

    Parameters
    ----------
    model
        The network.
    trained
        Names of the parameters to train, as ``model.named_parameters()`` gives them. A shared parameter goes by its
        first name and is one and the same wherever it is used.
    hold_statistics
        Keep modules in eval mode whose state would move on though none of their parameters is trained: batch and
        instance normalisation with running statistics, and parametrisations such as spectral normalisation.
    channels
        The trained output channels of layers that the caller cuts; only noted here, for :func:`check_applied`.

    Raises
    ------
    RuntimeError
        If the model is frozen by a selection already.
    InvalidInputError
        If a name is unknown.
    """
    if _RECORD in vars(model):
        raise RuntimeError("a selection is applied to this model already; undo it first")
    named = dict(model.named_parameters())
    unknown = [name for name in trained if name not in named]
    if unknown:
        raise InvalidInputError(f"model: has no parameter '{unknown[0]}'")
    vars(model)[_RECORD] = {name: parameter.requires_grad for name, parameter in named.items()}
    vars(model)[_CHOICE] = _choice(trained, channels)
    for name, parameter in named.items():
        parameter.requires_grad_(name in trained)
    if hold_statistics:
        for module in list(moving_modules(model, lambda parameter: parameter.requires_grad)):
            StayInEval(module).hold()


def thaw(model: nn.Module) -> None:
    """Undo :func:`freeze`: gradients flags and modes are restored, parameter by parameter and module by module.

    Parameters that were put into the model since then (a new head) keep their flags.

    Raises
    ------
    RuntimeError
        If the model is not frozen by a selection.
    """
    flags: dict[str, bool] | None = vars(model).get(_RECORD)
    if flags is None:
        raise RuntimeError("no selection is applied to this model, so there is nothing to undo")
    for name, parameter in model.named_parameters():
        if name in flags:
            parameter.requires_grad_(flags[name])
    for module in model.modules():
        held: Any = vars(module).get("train")
        if isinstance(held, StayInEval):
            held.release(model.training)
    del vars(model)[_RECORD]
    vars(model).pop(_CHOICE, None)  # models that were pickled by earlier versions have none


def is_frozen(model: nn.Module) -> bool:
    """Tell whether a selection is applied to a model."""
    return _RECORD in vars(model)


def check_applied(
    model: nn.Module, trained: Collection[str], channels: Mapping[str, Collection[int]] | None = None
) -> None:
    """Raise if a model is frozen by a selection that trains something else.

    Parameters
    ----------
    model
        The network, frozen or not.
    trained, channels
        As in :func:`freeze`.

    Raises
    ------
    InvalidInputError
        If another selection is applied.

    Examples
    --------
    >>> from torch import nn
    >>> network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    >>> freeze(network, {"0.weight"})
    >>> check_applied(network, {"0.weight"})
    >>> check_applied(network, {"1.weight"})
    Traceback (most recent call last):
    adabet_fast.InvalidInputError: model: another selection is applied to it; undo that one first
    """
    applied = vars(model).get(_CHOICE)
    if applied is not None and applied != _choice(trained, channels):
        raise InvalidInputError("model: another selection is applied to it; undo that one first")


def _choice(trained: Collection[str], channels: Mapping[str, Collection[int]] | None) -> tuple[Any, ...]:
    return frozenset(trained), {name: tuple(indices) for name, indices in (channels or {}).items()}


def moving_modules(model: nn.Module, is_trained: Callable[[nn.Parameter], bool]) -> Iterator[nn.Module]:
    """Go through the modules that carry state which training mode moves, and of which no parameter is trained."""
    for module in model.modules():
        statistics = isinstance(module, _NormBase) and module.running_mean is not None
        iterated = any(isinstance(hook, SpectralNorm) for hook in module._forward_pre_hooks.values())
        moving = statistics or iterated or isinstance(module, ParametrizationList)
        if moving and not any(map(is_trained, module.parameters())):
            yield module
