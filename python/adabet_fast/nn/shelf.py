"""Where distances lie while passes run: apart from the memory that activations come from."""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SHELF_BYTES = 2**22


@dataclass(frozen=True)
class Place:
    """Where on a shelf a square matrix lies."""

    shelf: mmap.mmap
    start: int
    dtype: np.dtype[Any]
    n: int

    @property
    def n_bytes(self) -> int:
        """Bytes of it."""
        return self.n * self.n * self.dtype.itemsize

    def array(self) -> NDArray[np.floating[Any]]:
        """Return the matrix itself, which shares the shelf's memory."""
        return np.frombuffer(self.shelf, self.dtype, self.n * self.n, self.start).reshape(self.n, self.n)


class Shelf:
    """Memory of its own for what is held while passes run.

    A small block that outlives a large one above which it was allocated keeps the allocator from joining free memory
    again: on a ResNet50 that was as much as one layer's activations. The shape of a NumPy array is such a block, hence
    places.
    """

    def __init__(self) -> None:
        self._shelf: mmap.mmap | None = None
        self._used = 0

    def put(self, matrix: NDArray[np.floating[Any]]) -> Place:
        """Copy a square matrix here."""
        if self._shelf is None or self._used + matrix.nbytes > len(self._shelf):
            self._shelf, self._used = mmap.mmap(-1, max(_SHELF_BYTES, matrix.nbytes)), 0
        place = Place(self._shelf, self._used, matrix.dtype, len(matrix))
        self._used += matrix.nbytes
        self._shelf[place.start : self._used] = matrix.data.cast("B")
        return place
