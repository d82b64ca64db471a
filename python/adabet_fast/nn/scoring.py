"""Score the layers of a network by the topology of their activations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from time import perf_counter
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from adabet_fast.errors import InvalidInputError
from adabet_fast.homology import betti1_batch, h1
from adabet_fast.nn.activations import Reduce, find_reduction
from adabet_fast.nn.batches import Forward, merge, take_batches
from adabet_fast.nn.criteria import Normalize, Pooling, ScoreFunction, ScoreName, call_score, check_choice, check_criterion, score_of
from adabet_fast.nn.fingerprint import Fingerprint
from adabet_fast.nn.head import find_head
from adabet_fast.nn.layers import Layer, check_model, find_layers
from adabet_fast.nn.observe import How, Observation, observe
from adabet_fast.nn.scores import LayerScore, LayerScores, Settings, with_ranks

MIN_SAMPLES = 4
"""A loop in a Vietoris-Rips filtration needs four points."""

_GROUP_BYTES = 256 * 2**20
"""Clouds are handed over in groups of about this size, so that a group's copy, not a second copy of all, is the peak."""


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
    its H1. Memory: all activations of all samples, and again those of one group of layers (256 MiB or the largest).

    References
    ----------
    AdaBet, arXiv:2510.03101, section 3.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
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
    if not isinstance(sample_axis, int) or sample_axis < 0:
        raise InvalidInputError(f"sample_axis: expected an axis from 0 on, got {sample_axis!r}")
    network = check_model(model)
    layers = find_layers(network)
    drawn = take_batches(batches, n_batches)
    merged = len(drawn) if merge_batches and len(drawn) > 1 else None
    if merged:
        drawn = [merge(drawn, sample_axis)]
    seen = observe(network, layers, drawn, How(forward, find_reduction(reduce), mask, sample_axis))
    _check_samples(seen.batch_sizes, pooling)
    started = perf_counter()
    engine = {"dtype": dtype, "backend": backend, "n_threads": n_threads}
    found = _measure(layers, seen, score, normalize, pooling, engine)
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
        seconds_homology=perf_counter() - started,
    )
    return LayerScores(with_ranks(found), settings, head, reason, Fingerprint.of(network))


def _check_samples(batch_sizes: list[int], pooling: Pooling) -> None:
    most = sum(batch_sizes) if pooling == "pool" else max(batch_sizes)
    if most < MIN_SAMPLES:
        where = "in all" if pooling == "pool" else "in the largest batch (pooling='sum' looks at each alone)"
        raise InvalidInputError(f"batches: {most} samples {where}, but a loop needs at least {MIN_SAMPLES}; give more, such as 5 batches of 8")


def _measure(
    layers: list[Layer],
    seen: Observation,
    score: ScoreName | ScoreFunction,
    normalize: Normalize,
    pooling: Pooling,
    engine: dict[str, Any],
) -> list[LayerScore]:
    """Score every layer, dropping its activations as soon as they are counted."""
    blank = {
        layer.name: LayerScore(
            name=layer.name,
            type=type(layer.module).__name__,
            parameters=layer.parameters,
            n_parameters=layer.n_parameters,
            status=seen.problems.get(layer.name, "scored"),
            calls=seen.calls.get(layer.name, 0),
            note=seen.notes.get(layer.name, ""),
        )
        for layer in layers
    }
    for group in _groups([layer for layer in layers if layer.name in seen.clouds], seen.clouds, pooling):
        for layer, clouds, b1 in _count_loops(group, engine, counted=isinstance(score, str) and score != "total_persistence"):
            size = clouds[0].shape[1]
            if isinstance(score, str) and score != "total_persistence":
                persistence = None
                value = score_of(score, normalize, b1=b1, total_persistence=None, size=size, n_parameters=layer.n_parameters)
            else:
                bars = [h1(cloud.numpy(), **engine) for cloud in clouds]
                b1, persistence = sum(map(len, bars)), sum(barcode.total_persistence() for barcode in bars)
                if isinstance(score, str):
                    value = score_of(score, normalize, b1=b1, total_persistence=persistence, size=size, n_parameters=layer.n_parameters)
                else:
                    value = sum(call_score(score, cloud, barcode, layer.module, layer.name) for cloud, barcode in zip(clouds, bars, strict=True))
            blank[layer.name] = replace(blank[layer.name], b1=b1, size=size, total_persistence=persistence, score=value)
    return list(blank.values())


Group = list[tuple[Layer, list[torch.Tensor]]]


def _groups(layers: list[Layer], clouds: dict[str, list[torch.Tensor]], pooling: Pooling) -> Iterator[Group]:
    """Hand the layers' clouds out in groups of bounded size, forgetting each as it is handed out."""
    group: Group = []
    held = 0
    for layer in layers:
        parts = clouds.pop(layer.name)
        pooled = parts if pooling == "sum" or len(parts) == 1 else [torch.cat(parts)]
        del parts
        group.append((layer, pooled))
        held += sum(cloud.numel() * cloud.element_size() for cloud in pooled)
        if held >= _GROUP_BYTES:
            yield group
            group, held = [], 0
    if group:
        yield group


def _count_loops(group: Group, engine: dict[str, Any], *, counted: bool) -> Iterator[tuple[Layer, list[torch.Tensor], int]]:
    """Count the H1 bars of every cloud of a group in one call."""
    counts: list[int] = []
    if counted:
        everything: list[np.ndarray[Any, Any]] = [cloud.numpy() for _, clouds in group for cloud in clouds]
        counts = [int(count) for count in betti1_batch(everything, **engine)]
    start = 0
    for layer, clouds in group:
        yield layer, clouds, sum(counts[start : start + len(clouds)])
        start += len(clouds)
