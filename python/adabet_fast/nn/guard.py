"""While layers are scored the model is only read: whatever a forward pass may change is put back."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial

import numpy as np
import torch
from torch import nn

from adabet_fast.errors import InvalidInputError


@contextmanager
def only_read(model: nn.Module) -> Iterator[BufferState]:
    """Run the body in eval mode without gradients, and put the model back, also after an error.

    Put back are the training flag of every module, and the values and the identity of every buffer. Modes are set on
    the flags themselves, not by ``model.eval()``, which some models override with lasting effects. Compiled parts run
    eagerly and the fused transformer path is off inside, since neither runs hooks.

    Parameters
    ----------
    model
        The network. Costs a copy of its buffers.

    Raises
    ------
    InvalidInputError
        If a forward pass changed a parameter in place: that is not undone, and is the model's own doing.

    Yields
    ------
    BufferState
        Puts the buffers back at once, so that a pass that is run again starts from the same state.

    Examples
    --------
    >>> network = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2))
    >>> with only_read(network):
    ...     network[1].training, torch.is_grad_enabled()
    (False, False)
    >>> network[1].training
    True
    """
    versions = {name: parameter._version for name, parameter in model.named_parameters()}
    with ExitStack() as undo:
        buffers = BufferState(model)
        for restore in (buffers.restore, _modes(model), _fused_transformers()):
            undo.callback(restore)
        if _is_compiled(model):
            undo.enter_context(_run_eagerly())
        undo.enter_context(torch.no_grad())
        for module in model.modules():
            module.training = False
        torch.backends.mha.set_fastpath_enabled(False)
        yield buffers
    changed = [name for name, parameter in model.named_parameters() if parameter._version != versions.get(name)]
    if changed:
        raise InvalidInputError(
            f"model: its forward pass changes the parameter '{changed[0]}' in place even in eval mode"
        )


def _modes(model: nn.Module) -> Callable[[], None]:
    modes = [(module, module.training) for module in model.modules()]

    def restore() -> None:
        for module, mode in modes:
            module.training = mode

    return restore


class BufferState:
    """The values and the identity of every buffer of a model, as they were when this was made."""

    def __init__(self, model: nn.Module) -> None:
        self._saved = [
            (module, name, buffer, None if buffer is None else buffer.detach().clone())
            for module in model.modules()
            for name, buffer in module._buffers.items()
        ]
        self._names = [(module, frozenset(module._buffers.keys())) for module in model.modules()]
        self._leaves = {id(buffer) for _, _, buffer, _ in self._saved if buffer is not None and buffer.is_leaf}

    def changed(self) -> bool:
        """Tell whether any buffer is not what it was."""
        if any(known != module._buffers.keys() for module, known in self._names):
            return True
        return any(
            module._buffers[name] is not buffer
            or (buffer is not None and values is not None and not _same(buffer, values))
            for module, name, buffer, values in self._saved
        )

    @torch.no_grad()
    def restore(self) -> None:
        """Put all of them back."""
        for module, known in self._names:
            for name in [name for name in module._buffers.keys() if name not in known]:  # noqa: SIM118 (of scripts too)
                del module._buffers[name]
        for module, name, buffer, values in self._saved:
            module._buffers[name] = buffer
            if buffer is None or values is None:
                continue
            if buffer.grad_fn is not None and id(buffer) in self._leaves:  # a pass with gradients changed it in place
                if buffer._is_view():  # which cannot be taken out of its graph itself
                    buffer = module._buffers[name] = buffer.detach()
                else:
                    buffer.detach_()
            if buffer.shape != values.shape:
                buffer.data = values.clone()
            elif not torch.equal(buffer, values):
                buffer.copy_(values)


def _same(buffer: torch.Tensor, values: torch.Tensor) -> bool:
    return buffer.shape == values.shape and torch.equal(buffer, values)


@contextmanager
def random_states_kept() -> Iterator[None]:
    """Put the random states of torch (CPU, CUDA, MPS), NumPy and Python back after the body.

    >>> first = torch.get_rng_state()
    >>> with random_states_kept():
    ...     _ = torch.rand(3)
    >>> torch.equal(torch.get_rng_state(), first)
    True
    """
    restore = random_states()
    try:
        yield
    finally:
        restore()


def random_states() -> Callable[[], None]:
    """Return what puts the random states of torch (CPU, CUDA, MPS), NumPy and Python back to what they are now."""
    undo: list[Callable[[], object]] = [
        partial(torch.set_rng_state, torch.get_rng_state()),
        partial(np.random.set_state, np.random.get_state()),  # noqa: NPY002 (the global state is meant)
        partial(random.setstate, random.getstate()),
    ]
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        undo.append(partial(torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all()))
    if torch.backends.mps.is_available():
        undo.append(partial(torch.mps.set_rng_state, torch.mps.get_rng_state()))

    def restore() -> None:
        for put_back in undo:
            put_back()

    return restore


def _fused_transformers() -> Callable[[], None]:
    enabled = torch.backends.mha.get_fastpath_enabled()
    return lambda: torch.backends.mha.set_fastpath_enabled(enabled)


def _run_eagerly() -> AbstractContextManager[object]:
    if not hasattr(torch.compiler, "set_stance"):
        raise InvalidInputError(
            "model: has compiled parts, whose hooks run only with torch 2.6 or newer; give it uncompiled"
        )
    eager: AbstractContextManager[object] = torch.compiler.set_stance("force_eager")
    return eager


def _is_compiled(model: nn.Module) -> bool:
    """Tell whether any part was compiled, without importing the compiler, which takes seconds."""
    if "torch._dynamo" not in sys.modules:
        return False
    return any(
        "_orig_mod" in module._modules or getattr(module, "_compiled_call_impl", None) is not None
        for module in model.modules()
    )
