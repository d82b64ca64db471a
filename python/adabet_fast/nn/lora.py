"""Hand a selection to PEFT: LoRA on the chosen layers alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import nn

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn.layers import check_model, label

if TYPE_CHECKING:
    from adabet_fast.nn.selection import Selection

SUPPORTED = ("Linear", "Embedding", "Conv1d", "Conv2d", "Conv3d", "Conv1D")
"""Module types that PEFT's LoRA wraps everywhere; ``Conv1D`` is the one of transformers (GPT-2)."""

INSIDE_LORA = ("base_layer", "lora_dropout", "lora_A", "lora_B", "lora_embedding_A", "lora_embedding_B")
"""Modules that PEFT puts into a layer with an adapter, which it finds by their names' ends like all others."""


def target_modules(selection: Selection, model: nn.Module | None = None, *, always_train: bool = False) -> str:
    """Return a selection's layers as PEFT's ``target_modules``: an anchored regular expression for whole names.

    PEFT matches a list of names by their ends, so that ``["fc"]`` also hits ``"b.fc"``; it matches a regular expression
    against the whole name.

    Parameters
    ----------
    selection
        The choice. Not to be applied: PEFT freezes the model itself.
    model
        The model, to know its modules by class; without it they go by the name of their type. With it convolutions with
        groups are left out too, which take no LoRA of any rank.
    always_train
        Whether layers that are always trained (the head) get an adapter. Else they go to PEFT's ``modules_to_save``:
        see :func:`modules_to_save`.

    Returns
    -------
    str
        Chosen layers of types that take no LoRA (normalisation, parameters of the model itself) are left out.

    Raises
    ------
    InvalidInputError
        If no layer is left.

    Examples
    --------
    >>> import torch
    >>> from adabet_fast import score_layers
    >>> _ = torch.manual_seed(0)
    >>> network = nn.Sequential(nn.Linear(2, 8), nn.LayerNorm(8), nn.Linear(8, 8), nn.Linear(8, 3))
    >>> scores = score_layers(network, [torch.randn(8, 2) for _ in range(5)])
    >>> scores.select_named(["0", "1", "2"]).target_modules()
    '^(?:0|2)$'
    """
    names = selection.trained_layers if always_train else selection.layers
    network = None if model is None else check_model(model)
    taken = [name for name in names if name and _takes_lora(selection, name, network)]
    if not taken:
        types = ", ".join(sorted({selection.scores[name].type for name in names})) or "none chosen"
        raise InvalidInputError(
            f"target_modules: none of {', '.join(map(label, names)) or 'no layer'} takes LoRA ({types}); "
            f"choose among {', '.join(SUPPORTED)} (include=, exclude=)"
        )
    return f"^(?:{'|'.join(map(re.escape, taken))})$"


def _takes_lora(selection: Selection, name: str, model: nn.Module | None) -> bool:
    if model is None:
        return selection.scores[name].type.partition("+")[0] in SUPPORTED
    module = model.get_submodule(name)
    known = (nn.Linear, nn.Embedding, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    if not isinstance(module, known) and type(module).__name__ not in SUPPORTED:
        return False
    return getattr(module, "groups", 1) == 1


def modules_to_save(selection: Selection, model: nn.Module | None = None) -> list[str]:
    """Return the layers that are always trained (the head) as PEFT's ``modules_to_save``.

    PEFT trains a full copy of every module whose name ends with one of these, with or without a dot before: ``"fc"``
    also means ``"b.0.fc"`` and ``"my_fc"``. There is no way to tell it the whole name alone.

    Parameters
    ----------
    selection
        The choice.
    model
        The model; without it, modules are known by the names of its layers and parameters, which misses the second name
        of a module that has two.

    Returns
    -------
    list of str
        Names that PEFT matches where they are meant and nowhere else; normalisations that belong to a layer
        (``unit="block"``) are among them.

    Raises
    ------
    InvalidInputError
        If PEFT would train other modules too, or leave a chosen layer without its adapter, naming them.

    Examples
    --------
    >>> import torch
    >>> from adabet_fast import score_layers
    >>> _ = torch.manual_seed(0)
    >>> network = nn.Sequential(nn.Linear(2, 8), nn.LayerNorm(8), nn.Linear(8, 8), nn.Linear(8, 3))
    >>> scores = score_layers(network, [torch.randn(8, 2) for _ in range(5)])
    >>> scores.select_named("0").modules_to_save(network)
    ['3']
    """
    layers = dict.fromkeys(
        name for layer in selection.always_train for name in (layer, *selection.scores[layer].members)
    )
    outermost = [name for name in layers if not any(_is_inside(name, other) for other in layers)]
    modules = _modules_with_values(selection, None if model is None else check_model(model))
    adapters = [f"{layer}.{part}" for layer in selection.layers for part in INSIDE_LORA]
    for name in outermost:
        hit = [other for other in [*modules, *adapters] if other.endswith(name) and other not in layers]
        inside = [each.name for each in selection.scores if _is_inside(each.name, name) and each.name not in layers]
        # PEFT gives no adapter to what this expression matches, in which a dot is any character.
        lost = [layer for layer in selection.layers if _matches(rf"(^|.*\.){name}($|\..*)", layer)]
        others = list(dict.fromkeys([*hit, *inside, *lost]))
        if others:
            raise InvalidInputError(
                f"modules_to_save: PEFT matches names by their ends, with all that is inside, so '{label(name)}' "
                f"would also mean {', '.join(repr(label(other)) for other in others)}. Give it an adapter instead "
                "(target_modules(always_train=True)), or choose with another always_train="
            )
    return outermost


def _matches(pattern: str, name: str) -> bool:
    try:
        return re.match(pattern, name) is not None
    except re.error as error:
        raise InvalidInputError(
            f"modules_to_save: PEFT reads names as regular expressions, and {pattern!r} is none: {error}"
        ) from None


def _is_inside(name: str, outer: str) -> bool:
    return name != outer and (not outer or name.startswith(f"{outer}."))


def _modules_with_values(selection: Selection, model: nn.Module | None) -> list[str]:
    """Name the modules that hold parameters or buffers: a copy of another one changes nothing."""
    if model is not None:
        named = model.named_modules(remove_duplicate=False)
        return [name for name, module in named if name and (_any(module.parameters()) or _any(module.buffers()))]
    found: dict[str, None] = {}
    owners = [name.rpartition(".")[0] for name in selection.scores.fingerprint.parameters]
    for owner in [*(layer.name for layer in selection.scores), *owners]:
        parts = owner.split(".")
        found.update((".".join(parts[:n]), None) for n in range(1, len(parts) + 1) if owner)
    return list(found)


def _any(values: Iterator[torch.Tensor]) -> bool:
    return next(values, None) is not None
