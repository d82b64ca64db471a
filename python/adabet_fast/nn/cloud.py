"""The points of one layer, gathered batch after batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import torch

from adabet_fast.nn.activations import Order, Points

Allocate: TypeAlias = Callable[[int, int, torch.dtype], torch.Tensor]
"""Gives memory, not yet written, for so many points of so many coordinates."""


def in_memory(n_samples: int, width: int, dtype: torch.dtype) -> torch.Tensor:
    """Return memory for points. The system gives its pages only when they are written."""
    return torch.empty((n_samples, width), dtype=dtype)


@dataclass
class Cloud:
    """The points of one layer in one block of memory as far as they fit: pooling them then copies nothing.

    Attributes
    ----------
    n_samples
        Samples there will be.
    allocate
        Where the block comes from: memory, or a mapped file.
    parts
        The points of each batch so far, of shape (samples, activations).
    orders
        The order of the coordinates, one entry a call of the module in a pass.

    Examples
    --------
    >>> cloud = Cloud(n_samples=5)
    >>> for n_samples in (3, 2):
    ...     rows = cloud.add_call(Points(torch.full((n_samples, 2, 2), float(n_samples))))
    ...     assert cloud.end_batch()
    >>> cloud.pooled().shape, cloud.pooled().data_ptr() == cloud.parts[0].data_ptr()
    (torch.Size([5, 4]), True)
    """

    n_samples: int
    allocate: Allocate = in_memory
    parts: list[torch.Tensor] = field(default_factory=list)
    orders: tuple[Order, ...] = ()
    _calls: list[torch.Tensor] = field(default_factory=list)
    _seen: list[Order] = field(default_factory=list)
    _block: torch.Tensor | None = None

    def add_call(self, points: Points) -> torch.Tensor:
        """Copy the points of one call at once, for a later in-place operation (ReLU) would change them under us.

        Returns
        -------
        torch.Tensor
            The copy, of shape (samples, activations).
        """
        call = len(self._calls)
        order = points.order
        if call < len(self.orders) and self.orders[call].shape == order.shape:
            order = self.orders[call]
        n_samples, width, dtype = len(points.values), order.width, points.dtype
        whole = sum(each.width for each in self.orders) if self.orders else width
        at = sum(each.width for each in self._seen)
        room = self._room(n_samples, whole, dtype)
        if room is not None and at + width <= whole:
            rows = room[:, at : at + width]
        else:
            rows = torch.empty((n_samples, width), dtype=dtype)
        lying = points.values.permute(0, *(axis + 1 for axis in order.axes))
        rows.view(n_samples, *order.lying).copy_(lying)
        self._calls.append(rows)
        self._seen.append(order)
        return rows

    def end_batch(self) -> bool:
        """Put the calls of the pass that is over side by side, as one more batch; tell whether there were any."""
        if not self._calls:
            return False
        calls, seen = self._calls, self._seen
        self._calls, self._seen = [], []
        if not self.orders:
            self.orders = tuple(seen)
            if len(seen) > 1:  # the block was made for the first call alone
                self._block = None
        width = sum(each.width for each in seen)
        dtype = calls[0].dtype
        room = self._room(len(calls[0]), width, dtype)
        if room is None or any(rows.dtype != dtype for rows in calls):
            self._block = None
            self.parts.append(calls[0] if len(calls) == 1 else torch.cat(calls, dim=1))
            return True
        at = 0
        while calls:  # each is gone before the next one is copied
            rows = calls.pop(0)
            place = room[:, at : at + rows.shape[1]]
            if place.data_ptr() != rows.data_ptr():
                place.copy_(rows)
            at += rows.shape[1]
        self.parts.append(room)
        return True

    def pooled(self) -> torch.Tensor:
        """Return the points of all batches, of shape (all samples, activations)."""
        if len(self.parts) == 1:
            return self.parts[0]
        return torch.cat(self.parts) if self._block is None else self._block[: self._taken]

    @property
    def bytes_held(self) -> int:
        """Bytes of the points so far, those of the pass under way included."""
        return sum(rows.numel() * rows.element_size() for rows in [*self.parts, *self._calls])

    @property
    def bytes_to_copy(self) -> int:
        """Bytes besides those that :meth:`end_batch` holds at a time: of one call, where several were not foreseen."""
        sizes = [rows.numel() * rows.element_size() for rows in self._calls]
        return max(sizes) if len(sizes) > 1 and not self.orders else 0

    def _room(self, n_samples: int, width: int, dtype: torch.dtype) -> torch.Tensor | None:
        """Return the block's rows for the next batch; None if what is to be kept does not fit in."""
        if self._block is None and not self.parts:
            self._block = self.allocate(self.n_samples, width, dtype)
        block, start = self._block, self._taken
        if block is None or block.dtype != dtype or block.shape[1] != width or start + n_samples > len(block):
            return None
        return block[start : start + n_samples]

    @property
    def _taken(self) -> int:
        return sum(map(len, self.parts))


def samples_of(rows: torch.Tensor, orders: tuple[Order, ...]) -> torch.Tensor:
    """Return rows as the module returned them: (n, ...), or (n, activations) where it was called several times.

    >>> values = torch.rand(2, 3, 4, 4).to(memory_format=torch.channels_last)
    >>> order = Order.of(values)
    >>> torch.equal(samples_of(order.rows(values), (order,)), values)
    True
    """
    if len(orders) == 1:
        return orders[0].samples(rows)
    parts = torch.split(rows, [order.width for order in orders], dim=1)
    logical = [order.samples(part).flatten(1) for order, part in zip(orders, parts, strict=True)]
    return torch.cat(logical, dim=1)


def in_orders(cloud: Cloud, orders: tuple[Order, ...]) -> torch.Tensor:
    """Return a cloud's rows with their coordinates in given orders, those of the first rank."""
    rows = cloud.pooled()
    if cloud.orders == orders:
        return rows
    parts = torch.split(rows, [order.width for order in cloud.orders], dim=1)
    return torch.cat([to.rows(own.samples(part)) for part, own, to in zip(parts, cloud.orders, orders, strict=True)], 1)
