"""What all ranks found, put together in the same way on every rank."""

from __future__ import annotations

from dataclasses import dataclass, replace

from adabet_fast.nn.judge import set_constants_aside
from adabet_fast.nn.memory import MemoryUse
from adabet_fast.nn.observation import Observation
from adabet_fast.nn.ranks import Ranks
from adabet_fast.nn.tally import Found


@dataclass
class Joined:
    """What was found on all ranks; see :class:`adabet_fast.nn.observation.Observation`.

    Attributes
    ----------
    head, head_reason
        The classifier head, as rank 0 found it.
    seconds
        Of the forward passes, distances and homology, on the rank that took longest.
    """

    found: dict[str, Found]
    problems: dict[str, str]
    calls: dict[str, int]
    notes: dict[str, str]
    head: tuple[str, ...]
    head_reason: str
    seconds: tuple[float, ...]
    memory: MemoryUse


def join(
    ranks: Ranks, seen: Observation, head: tuple[str, ...], head_reason: str, seconds: tuple[float, ...]
) -> Joined:
    """Give every rank what all of them found.

    Parameters
    ----------
    ranks
        The ranks.
    seen, head, head_reason, seconds
        What this one found.

    Returns
    -------
    Joined
        The same on all ranks: counts of one layer's clouds in the order of the ranks, the memory of the rank that held
        most.
    """
    found: dict[str, Found] = {}
    everyone = ranks.gather((seen.found, seen.memory, seconds, head, head_reason))
    for its, *_ in everyone:
        for name, each in its.items():
            if name in found:
                found[name].join(each)
            else:
                found[name] = each
    seen.found = found
    set_constants_aside(seen, found)
    uses = [use for _, use, *_ in everyone]
    memory = replace(
        uses[0],
        passes=sum(use.passes for use in uses),
        stopped_early=sum(use.stopped_early for use in uses),
        peak_bytes=max(use.peak_bytes for use in uses),
        file_bytes=max(use.file_bytes for use in uses),
        resident_before=max(use.resident_before for use in uses),
        resident_peak=max(use.resident_peak for use in uses),
    )
    return Joined(
        found,
        seen.problems,
        seen.calls,
        seen.notes,
        everyone[0][3],
        everyone[0][4],
        tuple(max(times) for times in zip(*(its[2] for its in everyone), strict=True)),
        memory,
    )
