"""Choose under a budget: by the true cost of everything that is trained, not by a sum over layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import nn

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn.layers import label
from adabet_fast.nn.trace import OptimizerFactory, StepTracer, optimizer_state_bytes

BudgetKind: TypeAlias = Literal["bytes", "flops"]


@dataclass(frozen=True)
class Budget:
    """What a selection may cost, and what it does.

    Attributes
    ----------
    kind
        ``"bytes"``: what a training step holds beyond parameters and buffers (saved activations, gradients, optimizer
        state). ``"flops"``: operations of its forward and backward pass.
    limit
        The budget.
    used
        What the whole selection costs.
    least
        What it would cost to train nothing but the layers that are always trained.
    skipped
        Layers better than the last chosen one that did not fit.
    n_traced
        Training steps that were traced to find out.
    """

    kind: BudgetKind
    limit: int
    used: int
    least: int
    skipped: tuple[str, ...] = ()
    n_traced: int = 0

    def __str__(self) -> str:
        unit = "bytes" if self.kind == "bytes" else "operations"
        over = f"; passed over: {', '.join(map(label, self.skipped))}" if self.skipped else ""
        return f"a training step: {self.used:,} of {self.limit:,} {unit}{over}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists, strings and numbers, for JSON."""
        return {**asdict(self), "skipped": list(self.skipped)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Budget:
        """Undo :meth:`to_dict`."""
        return cls(**{**data, "skipped": tuple(data["skipped"])})


class StepCost:
    """The cost of training any set of a model's parameters.

    Parameters
    ----------
    model
        The network.
    tracer
        Traces its steps.
    kind
        Bytes or operations.
    optimizer
        Makes the optimizer whose state counts.
    """

    def __init__(self, model: nn.Module, tracer: StepTracer, kind: BudgetKind, optimizer: OptimizerFactory) -> None:
        self.tracer = tracer
        self.kind = kind
        self.n_traced = 0
        self._held: dict[str, int] = {}
        if kind == "bytes":
            parameters = dict(model.named_parameters())
            states = optimizer_state_bytes(list(parameters.values()), optimizer)
            for (name, parameter), state in zip(parameters.items(), states, strict=True):
                self._held[name] = parameter.numel() * parameter.element_size() + state

    def held(self, parameters: frozenset[str]) -> int:
        """Bytes of gradients and optimizer state, which need no trace; for operations, nothing."""
        return sum(self._held.get(name, 0) for name in parameters)

    def __call__(self, parameters: frozenset[str]) -> int:
        """Trace the step that trains some parameters and return what it costs."""
        self.n_traced += 1
        traced = self.tracer(parameters, flops=self.kind == "flops")
        return traced.flops if self.kind == "flops" else traced.saved_bytes + self.held(parameters)


def fill(
    cost: StepCost, limit: int, ranked: Sequence[str], always: Sequence[str], parameters: Callable[[str], Sequence[str]]
) -> tuple[tuple[str, ...], Budget]:
    """Take layers in the order of their rank, passing over what does not fit.

    Parameters
    ----------
    cost
        What a set of parameters costs.
    limit
        The budget.
    ranked
        Names of the layers to choose from, best first.
    always
        Names of the layers that are trained in any case.
    parameters
        From a layer's name to those of its parameters.

    Returns
    -------
    chosen, budget
        Time: at most about two traced steps a layer, far fewer where many in a row fit: as long as they do, twice as
        many are tried at once.
    """
    trained = frozenset(name for layer in always for name in parameters(layer))
    least = used = cost(trained)
    chosen: list[str] = []
    passed: list[tuple[int, str]] = []
    start, together = 0, 1
    while start < len(ranked):
        tried = ranked[start : start + together]
        wider = trained.union(name for layer in tried for name in parameters(layer))
        # A wider set saves at least what the narrower one does, so this is a lower bound.
        total = used + cost.held(wider) - cost.held(trained)
        if total <= limit:
            total = cost(wider)
        if total <= limit:
            trained, used = wider, total
            chosen += tried
            start, together = start + len(tried), 2 * together
        elif len(tried) > 1:
            together = len(tried) // 2
        else:
            passed.append((len(chosen), tried[0]))
            start, together = start + 1, 1
    skipped = tuple(layer for before, layer in passed if before < len(chosen))
    return tuple(chosen), Budget(cost.kind, limit, used, least, skipped, cost.n_traced)


def check_budget(argument: str, limit: object) -> int:
    """Return a budget as an integer, or raise.

    >>> check_budget("budget_bytes", 2**20)
    1048576
    """
    if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not 0 < limit < float("inf"):
        raise InvalidInputError(f"{argument}: expected a positive number, got {limit!r}")
    return int(limit)


def fits_truly(cost: StepCost, trained: frozenset[str], budget: Budget) -> bool:
    """Run the step of a finished choice truly, and tell whether it costs what the fake one did.

    Leaves the tracer running truly if not. Only bytes are compared: operations follow from shapes.
    """
    if not cost.tracer.fake or cost.kind == "flops":
        return True
    cost.tracer.fake = False
    same = cost(trained) == budget.used
    cost.tracer.fake = same
    return same


def fill_truly(
    cost: StepCost, limit: int, ranked: Sequence[str], always: Sequence[str], parameters: Callable[[str], Sequence[str]]
) -> tuple[tuple[str, ...], Budget]:
    """Fill a budget as :func:`fill` does, again on true steps if the choice does not cost truly what was traced."""
    while True:
        chosen, budget = fill(cost, limit, ranked, always, parameters)
        if fits_truly(cost, frozenset(name for layer in (*chosen, *always) for name in parameters(layer)), budget):
            return chosen, budget


def default_optimizer(parameters: Any) -> torch.optim.Optimizer:
    """Make the optimizer that counts if none is named: AdamW, two moments and a step count a parameter."""
    return torch.optim.AdamW(parameters)
