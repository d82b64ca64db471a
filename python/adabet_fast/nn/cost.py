"""What a training step holds in memory, measured."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn.guard import BufferState, random_states_kept


@dataclass(frozen=True)
class TrainingCost:
    """Bytes that one training step holds beyond parameters and buffers.

    Attributes
    ----------
    saved_bytes
        Tensors saved for backward, each storage once, without parameters and buffers. The batch itself counts if it is
        saved, which is so if the first layer is trained.
    gradient_bytes
        Gradients of the parameters after backward.
    optimizer_bytes
        The optimizer's state after one step.
    without_gradient
        Parameters that require a gradient and got none: unused in this step, or cut off, as by reentrant checkpointing
        of a block none of whose inputs needs a gradient.
    """

    saved_bytes: int
    gradient_bytes: int
    optimizer_bytes: int
    without_gradient: tuple[str, ...] = field(default=(), repr=False)

    @property
    def total_bytes(self) -> int:
        """The sum of the three."""
        return self.saved_bytes + self.gradient_bytes + self.optimizer_bytes


def training_cost(model: nn.Module, step: Callable[[], torch.Tensor], optimizer: torch.optim.Optimizer) -> TrainingCost:
    """Measure what one training step holds in memory, by running one.

    Parameters
    ----------
    model
        The network, in the state to be measured: its mode and its requires_grad flags count.
    step
        Runs the forward pass on one batch and returns the loss.
    optimizer
        The optimizer that would be used; one step of it is taken.

    Returns
    -------
    TrainingCost
        Parameters, buffers, gradients, the optimizer's state and the random states are put back, also after an error.
        Costs a copy of parameters, buffers and optimizer state for the time of the measurement.

    Examples
    --------
    Two linear layers save the batch for the first, and the hidden layer for ReLU and the second:

    >>> network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> batch = torch.ones(16, 4)
    >>> sgd = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    >>> training_cost(network, lambda: network(batch).sum(), sgd)
    TrainingCost(saved_bytes=768, gradient_bytes=232, optimizer_bytes=232)
    """
    with random_states_kept(), _put_back(model, optimizer):
        optimizer.zero_grad(set_to_none=True)
        for parameter in model.parameters():
            parameter.grad = None
        with torch.enable_grad():
            with saved_storages(_own_tensors(model)) as saved:
                loss = step()
            if not isinstance(loss, torch.Tensor):
                raise InvalidInputError(f"step: expected the loss, a tensor, got a {type(loss).__name__}")
            if not loss.requires_grad:
                raise InvalidInputError("step: returned a loss that depends on no trained parameter")
            loss.backward()  # type: ignore[no-untyped-call]
        del loss
        named = model.named_parameters()
        without = tuple(name for name, parameter in named if parameter.requires_grad and parameter.grad is None)
        gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        gradient_bytes = sum(_total(gradients).values())
        take_step(optimizer)
        optimizer_bytes = sum(_total(_tensors(optimizer.state)).values())
    return TrainingCost(sum(saved.values()), gradient_bytes, optimizer_bytes, without)


def take_step(optimizer: torch.optim.Optimizer) -> None:
    """Take one step, or raise if the optimizer runs the model itself, as LBFGS does."""
    try:
        optimizer.step()
    except TypeError as error:
        raise InvalidInputError(
            f"optimizer: {type(optimizer).__name__} takes no step from gradients alone ({error}), so its state "
            "cannot be measured"
        ) from error


@contextmanager
def saved_storages(own: Iterable[torch.Tensor]) -> Iterator[dict[int, int]]:
    """Collect what autograd saves inside the body: the bytes of each storage, but for those of some tensors.

    Works on fake tensors too, whose storages have addresses of their own but no memory.
    """
    known = {_storage(tensor)[0] for tensor in own}
    saved: dict[int, int] = {}
    alive: list[torch.UntypedStorage] = []  # else a later storage could have the address of one that is gone

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        for part in strided_parts(tensor):
            where, size = _storage(part)
            if where not in known and where not in saved:
                saved[where] = size
                alive.append(part.untyped_storage())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield saved


def _own_tensors(model: nn.Module) -> Iterator[torch.Tensor]:
    yield from model.parameters()
    yield from model.buffers()


def strided_parts(tensor: torch.Tensor) -> Iterable[torch.Tensor]:
    """Return the tensors with storages of their own that make up a tensor."""
    if tensor.layout == torch.sparse_coo:
        return (tensor._indices(), tensor._values())
    return (tensor,)


def _storage(tensor: torch.Tensor) -> tuple[int, int]:
    storage = tensor.untyped_storage()
    return storage._cdata, storage.nbytes()


def _total(tensors: Iterable[torch.Tensor]) -> dict[int, int]:
    return dict(_storage(part) for tensor in tensors for part in strided_parts(tensor))


def _tensors(state: Any) -> Iterator[torch.Tensor]:
    if isinstance(state, torch.Tensor):
        yield state
    elif isinstance(state, dict):
        for value in state.values():
            yield from _tensors(value)
    elif isinstance(state, (list, tuple)):
        for value in state:
            yield from _tensors(value)


@contextmanager
def _put_back(model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    buffers = BufferState(model)
    values = [(parameter, parameter.detach().clone()) for parameter in model.parameters()]
    gradients = [(parameter, parameter.grad) for parameter in model.parameters()]
    others = [(p, p.grad) for group in optimizer.param_groups for p in group["params"]]
    state = {parameter: copy.deepcopy(entry) for parameter, entry in optimizer.state.items()}
    groups = [
        {key: value if key == "params" else copy.deepcopy(value) for key, value in group.items()}
        for group in optimizer.param_groups
    ]
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, value in values:
                parameter.copy_(value)
        buffers.restore()
        for parameter, gradient in gradients + others:
            parameter.grad = gradient
        optimizer.state.clear()
        optimizer.state.update(state)
        for group, before in zip(optimizer.param_groups, groups, strict=True):
            group.clear()
            group.update(before)
