"""What scoring holds lies where it should, is counted, and stays within the budget where layers are called again."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from adabet_fast.errors import MemoryBudgetError
from adabet_fast.nn import score_layers
from adabet_fast.nn.activations import Points
from adabet_fast.nn.cloud import Cloud
from adabet_fast.nn.memory import Meter
from adabet_fast.nn.shelf import Shelf
from adabet_fast.nn.ways import Need, choose_way
from tests.nn.networks import vectors
from tests.nn.test_memory import told, use_of


def test_matrices_on_a_shelf_stay_as_they_were_put_there() -> None:
    rng = np.random.default_rng(0)
    kinds = [np.dtype(np.float32), np.dtype(np.float64)]
    matrices = [rng.random((n, n)).astype(kinds[n % 2]) for n in (4, 7, 900, 1, 1100, 40, 40)]
    shelf = Shelf()
    places = [shelf.put(matrix) for matrix in matrices]
    for matrix, place in zip(matrices, places, strict=True):
        assert place.n_bytes == matrix.nbytes
        assert place.array().dtype == matrix.dtype
        assert place.array().tobytes() == matrix.tobytes()


def test_the_meter_tells_the_most_that_was_seen() -> None:
    meter = Meter()
    block = np.ones(2**26, np.uint8)
    meter.look()
    del block
    meter.look()
    assert meter.resident_peak >= meter.resident_before + 2**25


class Looped(nn.Module):
    """Some linear layers, each called twenty times in a pass."""

    def __init__(self, n_cells: int) -> None:
        super().__init__()
        self.first = nn.Linear(16, 64)
        self.cells = nn.ModuleList([nn.Linear(64, 64) for _ in range(n_cells)])
        self.last = nn.Linear(64, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        for cell in self.cells:
            for _ in range(20):
                x = torch.tanh(cell(x))
        return self.last(x)


@pytest.mark.parametrize(
    ("n_cells", "budget", "way"), [(1, 60_000, "spill"), (1, 300_000, "hook"), (5, 500_000, "hook")]
)
def test_layers_called_again_stay_within_the_budget(n_cells: int, budget: int, way: str) -> None:
    torch.manual_seed(0)
    model, x = Looped(n_cells), torch.cat(vectors(16))
    expected = score_layers(model, [x], memory_way="groups")
    scores = score_layers(model, [x], max_memory=budget)
    assert told(scores) == told(expected)
    assert use_of(scores).way == way
    assert use_of(scores).peak_bytes <= budget


def test_calls_are_put_side_by_side_one_after_another() -> None:
    """Of a layer whose calls were not foreseen one is copied at a time, and counted; later passes need no copy."""
    calls = [torch.full((8, 100), float(k)) for k in range(5)]
    cloud = Cloud(8)
    for values in calls:
        cloud.add_call(Points(values))
    assert cloud.bytes_to_copy == 8 * 100 * 4
    assert cloud.end_batch()
    foreseen = Cloud(8, orders=cloud.orders)
    block = {foreseen.add_call(Points(values)).untyped_storage().data_ptr() for values in calls}
    assert len(block) == 1
    assert foreseen.bytes_to_copy == 0
    assert foreseen.end_batch()
    assert torch.equal(foreseen.pooled(), cloud.pooled())
    assert torch.equal(cloud.pooled(), torch.cat(calls, dim=1))
    model, batches = Looped(1), vectors(16)
    most = use_of(score_layers(model, batches, memory_way="groups")).peak_bytes
    layers = 40 * (64 + 20 * 64 + 4) * 4 + 3 * 40 * 40 * 4
    assert most <= layers + 8 * 64 * 4


def test_a_gathered_cloud_that_does_not_fit_is_refused() -> None:
    needs = [Need("a", 100, 200), Need("b", 300, 600)]
    assert choose_way("auto", needs, 0, 600, 1000, 10**6, 10**9) == ("spill", [])
    for way in ("auto", "spill"):
        with pytest.raises(MemoryBudgetError, match=r"'b' of all ranks, gathered .* need 1001 bytes") as e:
            choose_way(way, needs, 0, 599, 1000, 10**6, 10**9)
        assert e.value.needed == 1001


class Uneven(nn.Module):
    """One layer called on a wide and on a narrow tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 6000)
        self.act = nn.PReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = self.act(self.first(x))
        return wide.sum(1, keepdim=True) + self.act(x)


def test_calls_of_uneven_width_stay_within_the_budget() -> None:
    torch.manual_seed(0)
    model, (x,) = Uneven(), vectors(4, 1, 48)
    batches = [x[:40], x[40:]]
    free = score_layers(model, batches)
    for budget in (1_300_000, 1_500_000, 2_000_000, 2_400_000, 3_000_000, 4_500_000):
        scores = score_layers(model, batches, max_memory=budget)
        assert told(scores) == told(free)
        assert use_of(scores).peak_bytes <= budget, budget


def test_rows_that_found_no_room_in_the_file_are_left_where_they_are() -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act = nn.PReLU()
            self.last = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            nn.functional.prelu(x, self.act.weight)
            return self.last(self.act(x) + self.act_in_double(x))

        def act_in_double(self, x: torch.Tensor) -> torch.Tensor:
            self.act.double()
            y = self.act(x.double())
            self.act.float()
            return y.float()

    torch.manual_seed(0)
    model = Mixed()
    expected = score_layers(model, vectors(4), memory_way="groups")
    assert told(score_layers(model, vectors(4), memory_way="spill")) == told(expected)
