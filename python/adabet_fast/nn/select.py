"""Score a network's layers and choose among them in one call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import torch
from torch import nn

from adabet_fast.nn.activations import Reduce
from adabet_fast.nn.batches import Forward
from adabet_fast.nn.criteria import Normalize, Pooling, ScoreFunction, ScoreName
from adabet_fast.nn.scoring import score_layers
from adabet_fast.nn.selection import Rounding, Selection


def select_layers(
    model: nn.Module,
    batches: Iterable[Any],
    rho: float = 0.1,
    *,
    rounding: Rounding = "ceil",
    always_train: str | Sequence[str] | None = "auto",
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
) -> Selection:
    """Choose which layers of a network to train on new data, by AdaBet. The model is not changed.

    ``select_layers(model, batches, rho)`` is ``score_layers(model, batches).select(rho)``.

    Parameters
    ----------
    model, batches
        The network, and batches of the new data; labels are dropped.
    rho
        The share of layers to train, from 0 to 1, of those that have a score and are not always trained.
    rounding
        How ``rho`` times the number of layers becomes a whole number: ``"ceil"`` (at least one layer for rho > 0),
        ``"floor"`` (as the paper's code; can be none) or ``"round"`` (half up).
    always_train
        Layers that are trained besides and do not count in ``rho``: ``"auto"``, the classifier head if one is found
        (named in the report); None or ``()``, none; or names, names of modules around them, or shell patterns.
    n_batches, score, normalize, pooling, unit, forward, reduce, mask
        As in :func:`adabet_fast.nn.score_layers`.
    sample_axis, merge_batches, dtype, backend, n_threads
        As in :func:`adabet_fast.nn.score_layers`.

    Returns
    -------
    Selection
        Not applied yet: see :meth:`Selection.apply`.

    Raises
    ------
    InvalidInputError
        As :func:`score_layers`, and for a share or a pattern that chooses nothing.

    Notes
    -----
    Time and memory are those of :func:`score_layers`.

    References
    ----------
    AdaBet, arXiv:2510.03101, section 3.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from adabet_fast import select_layers
    >>> _ = torch.manual_seed(0)
    >>> network = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))
    >>> selection = select_layers(network, [torch.randn(8, 2) for _ in range(5)], rho=1.0, always_train="4")
    >>> sorted(selection.layers), selection.always_train
    (['0', '2'], ('4',))
    >>> selection.print_trainable_parameters()
    trainable params: 123 || all params: 123 || trainable%: 100.0000
    """
    scores = score_layers(
        model,
        batches,
        n_batches=n_batches,
        score=score,
        normalize=normalize,
        pooling=pooling,
        unit=unit,
        forward=forward,
        reduce=reduce,
        mask=mask,
        sample_axis=sample_axis,
        merge_batches=merge_batches,
        dtype=dtype,
        backend=backend,
        n_threads=n_threads,
    )
    return scores.select(rho, rounding=rounding, always_train=always_train)
