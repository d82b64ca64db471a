"""What the package raises. Each error is also one of Python's own, so that callers need not know ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adabet_fast._core import BackendUnavailableError, InvalidInputError, MemoryBudgetError

if TYPE_CHECKING:
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["BackendUnavailableError", "CrossCheckError", "InvalidInputError", "MemoryBudgetError"]


class CrossCheckError(AssertionError):
    """Two engines gave different barcodes for one distance matrix.

    Attributes
    ----------
    ours, theirs : ndarray of shape (k, 2)
        The intervals of the two engines, sorted.
    distance_matrix : ndarray of shape (n, n)
        The matrix that both were given: save it to report the difference.
    """

    def __init__(
        self,
        message: str,
        ours: NDArray[np.floating[Any]] | None = None,
        theirs: NDArray[np.floating[Any]] | None = None,
        distance_matrix: NDArray[np.floating[Any]] | None = None,
    ) -> None:
        super().__init__(message)
        self.ours = ours
        self.theirs = theirs
        self.distance_matrix = distance_matrix


CrossCheckError.__module__ = "adabet_fast"
