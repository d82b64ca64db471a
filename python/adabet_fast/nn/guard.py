"""While layers are scored the model is only read: whatever a forward pass may change is put back."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import numpy as np
import torch
from torch import nn

from adabet_fast.errors import InvalidInputError


@contextmanager
def only_read(model: nn.Module) -> Iterator[None]:
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
        for restore in (_buffers(model), _modes(model), _fused_transformers()):
            undo.callback(restore)
        if _is_compiled(model):
            undo.enter_context(_run_eagerly())
        undo.enter_context(torch.no_grad())
        for module in model.modules():
            module.training = False
        torch.backends.mha.set_fastpath_enabled(False)
        yield
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


def _buffers(model: nn.Module) -> Callable[[], None]:
    saved = [
        (module, name, buffer, None if buffer is None else buffer.detach().clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
    ]
    names = [(module, frozenset(module._buffers)) for module in model.modules()]

    @torch.no_grad()
    def restore() -> None:
        for module, known in names:
            for name in [name for name in module._buffers if name not in known]:
                del module._buffers[name]
        for module, name, buffer, values in saved:
            module._buffers[name] = buffer
            if buffer is None or values is None:
                continue
            if buffer.shape != values.shape:
                buffer.data = values
            elif not torch.equal(buffer, values):
                buffer.copy_(values)

    return restore


@contextmanager
def random_states_kept() -> Iterator[None]:
    """Put the random states of torch (CPU, CUDA, MPS), NumPy and Python back after the body.

    >>> first = torch.get_rng_state()
    >>> with random_states_kept():
    ...     _ = torch.rand(3)
    >>> torch.equal(torch.get_rng_state(), first)
    True
    """
    with ExitStack() as undo:
        undo.callback(torch.set_rng_state, torch.get_rng_state())
        undo.callback(np.random.set_state, np.random.get_state())  # noqa: NPY002 (the global state is meant)
        undo.callback(random.setstate, random.getstate())
        if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
            undo.callback(torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all())
        if torch.backends.mps.is_available():
            undo.callback(torch.mps.set_rng_state, torch.mps.get_rng_state())
        yield


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
