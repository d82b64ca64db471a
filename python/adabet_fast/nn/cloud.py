"""The points of one layer, gathered batch after batch."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch


@dataclass
class Cloud:
    """The points of one layer, in one block of memory as far as they fit: pooling them then copies nothing.

    The block is reserved for as many samples as there will be if every batch is as large as the first. The system
    gives its pages only when they are written, so that a smaller last batch costs nothing.

    Attributes
    ----------
    n_batches
        Batches there will be.
    parts
        The points of each batch so far, of shape (samples, activations).

    Examples
    --------
    >>> cloud = Cloud(n_batches=2)
    >>> for n_samples in (3, 2):
    ...     rows = cloud.room(n_samples, 4, torch.float32)
    ...     cloud.add(rows.fill_(n_samples))
    >>> cloud.pooled().shape, cloud.pooled().data_ptr() == cloud.parts[0].data_ptr()
    (torch.Size([5, 4]), True)
    """

    n_batches: int
    parts: list[torch.Tensor] = field(default_factory=list)
    _block: torch.Tensor | None = None

    def room(self, n_samples: int, width: int, dtype: torch.dtype) -> torch.Tensor:
        """Return contiguous memory, not yet written, for the points of one more batch."""
        if not self.parts:
            self._block = torch.empty((n_samples * self.n_batches, width), dtype=dtype)
        block, start = self._block, self._n_samples
        if block is None or block.dtype != dtype or block.shape[1] != width or start + n_samples > len(block):
            return torch.empty((n_samples, width), dtype=dtype)
        return block[start : start + n_samples]

    def add(self, rows: torch.Tensor) -> None:
        """Take the points of one more batch: memory that :meth:`room` gave, or any other."""
        block = self._block
        if (
            block is not None
            and rows.data_ptr() != block.data_ptr() + self._n_samples * block.stride(0) * block.itemsize
        ):
            self._block = None
        self.parts.append(rows)

    def pooled(self) -> torch.Tensor:
        """Return the points of all batches, of shape (all samples, activations)."""
        if len(self.parts) == 1:
            return self.parts[0]
        return torch.cat(self.parts) if self._block is None else self._block[: self._n_samples]

    @property
    def _n_samples(self) -> int:
        return sum(map(len, self.parts))
