"""Clouds whose distances do not fit in a GPU's memory: panels and strips, with the CPU's bits, and what is refused."""

from __future__ import annotations

import re
import threading
from typing import Any

import numpy as np
import pytest

from adabet_fast import (
    BackendUnavailableError,
    InvalidInputError,
    MemoryBudgetError,
    _core,
    betti1,
    betti1_batch,
    estimate_memory,
    h1,
    pairwise_distances,
)
from tests.emulated.gpu import GpuArray

pytestmark = pytest.mark.skipif(
    [device[0] for device in _core.cuda_devices()[1]] != ["emulated"],
    reason="needs the module of `cmake --preset emulated`",
)
rng = np.random.default_rng(5)
METRICS = ["euclidean", "sqeuclidean", "cityblock", "chebyshev", "cosine", "correlation"]
CLOUD = rng.standard_normal((700, 3)).astype(np.float32)
CLOUD[40:44] = CLOUD[100:104]
NEAR: dict[str, Any] = {"threshold": 0.5}


def to_host(x: Any, room: int, metric: str = "euclidean", dtype: str = "float32") -> Any:
    """Distances that go to the host, with so many bytes of the GPU."""
    return _core.device_distances(x, device=0, metric=metric, dtype=dtype, to_host=True, device_memory=room)


