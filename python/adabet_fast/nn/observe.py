"""Run the batches through the model, so that every layer's points are measured within the memory there is."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import torch
from torch import nn

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn.activations import Points, is_finite
from adabet_fast.nn.batches import prepare
from adabet_fast.nn.cloud import Allocate, Cloud, in_memory, in_orders
from adabet_fast.nn.guard import BufferState, only_read, random_states
from adabet_fast.nn.judge import judge
from adabet_fast.nn.layers import Layer, label
from adabet_fast.nn.memory import MemoryUse, MemoryWay, Meter
from adabet_fast.nn.observation import Observation
from adabet_fast.nn.passes import How, Sightings, Take, Watch
from adabet_fast.nn.progress import Progress
from adabet_fast.nn.ranks import Ranks
from adabet_fast.nn.spill import SpillFile, free_on_disk, spilled_bytes
from adabet_fast.nn.tally import Tally
from adabet_fast.nn.ways import Need, Plan, Room, check_hook_way, choose_way


def observe(
    model: nn.Module,
    layers: list[Layer],
    batches: Sequence[Any],
    how: How,
    tally: Tally,
    plan: Plan,
    *,
    ranks: Ranks | None = None,
    progress: Progress | None = None,
) -> Observation:
    """Run every batch through the model, exactly as given, and let the tally measure what the layers returned.

    Parameters
    ----------
    model
        The network. Nothing about it is changed afterwards, see :func:`adabet_fast.nn.guard.only_read`.
    layers
        The layers to watch; those tied to an earlier one are passed over.
    batches
        This rank's batches.
    how
        How to run and read them.
    tally
        Measures each layer's clouds, and tells the meter.
    plan
        What is pooled, and within which memory.
    ranks, progress
        The ranks that score together; where to count layers.

    Returns
    -------
    Observation
        Cost: see :class:`MemoryUse`. The first pass of every batch is run to its end and shows the layers' sizes; it
        costs nothing besides, since what fits is kept at once.
    """
    with only_read(model) as buffers:
        observer = _Observer(
            model, layers, batches, how, tally, plan, ranks or Ranks(), progress or Progress(), buffers
        )
        observer.run()
        return observer.seen


class _Observer:
    def __init__(
        self,
        model: nn.Module,
        layers: list[Layer],
        batches: Sequence[Any],
        how: How,
        tally: Tally,
        plan: Plan,
        ranks: Ranks,
        progress: Progress,
        buffers: BufferState,
    ) -> None:
        self.model, self.batches, self.how, self.tally, self.plan = model, batches, how, tally, plan
        self.ranks, self.progress, self.buffers = ranks, progress, buffers
        self.meter: Meter = tally.meter
        self.layers = {layer.name: layer for layer in layers if layer.tied_to is None}
        self.tied = [layer for layer in layers if layer.tied_to is not None]
        self.seen = Observation()
        for layer in self.tied:
            self.seen.problems[layer.name] = f"tied to {label(layer.tied_to or '')}"
        self.passes: list[Sightings] = []  # the full pass of each batch
        self.random: list[Any] = []  # the random states that it began with
        self.moving = False  # whether passes change buffers, so that none may be stopped early
        self.use = MemoryUse(budget=plan.budget, resident_before=self.meter.resident_before)
        self.clouds: dict[str, Cloud] = {}
        self.sizes = plan.sizes[ranks.rank]

    def run(self) -> None:
        asking = any(measure.needs_activations for measure in self.tally.measures)
        whole = not self.plan.pooled or (len(self.batches) == 1 and self.ranks.size == 1)
        if self.plan.way == "hook":
            check_hook_way(self.plan.pooled, len(self.batches), self.ranks.size)
        # Whoever asks for the activations gets them when the passes are over, for they may run the model too.
        if self.plan.way == "hook" or (self.plan.way == "auto" and whole and not asking):
            self._in_the_hook(asking)
        else:
            self._kept()
        with self.ranks.together():
            self.tally.count()
        self.seen.found = {name: found for name, found in self.tally.found.items() if name not in self.seen.problems}
        self.seen.memory = replace(self.use, peak_bytes=self.meter.peak, resident_peak=self.meter.resident_peak)

    def _in_the_hook(self, asking: bool) -> None:
        """Measure each layer as it returns; those that are called again, in a second round."""
        self.use = replace(self.use, way="hook")
        with self.ranks.together():
            for index in range(len(self.batches)):
                watch = self._watch(index)
                watch.take = _measuring(self, watch, self.sizes[index])
                self._full_pass(index, watch)
                for name, calls in watch.sightings.calls.items():
                    if len(calls) > 1:
                        self.tally.forget(name)
        self._judge()
        again = [name for name in self._readable() if any(len(each.calls.get(name, ())) > 1 for each in self.passes)]
        if again and asking:
            raise InvalidInputError(
                f"memory_way: 'hook' hands activations over at the first call, but layer '{label(again[0])}' is called "
                "several times in a pass; use 'auto'"
            )
        # Whether it is called several times is the same on all ranks, or the judge has put it aside.
        if again:
            needs = [self._need(name, self.first.bytes_a_sample(name), self.first) for name in again]
            file_bytes = sum(self._file_bytes(self.first, name) for name in again)
            way, groups = self._choose("groups" if self.plan.way == "hook" else "auto", needs, 0, file_bytes)
            if way == "spill":
                self._spilled(again, file_bytes)
            self._rounds(groups)

    def _measure_at_once(self, layer: Layer, points: Points, n_samples: int, watch: Watch) -> None:
        try:
            self.tally.add(layer, points.order.rows(points.readable), (points.order,), (n_samples,))
        except InvalidInputError:
            if is_finite(points.readable):
                raise
            watch.found_not_finite(layer, points, 0)

    def _kept(self) -> None:
        """Keep what fits in the first round; the rest in further rounds, or all of it in a file."""
        room = Room(-1 if self.plan.way == "spill" else self.plan.capacity)
        sizes: dict[str, list[int]] = {}
        closed = False

        def fits(layer: Layer, points: Points, call: int) -> bool:
            nonlocal closed
            if (closed and call == 0) or (call and layer.name not in self.clouds):
                return False
            calls = sizes.setdefault(layer.name, [])
            calls.append(points.order.width * points.dtype.itemsize)
            need = self._need(layer.name, sum(calls))
            if not room.takes(need.put_side_by_side(calls, max(each[0] for each in self.plan.sizes))):
                closed = True
                self._forget(layer.name)
                return False
            return True

        with self.ranks.together():
            watch = self._watch(0)
            watch.take = lambda layer, points, call: (
                fits(layer, points, call) and self._keep(layer, points, watch, in_memory)
            )
            self._full_pass(0, watch)
            self._end_batch(self.clouds)
        traces = self.ranks.gather((self.passes[0], list(self.clouds)))
        first = traces[0][0]
        kept = [name for name in self._in_order(first, self.clouds) if all(name in names for _, names in traces)]
        for name in [name for name in self.clouds if name not in kept]:
            self._forget(name)
        file_bytes = sum(self._file_bytes(first, name) for name in first.calls)
        rest = [self._need(name, first.bytes_a_sample(name), first) for name in first.calls if name not in kept]
        groups: list[list[str]] = []
        way: MemoryWay = "groups"
        if rest:
            way, groups = self._choose(self.plan.way, rest, bool(kept), file_bytes)
        if way == "spill":
            for name in kept:
                self._forget(name)
            self._spilled(list(self._in_order(first, first.calls)), file_bytes)
            return
        self.use = replace(self.use, way="groups", groups=bool(kept) + len(groups))
        if not self.plan.pooled:
            with self.ranks.together():
                self._finish_batch(kept, 0)
        self._round(kept, in_memory, start=1)
        self._judge()
        self._finish_pooled(kept)
        self._rounds(groups)

    def _choose(self, way: MemoryWay, rest: list[Need], kept: int, file: int) -> tuple[MemoryWay, list[list[str]]]:
        told = self.ranks.gather((free_on_disk(), file))
        return choose_way(
            way,
            rest,
            kept,
            self.plan.capacity,
            self.plan.budget,
            max(its for _, its in told),
            min(free for free, _ in told) // self.ranks.size,  # they may share one disk
        )

    def _spilled(self, names: list[str], file_bytes: int) -> None:
        with self.ranks.together():
            file = SpillFile(file_bytes)
        self.use = replace(self.use, way="spill", file_bytes=file.n_bytes)
        self._round(names, file.allocate, start=0, file=file)
        self._judge()
        self._finish_pooled(names, file)

    def _rounds(self, groups: list[list[str]]) -> None:
        """Replay all batches for each group of layers."""
        for names in groups:
            with self.ranks.together():
                self.tally.make_room(self.plan.capacity)
            self._round(self._readable(names), in_memory, start=0)
            self._finish_pooled(self._readable(names))

    def _round(self, names: Collection[str], allocate: Allocate, start: int, file: SpillFile | None = None) -> None:
        """Run all batches and keep what some layers return; the first time, every pass runs to its end."""
        wanted = set(names)
        with self.ranks.together():
            if start == 0:
                self.buffers.restore()
            for index in range(start, len(self.batches)):
                new = index == len(self.passes)
                watch = self._watch(index)
                watch.take = _keeping(self, wanted, watch, allocate)
                if new:
                    self._full_pass(index, watch)
                else:
                    self._replay(index, watch, wanted)
                self._end_batch(wanted, file)
                if not self.plan.pooled:
                    self._finish_batch(wanted, index)

    def _watch(self, index: int) -> Watch:
        trace = self.seen.trace if index == len(self.passes) == 0 else None
        return Watch(self.how, lambda *_: False, self.meter, self.progress, trace)

    def _full_pass(self, index: int, watch: Watch) -> None:
        self.random.append(random_states())
        self._run(index, watch, list(self.layers.values()), self.tied)
        self.passes.append(watch.sightings)
        if index == 0:
            self.moving = self.buffers.changed()

    def _replay(self, index: int, watch: Watch, names: set[str]) -> None:
        full = self.passes[index]
        expected = {name: full.calls[name] for name in names if name in full.calls}
        watch.stop_after = None if self.moving else sum(map(len, expected.values()))
        self.random[index]()
        self._run(index, watch, [layer for name, layer in self.layers.items() if name in expected], [])
        self.use = replace(self.use, stopped_early=self.use.stopped_early + watch.stopped)
        if watch.sightings.calls != expected:
            name = next(name for name in expected if watch.sightings.calls.get(name) != expected[name])
            raise InvalidInputError(
                f"model: batches[{index}] was run again to stay within max_memory, and layer '{label(name)}' returned "
                "another shape than before; give more memory, or memory_way='spill'"
            )

    def _run(self, index: int, watch: Watch, layers: list[Layer], unread: list[Layer]) -> None:
        how = self.how
        call = prepare(
            self.model,
            self.batches[index],
            index=index,
            forward=how.forward,
            mask=how.mask,
            sample_axis=how.sample_axis,
            n_samples=how.n_samples,
        )
        other = self.tally.seconds
        started = perf_counter()
        watch.run(self.model, layers, unread, call)
        self.seen.seconds += perf_counter() - started - (self.tally.seconds - other)
        self.use = replace(self.use, passes=self.use.passes + 1)
        watch.check(index)

    def _keep(self, layer: Layer, points: Points, watch: Watch, allocate: Allocate) -> bool:
        name = layer.name
        if name not in self.clouds:
            # Where a pass has told of all calls, they are put side by side at once, without copies of their own.
            calls = self.passes[0].calls.get(name, ()) if self.passes else ()
            orders = tuple(sight.order for sight in calls)
            n_samples = sum(self.sizes) if self.plan.pooled else len(points.values)
            self.clouds[name] = Cloud(n_samples, allocate, orders=orders)
        before = self.clouds[name].bytes_held
        rows = self.clouds[name].add_call(points)
        if allocate == in_memory:
            self.meter.hold(self.clouds[name].bytes_held - before)
        if not is_finite(rows):
            watch.found_not_finite(layer, points, len(watch.sightings.calls[name]) - 1)
        return True

    def _end_batch(self, names: Collection[str], file: SpillFile | None = None) -> None:
        for name in names:
            cloud = self.clouds.get(name)
            if cloud is None:
                continue
            copied = cloud.bytes_to_copy
            self.meter.hold(copied)
            if cloud.end_batch() and file is not None:
                file.give_back(cloud.parts[-1])
            self.meter.drop(copied)

    def _finish_batch(self, names: Collection[str], index: int) -> None:
        """Measure what one batch showed, each batch being a cloud of its own."""
        for name in self._in_order(self.passes[index], names):
            cloud = self.clouds.get(name)
            if cloud is not None:
                self.tally.add(self.layers[name], cloud.pooled(), cloud.orders, (self.sizes[index],))
                del cloud
                self._forget(name)
        self.tally.make_room(self.plan.capacity)

    def _finish_pooled(self, names: Sequence[str], file: SpillFile | None = None) -> None:
        """Measure the clouds of all batches and all ranks, each at the rank that owns its layer."""
        if not self.plan.pooled:
            return
        names = [name for name in names if name not in self.seen.problems]
        sizes = tuple(size for each in self.plan.sizes for size in each)
        for start in range(0, len(names), self.ranks.size):
            some = names[start : start + self.ranks.size]
            owners = [i % self.ranks.size for i in range(len(some))]
            orders = [tuple(sight.order for sight in self.first.calls[name]) for name in some]
            rows = [in_orders(self.clouds[name], to) for name, to in zip(some, orders, strict=True)]
            brought = self.ranks.bring(rows, owners)
            with self.ranks.together():
                for i, parts in brought:
                    whole = parts[0] if len(parts) == 1 else torch.cat(parts)
                    del parts
                    gathered = whole.numel() * whole.element_size() if self.ranks.size > 1 else 0
                    self.meter.hold(gathered)
                    self.tally.add(self.layers[some[i]], whole, orders[i], sizes)
                    self.meter.drop(gathered)
                    if file is not None and self.ranks.size == 1:
                        file.give_back(whole)
            del rows, brought
            for name in some:
                self._forget(name)
        for name in list(self.clouds):
            self._forget(name)

    def _forget(self, name: str) -> None:
        cloud = self.clouds.pop(name, None)
        if cloud is not None and cloud.allocate == in_memory:
            self.meter.drop(cloud.bytes_held)

    def _judge(self) -> None:
        """Find out, when all batches have been seen on all ranks, which layers cannot be scored."""
        everyone: list[list[Sightings]] = self.ranks.gather(self.passes)
        self.first = everyone[0][0]
        judge(self.seen, self.layers, [each for passes in everyone for each in passes])

    def _readable(self, names: Sequence[str] | None = None) -> list[str]:
        return [name for name in (self.layers if names is None else names) if name not in self.seen.problems]

    def _in_order(self, trace: Sightings, names: Collection[str]) -> list[str]:
        """Return names in the order of their first calls."""
        wanted = set(names)
        return [name for name in trace.calls if name in wanted]

    def _need(self, name: str, bytes_a_sample: int, trace: Sightings | None = None) -> Need:
        totals = [sum(sizes) if self.plan.pooled else max(sizes) for sizes in self.plan.sizes]
        gathered = sum(totals) if self.plan.pooled and self.ranks.size > 1 else 0
        last = 0 if trace is None else len(trace.sequence) - 1 - trace.sequence[::-1].index(name)
        return Need(name, bytes_a_sample * max(totals), bytes_a_sample * gathered, last)

    def _file_bytes(self, trace: Sightings, name: str) -> int:
        n_samples = sum(self.sizes) if self.plan.pooled else max(self.sizes) * len(self.sizes)
        itemsize = max(sight.itemsize for sight in trace.calls[name])
        return spilled_bytes(n_samples, trace.width(name), itemsize) * (1 if self.plan.pooled else len(self.sizes))


def _measuring(observer: _Observer, watch: Watch, n_samples: int) -> Take:
    def take(layer: Layer, points: Points, call: int) -> bool:
        if call == 0:
            observer._measure_at_once(layer, points, n_samples, watch)
        elif not is_finite(points.readable):
            watch.found_not_finite(layer, points, call)
        return call == 0

    return take


def _keeping(observer: _Observer, names: set[str], watch: Watch, allocate: Allocate) -> Take:
    return lambda layer, points, _: layer.name in names and observer._keep(layer, points, watch, allocate)
