"""From what a module returned to one point a sample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TypeAlias

import torch
from torch.nn.utils.rnn import PackedSequence

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn.batches import tensors_of
from adabet_fast.nn.layers import Layer, label

Reduce: TypeAlias = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""From activations (samples, length, ...) and a mask (samples, length) to one vector a sample (samples, ...)."""


_KNOWN = frozenset((torch.bfloat16, torch.float16, torch.float32, torch.float64))


class NotOnePointASample(Exception):
    """What a module returned cannot be read as one point a sample; the message says why."""


@dataclass(frozen=True)
class Order:
    """The order in which the coordinates of a point stand in a row.

    It is that of memory, which is not always that of the axes (``channels_last``): rows are then read in place. Every
    batch of a layer takes the order of the first, so that a coordinate means the same everywhere.

    Attributes
    ----------
    shape
        Of one sample, as the module returned it.
    axes
        Its axes, from the one whose entries lie farthest apart to the one whose entries lie side by side.
    """

    shape: tuple[int, ...]
    axes: tuple[int, ...]

    @classmethod
    def of(cls, values: torch.Tensor) -> Order:
        """Return the order in which samples lie in memory.

        >>> Order.of(torch.zeros(2, 3, 4, 4).to(memory_format=torch.channels_last))
        Order(shape=(3, 4, 4), axes=(1, 2, 0))
        """
        shape, strides = tuple(values.shape[1:]), values.stride()[1:]
        plain = tuple(range(len(shape)))
        if any(stride <= 0 and size > 1 for stride, size in zip(strides, shape, strict=True)):
            return cls(shape, plain)
        # Where an axis has one entry its stride says nothing; it stays where it is among equal ones.
        wide = sorted((axis for axis in plain if shape[axis] > 1), key=lambda axis: -strides[axis])
        return cls(shape, tuple(axis for axis in plain if shape[axis] == 1) + tuple(wide))

    @property
    def width(self) -> int:
        """Coordinates of a point."""
        return prod(self.shape)

    @property
    def lying(self) -> tuple[int, ...]:
        """The shape of one sample with its axes as they stand in a row."""
        return tuple(self.shape[axis] for axis in self.axes)

    def rows(self, values: torch.Tensor) -> torch.Tensor:
        """Return samples (n, *shape) as rows (n, width); in place where they lie in memory in this order."""
        if self.axes != tuple(range(len(self.axes))):
            values = values.permute(0, *(axis + 1 for axis in self.axes))
        return values.reshape(len(values), -1)

    def samples(self, rows: torch.Tensor) -> torch.Tensor:
        """Undo :meth:`rows`, without a copy."""
        back = [0] * len(self.axes)
        for place, axis in enumerate(self.axes):
            back[axis] = place + 1
        return rows.view(len(rows), *self.lying).permute(0, *back)


@dataclass(frozen=True)
class Points:
    """Activations of one layer in one call, read as one point a sample.

    Attributes
    ----------
    values
        The module's own output, samples first, not copied: (n_samples, ...).
    fold
        Rows of the output that belong to one sample; then ``values`` is (n_samples, fold, ...).
    note
        How the samples were found, if not at first sight.
    """

    values: torch.Tensor
    fold: int = 1
    note: str = ""

    @property
    def dtype(self) -> torch.dtype:
        """The output's dtype or, where distances do not take it (eight bits), float32, which holds the same values."""
        return self.values.dtype if self.values.dtype in _KNOWN else torch.float32

    @property
    def readable(self) -> torch.Tensor:
        """The values in that dtype: of eight bits there is neither a least value nor a test for NaN."""
        return self.values if self.values.dtype in _KNOWN else self.values.to(self.dtype)

    @cached_property
    def order(self) -> Order:
        """How a sample's coordinates lie in memory."""
        return Order.of(self.values)


def to_points(
    output: object,
    layer: Layer,
    n_samples: int,
    *,
    sample_axis: int = 0,
    reduce: Reduce | None = None,
    mask: torch.Tensor | None = None,
) -> Points:
    """Read a module's output as one point a sample.

    The first tensor with floating-point numbers in the output is taken, so that of ``(output, state)`` the state is
    left. Its sample axis is the one of the layer (``batch_first=False`` around it) or ``sample_axis``; else axis 0 if
    its size is the number of samples or, as for windows of one image, a multiple of it (which the note says). An output
    of three or more axes whose axis 1 alone has the number of samples is read along that axis (which the note says).

    Parameters
    ----------
    output
        What the module returned.
    layer
        The module's layer.
    n_samples
        Samples in the batch.
    sample_axis
        The axis of the model's inputs that counts samples.
    reduce, mask
        How (samples, length, ...) becomes (samples, ...), where the length is that of the mask.

    Returns
    -------
    Points
        They still share memory with the output.

    Raises
    ------
    NotOnePointASample
        If there is no such reading.
    """
    if isinstance(output, PackedSequence) or (
        isinstance(output, tuple) and isinstance(next(iter(output), None), PackedSequence)
    ):
        raise NotOnePointASample("returns a PackedSequence, whose rows are not samples")
    tensor = next((t for t in tensors_of(output) if t.is_floating_point() or t.is_complex()), None)
    if tensor is None:
        raise NotOnePointASample("returns no tensor of floating-point numbers")
    if tensor.requires_grad or reduce is not None:  # whose callable may change the axes of what it is given
        tensor = tensor.detach()
    if tensor.is_nested or tensor.layout != torch.strided:
        raise NotOnePointASample("returns a nested or sparse tensor")
    shape = tuple(tensor.shape)
    axis, fold, note = _find_sample_axis(shape, layer, n_samples, sample_axis)
    samples_first = tensor.movedim(axis, 0) if axis else tensor
    if fold == 1 and reduce is not None:
        samples_first, reduced = _reduced(samples_first, layer, reduce, mask)
        note = "; ".join(filter(None, [note, reduced]))
    if samples_first.is_complex():
        samples_first = torch.view_as_real(samples_first.resolve_conj())
    if samples_first.numel() == 0:
        raise NotOnePointASample(f"returns an empty tensor of shape {shape}")
    if samples_first.ndim == 1:
        samples_first = samples_first.unsqueeze(1)
    if fold > 1:
        samples_first = torch.unflatten(samples_first, 0, (n_samples, fold))
    return Points(samples_first, fold, note)


