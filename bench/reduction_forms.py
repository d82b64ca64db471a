"""The columns that the engine reduces, recorded, and their reduction in each form: bench/reduction.cpp, built here."""

from __future__ import annotations

import ctypes
import os
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.fresh import ROOT
from bench.gpu_build import environment, tool

FOLDER = ROOT / "build" / "bench"
BY_CELLS, BY_BIRTHS, BY_BIRTHS_PLAIN = range(3)
ERROR_BYTES = 1000


class Form(NamedTuple):
    """A way to reduce the columns.

    By cells, the engine's: one column a cell, pivot = the youngest birth. By births, the transposed: one a birth, the
    youngest first, pivot = the earliest cell; it needs all cells before it begins. Stored columns are reduced against
    one another when they are used, or plain: they stay as they are, a list each. Others are bits where their entries,
    each worth so many words, are no less than the words up to the pivot: 0 is lists only, infinity bits only.
    """

    order: int
    words_per_entry: float

    def __str__(self) -> str:
        if self.order == BY_BIRTHS_PLAIN:
            return "transposed, plain"
        if self.order == BY_BIRTHS:
            return "transposed"
        names = {0.0: "lists", float("inf"): "bits"}
        return names.get(self.words_per_entry, f"{self.words_per_entry:g} words an entry")


class Run(NamedTuple):
    seconds: float  # infinite where it was stopped
    peak_bytes: int
    killers: NDArray[np.int32]  # of each birth the cell that kills it, or -1


def build() -> ctypes.CDLL:
    """The engine without Python, by CMake, and bench/reduction.cpp on top of it; the second time only what changed."""
    cmake = tool("cmake")
    if cmake is None:
        raise LookupError("cmake was not found: `pip install cmake`, or name its folder in PATH")
    FOLDER.mkdir(parents=True, exist_ok=True)
    options = ["-DCMAKE_BUILD_TYPE=Release", "-DADABET_TESTS=OFF", "-DADABET_CUDA=OFF"]
    _run([cmake, "-S", str(ROOT), "-B", str(FOLDER), *options])
    _run([cmake, "--build", str(FOLDER), "--parallel", "2", "--target", "adabet"])
    source, archive = Path(__file__).with_name("reduction.cpp"), FOLDER / "libadabet.a"
    library = FOLDER / "reduction.so"
    if not library.exists() or library.stat().st_mtime < max(path.stat().st_mtime for path in (source, archive)):
        flags = ["-O3", "-DNDEBUG", "-std=c++20", "-ffp-contract=off", "-shared", "-fPIC", "-pthread"]
        includes = ["-I", str(ROOT / "cpp")]
        compiler = os.environ.get("CXX", "c++")
        _run([compiler, *flags, *includes, str(source), str(archive), "-o", str(library)])
    native = ctypes.CDLL(str(library))
    for name, kind in (
        ("record_cells", ctypes.c_void_p),
        ("count_births", ctypes.c_size_t),
        ("count_cells", ctypes.c_size_t),
        ("count_entries", ctypes.c_size_t),
        ("birth_lengths", ctypes.POINTER(ctypes.c_double)),
        ("death_lengths", ctypes.POINTER(ctypes.c_double)),
        ("engine_rule", ctypes.c_double),
        ("reduce_cells", ctypes.c_double),
    ):
        getattr(native, name).restype = kind
    return native


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


class Cells:
    """The critical cells of a distance matrix, their boundaries written in births: what a reduction is given."""

    def __init__(self, native: ctypes.CDLL, matrix: NDArray[Any]) -> None:
        if matrix.dtype not in (np.float32, np.float64) or matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
            raise ValueError(f"matrix is {matrix.dtype} of shape {matrix.shape}, expected a square one of floats")
        matrix = np.ascontiguousarray(matrix)
        self._native = native
        self._error = ctypes.create_string_buffer(ERROR_BYTES)
        self._handle = native.record_cells(
            ctypes.c_void_p(matrix.ctypes.data),
            ctypes.c_size_t(len(matrix)),
            int(matrix.dtype == np.float64),
            self._error,
            ctypes.c_size_t(ERROR_BYTES),
        )
        if not self._handle:
            raise RuntimeError(self._error.value.decode())
        self.births = int(native.count_births(self._pointer))
        self.cells = int(native.count_cells(self._pointer))
        self.entries = int(native.count_entries(self._pointer))

    @property
    def _pointer(self) -> ctypes.c_void_p:
        return ctypes.c_void_p(self._handle)

    def __enter__(self) -> Cells:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._native.forget_cells(self._pointer)
        self._handle = None

    def reduce(self, form: Form, most: float = float("inf")) -> Run:
        """By one form; it is stopped after `most` seconds."""
        killers = np.empty(self.births, np.int32)
        peak = ctypes.c_size_t()
        seconds = self._native.reduce_cells(
            self._pointer,
            form.order,
            ctypes.c_double(form.words_per_entry),
            ctypes.c_double(most),
            ctypes.c_void_p(killers.ctypes.data),
            ctypes.byref(peak),
            self._error,
            ctypes.c_size_t(ERROR_BYTES),
        )
        if seconds < 0:
            raise RuntimeError(self._error.value.decode())
        return Run(seconds, peak.value, killers)

    def bars(self, killers: NDArray[np.int32], at_the_end: float) -> NDArray[np.float64]:
        """The bars of length above zero, sorted; what no cell kills dies at the end."""
        births = _copy(self._native.birth_lengths(self._pointer), self.births)
        lengths = np.append(_copy(self._native.death_lengths(self._pointer), self.cells), at_the_end)
        bars = np.stack([births, lengths[killers]], axis=1)
        bars = bars[bars[:, 1] > bars[:, 0]]
        return bars[np.lexsort((bars[:, 1], bars[:, 0]))]


def _copy(values: Any, count: int) -> NDArray[np.float64]:
    return np.ctypeslib.as_array(values, (count,)).copy() if count else np.empty(0)
