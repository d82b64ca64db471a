"""What a training step would hold and compute for any choice of parameters, without running it if it can be."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn.batches import Forward, prepare, tensors_of, to_device
from adabet_fast.nn.cost import saved_storages, strided_parts, take_step
from adabet_fast.nn.fakes import on_fakes
from adabet_fast.nn.freeze import moving_modules
from adabet_fast.nn.guard import BufferState, random_states_kept

Step: TypeAlias = Callable[[nn.Module, Any], torch.Tensor]
"""Takes the model and a batch, its tensors on the model's device, and returns the loss."""

OptimizerFactory: TypeAlias = Callable[[Any], torch.optim.Optimizer]
"""Makes an optimizer for a list of parameters: ``torch.optim.AdamW``, ``lambda p: torch.optim.SGD(p, lr=0.1)``."""


@dataclass(frozen=True)
class StepTrace:
    """What one training step needs for a choice of parameters.

    Attributes
    ----------
    saved_bytes
        Tensors saved for backward, each storage once, without parameters and buffers.
    flops
        Floating-point operations of the forward and the backward pass: matrix products, convolutions and attention, as
        ``torch.utils.flop_counter`` counts them. 0 if not asked for.
    """

    saved_bytes: int
    flops: int


class StepTracer:
    """Traces training steps of one model on one batch, for many choices of parameters.

    The step is run on fake tensors, which have shapes and no values: autograd saves the same tensors, in milliseconds
    and without memory. Where a model cannot be run so (its course depends on values), it is truly run.

    Parameters
    ----------
    model
        The network; traced in training mode, with frozen normalisation held in eval mode. Not changed.
    batch
        One batch of the size that will be trained on.
    step
        Runs model and loss. By default the batch is given as for scoring, its labels dropped, and the outputs that
        have a gradient are summed up, which saves nothing by itself.
    forward, sample_axis
        As in :func:`adabet_fast.nn.score_layers`, if no ``step`` is given.

    Attributes
    ----------
    fake
        Whether steps are run on fake tensors. Set to False to run truly.
    """

    def __init__(
        self,
        model: nn.Module,
        batch: Any,
        *,
        step: Step | None = None,
        forward: Forward | None = None,
        sample_axis: int = 0,
    ) -> None:
        self.model = model
        self.loss = loss_of(model, batch, step=step, forward=forward, sample_axis=sample_axis)
        self.fake = True

    def __call__(self, trained: Collection[str], *, flops: bool = False) -> StepTrace:
        """Trace the step that trains some parameters, named as by ``model.named_parameters()``.

        Parameters
        ----------
        trained
            Their names.
        flops
            Whether to count operations, which needs the backward pass too.

        Returns
        -------
        StepTrace

        Raises
        ------
        InvalidInputError
            If operations are to be counted and the model uses reentrant checkpointing.
        """
        with random_states_kept(), model_kept(self.model) as buffers, torch.enable_grad():
            set_modes(self.model, trained)
            if self.fake:
                try:
                    return on_fakes(self.model, lambda model, own: _trace(self.loss, model, own, flops), trained)
                except InvalidInputError:
                    raise
                except Exception:  # what a model does with values is not to be foreseen: then it runs truly
                    self.fake = False
                    buffers.restore()
            for name, parameter in self.model.named_parameters():
                parameter.requires_grad_(name in trained)
            return _trace(self.loss, self.model, [*self.model.parameters(), *self.model.buffers()], flops)


Loss: TypeAlias = Callable[[nn.Module], torch.Tensor]


def loss_of(
    model: nn.Module, batch: Any, *, step: Step | None, forward: Forward | None = None, sample_axis: int = 0
) -> Loss:
    """Return the function from the model to its loss on a batch; see :class:`StepTracer`."""
    if step is not None:
        if not callable(step):
            raise InvalidInputError(f"step: expected a callable on (model, batch) or None, got {step!r}")
        device = next(model.parameters()).device
        given, chosen = to_device(batch, device), step

        def checked(network: nn.Module) -> torch.Tensor:
            value = chosen(network, given)
            if not isinstance(value, torch.Tensor):
                raise InvalidInputError(f"step: expected the loss, a tensor, got a {type(value).__name__}")
            return value

        return checked
    call = prepare(model, batch, index=0, forward=forward, sample_axis=sample_axis)

    def summed(network: nn.Module) -> torch.Tensor:
        outputs = [t for t in tensors_of(call.run(network)) if t.requires_grad]
        if not outputs:
            return torch.zeros(())
        return torch.stack([output.real.sum().float() for output in outputs]).sum()

    return summed


