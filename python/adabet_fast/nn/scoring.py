"""Score the layers of a network by the topology of their activations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Literal, TypeAlias

import torch
from torch import nn

from adabet_fast.errors import InvalidInputError
from adabet_fast.homology import betti1_batch, h1
from adabet_fast.nn.activations import Reduce, find_reduction
from adabet_fast.nn.batches import Forward, merge, take_batches
from adabet_fast.nn.criteria import (
    Normalize,
    Pooling,
    ScoreFunction,
    ScoreName,
    call_score,
    check_choice,
    check_criterion,
)
from adabet_fast.nn.fingerprint import Fingerprint
from adabet_fast.nn.guard import random_states_kept
from adabet_fast.nn.head import find_head
from adabet_fast.nn.layers import Layer, check_model, find_layers
from adabet_fast.nn.observe import How, Observation, observe
from adabet_fast.nn.scores import LayerScore, LayerScores, Settings, with_ranks

MIN_SAMPLES = 4
"""A loop in a Vietoris-Rips filtration needs four points."""

_GROUP_BYTES = 256 * 2**20
"""Clouds are handed over in groups of about this size, and freed: should pooling copy, never all is held twice."""


def score_layers(
    model: nn.Module,
    batches: Iterable[Any],
    *,
    n_batches: int | None = 5,
    score: ScoreName | ScoreFunction = "adabet",
    normalize: Normalize = "activation",
    pooling: Pooling = "pool",
    unit: Literal["module"] = "module",
    forward: Forward | None = None,
    reduce: str | Reduce | None = None,
    mask: Callable[[Any], torch.Tensor] | None = None,
    sample_axis: int = 0,
    merge_batches: bool = False,
    dtype: Literal["float32", "float64"] = "float32",
    backend: str = "auto",
    n_threads: int | None = None,
) -> LayerScores:
    """Score every layer of a network by the loops in its activations (AdaBet), without labels or gradients.

    The samples of all batches are passed through the network as it stands, in eval mode and on its own device. The
    outputs of each layer, one flat point a sample, form a point cloud. Its b1 is the number of H1 bars of its
    Vietoris-Rips filtration over the full range (:func:`adabet_fast.betti1`), its score b1 / |a|, where |a| is the
    number of activations of one sample. Nothing about the model is changed: parameters, buffers, modes, hooks,
    gradients, random states are afterwards what they were, also after an error.

    Parameters
    ----------
    model
        The network. Compiled models and ``DataParallel`` are unwrapped; DDP, FSDP and TorchScript are refused.
    batches
        An iterable of batches, such as a ``DataLoader``: tensors, ``(inputs, labels)`` or mappings of keyword
        arguments; labels are dropped. Batches are run exactly as given.
    n_batches
        How many batches to draw, 5 as in the paper; None for all. Five batches of 8 samples do well there.
    score
        ``"adabet"`` (b1 over the divisor), ``"b1"``, ``"size"`` (1 / |a|), ``"total_persistence"`` (of the bars, over
        the divisor), or a callable on (cloud of shape (samples, activations), its H1 ``Barcode``, module) that returns
        a number. Larger is better.
    normalize
        The divisor: ``"activation"`` (|a|), ``"none"`` or ``"parameters"`` (the layer's number of them).
    pooling
        ``"pool"``: all samples of all batches are one cloud, as in the paper. ``"sum"``: scores of each batch's own
        cloud are summed, as in the paper's code.
    unit
        What counts as a layer: ``"module"``, a module that owns parameters directly.
    forward
        ``forward(model, batch)`` runs one batch, its tensors on the model's device, instead of the rules above.
    reduce
        For sequences: how activations (samples, length, ...) become one vector a sample over the positions of the
        mask: ``"mean"``, ``"max"`` or a callable on (activations, mask). Layers without the length axis stay as they
        are. Without it, batches padded to different lengths raise.
    mask
        From the batch to its mask (samples, length); by default the batch's ``"attention_mask"``.
    sample_axis
        The axis of inputs and outputs that counts samples. Modules with ``batch_first=False`` are known.
    merge_batches
        Join all batches into one pass. This changes low bits of activations, and the result says so.
    dtype
        Precision of the filtration values, ``"float32"`` or ``"float64"``.
    backend, n_threads
        As in :func:`adabet_fast.betti1`.

    Returns
    -------
    LayerScores
        One entry a layer, also for those that cannot be scored, with the reason.

    Raises
    ------
    InvalidInputError
        For models and batches that cannot be scored, fewer than four samples, activations that are NaN or infinite
        (naming the layer), samples of different sizes.

    Notes
    -----
    Time: the forward passes, and for n samples and |a| activations O(n^2 |a|) for the distances of each layer and
    its H1. Memory: all activations of all samples; where a batch is larger than the first, those of
    one group of layers (256 MiB or the largest) once more.

    References
    ----------
    AdaBet, arXiv:2510.03101, section 3.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from adabet_fast import score_layers
    >>> _ = torch.manual_seed(0)
    >>> network = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))
    >>> scores = score_layers(network, [torch.randn(8, 2) for _ in range(5)])
    >>> scores.head
    ('4',)
    >>> [(layer.name, layer.size) for layer in scores]
    [('0', 8), ('2', 8), ('4', 3)]
    >>> scores["0"].score == scores["0"].b1 / 8
    True
    """
    check_criterion(score, normalize)
    check_choice("pooling", pooling, Pooling)
    check_choice("unit", unit, Literal["module"])
    check_choice("dtype", dtype, Literal["float32", "float64"])
    if merge_batches and pooling == "sum":
        raise InvalidInputError("pooling: 'sum' has nothing to sum with merge_batches=True")
    for argument, function in (("forward", forward), ("mask", mask)):
        if function is not None and not callable(function):
            raise InvalidInputError(f"{argument}: expected a callable or None, got {function!r}")
    if isinstance(sample_axis, bool) or not isinstance(sample_axis, int) or sample_axis < 0:
        raise InvalidInputError(f"sample_axis: expected an axis from 0 on, got {sample_axis!r}")
    network = check_model(model)
    layers = find_layers(network)
    how = How(forward, find_reduction(reduce), mask, sample_axis)
    engine = {"dtype": dtype, "backend": backend, "n_threads": n_threads}
    measured: dict[str, _Measured] = {}
    with random_states_kept():  # a shuffling loader draws from them too
        drawn = take_batches(batches, n_batches)
        merged = len(drawn) if merge_batches and len(drawn) > 1 else None
        seen = observe(network, layers, [merge(drawn, sample_axis)] if merged else drawn, how)
        _check_samples(seen.batch_sizes, pooling)
        started = perf_counter()
        for group in _groups(layers, seen, pooling):
            measured |= _measure(group, score, engine)
        seconds_homology = perf_counter() - started
    entries = [_entry(layer, seen, measured.get(layer.name), score, normalize) for layer in layers]
    head, reason = find_head(network, layers, seen.trace)
    settings = Settings(
        score=score if isinstance(score, str) else getattr(score, "__name__", type(score).__name__),
        normalize=normalize,
        pooling=pooling,
        unit=unit,
        dtype=dtype,
        batch_sizes=tuple(seen.batch_sizes),
        merged=merged,
        seconds_forward=seen.seconds,
        seconds_homology=seconds_homology,
    )
    return LayerScores(with_ranks(entries), settings, head, reason, Fingerprint.of(network))


def _check_samples(batch_sizes: list[int], pooling: Pooling) -> None:
    most = sum(batch_sizes) if pooling == "pool" else max(batch_sizes)
    if most < MIN_SAMPLES:
        where = "in all" if pooling == "pool" else "in the largest batch (pooling='sum' looks at each alone)"
        raise InvalidInputError(
            f"batches: {most} samples {where}, but a loop needs at least {MIN_SAMPLES}; "
            "give more, such as 5 batches of 8"
        )


@dataclass(frozen=True)
class _Measured:
    """The numbers of one layer; ``value`` is what a callable score returned."""

    b1: int
    size: int
    total_persistence: float | None = None
    value: float | None = None


_Group: TypeAlias = list[tuple[Layer, list[torch.Tensor]]]


def _groups(layers: list[Layer], seen: Observation, pooling: Pooling) -> Iterator[_Group]:
    """Hand the layers' clouds out in groups of bounded size, forgetting each as it is handed out."""
    group: _Group = []
    held = 0
    for layer in layers:
        cloud = seen.clouds.pop(layer.name, None)
        if cloud is None:
            continue
        clouds = cloud.parts if pooling == "sum" else [cloud.pooled()]
        del cloud
        group.append((layer, clouds))
        held += sum(cloud.numel() * cloud.element_size() for cloud in clouds)
        if held >= _GROUP_BYTES:
            yield group
            group, held = [], 0
    if group:
        yield group


