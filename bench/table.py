"""``python -m bench.table``: run the H1 benchmarks and print them as the README's table."""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import adabet_fast

TITLES = {
    "gauss_d512_n1000": "gaussian, (1000, 512)",
    "circle256_n1000": "noisy circle, (1000, 256)",
    "torus_n1000": "torus, (1000, 3)",
    "o3_n1000": "orthogonal 3×3 matrices, (1000, 9)",
    "gauss_d100000_n40": "one wide layer, (40, 100000)",
    "random_n1000": "independent random lengths, a metric, n = 1000",
    "nonmetric_n1000": "independent random lengths, no metric, n = 1000",
}
BENCHMARKS = Path(__file__).parent / "test_bench_h1.py"


def measure() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "benchmarks.json"
        command = [sys.executable, "-m", "pytest", str(BENCHMARKS), "-q", "--benchmark-only"]
        subprocess.run([*command, f"--benchmark-json={path}"], check=True, stdout=subprocess.DEVNULL)
        found: list[dict[str, Any]] = json.loads(path.read_text())["benchmarks"]
        return found


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms" if seconds >= 0.1 else f"{seconds * 1000:.1f} ms"


def row(name: str, group: dict[str, dict[str, Any]]) -> str:
    cells = [name]
    rivals = [found["extra_info"]["ripser_seconds"] for found in group.values() if found["extra_info"]]
    cells.append(milliseconds(rivals[0]) if rivals else "does not finish")
    for call in ("h1", "betti1"):
        if call not in group:
            cells.append("")
        elif info := group[call]["extra_info"]:
            cells.append(f"{milliseconds(info['our_seconds'])} ({info['times_faster']:.0f} x)")
        else:
            cells.append(milliseconds(group[call]["stats"]["median"]))
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    argparse.ArgumentParser(prog="python -m bench.table", description=__doc__).parse_args()
    groups: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for found in measure():
        call = "betti1" if "betti1" in found["name"] or "small_clouds" in found["name"] else "h1"
        groups[found["group"]][call] = found
    print("| cloud | ripser.py | `h1` | `betti1` |\n|---|---|---|---|")
    for name, group in groups.items():
        print(row(TITLES.get(name, name), group))
    print(f"\n{platform.machine()}, {adabet_fast.backends()['cpu'].detail}")


if __name__ == "__main__":
    main()
