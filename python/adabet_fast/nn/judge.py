"""Which layers cannot be scored, judged when all passes have been seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn.layers import Layer, label
from adabet_fast.nn.observation import Observation
from adabet_fast.nn.passes import Sightings
from adabet_fast.nn.tally import Found

NOT_OBSERVED = "not observed"
"""Status of a layer whose module was never called."""


def judge(seen: Observation, layers: Mapping[str, Layer], passes: Sequence[Sightings]) -> None:
    """Write down the layers that cannot be scored, how often each was called, and the notes.

    Parameters
    ----------
    seen
        Where to write.
    layers
        The layers that were watched.
    passes
        One full pass of each batch, of all ranks.

    Raises
    ------
    InvalidInputError
        If a layer's samples differ in size from batch to batch.
    """
    for name in layers:
        seen.calls[name] = max(len(each.calls.get(name, ())) for each in passes)
        problem = next((each.problems[name] for each in passes if name in each.problems), None)
        called = [each for each in passes if name in each.calls]
        if problem is None and not called:
            problem = NOT_OBSERVED
        elif problem is None and len(called) < len(passes):
            problem = f"called in {len(called)} of {len(passes)} batches"
        if problem is None:
            problem = _of_several_sizes(name, called)
        if problem is None:
            note = next((each.notes[name] for each in called if name in each.notes), "")
            if note:
                seen.notes[name] = note
        else:
            seen.problems[name] = problem


def _of_several_sizes(name: str, passes: Sequence[Sightings]) -> str | None:
    widths = [each.width(name) for each in passes]
    shapes = [[sight.order.shape for sight in each.calls[name]] for each in passes]
    if all(shape == shapes[0] for shape in shapes):
        return None
    same_width = len(set(widths)) == 1
    sizes = ", ".join(map(str, (shapes if same_width else widths)))
    # Rows by the count of what was routed here (experts, packed sequences): that it divided was chance.
    if any(sight.fold > 1 for each in passes for sight in each.calls[name]):
        return f"rows are not samples ({sizes} activations a sample)"
    raise InvalidInputError(
        f"batches: layer '{label(name)}' has samples of different sizes ({sizes} activations); "
        "pad all batches to one length, or give reduce='mean' with a mask to make one vector a sample"
    )


def set_constants_aside(seen: Observation, found: dict[str, Found]) -> None:
    """Give no score to tables that are the same for every batch, though their points differ (position embeddings).

    They look like points where their length happens to be the number of samples. If all layers are the same in every
    batch, it is the batches that are.
    """
    repeated = [name for name, each in found.items() if each.repeated]
    if len(repeated) == len(found):
        return
    for name in repeated:
        if not found[name].spread:  # one point for every sample: dead or not yet trained, and b1 = 0
            continue
        seen.problems[name] = "returns the same for every batch"
        del found[name]
        seen.notes.pop(name, None)
