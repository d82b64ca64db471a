"""What `import adabet_fast` costs, each time in a fresh process; the goal is at most 0.1 s beyond numpy's."""

from __future__ import annotations

import statistics
import subprocess
import sys

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

HEAVY = ["torch", "scipy", "sklearn", "matplotlib", "ripser"]


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.benchmark(group="import")
@pytest.mark.parametrize("module", ["numpy", "adabet_fast"])
def test_bench_import(benchmark: BenchmarkFixture, module: str) -> None:
    assert run(f"import sys, {module}; print([name for name in {HEAVY} if name in sys.modules])") == "[]"
    if module == "adabet_fast":
        code = "import time, numpy; start = time.perf_counter(); import adabet_fast; print(time.perf_counter() - start)"
        beyond = statistics.median(float(run(code)) for _ in range(7))
        benchmark.extra_info["seconds_beyond_numpy"] = beyond
        benchmark.name += f" ({beyond * 1000:.1f} ms beyond numpy)"
    benchmark.pedantic(run, args=(f"import {module}",), rounds=7, warmup_rounds=1)