def _measure(group: _Group, score: ScoreName | ScoreFunction, engine: dict[str, Any]) -> dict[str, _Measured]:
    """Measure every layer of a group, and empty the group so that its memory is free before the next one is made."""
    measured = {}
    if isinstance(score, str) and score != "total_persistence":
        counts = iter(betti1_batch([cloud.numpy() for _, clouds in group for cloud in clouds], **engine))
        for layer, clouds in group:
            measured[layer.name] = _Measured(sum(int(next(counts)) for _ in clouds), clouds[0].shape[1])
    else:
        for layer, clouds in group:
            bars = [h1(cloud.numpy(), **engine) for cloud in clouds]
            value = None
            if not isinstance(score, str):
                pairs = zip(clouds, bars, strict=True)
                value = sum(call_score(score, cloud, barcode, layer.module, layer.name) for cloud, barcode in pairs)
            persistence = sum(barcode.total_persistence() for barcode in bars)
            measured[layer.name] = _Measured(sum(map(len, bars)), clouds[0].shape[1], persistence, value)
    group.clear()
    return measured


def _entry(
    layer: Layer, seen: Observation, found: _Measured | None, score: ScoreName | ScoreFunction, normalize: Normalize
) -> LayerScore:
    entry = LayerScore(
        name=layer.name,
        type=type(layer.module).__name__,
        parameters=layer.parameters,
        n_parameters=layer.n_parameters,
        status=seen.problems.get(layer.name, "scored"),
        calls=seen.calls.get(layer.name, 0),
        note=seen.notes.get(layer.name, ""),
    )
    if found is None:
        return entry
    numbers = replace(entry, b1=found.b1, size=found.size, total_persistence=found.total_persistence)
    return replace(numbers, score=numbers.scored_by(score, normalize) if isinstance(score, str) else found.value)
