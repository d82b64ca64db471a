"""The clouds and graphs of benchmarks, the big inputs, and growth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bench import clouds, graphs, growth, sizes
from bench.peers import cases

MIB = 2**20


@pytest.mark.parametrize("kind", cases.KINDS)
def test_clouds_are_as_many_as_named_and_the_same_each_time(kind: str) -> None:
    name = cases.of(kind, 100)
    x = clouds.make(name)
    assert len(x) == cases.points(name)
    assert np.array_equal(x, clouds.make(name))
    assert np.isfinite(x).all()


@pytest.mark.parametrize(
    ("name", "n", "edges"),
    [("geometric_n400_e2000", 400, 2000), ("neighbours_n400_e3000", 400, 3000), ("knn5_n300", 300, None)],
)
def test_graphs_have_each_edge_once(name: str, n: int, edges: int | None) -> None:
    graph = clouds.make(name)
    assert graph.shape == (n, n)
    assert graph.nnz == edges or (edges is None and 5 * n / 2 <= graph.nnz <= 5 * n)
    assert np.all(graph.row < graph.col)
    assert len(np.unique(graph.row.astype(np.int64) * n + graph.col)) == graph.nnz
    assert graph.data.min() > 0


def test_neighbours_are_the_nearest() -> None:
    graph = graphs.neighbours(60, 200).toarray()
    points = np.random.default_rng(15 + 60).random((60, 3))
    lengths = np.linalg.norm(points[:, None] - points[None], axis=2)
    i, j = np.nonzero(graph)
    assert np.allclose(graph[i, j], lengths[i, j])
    nearest = np.argsort(lengths + 10 * np.eye(60), axis=1)[:, 0]
    assert all(graph[min(a, b), max(a, b)] > 0 for a, b in enumerate(nearest))


def test_a_size_runs_and_its_barcode_is_held_to_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = sizes.Size("torus_n200", 64 * MIB, 5, 128 * MIB)
    monkeypatch.setattr(sizes, "SIZES", [size])
    monkeypatch.setattr(sizes, "BY_NAME", {size.name: size})
    command = ["--docs", str(tmp_path), "--verify"]
    assert sizes.main(command) == 0
    entry = json.loads((tmp_path / "sizes.json").read_text())["sizes"]["torus_n200"]
    assert entry["run"]["engine_bytes"] <= entry["run"]["max_memory"]
    assert entry["run"]["checksum"] == entry["one thread"]["checksum"] == entry["other memory"]["checksum"]
    assert len(entry["agreed"]) == 3
    assert "| torus_n200 |" in (tmp_path / "sizes.md").read_text()

    stored = json.loads((tmp_path / "sizes.json").read_text())
    stored["sizes"]["torus_n200"]["answer"]["bars"] += 1
    (tmp_path / "sizes.json").write_text(json.dumps(stored))
    assert sizes.main(["--docs", str(tmp_path), "--again"]) == 1
    assert "DIFFERS" in (tmp_path / "sizes.md").read_text()


def test_a_size_that_is_refused_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = sizes.run(sizes.Size("torus_n2000", 4096, 5), max_memory=4096)
    assert record["status"] == "failed"
    assert "MemoryBudgetError" in record["reason"]


def test_power_laws() -> None:
    n = [500, 1000, 2000, 4000, 8000]
    law = growth.fit(n, [3e-8 * m**2 for m in n])
    assert law is not None
    assert law.power == pytest.approx(2)
    assert law.factor == pytest.approx(3e-8)
    assert str(law) == "n^2.00"
    assert growth.fit([500, 1000, 2000], [1, 2, 3]) is None


def test_growth_of_a_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "SIZES", [60, 120])
    assert growth.main(["torus", "--rounds", "1", "--docs", str(tmp_path)]) == 0
    rows = json.loads((tmp_path / "growth.json").read_text())["kinds"]["torus"]
    assert [row["n"] for row in rows] == [60, 120]
    assert all(row["status"] == "done" for row in rows)
    assert "| torus |" in (tmp_path / "growth.md").read_text()
    assert (tmp_path / "growth.svg").exists()
