"""From what a data loader yields to one call of the model: labels dropped, tensors on the model's device."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from itertools import islice
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import nn

from adabet_fast.errors import InvalidInputError

Forward: TypeAlias = Callable[[nn.Module, Any], object]
"""Takes the model and one batch as the loader gave it, its tensors moved to the model's device; runs the model."""

LABEL_KEYS = frozenset(
    ("label", "labels", "label_ids", "target", "targets", "next_sentence_label", "start_positions", "end_positions")
)
"""Keys of a mapping that hold labels and are not given to the model."""

_ADVICE = "give forward=lambda model, batch: ... to call the model yourself"


@dataclass(frozen=True)
class Call:
    """One forward pass that is ready to run: ``model(*args, **kwargs)``."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    n_samples: int
    mask: torch.Tensor | None = None

    def run(self, model: nn.Module) -> object:
        """Call the model."""
        return model(*self.args, **self.kwargs)


@dataclass(frozen=True)
class CustomCall:
    """One forward pass through the caller's own function."""

    batch: Any
    forward: Forward
    n_samples: int
    mask: torch.Tensor | None = None

    def run(self, model: nn.Module) -> object:
        """Call the caller's function."""
        return self.forward(model, self.batch)


def take_batches(batches: Iterable[Any], n_batches: int | None) -> list[Any]:
    """Draw the first batches from a loader, a list or a generator.

    Parameters
    ----------
    batches
        Any iterable of batches.
    n_batches
        How many to draw at most; all of them if None.

    Returns
    -------
    list
        The batches, untouched.

    Raises
    ------
    InvalidInputError
        If there is none, or if ``batches`` is itself one batch.
    """
    if isinstance(batches, (torch.Tensor, np.ndarray, Mapping, str)):
        raise InvalidInputError(
            f"batches: expected an iterable of batches, got one {type(batches).__name__}; put it in a list: [batch]"
        )
    if isinstance(batches, tuple) and _looks_like_input_and_labels(batches):
        raise InvalidInputError(
            "batches: expected an iterable of batches, got one pair of inputs and labels; "
            "put it in a list: [(inputs, labels)]"
        )
    if not isinstance(batches, Iterable):
        raise InvalidInputError(f"batches: expected an iterable of batches, got {type(batches).__name__}")
    if n_batches is not None and (
        isinstance(n_batches, bool) or not isinstance(n_batches, (int, np.integer)) or n_batches < 1
    ):
        raise InvalidInputError(f"n_batches: expected a positive integer or None, got {n_batches!r}")
    drawn = list(islice(batches, n_batches))
    if not drawn:
        raise InvalidInputError("batches: is empty; a generator that was used before has nothing left")
    return drawn


def _looks_like_input_and_labels(batches: tuple[Any, ...]) -> bool:
    if len(batches) != 2 or not all(isinstance(part, torch.Tensor) for part in batches):
        return False
    inputs, labels = batches
    return bool(inputs.ndim > 1 and labels.ndim == 1 and not labels.is_floating_point() and len(inputs) == len(labels))


def prepare(
    model: nn.Module,
    batch: Any,
    *,
    index: int,
    forward: Forward | None = None,
    mask: Callable[[Any], torch.Tensor] | None = None,
    sample_axis: int = 0,
    n_samples: int | Callable[[Any], int] | None = None,
) -> Call | CustomCall:
    """Make one batch ready to run.

    A tensor or an array is given to the model as it is. Of a pair ``(inputs, labels)`` the labels are dropped. A
    mapping (also a ``BatchEncoding``) is given as keyword arguments, without the keys of :data:`LABEL_KEYS`; if one
    entry is left whose key is no argument of ``model.forward``, it is given by position. With ``forward`` nothing is
    dropped or rearranged.

    Parameters
    ----------
    model
        The network; tensors are moved to the device of its first parameter.
    batch
        What the loader gave.
    index
        Its position, for messages.
    forward
        The caller's own way to run the model.
    mask
        From the batch to a mask of shape (samples, length), true where there is data. By default the
        ``"attention_mask"`` of a mapping.
    sample_axis
        The axis of the inputs that counts samples.
    n_samples
        How many samples the batch has, or a callable that tells, where its first tensor does not: ``len`` for lists of
        single images.

    Returns
    -------
    Call or CustomCall

    Raises
    ------
    InvalidInputError
        If the batch is of no known kind, or has no tensor to count its samples by.
    """
    return _ready(model, to_device(batch, _device(model)), index, forward, mask, sample_axis, n_samples)