def _find_sample_axis(shape: tuple[int, ...], layer: Layer, n_samples: int, sample_axis: int) -> tuple[int, int, str]:
    """Return the sample axis, how many rows of axis 0 belong to one sample, and a note if that was not plain."""
    preferred = sample_axis if layer.sample_axis is None else layer.sample_axis
    for axis in (preferred, 0):
        if axis < len(shape) and shape[axis] == n_samples:
            return axis, 1, ""
    fold, rest = divmod(shape[0], n_samples) if shape else (0, 0)
    folds = fold > 1 and rest == 0
    along_1 = len(shape) > 2 and shape[0] > 1 and shape[1] == n_samples
    if folds and along_1:
        raise NotOnePointASample(
            f"output of shape {shape}: samples on axis 1, or {fold} rows a sample on axis 0? "
            "give batches of another size"
        )
    if along_1:
        return 1, 1, "samples on axis 1"
    if folds:
        return 0, fold, f"{shape[0]} rows read as {n_samples} samples x {fold}"
    raise NotOnePointASample(f"output of shape {shape} has no axis for {n_samples} samples")


def _reduced(rows: torch.Tensor, layer: Layer, reduce: Reduce, mask: torch.Tensor | None) -> tuple[torch.Tensor, str]:
    if mask is None:
        raise InvalidInputError(
            "reduce: needs a mask of shape (samples, length): "
            "batches that are mappings with 'attention_mask', or mask=lambda batch: ..."
        )
    if rows.ndim < 2 or rows.shape[:2] != mask.shape:
        return rows, ""  # no length axis: the layer comes after the model's own pooling
    reduced = reduce(rows, mask.to(rows.device))
    if not isinstance(reduced, torch.Tensor) or reduced.ndim == 0 or reduced.shape[0] != rows.shape[0]:
        raise InvalidInputError(
            f"reduce: expected (samples, ...) with {rows.shape[0]} samples for layer '{label(layer.name)}', "
            f"got {getattr(reduced, 'shape', type(reduced).__name__)}"
        )
    return reduced, "reduced over the length"


def masked_mean(activations: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Mean over the positions where the mask is true.

    Parameters
    ----------
    activations
        Shape (samples, length, ...).
    mask
        Shape (samples, length).

    Returns
    -------
    torch.Tensor
        Shape (samples, ...), float32 or float64. Summed in float64: the mean of equal vectors is the vector itself,
        however many there are, so that rounding makes no loops.

    Examples
    --------
    >>> masked_mean(torch.tensor([[[1.0], [3.0], [50.0]]]), torch.tensor([[1, 1, 0]]))
    tensor([[2.]])
    """
    weights, wide = _weights(activations, mask)
    counts = weights.sum(dim=1)
    if bool((counts == 0).any()):
        raise InvalidInputError(
            f"mask: sample {int((counts == 0).flatten().nonzero()[0])} of a batch has no position left"
        )
    kept = torch.where(weights, wide, torch.zeros((), dtype=wide.dtype, device=wide.device))
    exact = wide.dtype if wide.device.type == "mps" else torch.float64  # which MPS does not have
    return (kept.sum(dim=1, dtype=exact) / counts).to(wide.dtype)


def masked_max(activations: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Maximum over the positions where the mask is true; shapes as in :func:`masked_mean`.

    >>> masked_max(torch.tensor([[[1.0], [3.0], [50.0]]]), torch.tensor([[1, 1, 0]]))
    tensor([[3.]])
    """
    weights, wide = _weights(activations, mask)
    return wide.masked_fill(~weights, float("-inf")).amax(dim=1)


def _weights(activations: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    wide = activations if activations.dtype == torch.float64 else activations.to(torch.float32)
    return mask.bool().reshape(*mask.shape, *(1,) * (activations.ndim - 2)), wide


REDUCTIONS: dict[str, Reduce] = {"mean": masked_mean, "max": masked_max}
"""What ``reduce=`` knows by name."""


def find_reduction(reduce: str | Reduce | None) -> Reduce | None:
    """Return the function that ``reduce=`` names."""
    if reduce is None or callable(reduce):
        return reduce
    if reduce not in REDUCTIONS:
        raise InvalidInputError(
            f"reduce: expected one of {', '.join(map(repr, REDUCTIONS))}, a callable or None, got {reduce!r}"
        )
    return REDUCTIONS[reduce]


def is_finite(values: torch.Tensor) -> bool:
    """Tell whether there is neither NaN nor infinity.

    >>> is_finite(torch.ones(3)), is_finite(torch.tensor([1.0, float("nan")]))
    (True, False)
    """
    low, high = torch.aminmax(values)  # both carry NaN on, and need no memory
    return bool(torch.isfinite(low)) and bool(torch.isfinite(high))
