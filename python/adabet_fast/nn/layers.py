"""Which modules of a network count as layers, and which parameters each one owns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.utils import parametrize

from adabet_fast.errors import InvalidInputError

ROOT_LABEL = "(model)"
"""How the table and the messages write the name of the model itself, which is the empty string."""


@dataclass(frozen=True)
class Layer:
    """A module that owns parameters directly.

    Attributes
    ----------
    name
        Its name in ``model.named_modules()``; the empty string for the model itself.
    module
        The module.
    parameters
        Names of its trainable parameters as ``model.named_parameters()`` gives them: a shared parameter has one name,
        that of its first owner.
    n_parameters
        Their elements, each parameter counted once.
    sample_axis
        The axis of its output that counts samples if the module, or one around it, says so with ``batch_first=False``
        (``nn.TransformerEncoderLayer`` and ``DecoderLayer`` by their attention).
    tied_to
        The earlier layer that owns every one of its parameters, or None.
    members
        Names of the normalisation layers whose parameters are counted among its own (``unit="block"``).
    """

    name: str
    module: nn.Module
    parameters: tuple[str, ...]
    n_parameters: int
    sample_axis: int | None = None
    tied_to: str | None = None
    members: tuple[str, ...] = ()


def label(name: str) -> str:
    """Return how a layer's name is shown.

    >>> label("layer1.0.conv1"), label("")
    ('layer1.0.conv1', '(model)')
    """
    return name or ROOT_LABEL


class SharedParameter(NamedTuple):
    """A parameter that is trained because one layer is, though another layer that holds it is not chosen."""

    parameter: str
    trained_with: str
    also_in: str

    def __str__(self) -> str:
        used, also = label(self.trained_with), label(self.also_in)
        return f"'{self.parameter}' is trained with '{used}' and is also part of '{also}', which is not chosen"


def find_layers(model: nn.Module) -> list[Layer]:
    """List the layers of a model in the order of ``model.named_modules()``.

    A module that is never called itself (``ParameterList``, ``ParametrizationList``, any class without a ``forward``)
    hands its parameters to the module that uses them, the nearest one above it that can be called. Parameters that
    cannot have a gradient (integers) do not count.

    Parameters
    ----------
    model
        The network.

    Returns
    -------
    list of Layer
        In O(modules + parameters) time.

    Examples
    --------
    >>> from torch import nn
    >>> network = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    >>> [(layer.name, layer.n_parameters) for layer in find_layers(network)]
    [('0', 9), ('2', 4)]
    """
    homes = _homes(model)
    first_name: dict[int, str] = {}
    first_home: dict[int, str] = {}
    owned: dict[str, dict[str, nn.Parameter]] = {}
    for name, parameter in owned_parameters(model):
        home = homes[name.rpartition(".")[0]]
        if id(parameter) not in first_name:
            first_name[id(parameter)] = name
            first_home[id(parameter)] = home
        if parameter.is_floating_point() or parameter.is_complex():
            owned.setdefault(home, {})[first_name[id(parameter)]] = parameter
    axes = _sample_axes(model)
    layers = []
    for name, module in model.named_modules():
        if name not in owned:
            continue
        parameters = owned[name]
        owners = [first_home[id(parameter)] for parameter in parameters.values()]
        layers.append(
            Layer(
                name=name,
                module=module,
                parameters=tuple(parameters),
                n_parameters=sum(parameter.numel() for parameter in parameters.values()),
                sample_axis=axes[name],
                tied_to=None if name in owners else owners[0],
            )
        )
    if not layers:
        raise InvalidInputError(
            f"model: {type(model).__name__} has no trainable parameters, so there is no layer to choose"
        )
    return layers


def owned_parameters(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """Go through the parameters of every module, a shared one under each of its names.

    >>> from torch import nn
    >>> tied = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    >>> tied[1].weight = tied[0].weight
    >>> [name for name, _ in owned_parameters(tied)]
    ['0.weight', '1.weight']
    """
    for prefix, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
            yield (f"{prefix}.{name}" if prefix else name), parameter


def _homes(model: nn.Module) -> dict[str, str]:
    """Map each module's name to the name of the module that answers for its parameters."""
    homes: dict[str, str] = {}
    inside_parametrization: set[str] = set()
    modules: dict[str, nn.Module] = {}
    for name, module in model.named_modules():
        modules[name] = module
        if not name:
            homes[name] = name
            continue
        parent, _, last = name.rpartition(".")
        if parent in inside_parametrization or (
            last == "parametrizations" and parametrize.is_parametrized(modules[parent])
        ):
            inside_parametrization.add(name)
            homes[name] = homes[parent]
        elif _cannot_be_called(module):
            homes[name] = homes[parent]
        else:
            homes[name] = name
    return homes