def samples_in(
    model: nn.Module,
    batch: Any,
    *,
    index: int,
    forward: Forward | None = None,
    sample_axis: int = 0,
    n_samples: int | Callable[[Any], int] | None = None,
) -> int:
    """Count the samples of a batch, which is refused here if :func:`prepare` would refuse it; no tensor is moved.

    Parameters are those of :func:`prepare`.
    """
    return _ready(model, to_device(batch, None), index, forward, None, sample_axis, n_samples).n_samples


def _ready(
    model: nn.Module,
    batch: Any,
    index: int,
    forward: Forward | None,
    mask: Callable[[Any], torch.Tensor] | None,
    sample_axis: int,
    n_samples: int | Callable[[Any], int] | None,
) -> Call | CustomCall:
    def count(value: Any) -> int:
        return _count_samples(value, index, sample_axis) if n_samples is None else _told(n_samples, batch, index)

    found_mask = _mask(batch, mask, index)
    if forward is not None:
        return CustomCall(batch, forward, count(batch), found_mask)
    inputs = batch
    if isinstance(inputs, (tuple, list)):
        if len(inputs) not in (1, 2):
            raise InvalidInputError(
                f"batches[{index}]: expected a tensor, (inputs, labels) or a mapping, "
                f"got {len(inputs)} entries; {_ADVICE}"
            )
        inputs = inputs[0]
    if isinstance(inputs, torch.Tensor):
        _check_one_argument(model, index)
        return Call((inputs,), {}, count(inputs), found_mask)
    if isinstance(inputs, Mapping):
        args, kwargs = _arguments(model, inputs, index)
        return Call(args, kwargs, count([args, kwargs]), found_mask)
    raise InvalidInputError(
        f"batches[{index}]: expected a tensor, (inputs, labels) or a mapping, got {_describe(batch)}; {_ADVICE}"
    )


def _check_one_argument(model: nn.Module, index: int) -> None:
    """Raise if the model needs more than one tensor: of a pair the second one is taken for labels."""
    if model._forward_pre_hooks:
        return  # they may add arguments
    try:
        inspect.signature(model.forward).bind(None)
    except TypeError as error:
        raise InvalidInputError(
            f"batches[{index}]: {type(model).__name__}.forward cannot be called with one tensor ({error}); "
            f"name the inputs in a mapping, or {_ADVICE}"
        ) from error
    except ValueError:  # no signature to be had: the call will tell
        return


