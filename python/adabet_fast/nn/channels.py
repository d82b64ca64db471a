"""Train some output channels of a convolution or a linear layer: by masks, or as parameters of their own.

What each form saves, beside training the layer whole:

- ``"slice"``: gradients, optimizer state and the operations of the weight gradient shrink to the trained share. It
  costs the forward pass of the trained channels once more. Saved activations do not shrink: every channel's weight
  gradient needs the whole input.
- ``"mask"``: nothing. Gradients and optimizer state are those of the whole layer, the other channels' are zero; an
  optimizer with weight decay still shrinks the channels that are not trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrize

ChannelForm: TypeAlias = Literal["slice", "mask"]

_CUT = "_adabet_cut"
_PREFIX = "adabet_"
_CONVOLUTIONS: dict[type[nn.Module], Any] = {
    nn.Conv1d: functional.conv1d,
    nn.Conv2d: functional.conv2d,
    nn.Conv3d: functional.conv3d,
}


@dataclass(frozen=True)
class ChannelChoice:
    """Which output channels of one layer are trained.

    Attributes
    ----------
    trained
        Their indices, ascending.
    n_channels
        How many the layer has.
    b1
        H1 bars of each channel's own cloud.
    """

    trained: tuple[int, ...]
    n_channels: int
    b1: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{len(self.trained)} of {self.n_channels} channels are trained"

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists and numbers, for JSON."""
        return {"trained": list(self.trained), "n_channels": self.n_channels, "b1": list(self.b1)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ChannelChoice:
        """Undo :meth:`to_dict`."""
        return cls(tuple(data["trained"]), data["n_channels"], tuple(data["b1"]))


def why_whole(model: nn.Module, name: str) -> str | None:
    """Say why a layer cannot be cut by output channels, or return None if it can.

    Parameters
    ----------
    model
        The network.
    name
        The layer.

    Returns
    -------
    str or None

    Examples
    --------
    >>> network = nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3))
    >>> why_whole(network, "0"), why_whole(network, "1")
    (None, 'LayerNorm is neither a convolution nor a linear layer')
    """
    module = model.get_submodule(name)
    kind = type(module)
    if parametrize.is_parametrized(module) or module._forward_pre_hooks:
        return "its weight is computed (a parametrisation or a hook)"
    if kind is not nn.Linear and kind not in _CONVOLUTIONS:
        return f"{kind.__name__} is neither a convolution nor a linear layer"
    if "forward" in vars(module):
        return "its forward was replaced"
    above = model.get_submodule(name.rpartition(".")[0])
    if isinstance(above, (nn.TransformerEncoderLayer, nn.MultiheadAttention)):
        return f"{type(above).__name__} reads its weight past it"
    own = {id(parameter) for parameter in module.parameters(recurse=False)}
    for other in model.modules():
        if other is not module and any(id(p) in own for p in other.parameters(recurse=False)):
            return "it shares a parameter with another layer"
    return None


def cut_channels(model: nn.Module, choices: Mapping[str, ChannelChoice], form: ChannelForm) -> None:
    """Let only some output channels of some layers be trained.

    Parameters
    ----------
    model
        The network; the layers' parameters require gradients.
    choices
        The channels of each layer.
    form
        See the module.
    """
    for name, choice in choices.items():
        module = model.get_submodule(name)
        (_mask if form == "mask" else _slice)(module, choice.trained)


def restore_channels(model: nn.Module) -> None:
    """Undo :func:`cut_channels`: the parameters are the same objects as before, with the values that were trained."""
    for module in model.modules():
        cut: Any = vars(module).get(_CUT)
        if cut is not None:
            cut.restore()
            del vars(module)[_CUT]


class _Masked:
    """Zeroes the gradient of the channels that are not trained. Copies of the module hook themselves when called."""

    def __init__(self, module: nn.Module, trained: tuple[int, ...]) -> None:
        self.module = module
        self.trained = trained
        self.handles: list[Any] = []
        module.register_forward_pre_hook(self)
        self(module)

    def __call__(self, module: nn.Module, _inputs: Any = None) -> None:
        """Hook the parameters, if that is still to be done."""
        if not self.handles:
            parameters = [p for p in module.parameters(recurse=False) if p.requires_grad]
            self.handles = [p.register_hook(self.zeroed) for p in parameters]  # type: ignore[no-untyped-call]

    def zeroed(self, gradient: torch.Tensor) -> torch.Tensor:
        """Return the gradient with zeros but for the trained channels."""
        index = torch.tensor(self.trained, device=gradient.device)
        return torch.zeros_like(gradient).index_copy_(0, index, gradient.index_select(0, index))

    def restore(self) -> None:
        """Take the hooks away."""
        _remove(self.module._forward_pre_hooks, self)
        for handle in self.handles:
            handle.remove()

    def __getstate__(self) -> dict[str, Any]:
        return {"module": self.module, "trained": self.trained, "handles": []}


def _mask(module: nn.Module, trained: tuple[int, ...]) -> None:
    vars(module)[_CUT] = _Masked(module, trained)


class _Sliced:
    """A module's ``forward`` that computes the trained channels from parameters of their own.

    The module's own ``weight`` and ``bias`` stay where they are, frozen; the trained channels become two parameters
    more. State dicts are written and read as if nothing had happened: the trained channels are put in their place.
    """

    def __init__(self, module: nn.Module, trained: tuple[int, ...]) -> None:
        self.module = module
        self.trained = trained
        self.flags: dict[str, bool] = {}
        device = next(module.parameters()).device
        module.register_buffer(f"{_PREFIX}index", torch.tensor(trained, device=device), persistent=False)
        for name in ("weight", "bias"):
            whole = module._parameters.get(name)
            if whole is None:
                continue
            self.flags[name] = whole.requires_grad
            part = nn.Parameter(whole.detach()[list(trained)].clone(), requires_grad=whole.requires_grad)
            whole.requires_grad_(False)
            whole.grad = None
            module.register_parameter(f"{_PREFIX}{name}", part)
        vars(module)["forward"] = self
        module._register_state_dict_hook(_write_whole)  # type: ignore[no-untyped-call]
        module._register_load_state_dict_pre_hook(_read_whole, with_module=True)  # type: ignore[no-untyped-call]

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Run the layer whole with frozen weights, and put the trained channels in their place."""
        module: Any = self.module
        index = module.adabet_index
        weight, bias = module.adabet_weight, module._parameters.get(f"{_PREFIX}bias")
        whole: torch.Tensor = type(module).forward(module, x)
        if isinstance(module, nn.Linear):
            whole[..., index] = functional.linear(x, weight, bias)
        else:  # index_copy would save the source, assignment saves the index alone
            positions = (slice(None),) * (weight.ndim - 2)
            whole[(..., index, *positions)] = _convolved(module, x, weight, bias, index)
        return whole

    def restore(self) -> None:
        """Write the trained channels back and take everything away."""
        module = self.module
        for name, flag in self.flags.items():
            whole = module._parameters[name]
            part = module._parameters.pop(f"{_PREFIX}{name}")
            if whole is None or part is None:
                continue
            with torch.no_grad():
                whole[list(self.trained)] = part.to(whole)
            whole.requires_grad_(flag)
        del module._buffers[f"{_PREFIX}index"]
        module._non_persistent_buffers_set.discard(f"{_PREFIX}index")
        del vars(module)["forward"]
        _remove(module._state_dict_hooks, _write_whole)
        _remove(module._load_state_dict_pre_hooks, _read_whole)


def _slice(module: nn.Module, trained: tuple[int, ...]) -> None:
    vars(module)[_CUT] = _Sliced(module, trained)


def _convolved(
    module: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, index: torch.Tensor
) -> torch.Tensor:
    """Convolve with some of the output channels' weights; each as a group of its own if the layer has groups."""
    groups = 1
    if module.groups > 1:
        a_group_in, a_group_out = module.in_channels // module.groups, module.out_channels // module.groups
        first = index.div(a_group_out, rounding_mode="floor") * a_group_in
        inputs = (first[:, None] + torch.arange(a_group_in, device=x.device)).flatten()
        x = x.index_select(-(weight.ndim - 1), inputs)
        groups = len(index)
    padding = module.padding
    if module.padding_mode != "zeros":
        x = functional.pad(x, module._reversed_padding_repeated_twice, mode=module.padding_mode)
        padding = 0
    convolution = next(function for kind, function in _CONVOLUTIONS.items() if isinstance(module, kind))
    out: torch.Tensor = convolution(x, weight, bias, module.stride, padding, module.dilation, groups)
    return out


def _write_whole(module: Any, state: dict[str, Any], prefix: str, _metadata: Any) -> None:
    """Put the trained channels into the whole weight of a state dict, as a copy, under its old name."""
    for name in ("weight", "bias"):
        part = state.pop(f"{prefix}{_PREFIX}{name}", None)
        if part is not None:
            state[f"{prefix}{name}"] = state[f"{prefix}{name}"].index_copy(0, module.adabet_index, part)


def _read_whole(module: Any, state: dict[str, Any], prefix: str, *_rest: Any) -> None:
    """Take the trained channels out of the whole weight of a state dict."""
    for name in ("weight", "bias"):
        if f"{_PREFIX}{name}" in module._parameters and f"{prefix}{name}" in state:
            whole = state[f"{prefix}{name}"]
            state[f"{prefix}{_PREFIX}{name}"] = whole[module.adabet_index.to(whole.device)]


def _remove(hooks: Any, function: Any) -> None:
    for key in [key for key, hook in hooks.items() if getattr(hook, "hook", hook) is function]:
        del hooks[key]
