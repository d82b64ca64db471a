"""``python -m bench.growth [kinds]``: how time and memory grow with the number of points, kind by kind.

Each run in a fresh process; a kind ends when a run takes longer than ``--seconds`` or is refused for memory. A power
law is fitted to the upper half of the sizes. Figures, table and plot go to docs/growth.json, .md and .svg.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench import fresh
from bench.fresh import ROOT, Limits
from bench.machine import build, machine, sentence, versions
from bench.peers import cases

MIB = 2**20
KINDS = [*cases.KINDS, "random", "knn30"]
SIZES = [250, 500, 1000, 2000, 4000, 8000, 16000, 32000]
GRAPHS = [2500, 5000, 10000, 20000, 40000, 80000, 160000, 320000]
FITTED_FROM = 1000  # below, what does not grow is too much of the whole


class Law(NamedTuple):
    """y = factor · n^power, by least squares of the logarithms."""

    factor: float
    power: float

    def __str__(self) -> str:
        return f"n^{self.power:.2f}"


def fit(sizes: list[int], values: list[float]) -> Law | None:
    """The law through the larger sizes: at least three of them."""
    kept = [(n, y) for n, y in zip(sizes, values, strict=True) if n >= FITTED_FROM and y > 0]
    if len(kept) < 3:
        return None
    n, y = np.log(np.array(kept, dtype=float)).T
    power, intercept = np.polyfit(n, y, 1)
    return Law(math.exp(intercept), float(power))


def sizes_of(kind: str) -> list[int]:
    return GRAPHS if kind == "knn30" else SIZES


def measure(kind: str, n: int, limits: Limits, rounds: int) -> dict[str, Any]:
    """Median of a few fresh processes, one where it takes above 10 s."""
    runs = []
    for _ in range(rounds):
        arguments = {"case": cases.of(kind, n), "rounds": 5}
        outcome = fresh.run("bench.peers.jobs:ours", arguments, limits)
        if not outcome.done:
            return {"n": n, "status": outcome.status, "reason": outcome.reason, "seconds": outcome.seconds}
        runs.append(outcome)
        if outcome.seconds > 10:
            break
    return {
        "n": runs[0].result["n"],
        "status": "done",
        "seconds": statistics.median(run.seconds for run in runs),
        "engine_bytes": runs[0].result["engine_bytes"],
        "resident_bytes": int(statistics.median(run.peak_bytes for run in runs)),
        "plan": runs[0].result["plan"],
        "bars": runs[0].result["bars"],
    }


def markdown(data: dict[str, Any]) -> str:
    lines = [
        "# Growth with the number of points",
        "",
        f"{sentence(data['machine'])}. {', '.join(f'{name} {of}' for name, of in data['versions'].items())}. "
        "`python -m bench.growth` makes this page.",
        "",
        "`h1`, end to end from points, default memory; each in a fresh process. Time and the engine's counted bytes",
        f"are fitted by a power of n from {FITTED_FROM:,} points on.",
        "",
        "| kind | time | memory | n | seconds | counted MiB | resident MiB | plan | bars |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for kind, rows in data["kinds"].items():
        done = [row for row in rows if row["status"] == "done"]
        for row in done:
            first = row is done[0]
            time, memory = fits(done) if first else (None, None)
            cells = [
                kind if first else "",
                f"{time or ''}",
                f"{memory or ''}",
                f"{row['n']:,}",
                f"{row['seconds']:.3g}",
            ]
            cells += [f"{row['engine_bytes'] / MIB:,.1f}", f"{row['resident_bytes'] / MIB:,.1f}", row["plan"]]
            lines.append("| " + " | ".join([*cells, f"{row['bars']:,}"]) + " |")
        ended = [row for row in rows if row["status"] != "done"]
        lines += [f"| | | | {row['n']:,} | {row['status']}: {row['reason']} | | | | |" for row in ended]
    return "\n".join([*lines, "", "![growth](growth.svg)"]) + "\n"


def fits(done: list[dict[str, Any]]) -> tuple[Law | None, Law | None]:
    """Of time, and of memory."""
    n = [row["n"] for row in done]
    return fit(n, [row["seconds"] for row in done]), fit(n, [row["engine_bytes"] for row in done])


def draw(data: dict[str, Any], path: Path) -> None:
    """Time and memory, side by side, with the fitted laws as thin lines."""
    import matplotlib
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5), layout="constrained")
    panels = figure.subplots(1, 2)
    colours = [matplotlib.colormaps["tab20"](i) for i in range(20)]
    for index, (kind, rows) in enumerate(data["kinds"].items()):
        done = [row for row in rows if row["status"] == "done"]
        if not done:
            continue
        n = [row["n"] for row in done]
        columns = [[row["seconds"] for row in done], [row["engine_bytes"] / MIB for row in done]]
        for axes, values, law in zip(panels, columns, fits(done), strict=True):
            scale = 1 if axes is panels[0] else MIB
            axes.plot(n, values, "o", markersize=4, color=colours[index % 20], label=kind + (f"  {law}" if law else ""))
            if law:
                ends = np.array([max(FITTED_FROM, min(n)), max(n)], dtype=float)
                axes.plot(ends, law.factor * ends**law.power / scale, linewidth=0.8, color=colours[index % 20])
    for axes, what in zip(panels, ("seconds", "MiB, counted by the engine"), strict=True):
        axes.set(xscale="log", yscale="log", xlabel="points", ylabel=what)
        axes.grid(alpha=0.25, linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=7, frameon=False)
    with matplotlib.rc_context({"svg.hashsalt": "adabet_fast"}):  # the same file from the same figures
        figure.savefig(path, metadata={"Date": None})


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__)
    parser.add_argument("kinds", nargs="*", help=f"of {', '.join(KINDS)} (default: all)")
    parser.add_argument("--seconds", type=float, default=30.0, help="end a kind above this time (default: 30)")
    parser.add_argument("--most", type=int, default=10**9, help="most points")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each size (default: 3)")
    parser.add_argument("--again", action="store_true", help="also the kinds that this build has measured already")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="where growth.json, .md and .svg go")
    given = parser.parse_args(arguments)
    unknown = [kind for kind in given.kinds if kind not in KINDS]
    if unknown:
        parser.error(f"no kind is called {unknown[0]!r}: {', '.join(KINDS)}")
    given.docs.mkdir(parents=True, exist_ok=True)
    path = given.docs / "growth.json"
    data: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    if data.get("build") != build() or data.get("machine") != machine():
        data = {"kinds": {}}  # figures of two builds make no curve
    data |= {"build": build(), "machine": machine(), "versions": versions()}
    limits = Limits(given.seconds, 20 * 2**30)
    for kind in given.kinds or KINDS:
        if kind in data["kinds"] and not given.again:
            print(f"{kind}: measured already", flush=True)
            continue
        rows: list[dict[str, Any]] = []
        for n in sizes_of(kind):
            if n > given.most:
                break
            row = measure(kind, n, limits, given.rounds)
            rows.append(row)
            print(f"{kind} n = {row['n']:,}: {row['status']}, {row['seconds']:.4g} s", flush=True)
            if row["status"] != "done":
                break
        data["kinds"][kind] = rows
        path.write_text(json.dumps(data, indent=1) + "\n")
        (given.docs / "growth.md").write_text(markdown(data), encoding="utf-8")
        draw(data, given.docs / "growth.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