def _cannot_be_called(module: nn.Module) -> bool:
    return type(module).forward is nn.Module.forward and "forward" not in vars(module)


def _sample_axes(model: nn.Module) -> dict[str, int | None]:
    """Map each module's name to the sample axis that the nearest ``batch_first`` at or above it implies."""
    axes: dict[str, int | None] = {}
    for name, module in model.named_modules():
        inherited = axes[name.rpartition(".")[0]] if name else None
        batch_first = _batch_first(module)
        axes[name] = {True: 0, False: 1}[batch_first] if isinstance(batch_first, bool) else inherited
    return axes


def _batch_first(module: nn.Module) -> object:
    """Return what a module says about its axes; PyTorch's transformer layers say it by their attention alone."""
    if isinstance(module, (nn.TransformerEncoder, nn.TransformerDecoder)) and len(module.layers):
        return _batch_first(module.layers[0])  # as they read it themselves, for their last normalisation
    if isinstance(module, (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer)):
        module = getattr(module, "self_attn", module)
    return getattr(module, "batch_first", None)


def check_model(model: object) -> nn.Module:
    """Return the network inside a model whose layers can be watched and frozen, or say why they cannot.

    ``torch.compile`` and ``nn.DataParallel`` wrappers are taken off: both keep the original module, with the same
    parameters.

    Parameters
    ----------
    model
        What the caller gave.

    Returns
    -------
    torch.nn.Module
        The network itself.

    Raises
    ------
    InvalidInputError
        For what is not a ``torch.nn.Module``, for TorchScript, for DDP and FSDP wrappers, and for parameters without
        values (lazy ones, the meta device) or that are shared out among ranks.
    """
    while isinstance(model, nn.Module) and not isinstance(model, torch.jit.ScriptModule):
        inner = model._modules.get("_orig_mod")
        if inner is None and isinstance(model, nn.DataParallel):
            inner = model.module
        if inner is None:
            break
        model = inner
    if not isinstance(model, nn.Module):
        raise InvalidInputError(f"model: expected a torch.nn.Module, got {type(model).__name__}")
    for module in model.modules():
        _refuse_wrapper(module)
    for name, parameter in model.named_parameters():
        if isinstance(parameter, nn.UninitializedParameter):
            raise InvalidInputError(
                f"model: parameter '{name}' is not initialised yet; run one forward pass before choosing layers"
            )
        if parameter.is_inference():
            raise InvalidInputError(
                f"model: parameter '{name}' was made in inference mode and cannot be trained; build the model outside"
            )
        if parameter.is_meta:
            raise InvalidInputError(
                f"model: parameter '{name}' is on the meta device and has no values; load the weights first"
            )
        if type(parameter.data).__name__ == "DTensor":
            raise InvalidInputError(
                f"model: parameter '{name}' is shared out among ranks; choose layers before fully_shard"
            )
    return model


def _refuse_wrapper(module: nn.Module) -> None:
    kind = type(module).__name__
    if isinstance(module, torch.jit.ScriptModule):
        raise InvalidInputError(f"model: {kind} is TorchScript, whose submodules run no hooks; give the eager module")
    if kind in ("DistributedDataParallel", "FullyShardedDataParallel"):
        raise InvalidInputError(
            f"model: holds a {kind} wrapper, which must be built after freezing; "
            "choose layers on the module inside it and wrap afterwards"
        )
