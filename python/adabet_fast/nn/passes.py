"""One forward pass whose layers are watched, and what each of them showed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import nn

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn.activations import NotOnePointASample, Order, Points, Reduce, to_points
from adabet_fast.nn.batches import Call, CustomCall, Forward
from adabet_fast.nn.head import HeadTrace
from adabet_fast.nn.layers import Layer, label
from adabet_fast.nn.memory import Meter
from adabet_fast.nn.progress import Progress

Take: TypeAlias = Callable[[Layer, Points, int], bool]
"""Is given a layer, its points, and the number of its call in the pass, from 0 on, while the pass is running; tells
whether it took them."""


@dataclass(frozen=True)
class How:
    """How batches are run and outputs are read; see :func:`adabet_fast.nn.score_layers`."""

    forward: Forward | None = None
    reduce: Reduce | None = None
    mask: Callable[[Any], torch.Tensor] | None = None
    sample_axis: int = 0
    n_samples: int | Callable[[Any], int] | None = None


@dataclass(frozen=True)
class Sight:
    """The form of what a layer returned in one call."""

    order: Order
    itemsize: int
    fold: int = 1


@dataclass
class Sightings:
    """What one pass showed.

    Attributes
    ----------
    calls
        For each layer that could be read, the form of each call.
    sequence
        The names of these layers in the order of the calls.
    problems
        For each other layer that was called, why not.
    notes
        What is to say about how a layer was read.
    """

    calls: dict[str, list[Sight]] = field(default_factory=dict)
    sequence: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def width(self, name: str) -> int:
        """Activations of one sample, all calls side by side."""
        return sum(sight.order.width for sight in self.calls[name])

    def bytes_a_sample(self, name: str) -> int:
        """Bytes of one sample's activations, all calls side by side."""
        return sum(sight.order.width * sight.itemsize for sight in self.calls[name])


class _Enough(BaseException):
    """Ends a pass early. No Exception, so that a model that catches those does not take it for its own."""


@dataclass
class Watch:
    """Watches one forward pass.

    Parameters
    ----------
    how
        How outputs are read.
    take
        Is given what the layers return.
    meter, progress
        Are told of each layer.
    trace
        If given, is told what the pass shows about the head.
    stop_after
        If given, the pass ends after so many calls of layers that could be read.
    """

    how: How
    take: Take
    meter: Meter
    progress: Progress
    trace: HeadTrace | None = None
    stop_after: int | None = None
    sightings: Sightings = field(default_factory=Sightings)
    stopped: bool = False
    _call: Call | CustomCall | None = None
    _not_finite: tuple[str, int, int, int, float] | None = None

    def run(self, model: nn.Module, layers: list[Layer], unread: list[Layer], call: Call | CustomCall) -> Sightings:
        """Run the pass.

        Parameters
        ----------
        model
            The network.
        layers
            The layers to read.
        unread
            Other layers that the trace is to know of.
        call
            The pass.

        Returns
        -------
        Sightings
            Hooks are gone, whether it returns or raises.
        """
        self._call = call
        with self._hooked(model, layers, unread):
            try:
                call.run(model)
            except _Enough:
                self.stopped = True
        return self.sightings

    def found_not_finite(self, layer: Layer, points: Points, call: int) -> None:
        """Note the first value that is NaN or infinite; :meth:`check` raises when the pass is over."""
        if self._not_finite is None:
            values = points.readable.flatten(1)
            sample, activation = (int(i) for i in torch.nonzero(~torch.isfinite(values))[0])
            self._not_finite = (layer.name, call, sample, activation, float(values[sample, activation]))

    def check(self, index: int) -> None:
        """Raise if an activation was NaN or infinite.

        Parameters
        ----------
        index
            The number of the batch, for the message.
        """
        if self._not_finite is None:
            return
        name, call, sample, activation, value = self._not_finite
        widths = [sight.order.width for sight in self.sightings.calls[name]]
        raise InvalidInputError(
            f"batches[{index}]: layer '{label(name)}' returned {value} "
            f"(sample {sample}, activation {sum(widths[:call]) + activation} of {sum(widths)})"
        )

    @contextmanager
    def _hooked(self, model: nn.Module, layers: list[Layer], unread: list[Layer]) -> Iterator[None]:
        with ExitStack() as hooks:
            for layer in layers:
                hooks.callback(layer.module.register_forward_hook(self._reading(layer)).remove)
            if self.trace is not None:
                trace = self.trace
                for layer in unread:
                    hooks.callback(layer.module.register_forward_hook(_noting(trace, layer)).remove)
                hooks.callback(
                    model.register_forward_hook(lambda _module, _inputs, output: trace.model_returned(output)).remove
                )
            yield

    def _reading(self, layer: Layer) -> Callable[[nn.Module, Any, object], None]:
        def returned(_module: nn.Module, inputs: Any, output: object) -> None:
            if self.trace is not None:
                self.trace.layer_returned(layer, inputs, output)
            self._read(layer, output)

        return returned

    def _read(self, layer: Layer, output: object) -> None:
        seen = self.sightings
        if self._call is None or layer.name in seen.problems:
            return
        try:
            points = to_points(
                output,
                layer,
                self._call.n_samples,
                sample_axis=self.how.sample_axis,
                reduce=self.how.reduce,
                mask=self._call.mask,
            )
        except NotOnePointASample as problem:
            seen.problems[layer.name] = str(problem)
            seen.calls.pop(layer.name, None)
            return
        calls = seen.calls.setdefault(layer.name, [])
        calls.append(Sight(points.order, points.dtype.itemsize, points.fold))
        seen.sequence.append(layer.name)
        if points.note:
            seen.notes[layer.name] = points.note
        if self.take(layer, points, len(calls) - 1):
            self.progress.step()
        self.meter.look()
        if self.stop_after is not None and len(seen.sequence) >= self.stop_after:
            raise _Enough


def _noting(trace: HeadTrace, layer: Layer) -> Callable[[nn.Module, Any, object], None]:
    return lambda _module, inputs, output: trace.layer_returned(layer, inputs, output)
