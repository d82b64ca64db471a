"""Watch the outputs of every layer during true forward passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import torch
from torch import nn

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn.activations import NotOnePointASample, Points, Reduce, to_points
from adabet_fast.nn.batches import Forward, prepare
from adabet_fast.nn.guard import only_read
from adabet_fast.nn.head import HeadTrace
from adabet_fast.nn.layers import Layer, label

NOT_OBSERVED = "not observed"
"""Status of a layer whose module was never called."""


@dataclass(frozen=True)
class How:
    """How batches are run and outputs are read; see :func:`adabet_fast.nn.score_layers`."""

    forward: Forward | None = None
    reduce: Reduce | None = None
    mask: Callable[[Any], torch.Tensor] | None = None
    sample_axis: int = 0


@dataclass
class Observation:
    """What the forward passes showed.

    Attributes
    ----------
    clouds
        For each layer that can be scored, one (samples, activations) tensor a batch.
    problems
        For each other layer, why not.
    calls
        How often each layer was called in a pass.
    notes
        What is to say about how a layer's outputs were read.
    batch_sizes
        Samples of each batch.
    trace
        What the first pass tells about the head.
    seconds
        Time of the forward passes, the copies of the activations included.
    """

    clouds: dict[str, list[torch.Tensor]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    batch_sizes: list[int] = field(default_factory=list)
    trace: HeadTrace = field(default_factory=HeadTrace)
    seconds: float = 0.0


def observe(model: nn.Module, layers: list[Layer], batches: list[Any], how: How) -> Observation:
    """Run every batch once through the model, exactly as given, and keep what the layers returned.

    Parameters
    ----------
    model
        The network. Nothing about it is changed afterwards, see :func:`adabet_fast.nn.guard.only_read`.
    layers
        The layers to watch; those tied to an earlier one are passed over.
    batches
        The batches.
    how
        How to run and read them.

    Returns
    -------
    Observation
        Memory: all activations of all samples.
    """
    seen = Observation()
    for layer in layers:
        if layer.tied_to is not None:
            seen.problems[layer.name] = f"tied to {label(layer.tied_to)}"
    watched = [layer for layer in layers if layer.tied_to is None]
    with only_read(model):
        for index, batch in enumerate(batches):
            call = prepare(model, batch, index=index, forward=how.forward, mask=how.mask, sample_axis=how.sample_axis)
            passed = _Pass(seen, how, call.n_samples, call.mask, trace=seen.trace if index == 0 else None)
            started = perf_counter()
            with passed.hooked(model, layers):
                call.run(model)
            seen.seconds += perf_counter() - started
            passed.close(watched, index)
    for layer in watched:
        _settle(seen, layer, len(batches))
    return seen


@dataclass
class _Pass:
    """One forward pass: the points of each layer, a list entry a call."""

    seen: Observation
    how: How
    n_samples: int
    mask: torch.Tensor | None
    trace: HeadTrace | None
    points: dict[str, list[Points]] = field(default_factory=dict)

    @contextmanager
    def hooked(self, model: nn.Module, layers: list[Layer]) -> Iterator[None]:
        with ExitStack() as hooks:
            for layer in layers:
                hooks.callback(layer.module.register_forward_hook(self._hook(layer)).remove)
            if self.trace is not None:
                trace = self.trace
                hooks.callback(
                    model.register_forward_hook(lambda _module, _inputs, output: trace.model_returned(output)).remove
                )
            yield

    def _hook(self, layer: Layer) -> Callable[[nn.Module, Any, object], None]:
        def returned(_module: nn.Module, inputs: Any, output: object) -> None:
            if self.trace is not None:
                self.trace.layer_returned(layer, inputs, output)
            if layer.name in self.seen.problems:
                return
            try:
                points = to_points(
                    output,
                    layer,
                    self.n_samples,
                    sample_axis=self.how.sample_axis,
                    reduce=self.how.reduce,
                    mask=self.mask,
                )
            except NotOnePointASample as problem:
                self.seen.problems[layer.name] = str(problem)
                return
            self.points.setdefault(layer.name, []).append(points)
            if points.note:
                self.seen.notes[layer.name] = points.note

        return returned

    def close(self, watched: list[Layer], index: int) -> None:
        """Put the calls of each layer side by side, and check them in the order in which the layers returned."""
        self.seen.batch_sizes.append(self.n_samples)
        for name, calls in self.points.items():
            self.seen.calls[name] = max(len(calls), self.seen.calls.get(name, 0))
            rows = calls[0].rows if len(calls) == 1 else torch.cat([points.rows for points in calls], dim=1)
            _check_finite(rows, name, index)
            self.seen.clouds.setdefault(name, []).append(rows)


def _check_finite(rows: torch.Tensor, name: str, index: int) -> None:
    low, high = torch.aminmax(rows)  # both carry NaN on, and need no memory
    if bool(torch.isfinite(low)) and bool(torch.isfinite(high)):
        return
    sample, activation = (int(i) for i in torch.nonzero(~torch.isfinite(rows))[0])
    raise InvalidInputError(
        f"batches[{index}]: layer '{label(name)}' returned {rows[sample, activation].item()} "
        f"(sample {sample}, activation {activation} of {rows.shape[1]})"
    )


def _settle(seen: Observation, layer: Layer, n_batches: int) -> None:
    """Keep a layer's cloud only if every batch has its part of it, of one width."""
    name = layer.name
    rows = seen.clouds.get(name, [])
    if not rows:
        seen.problems.setdefault(name, NOT_OBSERVED)
    elif len(rows) < n_batches:
        seen.problems.setdefault(name, f"called in {len(rows)} of {n_batches} batches")
    if name in seen.problems:
        seen.clouds.pop(name, None)
        return
    widths = [batch.shape[1] for batch in rows]
    if len(set(widths)) > 1:
        sizes = ", ".join(map(str, widths))
        raise InvalidInputError(
            f"batches: layer '{label(name)}' has samples of different sizes ({sizes} activations); "
            "pad all batches to one length, or give reduce='mean' with a mask to make one vector a sample"
        )
