"""Distances on PyTorch's threads: the same bits as on our own, and never on threads that are gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from adabet_fast import pairwise_distances
from adabet_fast.errors import InvalidInputError
from adabet_fast.nn.team import team_distances, team_size


@pytest.fixture(params=[1, 2, 3])
def torch_threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("n_threads", [1, 2, 4, None])
@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.bfloat16])
def test_the_same_bits(torch_threads: int, n_threads: int | None, kind: torch.dtype) -> None:
    rows = torch.randn(40, 30_000, generator=torch.Generator().manual_seed(0)).to(kind)
    assert team_size() == torch_threads
    for dtype in ("float32", "float64"):
        ours = pairwise_distances(rows, dtype=dtype, n_threads=1).numpy()
        found = team_distances(rows, dtype, n_threads)
        assert found.dtype == np.dtype(dtype)
        assert found.tobytes() == ours.tobytes()


def test_errors_come_out_of_the_team(torch_threads: int) -> None:
    rows = torch.randn(40, 30_000)
    rows[17, 29_000] = float("inf")
    with pytest.raises(InvalidInputError, match="got inf at row 17, column 29000"):
        team_distances(rows, "float32", 2)


def test_several_threads_at_once() -> None:
    rows = torch.randn(40, 30_000)
    expected = pairwise_distances(rows).numpy().tobytes()
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(team_distances(rows, "float32", 2).tobytes())) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_uses_no_threads_that_are_gone() -> None:
    program = """
import os, signal, torch
from adabet_fast.nn import score_layers
from adabet_fast.nn.team import team_size
model = torch.nn.Sequential(torch.nn.Conv2d(3, 32, 3), torch.nn.Flatten(), torch.nn.Linear(32 * 36 * 36, 3))
x = torch.randn(40, 3, 38, 38)
torch.set_num_threads(2)
expected = score_layers(model, [x])
assert team_size() == 2
child = os.fork()
if child == 0:
    signal.alarm(100)
    torch.set_num_threads(1)
    os._exit(0 if team_size() == 0 and score_layers(model, [x]) == expected else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "0", -signal.SIGALRM
