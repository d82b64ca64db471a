"""Score a network's layers and choose among them in one call."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import torch
from torch import nn

from adabet_fast.nn.activations import Reduce
from adabet_fast.nn.batches import Forward, take_batches
from adabet_fast.nn.budget import StepCost, default_optimizer, fill_truly
from adabet_fast.nn.criteria import Normalize, Pooling, ScoreFunction, ScoreName, Unit
from adabet_fast.nn.freeze import is_frozen
from adabet_fast.nn.guard import random_states_kept
from adabet_fast.nn.memory import MemoryWay
from adabet_fast.nn.outlook import scores_anew
from adabet_fast.nn.ranks import Ranks, RanksChoice, find_ranks
from adabet_fast.nn.scoring import score_layers
from adabet_fast.nn.selection import Rounding, Selection
from adabet_fast.nn.stability import Drift, Resamples, cut_again
from adabet_fast.nn.trace import OptimizerFactory, Step, StepTracer


def select_layers(
    model: nn.Module,
    batches: Iterable[Any],
    rho: float | None = None,
    *,
    k: int | None = None,
    budget_bytes: float | None = None,
    budget_flops: float | None = None,
    rounding: Rounding = "ceil",
    always_train: str | Sequence[str] | None = "auto",
    include: str | Sequence[str] | None = None,
    exclude: str | Sequence[str] | None = None,
    rho_channel: float | None = None,
    train_batch: Any = None,
    step: Step | None = None,
    optimizer: OptimizerFactory | None = None,
    n_batches: int | None = 5,
    score: ScoreName | ScoreFunction = "adabet",
    normalize: Normalize = "activation",
    pooling: Pooling = "pool",
    unit: Unit = "module",
    resamples: Resamples | None = None,
    forward: Forward | None = None,
    reduce: str | Reduce | None = None,
    mask: Callable[[Any], torch.Tensor] | None = None,
    sample_axis: int = 0,
    n_samples: int | Callable[[Any], int] | None = None,
    merge_batches: bool = False,
    max_memory: int | str | None = None,
    memory_way: MemoryWay = "auto",
    ranks: RanksChoice = "all",
    progress: bool = False,
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
        The share of layers to train, from 0 to 1, of those that have a score and are not always trained. 0.1 if neither
        it nor ``k`` nor a budget is given.
    k, budget_bytes, budget_flops, include, exclude
        As in :meth:`LayerScores.select`.
    rounding
        How ``rho`` times the number of layers becomes a whole number: ``"ceil"`` (at least one layer for rho > 0),
        ``"floor"`` (as the paper's code; can be none) or ``"round"`` (half up).
    always_train
        Layers that are trained besides and do not count in ``rho``: ``"auto"``, the classifier head if one is found
        (named in the report); None or ``()``, none; or names, names of modules around them, or shell patterns.
    rho_channel
        Train only this share of the output channels of each chosen convolution and linear layer; see
        :meth:`Selection.with_channels`.
    train_batch
        For a budget: a batch of the size that will be trained on; the first of ``batches`` if None. Of several ranks
        that of the first counts.
    step, optimizer
        For a budget: as in :meth:`LayerScores.select`.
    n_batches, score, normalize, pooling, unit, resamples, forward, reduce, mask, sample_axis, n_samples
        As in :func:`adabet_fast.nn.score_layers`.
    merge_batches, max_memory, memory_way, ranks, progress, dtype, backend, n_threads
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
    budgeted = budget_bytes is not None or budget_flops is not None
    if rho_channel is not None or (budgeted and train_batch is None):
        with random_states_kept():  # they are used more than once
            batches = take_batches(batches, n_batches)
            n_batches = None
    scores = score_layers(
        model,
        batches,
        n_batches=n_batches,
        score=score,
        normalize=normalize,
        pooling=pooling,
        unit=unit,
        resamples=resamples,
        forward=forward,
        reduce=reduce,
        mask=mask,
        sample_axis=sample_axis,
        n_samples=n_samples,
        merge_batches=merge_batches,
        max_memory=max_memory,
        memory_way=memory_way,
        ranks=ranks,
        progress=progress,
        dtype=dtype,
        backend=backend,
        n_threads=n_threads,
    )
    group = find_ranks(ranks) if budgeted else Ranks()
    try:
        with group.together():
            made = scores.select(
                rho,
                k=k,
                budget_bytes=budget_bytes,
                budget_flops=budget_flops,
                rounding=rounding,
                always_train=always_train,
                include=include,
                exclude=exclude,
                model=model if budgeted else None,
                batch=(next(iter(batches)) if train_batch is None else train_batch) if budgeted else None,
                step=step,
                forward=forward,
                optimizer=optimizer,
            )
        selection: Selection = group.gather(made)[
            0
        ]  # batches may differ from rank to rank, and with them what a step costs
    finally:
        group.close()
    if rho_channel is None:
        return selection
    return selection.with_channels(
        model,
        batches,
        rho_channel,
        n_batches=None,
        forward=forward,
        mask=mask,
        sample_axis=sample_axis,
        n_samples=n_samples,
        ranks=ranks,
        dtype=dtype,
        n_threads=n_threads,
    )


def drift_by_rule(
    selection: Selection,
    model: nn.Module,
    new_batches: Iterable[Any],
    *,
    train_batch: Any = None,
    step: Step | None = None,
    optimizer: OptimizerFactory | None = None,
    **how: Any,
) -> Drift:
    """Score a selection's layers on new data and cut by its own rule; see :meth:`Selection.drift`."""
    if selection.budget is not None and train_batch is None:
        group = find_ranks(how.get("ranks", "all"))
        try:
            with group.together(), random_states_kept():  # they are used more than once
                new_batches = take_batches(new_batches, how.pop("n_batches", None))
        finally:
            group.close()
        train_batch = new_batches[0]
    new = scores_anew(selection, model, new_batches, how)
    return cut_again(selection, new, budget_filler(selection, model, train_batch, step, optimizer, how))


def budget_filler(
    selection: Selection,
    model: nn.Module,
    batch: Any,
    step: Step | None,
    optimizer: OptimizerFactory | None,
    how: dict[str, Any],
) -> Callable[[list[str]], tuple[str, ...]]:
    """Return the function that fills a selection's budget with layers in another order, on all ranks as on the first.

    Parameters
    ----------
    selection
        A choice within a budget.
    model
        The network; if a selection is applied to it, a copy without is traced, since its channels may be cut.
    batch, step, optimizer
        As in :func:`select_layers`.
    how
        What the layers are scored with: its ``forward`` and ``ranks``.
    """

    def filled(candidates: list[str]) -> tuple[str, ...]:
        budget, scores = selection.budget, selection.scores
        if budget is None:
            return selection.layers
        group = find_ranks(how.get("ranks", "all"))
        try:
            with group.together():
                network = model
                if is_frozen(model):
                    network = copy.deepcopy(model)
                    selection.undo(network)
                tracer = StepTracer(network, batch, step=step, forward=how.get("forward"))
                cost = StepCost(network, tracer, budget.kind, optimizer or default_optimizer)
                chosen, _ = fill_truly(
                    cost, budget.limit, candidates, selection.always_train, lambda name: scores[name].parameters
                )
            agreed: tuple[str, ...] = group.gather(chosen)[0]
        finally:
            group.close()
        return agreed

    return filled