def least_room(x: Any, metric: str = "euclidean", dtype: str = "float32") -> int:
    """What is needed at least, as the refusal says it."""
    with pytest.raises(MemoryBudgetError, match="in the device's memory") as refused:
        to_host(x, 1, metric, dtype)
    assert isinstance(refused.value.needed, int)
    return refused.value.needed


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_panels_of_several_shapes_have_the_bytes_of_the_cpu(metric: str, dtype: str) -> None:
    wide = rng.standard_normal((193, 70)).astype(np.float32)  # three tiles of 64 and a row
    for view in (wide, wide[:131, :5], wide[:130].astype(np.float16), wide[:2], wide[:97, ::2].astype(np.float64)):
        x = np.ascontiguousarray(view)
        expected = pairwise_distances(x, metric=metric, dtype=dtype, backend="cpu").tobytes()
        least = least_room(x, metric, dtype)
        square = len(x) ** 2 * np.dtype(dtype).itemsize
        for room in (least, least + square // 3, least + square):
            assert to_host(x, room, metric, dtype).tobytes() == expected
            assert to_host(GpuArray(view), room, metric, dtype).tobytes() == expected
        with pytest.raises(MemoryBudgetError, match=f"needs {least} bytes"):
            to_host(x, least - 1, metric, dtype)


def test_panels_of_bfloat16() -> None:
    torch = pytest.importorskip("torch")
    x = torch.randn(140, 90, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    expected = pairwise_distances(x, backend="cpu").numpy().tobytes()
    assert to_host(x, least_room(x)).tobytes() == expected


def test_small_free_memory_makes_panels_of_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody named a budget: the GPU has no room for the square of 196 kB, and the call says nothing of it."""
    x = rng.standard_normal((221, 40))
    monkeypatch.setenv("EMULATED_GPU_MEMORY", str(x.nbytes + 120_000))
    assert pairwise_distances(x, backend="cuda").tobytes() == pairwise_distances(x).tobytes()
    monkeypatch.setenv("EMULATED_GPU_MEMORY", str(x.nbytes - 1))
    with pytest.raises(MemoryBudgetError, match=r"has \d+ bytes of memory free, but \d+ more are needed"):
        pairwise_distances(x, backend="cuda")


@pytest.mark.parametrize("kind", ["nan", "inf", "overflow", "zero"])
def test_bad_points_are_refused_as_by_the_cpu(kind: str) -> None:
    x = rng.standard_normal((150, 80)).astype(np.float32)
    metric = "cosine" if kind == "zero" else "euclidean"
    x[141] = {"nan": np.nan, "inf": -np.inf, "overflow": 3e38, "zero": 0.0}[kind]
    room = least_room(x, metric)
    with pytest.raises(InvalidInputError) as cpu:
        pairwise_distances(x, metric=metric, backend="cpu")
    with pytest.raises(InvalidInputError) as gpu:
        to_host(x, room, metric)
    named = re.compile(r"rows \d+ and \d+")  # which pair overflows first is each one's own
    assert named.sub("", str(gpu.value)) == named.sub("", str(cpu.value))


def test_bars_by_panels(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host has room for the matrix, the GPU has not."""
    monkeypatch.setenv("EMULATED_GPU_MEMORY", "300000")
    for x in (CLOUD, rng.standard_normal((530, 66)).astype(np.float32)):
        for dtype in ("float32", "float64"):
            got, expected = h1(GpuArray(x), dtype=dtype), h1(x, dtype=dtype, backend="cpu")
            assert (got.backend, got.plan) == ("cuda", "panels")
            assert got == expected
            assert 0 < got.stats["peak_device_bytes"] <= 300_000
        assert betti1(GpuArray(x)) == betti1(x, backend="cpu")
    assert betti1_batch([GpuArray(CLOUD), GpuArray(CLOUD[:30])]).tolist() == betti1_batch([CLOUD, CLOUD[:30]]).tolist()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_threads", [1, 3])
def test_bars_by_strips(dtype: str, n_threads: int) -> None:
    """Neither has room for the matrix of 2 or 4 MB: several threads read what one stream computes."""
    wide = rng.standard_normal((700, 66)).astype(np.float32)
    for x, options in ((CLOUD, {}), (wide, {"threshold": 9.5})):
        options = {"dtype": dtype, "n_threads": n_threads, **options}
        room = 2_600_000 if dtype == "float32" else 5_000_000 if n_threads == 1 else 6_500_000
        plan = estimate_memory(*x.shape, backend="cuda", max_memory=room, dtype=dtype, n_threads=n_threads)
        assert (plan.plan, plan.fits) == ("streamed", True)
        got = h1(GpuArray(x), max_memory=room, **options)
        expected = h1(x, backend="cpu", **options)
        assert (got.backend, got.plan) == ("cuda", "streamed")
        assert got == expected
        assert np.array_equal(got.birth_edges, expected.birth_edges)
        assert got.stats["peak_device_bytes"] <= room
        assert got.stats["peak_bytes"] <= room
        assert betti1(GpuArray(x), max_memory=room, **options) == len(expected)


def test_what_lies_on_a_grid_by_strips() -> None:
    """So many ties that the count itself needs bit rows."""
    x = np.stack(np.meshgrid(np.arange(26.0), np.arange(27.0)), -1).reshape(-1, 2).astype(np.float32)
    room = estimate_memory(*x.shape, backend="cuda", max_memory=2_500_000).fixed * 10 // 8
    got = h1(GpuArray(x), max_memory=room)
    assert got.plan == "streamed"
    assert got == h1(x, backend="cpu")
    assert betti1(GpuArray(x), max_memory=room) == len(got)


def test_plans_are_refused_before_they_start() -> None:
    plan = estimate_memory(700, 3, backend="cuda", max_memory=1_000_000)
    assert (plan.plan, plan.fits) == ("streamed", False)
    with pytest.raises(MemoryBudgetError, match=f"needs {plan.fixed} bytes for 700 points in the host's memory"):
        h1(GpuArray(CLOUD), max_memory=1_000_000, n_threads=plan.n_threads)
    with pytest.raises(MemoryBudgetError, match=r"bytes for 700 points in the device's memory, but the budget is 5000"):
        _core.device_h1(
            GpuArray(CLOUD), device=0, metric="euclidean", threshold=1.0, dtype="float32", n_threads=1,
            max_memory=2**30, device_memory=5000,
        )  # fmt: skip
    dense = estimate_memory(700, 3, backend="cuda", max_memory="1GiB")
    assert (dense.plan, dense.fits) == ("dense", True)
    assert 700 * 700 * 4 < dense.device_fixed < dense.device_budget == 2**30
    with pytest.raises(InvalidInputError, match="d is None"):
        estimate_memory(700, backend="cuda")


def test_memory_that_is_less_than_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another library took it in between: the matrix first, then large panels fail to be allocated."""
    expected = pairwise_distances(CLOUD).tobytes()
    bars = h1(CLOUD, **NEAR)
    for largest in (1_500_000, 200_000, 20_000):
        monkeypatch.setenv("EMULATED_GPU_LARGEST", str(largest))
        assert pairwise_distances(CLOUD, backend="cuda").tobytes() == expected
        got = h1(GpuArray(CLOUD), **NEAR)
        assert (got, got.plan) == (bars, "panels")
    monkeypatch.setenv("EMULATED_GPU_LARGEST", "3000")
    for call in (lambda: pairwise_distances(CLOUD, backend="cuda"), lambda: h1(GpuArray(CLOUD))):
        with pytest.raises(MemoryBudgetError, match="has 3000 bytes of memory free, but"):
            call()


@pytest.mark.parametrize("plan", ["panels", "streamed"])
def test_a_step_that_fails_in_the_middle(plan: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever it is, on whichever thread: an exception with the reason; what comes after is right."""
    options: dict[str, Any] = {"device": 0, "metric": "euclidean", "threshold": 0.4, "dtype": "float32", "n_threads": 2}
    options |= {"max_memory": 2**30 if plan == "panels" else 2_600_000, "device_memory": 300_000}
    expected = h1(CLOUD, threshold=0.4)
    failed = 0
    for steps in (0, 5, 20, 50, 90, 140, 200, 300, 10**6):
        monkeypatch.setenv("EMULATED_GPU_STEPS", str(steps))
        try:
            raw = _core.device_h1(GpuArray(CLOUD), **options)
        except BackendUnavailableError as error:
            failed += "the emulated device failed" in str(error)
            continue
        assert raw["plan"] == plan
        assert np.array_equal(raw["intervals"], expected.intervals)
    assert failed >= 4
    assert h1(CLOUD, threshold=0.4) == expected


def test_calls_on_two_threads() -> None:
    """Each call has a device of its own, which several of its threads read."""
    expected, found = h1(CLOUD, **NEAR), []

    def work() -> None:
        found.append(h1(GpuArray(CLOUD), max_memory=2_600_000, n_threads=2, **NEAR))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [bars == expected for bars in found] == [True, True]
