"""Which way activations are kept, decided from their sizes before more than the budget is held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from adabet_fast._plan import estimate_memory
from adabet_fast.errors import InvalidInputError, MemoryBudgetError
from adabet_fast.nn.layers import label
from adabet_fast.nn.memory import MOST_GROUPS, MemoryWay, in_units

MIN_SAMPLES = 4
"""A loop in a Vietoris-Rips filtration needs four points."""


@dataclass(frozen=True)
class Need:
    """What a layer's activations take.

    Attributes
    ----------
    name
        The layer.
    kept
        Bytes that a rank keeps until its cloud is whole.
    gathered
        Bytes of the cloud of all ranks, at the rank that owns the layer; 0 for one rank alone.
    last
        The place of its last call in a pass.
    """

    name: str
    kept: int
    gathered: int = 0
    last: int = 0

    def put_side_by_side(self, bytes_a_call: Sequence[int], n_samples: int) -> Need:
        """Return what calls take that nobody foresaw: after the pass of so many samples they are copied, one at a time.

        >>> Need("a", 100).put_side_by_side([10, 40], 2).kept
        180
        """
        copied = max(bytes_a_call) * n_samples if len(bytes_a_call) > 1 else 0
        return replace(self, kept=self.kept + copied)


@dataclass
class Room:
    """A budget that is filled layer by layer.

    >>> room = Room(100)
    >>> [room.takes(Need(name, size)) for name, size in [("a", 60), ("b", 10), ("b", 30), ("c", 20)]]
    [True, True, True, False]
    """

    capacity: int
    kept: int = 0
    gathered: int = 0
    reserved: dict[str, int] = field(default_factory=dict)

    def takes(self, need: Need) -> bool:
        """Add a layer, or what it has grown by since, if it fits."""
        kept = self.kept - self.reserved.get(need.name, 0) + need.kept
        gathered = max(self.gathered, need.gathered)
        if kept + gathered > self.capacity:
            return False
        self.kept, self.gathered = kept, gathered
        self.reserved[need.name] = need.kept
        return True


def in_groups(needs: Sequence[Need], capacity: int) -> list[list[str]] | None:
    """Share layers out in groups that fit, in the order of their last calls; None if one alone does not fit.

    >>> needs = [Need("a", 60, last=0), Need("b", 30, last=5), Need("c", 60, last=1)]
    >>> in_groups(needs, 100)
    [['a'], ['c', 'b']]
    >>> in_groups(needs, 50) is None
    True
    """
    groups: list[list[str]] = []
    room = Room(-1)
    for need in sorted(needs, key=lambda need: need.last):
        if not room.takes(need):
            room = Room(capacity)
            groups.append([])
            if not room.takes(need):
                return None
        groups[-1].append(need.name)
    return groups


def choose_way(
    way: MemoryWay, needs: Sequence[Need], kept_already: int, capacity: int, budget: int, file_bytes: int, free: int
) -> tuple[MemoryWay, list[list[str]]]:
    """Choose between groups of layers and a mapped file.

    Parameters
    ----------
    way
        What the caller asked for.
    needs
        The layers that are not kept yet.
    kept_already
        Groups that the first pass keeps, 0 or 1.
    capacity, budget
        Bytes that activations may take, and with the distances.
    file_bytes, free
        Size of the file that would hold all layers, and what the disk has.

    Returns
    -------
    way, groups
        ``"groups"`` and the groups of the layers in ``needs``, or ``"spill"``.

    Raises
    ------
    MemoryBudgetError
        If neither fits, saying what each would take.
    """
    groups = in_groups(needs, capacity)
    widest = max(needs, key=lambda need: need.gathered)
    fits_gathered = widest.gathered <= capacity  # which is no part of the file
    fits_disk = file_bytes <= free and fits_gathered
    if way == "spill" and fits_disk:
        return "spill", []
    if way in ("auto", "groups") and groups is not None:
        few = kept_already + len(groups) <= MOST_GROUPS
        if way == "groups" or few or not fits_disk:
            return "groups", groups
    if way == "auto" and fits_disk:
        return "spill", []
    largest = max(needs, key=lambda need: need.kept + need.gathered)
    needed = largest.kept + largest.gathered + budget - capacity
    told = f"the activations of layer '{label(largest.name)}' alone with the distances need {needed} bytes"
    on_disk = f"a file of {file_bytes} bytes does not fit on the disk, which has {free} free"
    if not fits_gathered:
        needed = widest.gathered + budget - capacity
        on_disk = (
            f"the activations of layer '{label(widest.name)}' of all ranks, gathered at one, with the distances need "
            f"{needed} bytes"
        )
    reason = {"groups": told, "spill": on_disk}.get(way, f"{told}, and {on_disk}")
    raise refusal(f"max_memory: {budget} bytes ({in_units(budget)}) do not do: {reason}", budget, needed)


def refusal(message: str, budget: int, needed: int) -> MemoryBudgetError:
    """Return the error that says the budget and the need."""
    error = MemoryBudgetError(message)
    error.budget, error.needed = budget, needed
    return error


def check_hook_way(pooled: bool, n_batches: int, n_ranks: int) -> None:
    """Raise if distances cannot be computed in the hook, because a cloud is spread over several passes."""
    if pooled and n_batches > 1:
        raise InvalidInputError(
            f"memory_way: 'hook' needs the whole pool in one batch, got {n_batches} batches; "
            "give one larger batch, merge_batches=True or pooling='sum'"
        )
    if pooled and n_ranks > 1:
        raise InvalidInputError("memory_way: 'hook' cannot pool the samples of several ranks; use pooling='sum'")


@dataclass(frozen=True)
class Plan:
    """What is to be pooled, and within which memory.

    Attributes
    ----------
    pooled
        Whether all batches make one cloud, or each its own.
    way
        How activations are kept.
    budget
        Bytes that all of it may take.
    capacity
        Bytes that activations may take, so that the distances of one cloud and their bars find room.
    limit
        Bytes that activations and distances may take, so that their bars find room.
    sizes
        Samples of each batch, one list a rank.
    """

    pooled: bool
    way: MemoryWay
    budget: int
    capacity: int
    limit: int
    sizes: list[list[int]]


def plan_memory(pooled: bool, way: MemoryWay, budget: int, sizes: list[list[int]], dtype: str) -> Plan:
    """Share the budget out between distances and activations, or refuse what cannot fit.

    Parameters
    ----------
    pooled
        Whether all batches make one cloud.
    way, budget
        As the caller gave them.
    sizes
        Samples of each batch, one list a rank.
    dtype
        Of the distances.

    Returns
    -------
    Plan

    Raises
    ------
    InvalidInputError
        For fewer than four samples.
    MemoryBudgetError
        If one layer's distances and their bars do not fit.
    """
    flat = [size for each in sizes for size in each]
    most = sum(flat) if pooled else max(flat)
    if most < MIN_SAMPLES:
        where = "in all" if pooled else "in the largest batch (pooling='sum' looks at each alone)"
        raise InvalidInputError(
            f"batches: {most} samples {where}, but a loop needs at least {MIN_SAMPLES}; "
            "give more, such as 5 batches of 8"
        )
    matrix = most * most * (8 if dtype == "float64" else 4)
    bars = estimate_memory(most, dtype=dtype, max_memory=budget)
    needed = bars.fixed + (0 if bars.plan == "dense" else matrix)  # the dense plan counts the matrix, which is ours
    if needed > budget:
        raise refusal(
            f"max_memory: {budget} bytes ({in_units(budget)}) do not do: "
            f"the distances of {most} samples and their bars alone need {needed} bytes",
            budget,
            needed,
        )
    return Plan(pooled, way, budget, budget - needed, budget - needed + matrix, sizes)
