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
from adabet_fast.nn.cloud import Cloud
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
        For each layer that can be scored, its points.
    problems
        For each other layer, why not.
    calls
        How often each layer was called in a pass.
    folded
        Layers of which several rows were read as one sample.
    notes
        What is to say about how a layer's outputs were read.
    batch_sizes
        Samples of each batch.
    trace
        What the first pass tells about the head.
    seconds
        Time of the forward passes, the copies of the activations included.
    """

    clouds: dict[str, Cloud] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    folded: set[str] = field(default_factory=set)
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
            passed = _Pass(seen, how, len(batches), call.n_samples, call.mask, trace=seen.trace if index == 0 else None)
            started = perf_counter()
            with passed.hooked(model, layers):
                call.run(model)
            seen.seconds += perf_counter() - started
            passed.close(index)
    for layer in watched:
        _settle(seen, layer, len(batches))
    _set_constants_aside(seen)
    return seen


@dataclass
class _Pass:
    """One forward pass: the points of each layer, a list entry a call."""

    seen: Observation
    how: How
    n_batches: int
    n_samples: int
    mask: torch.Tensor | None
    trace: HeadTrace | None
    rows: dict[str, list[torch.Tensor]] = field(default_factory=dict)
    not_finite: tuple[str, int] | None = None
    """The layer and its call that first returned NaN or infinity."""

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
                self.rows.pop(layer.name, None)
                self.seen.clouds.pop(layer.name, None)
                return
            self._keep(layer.name, points)

        return returned

    def _keep(self, name: str, points: Points) -> None:
        """Copy the points at once: a later in-place operation (ReLU) would change them under us."""
        calls = self.rows.setdefault(name, [])
        if calls:
            rows = torch.empty((self.n_samples, points.width), dtype=points.dtype)
        else:
            cloud = self.seen.clouds.setdefault(name, Cloud(self.n_batches))
            rows = cloud.room(self.n_samples, points.width, points.dtype)
        points.copy_into(rows)
        if self.not_finite is None and not _is_finite(rows):
            self.not_finite = (name, len(calls))
        calls.append(rows)
        if points.fold > 1:
            self.seen.folded.add(name)
        if points.note:
            self.seen.notes[name] = points.note

    def close(self, index: int) -> None:
        """Check what was seen, and put the calls of each layer side by side."""
        if self.not_finite is not None:
            name, call = self.not_finite
            raise _not_finite(self.rows[name], call, name, index)
        self.seen.batch_sizes.append(self.n_samples)
        for name, calls in self.rows.items():
            self.seen.calls[name] = max(len(calls), self.seen.calls.get(name, 0))
            self.seen.clouds[name].add(calls[0] if len(calls) == 1 else torch.cat(calls, dim=1))


def _is_finite(rows: torch.Tensor) -> bool:
    low, high = torch.aminmax(rows)  # both carry NaN on, and need no memory
    return bool(torch.isfinite(low)) and bool(torch.isfinite(high))


def _not_finite(calls: list[torch.Tensor], call: int, name: str, index: int) -> InvalidInputError:
    sample, activation = (int(i) for i in torch.nonzero(~torch.isfinite(calls[call]))[0])
    before = sum(rows.shape[1] for rows in calls[:call])
    return InvalidInputError(
        f"batches[{index}]: layer '{label(name)}' returned {calls[call][sample, activation].item()} "
        f"(sample {sample}, activation {before + activation} of {sum(rows.shape[1] for rows in calls)})"
    )


def _settle(seen: Observation, layer: Layer, n_batches: int) -> None:
    """Keep a layer's cloud only if every batch has its part of it, of one width."""
    name = layer.name
    parts = seen.clouds[name].parts if name in seen.clouds else []
    widths = [part.shape[1] for part in parts]
    if not parts:
        seen.problems.setdefault(name, NOT_OBSERVED)
    elif len(parts) < n_batches:
        seen.problems.setdefault(name, f"called in {len(parts)} of {n_batches} batches")
    if len(set(widths)) > 1 and name not in seen.problems:
        sizes = ", ".join(map(str, widths))
        if name not in seen.folded:
            raise InvalidInputError(
                f"batches: layer '{label(name)}' has samples of different sizes ({sizes} activations); "
                "pad all batches to one length, or give reduce='mean' with a mask to make one vector a sample"
            )
        # Rows by the count of what was routed here (experts, packed sequences): that it divided was chance.
        seen.problems[name] = f"rows are not samples ({sizes} activations a sample)"
    if name in seen.problems:
        seen.clouds.pop(name, None)
        seen.notes.pop(name, None)


def _set_constants_aside(seen: Observation) -> None:
    """Give no score to tables that are the same for every batch, though their points differ (position embeddings).

    They look like points where their length happens to be the number of samples. If all layers are the same in every
    batch, it is the batches that are.
    """
    repeated = [name for name, cloud in seen.clouds.items() if _is_repeated(cloud.parts)]
    if len(repeated) == len(seen.clouds):
        return
    for name in repeated:
        points = seen.clouds[name].parts[0]
        if bool((points == points[:1]).all()):  # one point for every sample: dead or not yet trained, and b1 = 0
            continue
        seen.problems[name] = "returns the same for every batch"
        del seen.clouds[name]
        seen.notes.pop(name, None)


def _is_repeated(parts: list[torch.Tensor]) -> bool:
    first = parts[0]
    same = (torch.equal(first[:1], part[:1]) and torch.equal(first, part) for part in parts[1:])
    return len(parts) > 1 and all(same)
