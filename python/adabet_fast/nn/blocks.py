"""Which convolution or linear layer a normalisation layer belongs to, by how data flows through the network.

One forward pass on tensors without values tells, for every tensor, which layers it was made of last, and who reads it.

- What a normalisation reads is read by nobody else (batch norm behind a convolution; layer norm behind a sum, as in the
  original transformer and BERT): it belongs to the convolution or linear layer before it, of several (a residual sum)
  the one called last.
- Others read it too (pre-norm networks such as ViT and GPT, pre-activation residual networks: the residual stream goes
  on past the normalisation): it belongs to the first convolution or linear layer that is made of its output.
- Neither is to be found: it stays a unit of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.utils import parametrize
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from adabet_fast.nn.batches import tensors_of
from adabet_fast.nn.fakes import on_fakes
from adabet_fast.nn.guard import only_read, random_states_kept
from adabet_fast.nn.layers import Layer

_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm, *([nn.RMSNorm] if hasattr(nn, "RMSNorm") else []))


def is_normalisation(module: nn.Module) -> bool:
    """Tell whether a module normalises: torch's own classes, and others that say so in their name.

    >>> is_normalisation(nn.BatchNorm2d(3)), is_normalisation(nn.Linear(3, 3))
    (True, False)
    """
    if isinstance(module, _NORMS):
        return True
    named = type(module).__name__.endswith("Norm") and not any(module.children())
    return named and all(parameter.ndim <= 1 for parameter in module.parameters())


def is_product(module: nn.Module) -> bool:
    """Tell whether a module is a convolution or a linear layer: it owns a weight of two axes or more, no table.

    >>> is_product(nn.Conv2d(1, 1, 1)), is_product(nn.Embedding(3, 2)), is_product(nn.PReLU())
    (True, False, False)
    """
    if parametrize.is_parametrized(module, "weight"):  # its value is computed at each look, which may move buffers
        originals = module.parametrizations["weight"]  # type: ignore[index]
        weight = getattr(originals, "original", None)
        weight = getattr(originals, "original0", None) if weight is None else weight
    else:
        weight = getattr(module, "weight", None)
    return isinstance(weight, torch.Tensor) and weight.ndim >= 2 and not isinstance(module, nn.Embedding)


@dataclass
class _Flow(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows tensors by their storages, all of which are kept, so that no address is given out twice."""

    sources: dict[int, frozenset[str]] = field(default_factory=dict)
    readers: dict[int, set[str]] = field(default_factory=dict)
    reads: dict[str, int] = field(default_factory=dict)
    made_of: dict[str, frozenset[str]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    inside: list[str] = field(default_factory=list)
    kept: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = [_key(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        out = func(*args, **(kwargs or {}))
        made = [leaf for leaf in tree_leaves(out) if isinstance(leaf, torch.Tensor)]
        keys = [_key(tensor) for tensor in made]
        self.kept += [tensor.untyped_storage() for tensor in made]
        for key in given:
            if made and key not in keys:  # a view reads nothing, nor does asking for a shape
                self.readers.setdefault(key, set()).add(self.inside[-1] if self.inside else f"op {len(self.kept)}")
        origin = frozenset[str]().union(*(self.sources.get(key, frozenset()) for key in given))
        for key in keys:
            self.sources[key] = self.sources.get(key, frozenset()) | origin
        return out

    def enter(self, name: str, inputs: Any) -> None:
        """Note what a layer reads."""
        self.inside.append(name)
        tensors = list(tensors_of(inputs))
        if tensors:
            self.reads.setdefault(name, _key(tensors[0]))
        origin = frozenset[str]().union(*(self.sources.get(_key(tensor), frozenset()) for tensor in tensors))
        self.made_of[name] = self.made_of.get(name, frozenset()) | origin

    def leave(self, name: str, output: Any) -> None:
        """Note what a layer returned."""
        self.inside.pop()
        if name not in self.calls:
            self.calls.append(name)
        for tensor in tensors_of(output):
            self.sources[_key(tensor)] = frozenset((name,))


def _key(tensor: torch.Tensor) -> int:
    return int(tensor.untyped_storage()._cdata) if tensor.layout == torch.strided else id(tensor)


def find_owners(model: nn.Module, layers: Iterable[Layer], run: Callable[[nn.Module], object]) -> dict[str, str]:
    """Find for each normalisation layer the layer that it belongs to.

    Parameters
    ----------
    model
        The network; it is only read.
    layers
        Its layers.
    run
        Runs one forward pass.

    Returns
    -------
    dict
        From the name of a normalisation layer to that of a convolution or linear layer. Normalisations that belong to
        none are left out, and so are tied ones. Costs one forward pass on tensors without values; a true one, all of
        whose tensors are kept, for models that look at values.

    Examples
    --------
    >>> from adabet_fast.nn.layers import find_layers
    >>> network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 2))
    >>> find_owners(network, find_layers(network), lambda model: model(torch.zeros(1, 1, 4, 4)))
    {'1': '0'}
    """
    leaves = [layer for layer in layers if layer.tied_to is None]
    norms = [layer for layer in leaves if is_normalisation(layer.module)]
    products = {layer.name for layer in leaves if is_product(layer.module) and not is_normalisation(layer.module)}
    if not norms:
        return {}
    with random_states_kept(), only_read(model):
        try:
            flow = on_fakes(model, lambda network, _: _follow(network, leaves, run))
        except Exception:  # what a model does with values is not to be foreseen: then it runs truly
            flow = _follow(model, leaves, run)
    owners = {}
    for norm in norms:
        owner = _owner(flow, norm.name, products)
        if owner is not None:
            owners[norm.name] = owner
    return owners


def _follow(model: nn.Module, layers: list[Layer], run: Callable[[nn.Module], object]) -> _Flow:
    flow = _Flow()
    with ExitStack() as undo:
        for layer in layers:
            if is_normalisation(layer.module) or is_product(layer.module):
                undo.callback(layer.module.register_forward_pre_hook(_entering(flow, layer.name)).remove)
                undo.callback(layer.module.register_forward_hook(_leaving(flow, layer.name)).remove)
        undo.enter_context(flow)
        run(model)
    flow.kept.clear()
    return flow


def _entering(flow: _Flow, name: str) -> Callable[[nn.Module, Any], None]:
    return lambda _module, inputs: flow.enter(name, inputs)


def _leaving(flow: _Flow, name: str) -> Callable[[nn.Module, Any, Any], None]:
    return lambda _module, _inputs, output: flow.leave(name, output)


def _owner(flow: _Flow, norm: str, products: set[str]) -> str | None:
    if norm not in flow.calls:
        return None
    alone = flow.readers.get(flow.reads.get(norm, 0), set()) <= {norm}
    before = [name for name in flow.calls if name in flow.made_of[norm] and name in products]
    after = [name for name in flow.calls if name in products and norm in flow.made_of[name]]
    if alone and before:
        return before[-1]
    if after:
        return after[0]
    return before[-1] if before else None


def merge_members(layers: list[Layer], owners: dict[str, str]) -> list[Layer]:
    """Put normalisation layers into the layers that they belong to: their parameters go along, the outputs do not.

    >>> from adabet_fast.nn.layers import find_layers
    >>> network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    >>> merge_members(find_layers(network), {"1": "0"})[0].parameters
    ('0.weight', '0.bias', '1.weight', '1.bias')
    """
    inside = {layer.name: layer for layer in layers if layer.name in owners}
    merged = []
    for layer in layers:
        if layer.name in inside:
            continue
        members = [member for name, member in inside.items() if owners[name] == layer.name]
        parameters = dict.fromkeys(name for each in [layer, *members] for name in each.parameters)
        merged.append(
            replace(
                layer,
                parameters=tuple(parameters),
                n_parameters=layer.n_parameters + sum(member.n_parameters for member in members),
                members=tuple(member.name for member in members),
            )
            if members
            else layer
        )
    return merged


def find_units(model: nn.Module, layers: list[Layer], run: Callable[[nn.Module], object]) -> list[Layer]:
    """Return the layers with their normalisations merged in; see :func:`find_owners` and :func:`merge_members`."""
    return merge_members(layers, find_owners(model, layers, run))
