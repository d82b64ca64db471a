"""What a loader may yield, and what is refused."""

from __future__ import annotations

from collections import UserDict, namedtuple
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn import score_layers
from tests.nn.networks import mlp, vectors


class Named(nn.Module):
    """Takes keyword arguments and refuses labels."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 5), nn.Linear(5, 2)

    def forward(self, x: torch.Tensor, scale: torch.Tensor | None = None) -> torch.Tensor:
        return self.b(torch.tanh(self.a(x if scale is None else x * scale)))


class Anything(Named):
    """Takes any keyword argument and remembers their names."""

    def forward(self, **inputs: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        self.seen = sorted(inputs)
        return super().forward(inputs["x"])


class BatchEncoding(UserDict):  # type: ignore[type-arg]
    """As in transformers: a mapping that is no dict."""


LABELS = torch.arange(8)
Pair = namedtuple("Pair", ["inputs", "labels"])
ONES = torch.ones(8, 1)

KINDS = {
    "tensor": lambda x: x,
    "array": lambda x: x.numpy(),
    "pair": lambda x: (x, LABELS),
    "list": lambda x: [x, LABELS],
    "one": lambda x: (x,),
    "named pair": lambda x: Pair(x, LABELS),
    "dict": lambda x: {"x": x, "labels": LABELS},
    "mapping": lambda x: BatchEncoding({"x": x, "label": LABELS}),
    "dict and labels": lambda x: ({"x": x}, LABELS),
    "one entry of another name": lambda x: {"image": x, "target": LABELS},
    "two arguments": lambda x: {"x": x, "scale": ONES},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("merge", [False, True])
def test_every_kind_of_batch_gives_the_same_scores(kind: str, merge: bool) -> None:
    torch.manual_seed(0)
    model = Named()
    expected = [(layer.b1, layer.size) for layer in score_layers(model, vectors(6), merge_batches=merge)]
    found = score_layers(model, [KINDS[kind](x) for x in vectors(6)], merge_batches=merge)
    assert [(layer.b1, layer.size) for layer in found] == expected


def test_labels_are_dropped_from_mappings() -> None:
    model = Anything()
    score_layers(model, [{"x": x, "labels": LABELS, "token_type_ids": LABELS} for x in vectors(6)])
    assert model.seen == ["token_type_ids", "x"]


def test_forward_takes_over() -> None:
    torch.manual_seed(0)
    model = Named()
    batches = [(x, ONES, LABELS) for x in vectors(6)]
    with pytest.raises(InvalidInputError, match=r"^batches\[0\]: .*got 3 entries; give forward="):
        score_layers(model, batches)
    scores = score_layers(model, batches, forward=lambda m, batch: m(batch[0], scale=batch[1]))
    assert [layer.b1 for layer in scores] == [layer.b1 for layer in score_layers(model, vectors(6))]
    assert scores.head == ("b",)


def test_loaders_and_generators() -> None:
    data = TensorDataset(torch.cat(vectors(6, 9)), torch.arange(72))
    loader = DataLoader(data, batch_size=8)
    model = mlp(6, 8, 3)
    first_five = score_layers(model, loader)
    assert first_five.settings.batch_sizes == (8,) * 5
    assert score_layers(model, loader, n_batches=None).settings.batch_sizes == (8,) * 9

    def stream() -> Iterator[torch.Tensor]:
        for drawn, x in enumerate(vectors(6, 9)):
            assert drawn < 5, "only as many as are asked for may be drawn"
            yield x

    generator = stream()
    assert [layer.b1 for layer in score_layers(model, generator)] == [layer.b1 for layer in first_five]
    exhausted = iter([torch.zeros(8, 6)])
    list(exhausted)
    with pytest.raises(InvalidInputError, match=r"^batches: is empty; a generator that was used before"):
        score_layers(model, exhausted)


def test_batches_of_different_sizes() -> None:
    sizes = (8, 3, 1, 8)
    batches = [x[:n] for x, n in zip(vectors(6), sizes, strict=False)]
    scores = score_layers(mlp(6, 8, 3), batches)
    assert scores.settings.batch_sizes == sizes
    assert "20 samples (8 + 3 + 1 + 8, one cloud)" in scores.summary()


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([], "^batches: is empty"),
        (torch.zeros(40, 6), "^batches: expected an iterable of batches, got one Tensor; put it in a list"),
        (np.zeros((40, 6)), "^batches: expected an iterable of batches, got one ndarray"),
        ({"x": torch.zeros(8, 6)}, "^batches: expected an iterable of batches, got one dict"),
        ((torch.zeros(8, 6), torch.arange(8)), r"^batches: .* one pair of inputs and labels"),
        (5, "^batches: expected an iterable of batches, got int"),
        (None, "^batches: expected an iterable of batches, got NoneType"),
        ([None], r"^batches\[0\]: expected a tensor, \(inputs, labels\) or a mapping, got NoneType; give forward="),
        ([()], r"^batches\[0\]: .*got 0 entries"),
        ([("a", "b")], r"^batches\[0\]: .*got tuple of str, str"),
        ([torch.zeros(8, 6), {"y": LABELS, "z": LABELS}], r"^batches\[1\]: Named.forward takes no argument 'y', 'z'"),
        ([{"labels": LABELS}], r"^batches\[0\]: expected a tensor with samples on axis 0"),
        ([torch.zeros(())], r"^batches\[0\]: expected a tensor with samples on axis 0"),
        ([torch.zeros(0, 6)], r"^batches\[0\]: has no samples, shape \(0, 6\)"),
        ([torch.zeros(1, 6)], "^batches: 1 samples in all, but a loop needs at least 4"),
        ([torch.zeros(1, 6)] * 3, "^batches: 3 samples in all"),
    ],
)
def test_bad_batches_are_named(batches: object, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        score_layers(Named(), batches)  # type: ignore[arg-type]


def test_sum_over_batches_needs_four_samples_in_one() -> None:
    with pytest.raises(InvalidInputError, match=r"3 samples in the largest batch"):
        score_layers(Named(), [torch.randn(3, 6)] * 4, pooling="sum")


def test_batches_are_not_changed() -> None:
    batches = [{"x": x, "labels": LABELS} for x in vectors(6)]
    before = [dict(batch) for batch in batches]
    score_layers(Named(), batches)
    for batch, old in zip(batches, before, strict=True):
        assert batch.keys() == old.keys()
        assert all(batch[key] is old[key] for key in old)


@dataclass
class Answer:
    logits: torch.Tensor
    loss: float | None = None
    unset: torch.Tensor = field(init=False)


class Answering(nn.Linear):
    def forward(self, x: torch.Tensor) -> Answer:  # type: ignore[override]
        return Answer(super().forward(x))


def test_layers_may_return_a_data_class() -> None:
    torch.manual_seed(0)
    plain = nn.Linear(6, 9)
    model = Answering(6, 9)
    model.load_state_dict(plain.state_dict())
    assert [x.b1 for x in score_layers(model, vectors(6))] == [x.b1 for x in score_layers(plain, vectors(6))]
