"""The package's GPU paths from end to end, on a GPU that the host emulates: DLPack, streams, budgets, failures."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from adabet_fast import (
    BackendUnavailableError,
    InvalidInputError,
    MemoryBudgetError,
    _core,
    backends,
    betti1,
    betti1_batch,
    h1,
    pairwise_distances,
    pairwise_distances_batch,
)
from tests.emulated.gpu import STREAM, GpuArray

pytestmark = pytest.mark.skipif(
    [device[0] for device in _core.cuda_devices()[1]] != ["emulated"],
    reason="needs the module of `cmake --preset emulated`",
)
rng = np.random.default_rng(0)
X = rng.standard_normal((40, 300)).astype(np.float32)
WIDE = rng.standard_normal((520, 3)).astype(np.float32)  # beyond what the host counts
NEAR: dict[str, Any] = {"threshold": 0.25}  # few edges: the emulated GPU is slow


def test_the_device_is_told() -> None:
    assert backends()["cuda"].available
    assert "emulated (compute capability 9.0" in backends()["cuda"].detail


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "cityblock", "chebyshev", "cosine", "correlation"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_distances_have_the_bytes_of_the_cpu(metric: str, dtype: str) -> None:
    for x in (X, X[:, ::2], X[5:, 3:], X.astype(np.float64), X.astype(np.float16), X[:, :7], X[:1], X[:0], X.T[:30]):
        expected = pairwise_distances(x, metric=metric, dtype=dtype, backend="cpu")
        ours = GpuArray(x)
        got = pairwise_distances(ours, metric=metric, dtype=dtype)
        assert isinstance(got, GpuArray)
        assert got.host.dtype == expected.dtype
        assert got.host.tobytes() == expected.tobytes()
        from_host = pairwise_distances(x, metric=metric, dtype=dtype, backend="cuda")
        assert from_host.tobytes() == expected.tobytes()


def test_the_exporter_is_told_our_stream_and_no_other() -> None:
    """torch refuses the per-thread default stream (2), and without a stream it waits for nothing."""
    asked: list[dict[str, Any]] = []
    pairwise_distances(GpuArray(X, asked))
    betti1(GpuArray(X, asked))
    h1(GpuArray(WIDE, asked), **NEAR)
    betti1_batch([GpuArray(X, asked)] * 2)
    assert len(asked) == 5
    assert {arguments["stream"] for arguments in asked} == {STREAM}


def test_barcodes_are_those_of_the_cpu() -> None:
    for x in (X, WIDE, X[:0], X[:1], X[:2]):
        for options in (NEAR, {**NEAR, "dtype": "float64"}, *([] if x is WIDE else [{}])):
            got, expected = h1(GpuArray(x), **options), h1(x, backend="cpu", **options)
            assert got.backend == "cuda"
            assert got == expected
            assert np.array_equal(got.birth_edges, expected.birth_edges)
            assert betti1(GpuArray(x), **options) == betti1(x, **options)
    assert h1(WIDE, backend="cuda", threshold=0.5) == h1(WIDE, threshold=0.5)


def test_batches() -> None:
    stack = rng.standard_normal((3, 20, 50)).astype(np.float32)
    got = pairwise_distances_batch(GpuArray(stack))
    assert got.host.tobytes() == pairwise_distances_batch(stack).tobytes()
    assert pairwise_distances_batch(stack, backend="cuda").tobytes() == pairwise_distances_batch(stack).tobytes()
    empty = pairwise_distances_batch(GpuArray(stack[:0]), dtype="float64")
    assert (empty.shape, empty.dtype) == ((0, 20, 20), np.float64)
    assert pairwise_distances_batch(stack[:0], backend="cuda", dtype="float64").dtype == np.float64
    assert betti1_batch(GpuArray(stack)).tolist() == betti1_batch(stack).tolist()
    clouds = [X, WIDE, X[:0], X[:20], WIDE[:30]]
    expected = betti1_batch(clouds, **NEAR).tolist()
    assert betti1_batch([GpuArray(x) for x in clouds], **NEAR).tolist() == expected
    assert betti1_batch(clouds, backend="cuda", **NEAR).tolist() == expected
    assert betti1_batch([], backend="cuda").tolist() == []


def test_many_small_clouds_go_in_parts_where_memory_is_short() -> None:
    clouds = [rng.standard_normal((60, 5)).astype(np.float32) for _ in range(40)]  # 576 kB of distances
    expected = betti1_batch(clouds).tolist()
    assert betti1_batch([GpuArray(x) for x in clouds], max_memory=300_000).tolist() == expected
    assert betti1_batch(clouds, backend="cuda", max_memory=300_000).tolist() == expected
    with pytest.raises(MemoryBudgetError):
        betti1_batch(clouds, backend="cuda", max_memory=10_000)


def test_bad_clouds_are_named() -> None:
    bad = X.copy()
    bad[7, 5] = np.nan
    for call in (pairwise_distances, h1, betti1):
        with pytest.raises(InvalidInputError, match=r"^x: expected finite .* got nan at row 7, column 5"):
            call(GpuArray(bad))
    for batch in (pairwise_distances_batch, betti1_batch):
        with pytest.raises(InvalidInputError, match=r"^cloud 1: x: expected finite"):
            batch([GpuArray(X), GpuArray(bad)])
    with pytest.raises(BackendUnavailableError, match="some are not"):
        betti1_batch([GpuArray(X), X])


def test_memory_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Freed(GpuArray):
        place = 0

        def __dlpack__(self, **arguments: Any) -> Any:
            import ctypes

            from tests.emulated.gpu import _get_pointer

            capsule = super().__dlpack__(**arguments)
            ctypes.c_uint64.from_address(_get_pointer(capsule, b"dltensor_versioned") + 32).value = self.place
            return capsule

    calls: tuple[Callable[[Any], Any], ...] = (pairwise_distances, h1, betti1, lambda x: betti1_batch([GpuArray(X), x]))
    for place in (0, 64):  # none, and one that the device does not know
        monkeypatch.setattr(Freed, "place", place)
        for call in calls:
            with pytest.raises(InvalidInputError, match="freed"):
                call(Freed(X))


def test_a_device_that_is_lost_on_export() -> None:
    class Lost(GpuArray):
        def __dlpack__(self, **arguments: Any) -> Any:
            raise RuntimeError("CUDA error: unspecified launch failure")

    class Odd(GpuArray):
        def __dlpack__(self, **arguments: Any) -> Any:
            raise RuntimeError("a sparse array")

    with pytest.raises(BackendUnavailableError, match="unspecified launch failure"):
        pairwise_distances(Lost(X))
    with pytest.raises(InvalidInputError, match="a sparse array"):
        pairwise_distances(Odd(X))


def test_a_step_of_the_device_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever it is: an exception with the reason; the next call, and the CPU, are right."""
    expected = {pairwise_distances: pairwise_distances(X).tobytes(), h1: h1(WIDE, **NEAR)}
    for call, answer in expected.items():
        x, options = (X, {}) if call is pairwise_distances else (WIDE, NEAR)
        failed = 0
        for steps in (*range(9), 10**6):
            monkeypatch.setenv("EMULATED_GPU_STEPS", str(steps))
            try:
                got = call(GpuArray(x), **options)
            except BackendUnavailableError as error:
                failed += "the emulated device failed" in str(error)
                continue
            assert (got.host.tobytes() if isinstance(got, GpuArray) else got) == answer
        assert failed >= 6
        monkeypatch.delenv("EMULATED_GPU_STEPS")


