"""``python -m bench.roofline``: distances against what the cores can do, both measured in the same run.

The bound of a cloud is the longer of two times: reading it once at the measured bandwidth, and its n (n - 1) / 2 * d
differences, each subtracted, squared and added, at the measured peak. Needs a C++ compiler (``CXX``, else ``c++``).
"""

from __future__ import annotations

import argparse
import ctypes
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import adabet_fast

SIZES = [(40, 802_816), (40, 4_096), (512, 100_352), (4_096, 4_096)]


class Ceilings:
    """Peak differences and bytes a second of ``threads`` threads; asked again beside every cloud."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        with tempfile.TemporaryDirectory() as folder:
            library = Path(folder) / "ceilings.so"
            source = Path(__file__).with_name("ceilings.cpp")
            flags = ["-O3", "-march=native", "-std=c++20", "-ffp-contract=fast", "-shared", "-fPIC", "-pthread"]
            subprocess.run([os.environ.get("CXX", "c++"), *flags, str(source), "-o", str(library)], check=True)
            self.native = ctypes.CDLL(str(library))
        self.native.peak_differences.restype = ctypes.c_double
        self.native.read_bandwidth.restype = ctypes.c_double
        self.values = np.ones(1 << 25, dtype=np.float32)

    def differences(self) -> float:
        return float(self.native.peak_differences(self.threads))

    def bytes(self) -> float:
        pointer = self.values.ctypes.data_as(ctypes.c_void_p)
        return float(self.native.read_bandwidth(pointer, ctypes.c_size_t(self.values.size), self.threads))


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def assert_distances(x: Any, distances: Any) -> None:
    """A few hundred pairs against float64."""
    some = np.random.default_rng(1).integers(0, len(x), (200, 2))
    for i, j in some[some[:, 0] != some[:, 1]]:
        expected = np.sqrt(np.sum((x[i].astype(np.float64) - x[j]) ** 2))
        assert abs(distances[i, j] - expected) <= 1.2e-7 * expected


def aligned_cloud(n: int, d: int) -> Any:
    """At a multiple of 64 bytes, as torch's tensors; NumPy's own are 16 bytes beyond one, which costs some 3 %."""
    memory = np.empty(n * d * 4 + 64, dtype=np.uint8)
    start = -memory.ctypes.data % 64
    x = memory[start : start + n * d * 4].view(np.float32).reshape(n, d)
    np.random.default_rng(0).standard_normal(dtype=np.float32, out=x)
    return x


def row(n: int, d: int, ceilings: Ceilings, rounds: int) -> str:
    x = aligned_cloud(n, d)
    threads = ceilings.threads
    assert_distances(x, adabet_fast.pairwise_distances(x, n_threads=threads))
    ours, peaks, bandwidths = [], [], []
    for _ in range(rounds):
        peaks.append(ceilings.differences())
        bandwidths.append(ceilings.bytes())
        ours.append(seconds(lambda: adabet_fast.pairwise_distances(x, n_threads=threads)))
        if ours[-1] > 5:
            break
    work = n * (n - 1) / 2 * d
    computing, reading = work / max(peaks), x.nbytes / max(bandwidths)
    bound = max(computing, reading)
    taken = min(ours)
    return (
        f"| ({n:,}, {d:,}) | {max(peaks) / 1e9:.0f} | {max(bandwidths) / 1e9:.1f} | {computing * 1e3:.3f} "
        f"| {reading * 1e3:.3f} | {taken * 1e3:.3f} | {bound / taken:.0%} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7, help="the best of so many, of ceilings and of distances")
    arguments = parser.parse_args()
    ceilings = Ceilings(arguments.threads)
    print(f"float32, {arguments.threads} threads; milliseconds")
    print("| cloud | G differences/s | GB/s read | computing | reading | pairwise_distances | of the bound |")
    print("|---|---|---|---|---|---|---|")
    for n, d in SIZES:
        print(row(n, d, ceilings, arguments.rounds), flush=True)


if __name__ == "__main__":
    main()
