"""Rank the output channels of layers by the loops in each channel's own activations.

A channel's cloud has one point a sample: the values of that channel at all positions (pixels, tokens). A channel with
one value a sample lies on a line, which has no loops: linear layers behind a pooling cannot be ranked so, and are
trained whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import nn

from adabet_fast.errors import InvalidInputError
from adabet_fast.homology import betti1_batch
from adabet_fast.nn.batches import Forward, prepare, take_batches
from adabet_fast.nn.channels import ChannelChoice, why_whole
from adabet_fast.nn.choice import count_layers
from adabet_fast.nn.criteria import check_choice
from adabet_fast.nn.guard import only_read, random_states_kept
from adabet_fast.nn.layers import check_model, find_layers, label
from adabet_fast.nn.ranks import Ranks, RanksChoice, find_ranks

if TYPE_CHECKING:
    from adabet_fast.nn.selection import Selection


def choose_channels(
    model: nn.Module,
    batches: Iterable[Any],
    selection: Selection,
    rho_channel: float,
    *,
    n_batches: int | None = 5,
    forward: Forward | None = None,
    mask: Callable[[Any], torch.Tensor] | None = None,
    sample_axis: int = 0,
    n_samples: int | Callable[[Any], int] | None = None,
    ranks: RanksChoice = "all",
    dtype: Literal["float32", "float64"] = "float32",
    n_threads: int | None = None,
) -> dict[str, ChannelChoice]:
    """Choose channels of a selection's layers; see :meth:`Selection.with_channels`.

    Returns
    -------
    dict
        For each layer that is cut, its channels; the same on all ranks. Time: one more pass over the batches, and one
        call for all clouds of a layer. Memory: the activations of the chosen layers.
    """
    if isinstance(rho_channel, bool) or not isinstance(rho_channel, (int, float)) or not 0 < rho_channel <= 1:
        raise InvalidInputError(f"rho_channel: expected a share above 0, at most 1, got {rho_channel!r}")
    check_choice("ranks", ranks, RanksChoice)
    group = find_ranks(ranks)
    try:
        with group.together(), random_states_kept():
            network = check_model(model)
            selection.scores.fingerprint.check(network, "this selection")
            names = [name for name in selection.layers if why_whole(network, name) is None]
            drawn = take_batches(batches, n_batches)
            calls = [
                prepare(
                    network,
                    batch,
                    index=i,
                    forward=forward,
                    mask=mask,
                    sample_axis=sample_axis,
                    n_samples=n_samples,
                )
                for i, batch in enumerate(drawn)
            ]
            clouds = _channel_clouds(network, names, calls)
        counted = _count(group, names, clouds, dtype, n_threads)
    finally:
        group.close()
    found = {}
    for name, b1 in counted.items():
        k = count_layers(rho_channel, len(b1), "ceil")
        best = sorted(range(len(b1)), key=lambda channel, b1=b1: (-b1[channel], channel))[:k]  # type: ignore[misc]
        if k < len(b1):
            found[name] = ChannelChoice(tuple(sorted(best)), len(b1), b1)
    return found


def _count(
    group: Ranks,
    names: list[str],
    clouds: dict[str, torch.Tensor],
    dtype: Literal["float32", "float64"],
    n_threads: int | None,
) -> dict[str, tuple[int, ...]]:
    """Return the b1 of each layer's channels, from the samples of all ranks; each layer is counted at one of them."""
    forms = group.gather({name: (tuple(cloud.shape[1:]), str(cloud.dtype)) for name, cloud in clouds.items()})
    common = [name for name in names if name in forms[0] and all(each.get(name) == forms[0][name] for each in forms)]
    counted: dict[str, tuple[int, ...]] = {}
    for start in range(0, len(common), group.size):
        some = common[start : start + group.size]
        rows = [clouds.pop(name).flatten(1) for name in some]
        brought = group.bring(rows, [i % group.size for i in range(len(some))])
        with group.together():
            for i, parts in brought:
                whole = torch.unflatten(torch.cat(parts), 1, forms[0][some[i]][0]).transpose(0, 1)
                b1 = betti1_batch(np.ascontiguousarray(whole.numpy()), dtype=dtype, n_threads=n_threads)
                counted[some[i]] = tuple(int(bars) for bars in b1)
    everyone: dict[str, tuple[int, ...]] = {}
    for its in group.gather(counted):
        everyone |= its
    return {name: everyone[name] for name in common}


def _channel_clouds(model: nn.Module, names: list[str], calls: list[Any]) -> dict[str, torch.Tensor]:
    """Run the batches, and return for each layer what its channels showed, (samples, channels, positions)."""
    layers = {layer.name: layer for layer in find_layers(model) if layer.name in names}
    seen: dict[str, list[torch.Tensor]] = {name: [] for name in names}
    with only_read(model):
        for call in calls:
            passed: dict[str, list[torch.Tensor]] = {}

            def keep(name: str, n: int = call.n_samples, passed: dict[str, list[torch.Tensor]] = passed) -> Any:
                def returned(module: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
                    cloud = _by_channel(module, output.detach(), n, layers[name].sample_axis)
                    if cloud is not None:
                        passed.setdefault(name, []).append(cloud)

                return returned

            with ExitStack() as hooks:
                for name in names:
                    hooks.callback(layers[name].module.register_forward_hook(keep(name)).remove)
                call.run(model)
            for name, parts in passed.items():
                seen[name].append(torch.cat(parts, dim=2))
    whole = {}
    for name, parts in seen.items():
        widths = {part.shape[2] for part in parts}
        if len(parts) == len(calls) and len(widths) == 1 and widths != {1}:
            clouds = torch.cat(parts)
            if not bool(torch.isfinite(clouds).all()):
                raise InvalidInputError(f"batches: layer '{label(name)}' returned NaN or infinity")
            whole[name] = clouds
    return whole


def _by_channel(module: nn.Module, output: torch.Tensor, n: int, sample_axis: int | None) -> torch.Tensor | None:
    """Read an output as (samples, channels, positions), copied: a later in-place operation would change it."""
    if isinstance(module, nn.Linear):
        rows = output.movedim(sample_axis or 0, 0).movedim(-1, 1)
    else:
        rows = output
    if rows.ndim < 2 or rows.shape[0] % n:
        return None
    channels = rows.reshape(n, rows.shape[0] // n, rows.shape[1], -1).transpose(1, 2)
    wide = channels.reshape(n, rows.shape[1], -1)
    kept = wide.dtype if wide.dtype == torch.float64 else torch.float32
    return wide.to(device="cpu", dtype=kept, copy=True)
