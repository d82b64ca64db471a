"""Score the layers of a network by the topology of their activations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import nn

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn._measure import Measure
from adabet_fast.nn.activations import Reduce, find_reduction
from adabet_fast.nn.bars import Bars, BarSums
from adabet_fast.nn.batches import Forward, merge, prepare, samples_in, take_batches
from adabet_fast.nn.blocks import find_units
from adabet_fast.nn.criteria import Normalize, Pooling, ScoreFunction, ScoreName, Unit, check_choice, check_criterion
from adabet_fast.nn.fingerprint import Fingerprint
from adabet_fast.nn.guard import random_states_kept
from adabet_fast.nn.head import find_head
from adabet_fast.nn.join import Joined, join
from adabet_fast.nn.layer_costs import measure_cost
from adabet_fast.nn.layer_score import LayerScore, Settings
from adabet_fast.nn.layers import Layer, check_model, find_layers
from adabet_fast.nn.memory import MemoryWay, Meter, activation_budget
from adabet_fast.nn.observe import observe
from adabet_fast.nn.passes import How
from adabet_fast.nn.progress import progress_bar
from adabet_fast.nn.ranks import RanksChoice, check_same_model, find_ranks
from adabet_fast.nn.scores import LayerScores, with_ranks
from adabet_fast.nn.stability import Resamples, check_resamples
from adabet_fast.nn.tally import Engine, Tally
from adabet_fast.nn.ways import plan_memory


def score_layers(
    model: nn.Module,
    batches: Iterable[Any],
    *,
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
        The divisor: ``"activation"`` (|a|), ``"none"``, ``"parameters"`` (the layer's number of them), or what a layer
        costs a sample: ``"flops"`` of its forward pass, ``"saved_bytes"`` for backward, ``"latency"`` on this device,
        timed; or a callable on a :class:`LayerScore` that returns a positive number.
    pooling
        ``"pool"``: all samples of all batches are one cloud, as in the paper. ``"sum"``: scores of each batch's own
        cloud are summed, as in the paper's code.
    unit
        What counts as a layer: ``"module"``, a module that owns parameters directly, as in the paper's code; or
        ``"block"``, where a normalisation belongs to the convolution or linear layer before it, or, where the residual
        stream goes on past it (ViT, GPT), to the one behind it: it is not scored but trained along. See
        :mod:`adabet_fast.nn.blocks`.
    resamples
        Count bars on parts of the samples too, to tell how stable the ranking is (:meth:`LayerScores.stability`):
        ``"batches"``, each batch by itself, or a number of bootstrap draws. Needs no further forward pass.
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
    n_samples
        Samples of a batch, or a callable on the batch, where the first tensor does not tell: ``len`` for a list of
        single images, which ``forward`` gives to the model; 1 where a batch is one image without an axis for samples.
    merge_batches
        Join all batches into one pass. This changes low bits of activations, and the result says so.
    max_memory
        Bytes, or a size such as "2GiB", that activations and distances may take besides the forward passes; None: 40 %
        of what is available. The scores are the same to the bit whatever it is; ``scores.settings.memory`` tells what
        was done and the most that was held, as measured.
    memory_way
        ``"auto"``, or one of: ``"hook"``: distances are computed while the pass runs and activations dropped at once;
        for one batch that holds all samples, and for ``pooling="sum"``. ``"groups"``: as many layers are kept as fit;
        the others are watched in further passes, which end after the last layer of their group. ``"spill"``: all go
        to a file in ``TMPDIR``, without a name. "auto" takes the first that does, the file where more than eight
        groups would be needed.
    ranks
        Under ``torch.distributed`` ``"all"``: every rank calls this with batches of its own, their samples are one
        cloud, layers are shared out, and all ranks get the same result. ``"own"``: this rank alone.
    progress
        Show a bar (tqdm), on rank 0.
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
        (naming the layer), samples of different sizes; on every rank if on one.
    MemoryBudgetError
        If no way fits into `max_memory`, before more than that is held: the bytes that would be needed.

    Notes
    -----
    Time: the forward passes, and for n samples and |a| activations O(n^2 |a|) for the distances of each layer and
    its H1; with g groups of layers up to g times the forward passes. Memory: one layer's distances, and activations as
    ``max_memory`` allows. Nothing is run beforehand to find the sizes: the first pass of each batch shows them, and
    what fits is kept at once. A model that draws random numbers draws the same when a pass is replayed; one whose
    passes change buffers is replayed to the end.

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
    group = find_ranks(_checked(ranks, memory_way))
    try:
        with group.together(), random_states_kept():  # a shuffling loader draws from them too
            check_criterion(score, normalize)
            check_choice("pooling", pooling, Pooling)
            check_choice("unit", unit, Unit)
            check_choice("dtype", dtype, Literal["float32", "float64"])
            if merge_batches and pooling == "sum":
                raise InvalidInputError("pooling: 'sum' has nothing to sum with merge_batches=True")
            how = _how(forward, reduce, mask, sample_axis, n_samples)
            network = check_model(model)
            layers = find_layers(network)
            drawn = take_batches(batches, n_batches)
            merged = len(drawn) if merge_batches and len(drawn) > 1 else None
            given = [merge(drawn, sample_axis)] if merged else drawn
            sizes = [
                samples_in(network, batch, index=i, forward=forward, sample_axis=sample_axis, n_samples=how.n_samples)
                for i, batch in enumerate(given)
            ]
            if resamples is not None:
                check_resamples(resamples, pooling, n_threads, None)

            def run_first(net: nn.Module) -> object:
                call = prepare(
                    net, given[0], index=0, forward=forward, mask=mask, sample_axis=sample_axis, n_samples=how.n_samples
                )
                return call.run(net)

            if unit == "block":
                layers = find_units(network, layers, run_first)
            costs = measure_cost(normalize, network, layers, run_first, sizes[0])
            budget = activation_budget(max_memory)
        check_same_model(network, group)
        all_sizes, budgets = group.gather(sizes), group.gather(budget)
        merged = sum(count or 0 for count in group.gather(merged)) or None  # of all ranks, as the sizes are
        plan = plan_memory(pooling == "pool", memory_way, min(budgets), all_sizes, dtype)
        engine = Engine(dtype, backend, n_threads, plan.budget)
        measures: list[Measure[Any]] = []
        bars = None
        if not isinstance(score, str) or score == "total_persistence":
            bars = Bars(engine, None if isinstance(score, str) else score)
            measures.append(bars)
        if resamples is not None:
            measures.append(check_resamples(resamples, pooling, n_threads, bars))
        costs = group.gather(costs)[0]  # times differ from rank to rank
        tally = Tally(engine, measures, Meter(), plan.limit, n_batches=sum(map(len, all_sizes)))
        watched = sum(layer.tied_to is None for layer in layers)
        with random_states_kept(), progress_bar(progress and group.rank == 0, watched * len(given)) as bar:
            seen = observe(network, layers, given, how, tally, plan, ranks=group, progress=bar)
        head, reason = find_head(network, layers, seen.trace)
        told = join(group, seen, head, reason, (seen.seconds, tally.seconds_distances, tally.seconds_homology))
    finally:
        group.close()
    given_cost = normalize if isinstance(normalize, str) else ""
    entries = [_entry(layer, told, score, normalize, {given_cost: costs.get(layer.name)}) for layer in layers]
    settings = Settings(
        score=score if isinstance(score, str) else getattr(score, "__name__", type(score).__name__),
        normalize=normalize if isinstance(normalize, str) else getattr(normalize, "__name__", type(normalize).__name__),
        pooling=pooling,
        unit=unit,
        dtype=dtype,
        batch_sizes=tuple(size for each in all_sizes for size in each),
        merged=merged,
        seconds_forward=told.seconds[0],
        seconds_distances=told.seconds[1],
        seconds_homology=told.seconds[2],
        ranks=group.size,
        memory=told.memory,
    )
    return LayerScores(with_ranks(entries), settings, told.head, told.head_reason, Fingerprint.of(network))


def _checked(ranks: RanksChoice, memory_way: MemoryWay) -> RanksChoice:
    check_choice("ranks", ranks, RanksChoice)
    check_choice("memory_way", memory_way, MemoryWay)
    return ranks


def _how(
    forward: Forward | None,
    reduce: str | Reduce | None,
    mask: Callable[[Any], torch.Tensor] | None,
    sample_axis: int,
    n_samples: int | Callable[[Any], int] | None,
) -> How:
    for argument, function in (("forward", forward), ("mask", mask)):
        if function is not None and not callable(function):
            raise InvalidInputError(f"{argument}: expected a callable or None, got {function!r}")
    if isinstance(sample_axis, bool) or not isinstance(sample_axis, int) or sample_axis < 0:
        raise InvalidInputError(f"sample_axis: expected an axis from 0 on, got {sample_axis!r}")
    return How(forward, find_reduction(reduce), mask, sample_axis, n_samples)


def _entry(
    layer: Layer,
    told: Joined,
    score: ScoreName | ScoreFunction,
    normalize: Normalize,
    costs: Mapping[str, float | None],
) -> LayerScore:
    entry = LayerScore(
        name=layer.name,
        type=type(layer.module).__name__,
        parameters=layer.parameters,
        n_parameters=layer.n_parameters,
        status=told.problems.get(layer.name, "scored"),
        calls=told.calls.get(layer.name, 0),
        note=told.notes.get(layer.name, ""),
        flops=costs.get("flops"),
        saved_bytes=costs.get("saved_bytes"),
        latency=costs.get("latency"),
        members=layer.members,
    )
    found = told.found.get(layer.name)
    if found is None:
        return entry
    bars: list[BarSums] = found.results.get("bars", [])
    parts: tuple[BarSums, ...] = next(iter(found.results.get("resampled", [])), ())
    numbers = replace(
        entry,
        b1=sum(found.b1),
        size=found.size,
        total_persistence=sum(each.total_persistence or 0.0 for each in bars) if bars else None,
        resampled=tuple(each.b1 for each in parts),
        resampled_persistence=tuple(each.total_persistence for each in parts if each.total_persistence is not None),
    )
    if isinstance(score, str):
        return replace(
            numbers,
            score=numbers.scored_by(score, normalize),
            resampled_scores=numbers.parts_scored_by(score, normalize),
        )
    return replace(
        numbers,
        score=sum(each.value or 0.0 for each in bars),
        resampled_scores=tuple(each.value or 0.0 for each in parts),
    )
