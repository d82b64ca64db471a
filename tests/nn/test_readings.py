"""Which axis of a layer's output counts samples, what is no samples at all, and how points lie in memory."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from adabet_fast import InvalidInputError, score_layers
from adabet_fast.nn.activations import Order, Points
from adabet_fast.nn.cloud import Cloud, samples_of
from tests.nn.networks import count_bars, mlp, vectors


def ids(length: int, n_batches: int = 5, size: int = 8) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(length)
    return [torch.randint(1, 20, (size, length), generator=generator) for _ in range(n_batches)]


class Positions(nn.Module):
    """Adds a table of positions, whose rows look like samples for some lengths."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(20, 8)
        self.table = nn.Embedding(32, 8)
        self.fc = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc((self.words(x) + self.table(torch.arange(x.shape[1]))).mean(1))


@pytest.mark.parametrize("length", [8, 16])
def test_a_table_of_positions_is_no_cloud_of_samples(length: int) -> None:
    torch.manual_seed(0)
    model, batches = Positions(), ids(length)
    scores = score_layers(model, batches)
    assert (scores["table"].status, scores["table"].note) == ("returns the same for every batch", "")
    assert scores["table"].rank is None
    assert scores["words"].b1 == count_bars(torch.cat([model.words(b).detach().flatten(1) for b in batches]))


def test_equal_batches_and_untrained_layers_keep_their_scores() -> None:
    model = mlp(6, 8, 8, 3)
    nn.init.zeros_(model[2].weight)
    batch = vectors(6)[0]
    assert all(layer.status == "scored" for layer in score_layers(model, [batch, batch.clone()]))
    scores = score_layers(model, vectors(6))
    assert (scores["2"].status, scores["2"].b1) == ("scored", 0)


class SequenceFirst(nn.Module):
    """A layer in the middle sees (length, samples, ...), and nothing says so."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(20, 6)
        self.mix = nn.Linear(6, 6)
        self.fc = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(torch.tanh(self.mix(self.words(x).transpose(0, 1))).mean(0))


def test_samples_on_axis_one_are_found_or_the_doubt_is_told() -> None:
    torch.manual_seed(0)
    model, batches = SequenceFirst(), ids(12)
    scores = score_layers(model, batches)
    by_hand = torch.cat([model.mix(model.words(b)).detach().flatten(1) for b in batches])
    assert (scores["mix"].b1, scores["mix"].size) == (count_bars(by_hand), 72)
    assert scores["mix"].note == "samples on axis 1"
    doubtful = score_layers(model, ids(16))["mix"]
    assert doubtful.rank is None
    assert "samples on axis 1, or 2 rows a sample on axis 0?" in doubtful.status


class Packed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(20, 6)
        self.lstm = nn.LSTM(6, 4, batch_first=True)
        self.fc = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        lengths = torch.arange(len(x)) % 2 * 2 + 3  # 3, 5, 3, 5: four rows a sample on average
        packed = nn.utils.rnn.pack_padded_sequence(self.words(x), lengths, batch_first=True, enforce_sorted=False)
        return self.fc(self.lstm(packed)[1][0][-1])


def test_rows_of_a_packed_sequence_are_not_samples() -> None:
    scores = score_layers(Packed(), ids(5))
    assert scores["lstm"].status == "returns a PackedSequence, whose rows are not samples"
    assert scores["fc"].status == "scored"


class Experts(nn.Module):
    """Routes 8, then 16 rows to a layer, for batches of 8."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(4, 6)
        self.expert = nn.Linear(6, 6)
        self.fc = nn.Linear(6, 3)
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        h = self.stem(x)
        routed = self.expert(h.reshape(-1, 6)[: 16 if self.calls % 2 else 32])
        return self.fc(h.mean(1) + routed.mean(0))


def test_rows_by_routing_leave_the_other_layers_their_scores() -> None:
    batches = [torch.randn(8, 5, 4) for _ in range(4)]
    scores = score_layers(Experts(), batches)
    assert scores["expert"].status == "rows are not samples (12, 24, 12, 24 activations a sample)"
    assert [layer.name for layer in scores if layer.status == "scored"] == ["stem", "fc"]


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(8, 2)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.b(torch.cat([self.a(x), y], 1))


