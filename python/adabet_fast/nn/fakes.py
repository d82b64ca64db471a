"""Run a model on tensors that have shapes and no values: in milliseconds, without memory."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeVar

import torch
from torch import nn

T = TypeVar("T")


class _Called(nn.Module):
    """A function of a model as a module, so that the model can be called with other parameters."""

    def __init__(self, model: nn.Module, function: Callable[[nn.Module, list[torch.Tensor]], Any]) -> None:
        super().__init__()
        self.model = model
        self.function = function

    def forward(self, fakes: list[torch.Tensor]) -> Any:
        return self.function(self.model, fakes)


def on_fakes(
    model: nn.Module,
    function: Callable[[nn.Module, list[torch.Tensor]], T],
    trained: Callable[[str, nn.Parameter], bool] | Collection[str] = (),
) -> T:
    """Call a function of a model while its parameters and buffers are fake tensors.

    Tensors that the function makes or closes over become fake as they are used. Fake storages have addresses of their
    own (``untyped_storage()._cdata``), so that what autograd saves can be told apart as with true ones.

    Parameters
    ----------
    model
        The network. Modes are as the caller set them.
    function
        Takes the model, and its fake parameters and buffers.
    trained
        Which parameters require a gradient, by name.

    Returns
    -------
    What the function returns.

    Raises
    ------
    Exception
        Whatever a model raises that looks at values.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode  # takes a second to import

    mode = FakeTensorMode(allow_non_fake_inputs=True)
    fakes: dict[str, torch.Tensor] = {}
    for name, parameter in model.named_parameters():
        fakes[name] = mode.from_tensor(parameter)
        fakes[name].requires_grad_(trained(name, parameter) if callable(trained) else name in trained)
    for name, buffer in model.named_buffers():
        fakes[name] = mode.from_tensor(buffer)
    state = {f"model.{name}": fake for name, fake in fakes.items()}
    with mode:
        found: T = torch.func.functional_call(_Called(model, function), state, (list(fakes.values()),))
    return found
