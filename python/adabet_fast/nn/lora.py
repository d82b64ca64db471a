"""Hand a selection to PEFT: LoRA on the chosen layers alone."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from torch import nn

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn.layers import check_model, label

if TYPE_CHECKING:
    from adabet_fast.nn.selection import Selection

SUPPORTED = ("Linear", "Embedding", "Conv1d", "Conv2d", "Conv3d", "Conv1D")
"""Module types that PEFT's LoRA wraps everywhere; ``Conv1D`` is the one of transformers (GPT-2)."""


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
        ``list(selection.always_train)``.

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