def test_a_device_without_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMULATED_GPU_MEMORY", "5000")
    for call in (pairwise_distances, h1, betti1):
        with pytest.raises(MemoryBudgetError, match="bytes of memory free, but"):
            call(GpuArray(WIDE))
    monkeypatch.setenv("EMULATED_GPU_MEMORY", str(WIDE.shape[0] ** 2 * 4 + 40_000))  # the result, and little beside it
    assert pairwise_distances(GpuArray(WIDE)).host.tobytes() == pairwise_distances(WIDE).tobytes()


def test_max_memory_holds_for_the_device() -> None:
    expected = h1(WIDE, **NEAR)
    with pytest.raises(MemoryBudgetError, match="max_memory"):
        h1(GpuArray(WIDE), max_memory=1_000_000, **NEAR)
    bars = h1(GpuArray(WIDE), max_memory=8_000_000, **NEAR)
    assert bars == expected
    assert 520 * 520 * 4 <= bars.stats["peak_device_bytes"] <= 8_000_000


def test_distances_outlive_their_points_and_are_freed_once() -> None:
    x = GpuArray(X.copy())
    got = pairwise_distances(x)
    view = got.host[3:5]
    expected = pairwise_distances(X)[3:5].tobytes()
    del x, got
    gc.collect()
    assert view.tobytes() == expected
    matrix = _core.device_distances(
        GpuArray(X), device=0, metric="euclidean", dtype="float32", to_host=False, device_memory=2**40
    )
    capsules = [matrix.__dlpack__(stream=1), matrix.__dlpack__(stream=None, max_version=(1, 0))]
    assert '"dltensor"' in repr(capsules[0])
    assert '"dltensor_versioned"' in repr(capsules[1])
    del capsules, matrix  # nobody took them over
    gc.collect()
