"""What the face says of GPUs where there is none, where one cannot run this build, and where the data is on one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from adabet_fast import (
    BackendUnavailableError,
    _core,
    _cuda,
    backends,
    betti1,
    betti1_batch,
    h1,
    pairwise_distances,
)

X = np.random.default_rng(0).standard_normal((30, 8)).astype(np.float32)


class OnGpu:
    """An exporter that says its data is on a GPU; reading it is an error."""

    def __init__(self, index: int = 0, shape: tuple[int, ...] = (30, 8)) -> None:
        self.index = index
        self.shape = shape
        self.ndim = len(shape)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, self.index)

    def __dlpack__(self, **arguments: Any) -> object:
        raise AssertionError("data on a GPU was asked for")


def gpus(monkeypatch: pytest.MonkeyPatch, *devices: tuple[str, int, int, int, str]) -> None:
    monkeypatch.setattr(_core, "cuda_devices", lambda: ("" if devices else "no GPU: no driver", list(devices)))
    monkeypatch.setattr(_core, "cuda_problem", lambda index: devices[index][4] if devices else "no GPU: no driver")


def calls(x: Any, **options: Any) -> list[Any]:
    return [
        lambda: pairwise_distances(x, **options),
        lambda: betti1(x, **options),
        lambda: h1(x, **options),
        lambda: betti1_batch([x], **options),
    ]


def test_data_on_a_gpu_where_none_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch)
    for call in calls(OnGpu()):
        with pytest.raises(BackendUnavailableError, match=r"no GPU: no driver; pass x.cpu\(\)"):
            call()
    gpus(monkeypatch, ("Old", 6, 1, 2**33, "no kernel image is available"))
    assert backends()["cuda"].available is False
    assert "Old (compute capability 6.1, 8 GiB): no kernel image" in backends()["cuda"].detail
    for call in [*calls(OnGpu()), *calls(X, backend="cuda")]:
        with pytest.raises(BackendUnavailableError, match="no kernel image is available"):
            call()
    assert betti1(X, backend="cpu") == betti1(X)  # and the CPU works on


def test_where_a_call_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(monkeypatch, ("Old", 6, 1, 2**33, "too old"), ("New", 9, 0, 2**37, ""))
    assert backends()["cuda"].available
    assert _cuda.choose("auto", X) is None
    assert _cuda.choose("cpu", X) is None
    assert _cuda.choose("cuda", X) == 1
    assert _cuda.choose("auto", OnGpu(1)) == 1
    assert _cuda.choose("cuda", OnGpu(1), OnGpu(1)) == 1
    with pytest.raises(BackendUnavailableError, match=r"backend='cpu' computes on the CPU; pass x.cpu\(\)"):
        _cuda.choose("cpu", OnGpu(1))
    with pytest.raises(BackendUnavailableError, match="on several GPUs"):
        _cuda.choose("auto", OnGpu(0), OnGpu(1))
    with pytest.raises(BackendUnavailableError, match="some are not"):
        _cuda.choose("auto", OnGpu(1), X)
    for call in calls(OnGpu(1), backend="cpu"):
        with pytest.raises(BackendUnavailableError, match=r"x.cpu\(\)"):
            call()
    with pytest.raises(BackendUnavailableError, match="distance matrices are read by the CPU"):
        h1(OnGpu(1, (30, 30)), distance_matrix=True)


def test_memory_of_the_device() -> None:
    assert _cuda.device_memory("1GiB") == 2**30
    assert _cuda.device_memory(None) > 2**60


def test_without_a_gpu_the_core_says_why() -> None:
    why_not, devices = _core.cuda_devices()
    if devices:
        pytest.skip("there is a GPU")
    assert why_not
    assert ("no CUDA code" in why_not) != _core.has_cuda_code()
    with pytest.raises(BackendUnavailableError):
        _core.device_distances(X, device=0, metric="euclidean", dtype="float32", to_host=True, device_memory=2**40)
    with pytest.raises(BackendUnavailableError):
        _core.device_distances(X, device=-1, metric="euclidean", dtype="float32", to_host=True, device_memory=2**40)
