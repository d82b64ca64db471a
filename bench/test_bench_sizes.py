"""The big inputs of `bench.sizes` as benchmarks: `pytest -m heavy --benchmark-only bench/test_bench_sizes.py`.

Each is run in a fresh process within its memory, timed inside it, and its barcode held against the one on record in
docs/sizes.json, or against a run on one thread.
"""

from __future__ import annotations

import json

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench import sizes
from bench.fresh import ROOT

RECORDED = ROOT / "docs" / "sizes.json"


@pytest.mark.heavy
@pytest.mark.benchmark(group="sizes")
@pytest.mark.parametrize("size", sizes.SIZES, ids=lambda size: size.name)
def test_bench_size(benchmark: BenchmarkFixture, size: sizes.Size) -> None:
    runs = []
    benchmark.pedantic(lambda: runs.append(sizes.run(size, max_memory=size.max_memory)), rounds=1)
    (record,) = runs
    assert record["status"] == "done", record["reason"]
    assert record["max_memory"] is None or record["engine_bytes"] <= record["max_memory"]
    answer = json.loads(RECORDED.read_text())["sizes"].get(size.name, {}).get("answer") if RECORDED.exists() else None
    if answer is None or answer["input"] != record["input"]:
        answer = sizes.run(size, max_memory=size.max_memory, n_threads=1)
        assert answer["status"] == "done", answer["reason"]
    assert sizes.unequal(record, answer) == ""
    benchmark.extra_info |= {key: record[key] for key in ("seconds", "engine_bytes", "resident_bytes", "plan", "bars")}
    benchmark.name += f" [{record['seconds']:.2f} s in itself, asked {size.seconds:g}]"
