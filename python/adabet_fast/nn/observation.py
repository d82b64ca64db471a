"""What the forward passes showed of a model's layers."""

from __future__ import annotations

from dataclasses import dataclass, field

from adabet_fast.nn.head import HeadTrace
from adabet_fast.nn.memory import MemoryUse
from adabet_fast.nn.tally import Found


@dataclass
class Observation:
    """What the forward passes showed.

    Attributes
    ----------
    found
        For each layer that can be scored, what was measured; only on the ranks that measured it, until they are joined.
    problems
        For each other layer, why not.
    calls
        How often each layer was called in a pass.
    notes
        What is to say about how a layer's outputs were read.
    trace
        What the first pass tells about the head.
    seconds
        Time of the forward passes.
    memory
        What was held.
    """

    found: dict[str, Found] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    trace: HeadTrace = field(default_factory=HeadTrace)
    seconds: float = 0.0
    memory: MemoryUse = field(default_factory=MemoryUse)
