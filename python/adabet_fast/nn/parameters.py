"""How many parameters are trained."""

from __future__ import annotations

from torch import nn


def format_trainable_parameters(trainable: int, total: int) -> str:
    """Write numbers of parameters in the format of PEFT.

    >>> format_trainable_parameters(1_200, 48_000)
    'trainable params: 1,200 || all params: 48,000 || trainable%: 2.5000'
    """
    share = 100 * trainable / total if total else 0.0
    return f"trainable params: {trainable:,d} || all params: {total:,d} || trainable%: {share:.4f}"


def count_trainable_parameters(model: nn.Module) -> tuple[int, int]:
    """Count the parameter elements that require a gradient, and all; a shared parameter counts once.

    >>> from torch import nn
    >>> count_trainable_parameters(nn.Linear(3, 2))
    (8, 8)
    """
    parameters = list(model.parameters())
    return sum(p.numel() for p in parameters if p.requires_grad), sum(p.numel() for p in parameters)


def print_trainable_parameters(model: nn.Module) -> None:
    """Print how many parameters of a model are trained, in the format of PEFT.

    >>> from torch import nn
    >>> print_trainable_parameters(nn.Linear(3, 2))
    trainable params: 8 || all params: 8 || trainable%: 100.0000
    """
    print(format_trainable_parameters(*count_trainable_parameters(model)))  # noqa: T201
