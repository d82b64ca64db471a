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
from numpy.typing import NDArray
from torch import nn

from adabet_fast.errors import InvalidInputError
from adabet_fast.homology import betti1_batch
from adabet_fast.nn.batches import Forward, prepare, take_batches
from adabet_fast.nn.channels import ChannelChoice, why_whole
from adabet_fast.nn.choice import count_layers
from adabet_fast.nn.guard import only_read, random_states_kept
from adabet_fast.nn.layers import check_model, find_layers, label

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
    dtype: Literal["float32", "float64"] = "float32",
    n_threads: int | None = None,
) -> dict[str, ChannelChoice]:
    """Choose channels of a selection's layers; see :meth:`Selection.with_channels`.

    Returns
    -------
    dict
        For each layer that is cut, its channels. Time: one more pass over the batches, and one call for all clouds of a
        layer. Memory: the activations of the chosen layers.
    """
    if isinstance(rho_channel, bool) or not isinstance(rho_channel, (int, float)) or not 0 < rho_channel <= 1:
        raise InvalidInputError(f"rho_channel: expected a share above 0, at most 1, got {rho_channel!r}")
    network = check_model(model)
    selection.scores.fingerprint.check(network, "this selection")
    names = [name for name in selection.layers if why_whole(network, name) is None]
    found = {}
    with random_states_kept():
        drawn = take_batches(batches, n_batches)
        calls = [
            prepare(network, batch, index=i, forward=forward, mask=mask, sample_axis=sample_axis)
            for i, batch in enumerate(drawn)
        ]
        for name, clouds in _channel_clouds(network, names, calls).items():
            b1 = betti1_batch(clouds, dtype=dtype, n_threads=n_threads)
            k = count_layers(rho_channel, len(b1), "ceil")
            best = sorted(range(len(b1)), key=lambda channel, b1=b1: (-b1[channel], channel))[:k]  # type: ignore[misc]
            if k < len(b1):
                found[name] = ChannelChoice(tuple(sorted(best)), len(b1), tuple(int(bars) for bars in b1))
    return found


def _channel_clouds(model: nn.Module, names: list[str], calls: list[Any]) -> dict[str, NDArray[Any]]:
    """Run the batches, and return for each layer its channels' clouds, (channels, samples, positions)."""
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
            clouds = torch.cat(parts, dim=1)
            if not bool(torch.isfinite(clouds).all()):
                raise InvalidInputError(f"batches: layer '{label(name)}' returned NaN or infinity")
            whole[name] = np.ascontiguousarray(clouds.numpy())
    return whole


def _by_channel(module: nn.Module, output: torch.Tensor, n: int, sample_axis: int | None) -> torch.Tensor | None:
    """Read an output as (channels, samples, positions), copied: a later in-place operation would change it."""
    if isinstance(module, nn.Linear):
        rows = output.movedim(sample_axis or 0, 0).movedim(-1, 1)
    else:
        rows = output
    if rows.ndim < 2 or rows.shape[0] % n:
        return None
    channels = rows.reshape(n, rows.shape[0] // n, rows.shape[1], -1).permute(2, 0, 1, 3)
    wide = channels.reshape(rows.shape[1], n, -1)
    kept = wide.dtype if wide.dtype == torch.float64 else torch.float32
    return wide.to(device="cpu", dtype=kept, copy=True)
