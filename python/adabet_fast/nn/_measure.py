"""What can be measured of a layer once its pooled cloud is there: the one place where scoring and its guests meet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from adabet_fast.nn.layers import Layer

R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True)
class PooledCloud:
    """The points of one layer over all samples of one cloud.

    Attributes
    ----------
    distances
        Square matrix (samples, samples), float32 or float64, zero diagonal: the very one that b1 is counted on.
    batch_sizes
        Samples of each batch, in the order of the rows; of one batch only where batches are scored apart.
    activations
        Shape (samples, ...), samples first, not flattened where the layer was called once a pass. None unless the
        measure says that it needs them; on any device, any floating dtype.
    """

    distances: NDArray[np.floating]
    batch_sizes: tuple[int, ...]
    activations: torch.Tensor | None = None


class Measure(Protocol[R_co]):
    """Measures one layer. Called once a layer and cloud, outside of forward passes, on the caller's thread.

    Measures there are: :class:`adabet_fast.nn.criteria.Bars` (the barcode, for ``score="total_persistence"`` and for
    callables, which need the activations besides) and :class:`adabet_fast.nn.stability.Resampled` (b1 of parts of the
    samples). The count over all samples is no measure: scoring makes it for all layers in one call.

    Attributes
    ----------
    name
        Under which the result is filed.
    needs_activations
        Whether distances are not enough, so that activations must be kept until the call.
    """

    @property
    def name(self) -> str: ...

    @property
    def needs_activations(self) -> bool: ...

    def __call__(self, layer: Layer, cloud: PooledCloud) -> R_co:
        """Measure one layer; the arrays may be overwritten after the return."""
