"""What each layer costs by itself: operations, bytes saved for backward, time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from statistics import median
from time import perf_counter
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from adabet_fast.nn.batches import tensors_of
from adabet_fast.nn.cost import strided_parts
from adabet_fast.nn.fakes import on_fakes
from adabet_fast.nn.guard import BufferState, only_read, random_states_kept
from adabet_fast.nn.layers import Layer
from adabet_fast.nn.trace import model_kept, set_modes

N_TIMED = 5
"""Forward passes that are timed, after one that is not; the median counts."""

Run = Callable[[nn.Module], object]


def measure_flops(model: nn.Module, layers: Iterable[Layer], run: Run) -> dict[str, float]:
    """Count the operations of each layer in one forward pass.

    Matrix products, convolutions and attention as ``torch.utils.flop_counter`` counts them, and one for each number
    that the layer returns. Of nested layers the inner ones count for themselves.

    Parameters
    ----------
    model, layers
        The network and its layers; it is only read.
    run
        Runs one forward pass.

    Returns
    -------
    dict
        Operations of each layer that was called. Costs a pass on tensors without values, a true one where that fails.

    Examples
    --------
    >>> from adabet_fast.nn.layers import find_layers
    >>> network = nn.Sequential(nn.Linear(4, 3))
    >>> measure_flops(network, find_layers(network), lambda model: model(torch.zeros(2, 4)))  # 2 * 2 * 4 * 3 + 2 * 3
    {'0': 54.0}
    """

    def count(network: nn.Module) -> dict[str, float]:
        counter = FlopCounterMode(display=False)
        meter = _Exclusive(lambda: float(counter.get_total_flops()))
        with counter, meter.on(layers):
            run(network)
        return {name: flops + meter.returned[name] for name, flops in meter.spent.items()}

    with random_states_kept(), only_read(model) as buffers:
        return _fake_or_true(model, count, buffers)


def measure_saved_bytes(model: nn.Module, layers: Iterable[Layer], run: Run) -> dict[str, float]:
    """Count the bytes that each layer's own operations save for backward when everything is trained.

    A storage counts once for each layer that saves it, also if an operation outside has saved it before; parameters and
    buffers do not count. Parameters and returns as in :func:`measure_flops`.
    """

    def count(network: nn.Module, own: list[torch.Tensor]) -> dict[str, float]:
        known = {tensor.untyped_storage()._cdata for tensor in own}
        saved: dict[str, dict[int, int]] = {}
        kept: list[torch.Tensor] = []
        meter = _Exclusive(lambda: 0.0)

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            for part in strided_parts(tensor):
                storage = part.untyped_storage()
                if meter.inside and storage._cdata not in known:
                    saved.setdefault(meter.inside[-1], {})[storage._cdata] = storage.nbytes()
                    kept.append(part)
            return tensor

        hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
        with torch.enable_grad(), meter.on(layers), hooks:
            run(network)
        return {name: float(sum(saved.get(name, {}).values())) for name in meter.spent}

    with random_states_kept(), model_kept(model) as buffers:
        names = [name for name, _ in model.named_parameters()]
        set_modes(model, names)
        try:
            return on_fakes(model, count, lambda _, parameter: parameter.is_floating_point())
        except Exception:  # what a model does with values is not to be foreseen: then it runs truly
            buffers.restore()
            for parameter in model.parameters():
                parameter.requires_grad_(parameter.is_floating_point())
            return count(model, [*model.parameters(), *model.buffers()])


def measure_latency(model: nn.Module, layers: Iterable[Layer], run: Run) -> dict[str, float]:
    """Time each layer's forward on the model's device, in seconds: the median of five passes after one untimed.

    Parameters and returns as in :func:`measure_flops`. Of nested layers the inner ones count for themselves.
    """
    cuda = next(model.parameters()).is_cuda

    def clock() -> float:
        if cuda:
            torch.cuda.synchronize()
        return perf_counter()

    times: dict[str, list[float]] = {}
    with random_states_kept(), only_read(model):
        run(model)
        for _ in range(N_TIMED):
            meter = _Exclusive(clock)
            with meter.on(layers):
                run(model)
            for name, seconds in meter.spent.items():
                times.setdefault(name, []).append(seconds)
    return {name: median(seconds) for name, seconds in times.items()}


class _Exclusive:
    """Shares out what a meter shows among the layers that are running, the innermost one at a time."""

    def __init__(self, read: Callable[[], float]) -> None:
        self.read = read
        self.inside: list[str] = []
        self.spent: dict[str, float] = {}
        self.returned: dict[str, int] = {}
        self.last = 0.0

    def on(self, layers: Iterable[Layer]) -> ExitStack:
        """Hook the layers for the length of a ``with`` block."""
        undo = ExitStack()
        for layer in layers:
            undo.callback(layer.module.register_forward_pre_hook(self._enter(layer.name)).remove)
            undo.callback(layer.module.register_forward_hook(self._leave(layer.name)).remove)
        self.last = self.read()
        return undo

    def _book(self) -> None:
        now = self.read()
        if self.inside:
            self.spent[self.inside[-1]] = self.spent.get(self.inside[-1], 0.0) + now - self.last
        self.last = now

    def _enter(self, name: str) -> Callable[[nn.Module, Any], None]:
        def enter(_module: nn.Module, _inputs: Any) -> None:
            self._book()
            self.inside.append(name)
            self.spent.setdefault(name, 0.0)

        return enter

    def _leave(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        def leave(_module: nn.Module, _inputs: Any, output: Any) -> None:
            self._book()
            self.inside.pop()
            self.returned[name] = self.returned.get(name, 0) + sum(t.numel() for t in tensors_of(output))

        return leave


def _fake_or_true(
    model: nn.Module, count: Callable[[nn.Module], dict[str, float]], buffers: BufferState
) -> dict[str, float]:
    try:
        return on_fakes(model, lambda network, _: count(network))
    except Exception:  # what a model does with values is not to be foreseen: then it runs truly
        buffers.restore()
        return count(model)


def measure_cost(name: object, model: nn.Module, layers: Iterable[Layer], run: Run, n_samples: int) -> dict[str, float]:
    """Measure one divisor for every layer, per sample.

    Parameters
    ----------
    name
        ``"flops"``, ``"saved_bytes"`` or ``"latency"``; nothing is measured for others.
    model, layers, run
        As in :func:`measure_flops`.
    n_samples
        Samples that ``run`` passes through.

    Returns
    -------
    dict
        By the layers' names.
    """
    if not isinstance(name, str) or name not in MEASURES:
        return {}
    return {layer: cost / n_samples for layer, cost in MEASURES[name](model, list(layers), run).items()}


MEASURES: dict[str, Callable[[nn.Module, Iterable[Layer], Run], dict[str, float]]] = {
    "flops": measure_flops,
    "saved_bytes": measure_saved_bytes,
    "latency": measure_latency,
}
"""How each divisor is measured."""
