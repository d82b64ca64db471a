"""Activations in a temporary file that is mapped into memory."""

from __future__ import annotations

import mmap
import os
import shutil
import tempfile

import numpy as np
import torch

from adabet_fast.errors import MemoryBudgetError
from adabet_fast.nn.memory import in_units

_PAGE = mmap.PAGESIZE


def free_on_disk() -> int:
    """Return the bytes that are free where temporary files go (``TMPDIR``)."""
    return shutil.disk_usage(tempfile.gettempdir()).free


def spilled_bytes(n_samples: int, width: int, itemsize: int) -> int:
    """Return what one block takes of a file, rounded up to pages.

    >>> spilled_bytes(1, 1, 4) == mmap.PAGESIZE
    True
    """
    return -(-n_samples * width * itemsize // _PAGE) * _PAGE


class SpillFile:
    """A file without a name, gone with the process whatever happens; all of its room is reserved when it is made.

    Parameters
    ----------
    n_bytes
        Its size, which is all that can be allocated.

    Raises
    ------
    MemoryBudgetError
        If the disk has no room for it.

    Examples
    --------
    >>> file = SpillFile(spilled_bytes(3, 2, 4))
    >>> block = file.allocate(3, 2, torch.float32)
    >>> file.give_back(block.fill_(7))
    >>> block.sum()
    tensor(42.)
    """

    def __init__(self, n_bytes: int) -> None:
        self.n_bytes = max(n_bytes, _PAGE)
        self._used = 0
        with tempfile.TemporaryFile() as file:
            try:
                if hasattr(os, "posix_fallocate"):
                    # Without it a full disk would end the process when a page is written.
                    os.posix_fallocate(file.fileno(), 0, self.n_bytes)
                else:
                    os.ftruncate(file.fileno(), self.n_bytes)
            except OSError as error:
                raise MemoryBudgetError(
                    f"max_memory: activations go to a file of {in_units(self.n_bytes)} in {tempfile.gettempdir()}, "
                    f"which cannot be made: {error}"
                ) from error
            self._map = mmap.mmap(file.fileno(), self.n_bytes)
        self._start = np.frombuffer(self._map, dtype=np.uint8).ctypes.data

    def allocate(self, n_samples: int, width: int, dtype: torch.dtype) -> torch.Tensor:
        """Return a block of the file as a tensor of shape (n_samples, width)."""
        itemsize = torch.empty((), dtype=dtype).element_size()
        size = spilled_bytes(n_samples, width, itemsize)
        if self._used + size > self.n_bytes:
            raise MemoryBudgetError(
                f"max_memory: the file of {in_units(self.n_bytes)} is full; activations grew since they were counted"
            )
        raw = np.frombuffer(self._map, dtype=np.uint8, count=n_samples * width * itemsize, offset=self._used)
        self._used += size
        return torch.from_numpy(raw).view(dtype).view(n_samples, width)

    def give_back(self, rows: torch.Tensor) -> None:
        """Take the pages of some rows out of this process's memory; the file keeps what was written."""
        if not hasattr(self._map, "madvise"):
            return
        start = rows.data_ptr() - self._start
        end = start + rows.numel() * rows.element_size()
        if start < 0 or end > self.n_bytes:  # rows that found no room in their block
            return
        first, last = start // _PAGE * _PAGE, min(-(-end // _PAGE) * _PAGE, self.n_bytes)
        self._map.madvise(mmap.MADV_DONTNEED, first, last - first)