def _arguments(model: nn.Module, batch: Mapping[Any, Any], index: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
    kwargs = {str(key): value for key, value in batch.items() if key not in LABEL_KEYS}
    parameters = inspect.signature(model.forward).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return (), kwargs
    by_name = {
        parameter.name
        for parameter in parameters
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    unknown = [key for key in kwargs if key not in by_name]
    if not unknown:
        return (), kwargs
    if len(kwargs) == 1:
        return tuple(kwargs.values()), {}
    raise InvalidInputError(
        f"batches[{index}]: {type(model).__name__}.forward takes no argument {', '.join(map(repr, unknown))}; "
        f"drop the entry, or {_ADVICE}"
    )


def _mask(batch: Any, mask: Callable[[Any], torch.Tensor] | None, index: int) -> torch.Tensor | None:
    if mask is None:
        inputs = batch[0] if isinstance(batch, (tuple, list)) and batch else batch
        padding = inputs.get("attention_mask") if isinstance(inputs, Mapping) else None
        # Masks of pairs of positions tell no padding; reduce= then says that it needs one.
        return padding if isinstance(padding, torch.Tensor) and padding.ndim == 2 else None
    found = mask(batch)
    if not isinstance(found, torch.Tensor) or found.ndim != 2:
        raise InvalidInputError(
            f"mask: expected a tensor of shape (samples, length) for batches[{index}], got {_describe(found)}"
        )
    return found


def to_device(value: Any, device: torch.device | None) -> Any:
    """Move the tensors of a nested batch to a device; arrays become tensors, everything else stays what it is.

    With None for the device, tensors stay where they are.

    >>> import numpy as np
    >>> to_device({"x": np.zeros(2, np.float32), "name": "a"}, torch.device("cpu"))
    {'x': tensor([0., 0.]), 'name': 'a'}
    """
    if isinstance(value, torch.Tensor):
        return value if device is None else value.to(device)
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return torch.as_tensor(value).to(device)
    if isinstance(value, Mapping):
        return {key: to_device(entry, device) for key, entry in value.items()}
    if isinstance(value, tuple):
        moved = [to_device(entry, device) for entry in value]
        return type(value)(*moved) if hasattr(value, "_fields") else tuple(moved)
    if isinstance(value, list):
        return [to_device(entry, device) for entry in value]
    return value


def tensors_of(value: Any) -> Iterator[torch.Tensor]:
    """Go through the tensors in nested tuples, lists, mappings and data classes, in order.

    >>> [t.shape for t in tensors_of((torch.zeros(2), {"a": [torch.zeros(3)]}, None))]
    [torch.Size([2]), torch.Size([3])]
    """
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from tensors_of(entry)
    elif isinstance(value, (tuple, list)):
        for entry in value:
            yield from tensors_of(entry)
    elif is_dataclass(value) and not isinstance(value, type):
        for each in fields(value):
            yield from tensors_of(getattr(value, each.name, None))


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


def _count_samples(value: Any, index: int, sample_axis: int) -> int:
    tensor = next((tensor for tensor in tensors_of(value) if tensor.ndim > sample_axis), None)
    if tensor is None:
        raise InvalidInputError(
            f"batches[{index}]: expected a tensor with samples on axis {sample_axis}, got {_describe(value)}"
        )
    if tensor.shape[sample_axis] == 0:
        raise InvalidInputError(f"batches[{index}]: has no samples, shape {tuple(tensor.shape)}")
    return tensor.shape[sample_axis]


def _told(n_samples: int | Callable[[Any], int], batch: Any, index: int) -> int:
    found = n_samples(batch) if callable(n_samples) else n_samples
    if isinstance(found, bool) or not isinstance(found, (int, np.integer)) or found < 1:
        raise InvalidInputError(f"n_samples: expected a positive integer for batches[{index}], got {found!r}")
    return int(found)


def _describe(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, (tuple, list)):
        return f"{type(value).__name__} of {', '.join(type(entry).__name__ for entry in value) or 'nothing'}"
    return type(value).__name__


def merge(batches: list[Any], sample_axis: int = 0) -> Any:
    """Join batches into one along the sample axis.

    Parameters
    ----------
    batches
        Batches of one structure, of tensors or arrays.
    sample_axis
        The axis that counts samples; tensors with fewer axes (labels) are joined along axis 0.

    Returns
    -------
    One batch of that structure.

    Raises
    ------
    InvalidInputError
        If structure or sizes differ, or an entry that is not a tensor does.

    Examples
    --------
    >>> merge([torch.zeros(8, 3), torch.ones(8, 3)]).shape
    torch.Size([16, 3])
    """
    first = batches[0]
    if any(type(batch) is not type(first) for batch in batches):
        raise InvalidInputError("merge_batches: the batches are not of one kind")
    if isinstance(first, np.ndarray):
        return merge([torch.as_tensor(batch) for batch in batches], sample_axis)
    if isinstance(first, torch.Tensor):
        axis = sample_axis if first.ndim > sample_axis else 0
        if first.ndim == 0 or any(_without(batch.shape, axis) != _without(first.shape, axis) for batch in batches):
            raise InvalidInputError(
                f"merge_batches: shapes do not fit: {', '.join(str(tuple(batch.shape)) for batch in batches[:4])}"
            )
        return torch.cat(batches, dim=axis)
    if isinstance(first, Mapping):
        if any(batch.keys() != first.keys() for batch in batches):
            raise InvalidInputError("merge_batches: the batches have different keys")
        return {key: merge([batch[key] for batch in batches], sample_axis) for key in first}
    if isinstance(first, (tuple, list)):
        if any(len(batch) != len(first) for batch in batches):
            raise InvalidInputError("merge_batches: the batches have different lengths")
        merged = [merge([batch[i] for batch in batches], sample_axis) for i in range(len(first))]
        return type(first)(*merged) if hasattr(first, "_fields") else type(first)(merged)
    if any(batch != first for batch in batches):
        raise InvalidInputError(f"merge_batches: entries of type {type(first).__name__} differ between batches")
    return first


def _without(shape: torch.Size, axis: int) -> tuple[int, ...]:
    return tuple(size for i, size in enumerate(shape) if i != axis)
