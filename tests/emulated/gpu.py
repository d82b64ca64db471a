"""Puts the module of `cmake --preset emulated` in the package's place, and makes arrays "on" its GPU.

A pytest plugin, so that it comes before the package is imported: `pytest -p tests.emulated.gpu tests/emulated`.
"""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

STREAM = 0x57E0  # of tests/cpp/emulated_cuda.cpp
CPU, CUDA = 1, 2
_get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_get_pointer.restype, _get_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]


def pytest_load_initial_conftests() -> None:
    built = sorted((Path(__file__).parents[2] / "build" / "emulated").glob("_core*.so"))
    if not built:
        raise FileNotFoundError("build it: cmake --preset emulated && cmake --build --preset emulated")
    spec = importlib.util.spec_from_file_location("adabet_fast._core", built[0])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["adabet_fast._core"] = module
    spec.loader.exec_module(module)


def relabel(capsule: Any, kind: int) -> Any:
    """The same tensor in a capsule, said to be on a device of that kind."""
    versioned = "versioned" in repr(capsule)
    address = _get_pointer(capsule, b"dltensor_versioned" if versioned else b"dltensor")
    ctypes.c_int32.from_address(address + (40 if versioned else 8)).value = kind
    return capsule


class FromGpu:
    """What the emulated GPU gave, for NumPy to read."""

    def __init__(self, matrix: Any) -> None:
        self.matrix = matrix
        assert matrix.__dlpack_device__() == (CUDA, 0)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (CPU, 0)

    def __dlpack__(self, **arguments: Any) -> Any:
        arguments.pop("stream", None)
        return relabel(self.matrix.__dlpack__(stream=1, **arguments), CPU)


class GpuArray:
    """An array of a library that computes on GPUs, as far as the package asks."""

    def __init__(self, host: Any, asked: list[dict[str, Any]] | None = None) -> None:
        self.host = np.asarray(host)
        self.asked = asked if asked is not None else []  # the arguments of each export
        self.shape, self.ndim, self.dtype, self.device = self.host.shape, self.host.ndim, self.host.dtype, "gpu:0"

    def __dlpack_device__(self) -> tuple[int, int]:
        return (CUDA, 0)

    def __dlpack__(self, **arguments: Any) -> Any:
        self.asked.append(dict(arguments))
        if arguments.pop("stream", None) != STREAM:
            raise BufferError("the engine's own stream is to be named")
        return relabel(self.host.__dlpack__(**arguments), CUDA)

    def __array_namespace__(self) -> Any:
        return SimpleNamespace(
            from_dlpack=lambda matrix: GpuArray(np.from_dlpack(FromGpu(matrix)), self.asked),
            stack=lambda arrays: GpuArray(np.stack([x.host for x in arrays])),
            empty=lambda shape, dtype, device: GpuArray(np.empty(shape, dtype)),
            float32=np.float32,
            float64=np.float64,
        )

    def __getitem__(self, index: Any) -> GpuArray:
        return GpuArray(self.host[index], self.asked)

    def __iter__(self) -> Any:
        return (self[i] for i in range(self.shape[0]))

    def __len__(self) -> int:
        return self.shape[0]

    def reshape(self, *shape: Any) -> GpuArray:
        return GpuArray(self.host.reshape(*shape), self.asked)