def test_a_pair_for_a_model_of_two_inputs_is_not_taken_for_labels() -> None:
    model, pairs = TwoInputs(), list(zip(vectors(4), vectors(4, seed=2), strict=True))
    with pytest.raises(InvalidInputError, match=r"batches\[0\]: TwoInputs.forward .*'y'.*forward=lambda"):
        score_layers(model, pairs)
    by_name = score_layers(model, [{"x": x, "y": y} for x, y in pairs])
    assert score_layers(model, pairs, forward=lambda network, batch: network(*batch)) == by_name
    model.register_forward_pre_hook(lambda _module, args: (*args, args[0]))  # gives the second input
    assert len(score_layers(model, vectors(4))) == 2


@pytest.mark.parametrize("sizes", [(8, 8, 3), (3, 8, 8), (8, 9, 2), (12,)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_points_of_uneven_batches_in_any_memory_format(sizes: tuple[int, ...], layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(inplace=True), nn.Conv2d(3, 2, 3)).to(memory_format=layout)
    batches = [torch.randn(n, 2, 6, 6).to(memory_format=layout) for n in sizes]
    clouds: list[torch.Tensor] = []

    def keep(cloud: torch.Tensor, barcode: object, module: nn.Module) -> float:
        clouds.append(cloud)
        return 0.0

    score_layers(model, batches, score=keep)
    with torch.no_grad():
        first = [model[0](b) for b in batches]
        assert torch.equal(clouds[0], torch.cat([x.flatten(1) for x in first]))  # before ReLU in place
        assert torch.equal(clouds[1], torch.cat([model[2](torch.relu(x)).flatten(1) for x in first]))


def batch(value: float, n_samples: int = 2, shape: tuple[int, ...] = (4,)) -> Points:
    return Points(torch.full((n_samples, *shape), value))


def test_batches_lie_in_one_block() -> None:
    cloud = Cloud(n_samples=6)
    for value in range(3):
        cloud.add_call(batch(value))
        cloud.end_batch()
    pooled = cloud.pooled()
    assert pooled.data_ptr() == cloud.parts[0].data_ptr()
    assert pooled[:, 0].tolist() == [0, 0, 1, 1, 2, 2]


def test_calls_lie_side_by_side() -> None:
    cloud = Cloud(n_samples=4)
    for value in range(2):
        for call in range(3):
            cloud.add_call(batch(10 * value + call))
        assert cloud.end_batch()
    assert not cloud.end_batch()
    assert cloud.pooled()[:, ::4].tolist() == [[0, 1, 2]] * 2 + [[10, 11, 12]] * 2
    assert cloud.pooled().data_ptr() == cloud.parts[0].data_ptr()


@pytest.mark.parametrize(
    "second",
    [
        batch(1, 3),  # more samples than were said to come
        Points(torch.ones(2, 4, dtype=torch.float64)),
        batch(1, 2, (2, 2)),
    ],
)
def test_what_does_not_fit_is_pooled_all_the_same(second: Points) -> None:
    cloud = Cloud(n_samples=4)
    for points in (batch(2), second):
        cloud.add_call(points)
        cloud.end_batch()
    assert cloud.pooled()[:, 0].tolist() == [2, 2] + [1] * len(second.values)


@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (0, 2, 3, 1), (0, 3, 1, 2), (0, 1, 3, 2)])
def test_rows_are_read_in_place_in_any_order_of_axes(axes: tuple[int, ...]) -> None:
    lying = torch.rand(2, 3, 4, 5)
    values = lying.permute(axes)
    order = Order.of(values)
    rows = order.rows(values)
    assert rows.data_ptr() == lying.data_ptr()
    assert torch.equal(rows, lying.flatten(1))
    assert torch.equal(order.samples(rows), values)
    again = Cloud(n_samples=2)
    again.add_call(Points(values))
    again.add_call(Points(values + 1))
    again.end_batch()
    both = torch.cat([values.flatten(1), values.flatten(1) + 1], 1)
    assert torch.equal(samples_of(again.pooled(), again.orders), both)


class Repeated(nn.Module):
    """The second call of one layer overflows."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.cell(x)
        return self.cell(first * torch.tensor(float("inf")))


def test_a_later_call_that_is_not_finite_is_counted_on() -> None:
    with pytest.raises(InvalidInputError, match=r"batches\[0\]: layer 'cell' returned .* activation 4 of 8\)"):
        score_layers(Repeated(), vectors(4))
