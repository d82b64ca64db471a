"""Distances from correlations."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from adabet_fast.errors import InvalidInputError

_SLACK = 0.05  # beyond [-1, 1] by more than this it is no correlation


def correlation_to_distance(C: ArrayLike, check_input: bool = True) -> NDArray[np.float64]:
    """Turn a correlation matrix into distances: sqrt(2 (1 - C)), the chord between unit vectors. As in ripser.py.

    Parameters
    ----------
    C : array_like of shape (n, n)
        Pearson or Spearman correlations, symmetric, from -1 to 1.
    check_input : bool, default True
        Check that `C` is such a matrix.

    Returns
    -------
    ndarray of float64, shape (n, n)
        Distances from 0 to 2 that satisfy the triangle inequality; the diagonal is exactly zero.

    Raises
    ------
    InvalidInputError
        A ValueError: where `C` is not 2-D, not square, not symmetric within 1e-5, or exceeds [-1, 1] by more than 0.05.

    Warns
    -----
    RuntimeWarning
        Where entries exceed [-1, 1] by less (they are clipped), or the diagonal is not 1 within 1e-3.

    Examples
    --------
    >>> import numpy as np
    >>> from adabet_fast import correlation_to_distance
    >>> correlation_to_distance(np.array([[1.0, 0.5], [0.5, 1.0]]))
    array([[0., 1.],
           [1., 0.]])
    """
    matrix = np.asarray(C, dtype=np.float64)
    if check_input:
        _check(matrix)
    out: NDArray[np.float64] = np.sqrt(2.0 * (1.0 - np.clip(matrix, -1.0, 1.0)))
    np.fill_diagonal(out, 0.0)
    return out


def _check(matrix: NDArray[Any]) -> None:
    if matrix.ndim != 2:
        raise InvalidInputError(f"Input must be a 2D matrix, got a {matrix.ndim}D array instead.")
    if matrix.shape[0] != matrix.shape[1]:
        raise InvalidInputError(f"Matrix must be square (n x n), got shape {matrix.shape}.")
    if not np.allclose(matrix, matrix.T, rtol=1e-5, atol=1e-5):
        raise InvalidInputError("Matrix must be symmetric; C_ij must equal C_ji")
    beyond = float(np.abs(matrix).max(initial=0.0)) - 1.0
    if beyond > _SLACK:
        raise InvalidInputError(
            "Values are significantly outside the valid correlation bounds [-1,1]. "
            "Ensure you are passing a correlation matrix, not a covariance or raw data matrix."
        )
    if beyond > 0:
        warnings.warn(
            "Some values are slightly outside the valid correlation bounds [-1,1]. "
            "For floating-point precision, these values have been clipped.",
            RuntimeWarning,
            stacklevel=3,
        )
    if not np.allclose(np.diagonal(matrix), 1.0, atol=1e-3):
        warnings.warn(
            "The matrix diagonal elements deviate from 1.0. Ensure this is a correlation matrix.",
            RuntimeWarning,
            stacklevel=3,
        )
