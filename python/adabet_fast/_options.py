"""Checks of the arguments that the functions of the face share."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from adabet_fast import _core
from adabet_fast.errors import InvalidInputError

DtypeName = Literal["float32", "float64"]

_METRICS = tuple(_core.metric_names())


def check_length(value: object, name: str) -> float:
    """A number >= 0, infinity included."""
    if type(value) is not float:
        if isinstance(value, (bool, str, bytes)) or not hasattr(value, "__float__"):
            raise InvalidInputError(f"{name} is {value!r}, expected a number >= 0")
        try:
            value = float(value)
        except (TypeError, ValueError, OverflowError) as error:
            raise InvalidInputError(f"{name} is {value!r}, expected a number >= 0: {error}") from None
    if math.isnan(value) or value < 0:
        raise InvalidInputError(f"{name} is {value}, expected a number >= 0")
    return value


def check_metric(metric: object) -> str:
    """The name of a metric with a native kernel."""
    if not isinstance(metric, str) or metric not in _METRICS:
        raise InvalidInputError(
            f"metric is {metric!r}, expected one of {', '.join(map(repr, _METRICS))}; for another one compute the "
            "distances yourself and pass them with distance_matrix=True"
        )
    return metric


def check_dtype(dtype: object) -> DtypeName:
    """The precision of the filtration values, by its name or as NumPy's type."""
    name = dtype
    if dtype is not None and not isinstance(dtype, str):
        try:
            name = np.dtype(dtype).name  # type: ignore[call-overload]
        except (TypeError, ValueError):
            name = ""
    if name in ("float32", "float64"):
        return name
    raise InvalidInputError(f"dtype is {dtype!r}, expected 'float32' or 'float64'")


def check_flag(value: object, name: str) -> bool:
    """True or False, not merely something that is true: an array passed here is a misplaced argument."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise InvalidInputError(f"{name} is {value!r}, expected True or False")