def _trace(loss: Loss, model: nn.Module, own: list[torch.Tensor], flops: bool) -> StepTrace:
    trained = [tensor for tensor in own if tensor.requires_grad]
    counter = FlopCounterMode(display=False)
    if hasattr(counter, "mod_tracker"):  # since torch 2.4
        counter.mod_tracker = _NoModules()  # type: ignore[assignment]
    with saved_storages(own) as saved, ExitStack() as counting:
        if flops:
            counting.enter_context(counter)
        value = loss(model)
        if flops and trained and value.requires_grad:
            _run_backward(value, trained)
    return StepTrace(sum(saved.values()), int(counter.get_total_flops()) if flops else 0)


class _NoModules:
    """Stands in for the flop counter's tracker of modules, of which only the total is asked for.

    The tracker hooks the inputs of every module, which fails in ``autograd.grad`` where an input is a parameter.
    """

    parents = frozenset(("Global",))

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


def _run_backward(value: torch.Tensor, trained: list[torch.Tensor]) -> None:
    """Compute gradients and drop them. Not by ``backward``: no tensor's gradient and no optimizer may be touched."""
    try:
        torch.autograd.grad(value, trained, allow_unused=True)
    except RuntimeError as error:
        if "heckpoint" in str(error) and ".grad()" in str(error):
            raise InvalidInputError(
                "model: uses reentrant activation checkpointing, whose operations cannot be counted since it does not "
                "work with torch.autograd.grad; checkpoint with use_reentrant=False, or give a budget in bytes"
            ) from error
        raise


def set_modes(model: nn.Module, trained: Collection[str]) -> None:
    """Set training mode as it is while a selection is applied: on, but for frozen modules with moving state."""
    for module in model.modules():
        module.training = True
    named = {id(parameter): name for name, parameter in model.named_parameters()}
    for module in moving_modules(model, lambda parameter: named[id(parameter)] in trained):
        for part in module.modules():
            part.training = False


@contextmanager
def model_kept(model: nn.Module) -> Iterator[BufferState]:
    """Put modes, buffers (also reassigned ones), requires_grad flags and gradients back after the body.

    Yields what puts the buffers back at once, for a pass that is run again.
    """
    modes = [(module, module.training) for module in model.modules()]
    buffers = BufferState(model)
    flags = [(parameter, parameter.requires_grad, parameter.grad) for parameter in model.parameters()]
    try:
        yield buffers
    finally:
        for module, mode in modes:
            module.training = mode
        for parameter, flag, gradient in flags:
            parameter.requires_grad_(flag)
            parameter.grad = gradient
        buffers.restore()


def optimizer_state_bytes(parameters: Collection[torch.Tensor], optimizer: OptimizerFactory) -> list[int]:
    """Measure what an optimizer keeps for each of some parameters, by one step on a stand-in of each.

    Parameters
    ----------
    parameters
        The parameters; their values are not touched.
    optimizer
        Makes the optimizer.

    Returns
    -------
    list of int
        Bytes of state, one entry a parameter. Memory: a few times the largest parameter.

    Examples
    --------
    >>> optimizer_state_bytes([torch.ones(10)], torch.optim.Adam)  # two moments and the step
    [84]
    """
    sizes: dict[tuple[Any, ...], int] = {}
    found = []
    for parameter in parameters:
        key = (tuple(parameter.shape), parameter.dtype)
        if key not in sizes:
            stand_in = nn.Parameter(torch.zeros_like(parameter, requires_grad=False))
            stand_in.grad = torch.zeros_like(stand_in)
            made = optimizer([stand_in])
            take_step(made)
            parts = [part for tensor in tensors_of(made.state[stand_in]) for part in strided_parts(tensor)]
            sizes[key] = sum(
                {part.untyped_storage()._cdata: part.untyped_storage().nbytes() for part in parts}.values()
            )
        found.append(sizes[key])
    return found
