"""``python -m bench.threads [clouds]``: the stages of `h1` on one thread and on several, in turn, same bits asserted.

Seconds are the smallest of a few rounds, by the engine's own clock. ``lunes`` is the classification of edges: what the
calling thread spends on it, beside the reduction, which it takes on while the others classify.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np

import adabet_fast
from bench import clouds
from bench.peers import cases

STAGES = ("survey", "rng", "edges", "lunes", "columns")


def stages(x: Any, n_threads: int) -> tuple[Any, dict[str, float]]:
    """The barcode, and the seconds of each stage and of all."""
    bars = adabet_fast.h1(x, n_threads=n_threads)
    seconds = {stage: float(bars.stats[f"seconds_{stage}"]) for stage in STAGES}
    return bars, seconds | {"lunes + columns": seconds["lunes"] + seconds["columns"], "all": sum(seconds.values())}


def compare(name: str, n_threads: int, rounds: int) -> dict[str, tuple[float, float]]:
    """For each stage the seconds on one thread and on `n_threads`."""
    x = clouds.make(name)
    best: list[dict[str, float]] = [{}, {}]
    expected: Any = None
    for _ in range(rounds):
        for which, count in enumerate((1, n_threads)):
            bars, seconds = stages(x, count)
            expected = bars if expected is None else expected
            assert np.array_equal(bars.intervals, expected.intervals), name
            assert np.array_equal(bars.death_edges, expected.death_edges), name
            best[which] = {stage: min(s, best[which].get(stage, s)) for stage, s in seconds.items()}
    return {stage: (best[0][stage], best[1][stage]) for stage in best[0]}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.threads", description=__doc__)
    parser.add_argument("clouds", nargs="*", help="names of bench/clouds.py (default: every kind, 4,000 points)")
    parser.add_argument("--threads", type=int, default=2, help="against one (default: 2)")
    parser.add_argument("--rounds", type=int, default=5, help="of which the smallest counts (default: 5)")
    given = parser.parse_args(arguments)
    for name in given.clouds or [cases.of(kind, 4000) for kind in cases.KINDS]:
        ratios = compare(name, given.threads, given.rounds)
        told = [f"{stage} {one:.3f} / {many:.3f} s = {one / many:.2f}" for stage, (one, many) in ratios.items()]
        print(f"{name}: {'; '.join(told)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
