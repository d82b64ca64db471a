"""``python -m bench.reduction [clouds]``: each form of the reduction on the columns of each cloud, and the rule.

For every cloud the engine's columns are recorded; all forms (bench/reduction_forms.py) reduce them in turn, the same
bars asserted, `h1` on one thread beside them. Seconds are the smallest of all turns: what disturbs a turn on a shared
machine only adds to it, and may last longer than half of them. From that follows what an entry is worth (the engine's
own is held against it: exit status 1 where they differ) and whether the transposed order has anything to gain. A page
goes to docs/reduction.md, its figures to docs/reduction.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import adabet_fast
from bench import clouds
from bench.fresh import ROOT
from bench.machine import machine, sentence
from bench.peers import cases
from bench.reduction_forms import BY_BIRTHS, BY_BIRTHS_PLAIN, BY_CELLS, Cells, Form, build

CLOUDS = [
    *(f"gauss_d512_n{n}" for n in (200, 500, 1000, 2000, 4000, 8000)),
    *("gauss_d4_n4000", "gauss_d16_n4000", "gauss_d64_n4000"),
    *(cases.of(kind, n) for kind in cases.KINDS if kind != "gauss_d512" for n in (500, 4000)),
    *("o3_n8000", "torus_n8000", "cube3_n8000", "o3_n2000_float64", "gauss_d512_n2000_float64"),
    *("knn30_n4000", "tied_n500", "tied_n1000", "bipartite_n400"),
    *("random_n250", "random_n500", "random_n1000", "random_n2000", "nonmetric_n500", "nonmetric_n1000"),
]
WORTHS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, float("inf"))
FORMS = [*(Form(BY_CELLS, worth) for worth in WORTHS), Form(BY_BIRTHS, 1.0), Form(BY_BIRTHS_PLAIN, 0.0)]
NOISE = 0.02
"""Of a cloud's whole time: rules that lose no more than this beside the best rule are taken to be equally quick."""
WORTH_HAVING = 0.05
"""Of a cloud's whole time: a form that gains less than this nowhere goes into the engine."""


ENOUGH = 4.0
LEAST_TURNS = 3  # of `h1`, of which all else is a part
STOPPED = float("inf")


@dataclass
class Measured:
    """One cloud: seconds and bytes by form, in the order of FORMS; infinite seconds where a form was stopped."""

    name: str
    births: int
    cells: int
    entries: int
    h1: float  #: seconds of `h1`, end to end, on one thread
    columns: float  #: of which flow and reduction
    seconds: list[float] = field(default_factory=list)
    peaks: list[int] = field(default_factory=list)

    def by_cells(self) -> dict[float, float]:
        """Seconds for each worth of an entry."""
        return dict(zip(WORTHS, self.seconds, strict=False))

    def loss(self, worth: float) -> float:
        """What this worth loses against the best form of all, in parts of the whole time with that form."""
        return (self.by_cells()[worth] - min(self.seconds)) / self.whole()

    def gain(self) -> float:
        """What the transposed order gains at most on the best worth, in parts of the whole time; negative: loses."""
        return (min(self.by_cells().values()) - min(self.seconds[len(WORTHS) :])) / self.whole()

    def whole(self) -> float:
        """Seconds of `h1` at least: where the clock's resolution and turns make the reduction longer than all, that."""
        return max(self.h1, min(self.seconds))


def derive(measured: list[Measured]) -> float:
    """What an entry is worth: among the worths whose worst loss is within NOISE of the least, that of fewest bytes."""
    worst = {worth: max(one.loss(worth) for one in measured) for worth in WORTHS}
    quick = [worth for worth in WORTHS if worst[worth] <= min(worst.values()) + NOISE]
    return min(quick, key=lambda worth: bytes_ratio(measured, worth))


def read(path: Path, described: dict[str, str] | None = None) -> list[Measured]:
    """What an earlier run has written; nothing where that was of other forms, or not on the machine described."""
    known = json.loads(path.read_text(encoding="utf-8"))
    if known["forms"] != [str(form) for form in FORMS] or described not in (None, known["machine"]):
        return []
    rows = [one | {"seconds": [STOPPED if s is None else s for s in one["seconds"]]} for one in known["clouds"]]
    return [Measured(**row) for row in rows]


def write(path: Path, measured: list[Measured], described: dict[str, str]) -> None:
    """For `read`; JSON has no infinity."""
    rows = [asdict(one) | {"seconds": [s if np.isfinite(s) else None for s in one.seconds]} for one in measured]
    known = {"machine": described, "forms": [str(form) for form in FORMS], "clouds": rows}
    path.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


def bytes_ratio(measured: list[Measured], worth: float) -> float:
    """Peak bytes against those of the most frugal worth: the mean over clouds."""
    at = WORTHS.index(worth)
    return statistics.fmean(one.peaks[at] / max(1, min(one.peaks[: len(WORTHS)])) for one in measured)


def input_of(name: str) -> tuple[Any, Any, dict[str, Any]]:
    """What `h1` is given, the distance matrix of that, and the options of `h1`."""
    cloud, dtype = name.removesuffix("_float64"), "float64" if name.endswith("_float64") else "float32"
    made = clouds.make(cloud)
    options = {"dtype": dtype, "n_threads": 1}
    if hasattr(made, "tocoo"):  # flows of the sparse plan take other ways; births and what kills them are the same
        matrix = np.full(made.shape, np.inf, np.float32)
        matrix[made.row, made.col] = matrix[made.col, made.row] = made.data
        np.fill_diagonal(matrix, 0)
        return made, matrix, options | {"distance_matrix": True}
    if cloud.startswith(clouds.MATRICES):
        return made, made, options | {"distance_matrix": True}
    return made, adabet_fast.pairwise_distances(made, dtype=dtype), options


def measure(native: Any, name: str, rounds: int, patience: float) -> Measured:
    """All forms in turn, in another order each time; what has taken ENOUGH seconds gets no more turns."""
    x, matrix, options = input_of(name)
    shuffle = np.random.default_rng(0)
    with Cells(native, matrix) as cells:
        bars = adabet_fast.h1(matrix, distance_matrix=True, dtype=options["dtype"])
        expected = np.asarray(bars.intervals, dtype=np.float64)
        h1 = columns = STOPPED
        seconds = [STOPPED] * len(FORMS)
        peaks = [0] * len(FORMS)
        spent = [0.0] * (len(FORMS) + 1)  # the last is h1's
        for turn in range(rounds):
            for at in shuffle.permutation(len(spent)).tolist():
                if spent[at] > ENOUGH and (at < len(FORMS) or turn >= LEAST_TURNS):
                    continue
                start = time.perf_counter()
                if at == len(FORMS):
                    answer = adabet_fast.h1(x, **options)
                    h1 = min(h1, time.perf_counter() - start)
                    columns = min(columns, float(answer.stats["seconds_columns"]))
                    assert len(answer.intervals) == len(expected), name
                else:
                    run = cells.reduce(FORMS[at], patience)
                    seconds[at] = min(seconds[at], run.seconds)
                    peaks[at] = max(peaks[at], run.peak_bytes)
                    if turn == 0 and np.isfinite(run.seconds):
                        found = cells.bars(run.killers, bars.enclosing_radius)
                        assert np.array_equal(found, expected), f"{name}, {FORMS[at]}: other bars"
                spent[at] += time.perf_counter() - start
        return Measured(name, cells.births, cells.cells, cells.entries, h1, columns, seconds, peaks)


def told(seconds: float, patience: float) -> str:
    return f"{seconds * 1e3:,.3g}" if np.isfinite(seconds) else f"> {patience * 1e3:,.0f}"


def percent(part: float) -> str:
    return f"{part:.1%}" if np.isfinite(part) else "–"


def markdown(measured: list[Measured], described: dict[str, str], worth: float, patience: float) -> str:
    shown = [0, WORTHS.index(0.5), WORTHS.index(worth), len(WORTHS) - 1, len(WORTHS), len(WORTHS) + 1]
    shown = list(dict.fromkeys(shown))
    lines = [
        "# Forms of the reduction",
        "",
        f"{sentence(described)}. adabet_fast {adabet_fast.__version__}. `python -m bench.reduction` makes this page.",
        "",
        "The columns that the engine makes of each cloud were recorded, and reduced in each form in turn; all forms",
        "gave the same bars, those of `h1`. Milliseconds on one thread, the least of all turns. `h1` is all of it, end",
        "to end; beside it what part of that is the columns stage, which is flow and reduction, and what part the",
        "reduction alone: more than that no form can gain. Here a reduction has the caches to itself; within `h1` it",
        "shares them with the flow, and gains less.",
        "",
        "- *lists*, *bits*: one column a critical cell, pivot = the youngest birth, each as a list, or each as bits;",
        "- *w words an entry*: as bits where entries, each worth *w* words of 64 bits, are no less than the words up",
        "  to the pivot, else as a list (0.5: whichever takes fewer bytes);",
        "- *transposed*: one column a birth, the youngest first, pivot = the earliest cell. It was given all cells at",
        "  once, and no more than the engine looks at: the best case for it. *Plain*: what is stored stays as it was.",
        "",
        "| cloud | births | cells | entries | `h1` | columns stage | reduction | "
        + " | ".join(str(FORMS[at]) for at in shown)
        + " | transposed gains |",
        "|---|" + "---|" * (len(shown) + 7),
    ]
    lines += [
        f"| {one.name} | {one.births:,} | {one.cells:,} | {one.entries:,} | {told(one.h1, 0)} "
        f"| {percent(one.columns / one.h1)} | {percent(one.by_cells()[worth] / one.h1)} | "
        + " | ".join(told(one.seconds[at], patience) for at in shown)
        + f" | {percent(one.gain())} |"
        for one in measured
    ]
    lines += [
        "",
        "## The rule",
        "",
        "What each worth of an entry loses against the best form of all on its worst cloud, in parts of that cloud's",
        "whole time, and its peak bytes against the most frugal one's, the mean over clouds:",
        "",
        "| words an entry | worst loss | on | bytes |",
        "|---|---|---|---|",
    ]
    for candidate in WORTHS:
        worst = max(measured, key=lambda one: one.loss(candidate))
        name = str(Form(BY_CELLS, candidate)).removesuffix(" words an entry")
        loss = percent(worst.loss(candidate)) if np.isfinite(worst.loss(candidate)) else "stopped"
        lines.append(f"| {name} | {loss} | {worst.name} | {bytes_ratio(measured, candidate):.2f} |")
    best = max(measured, key=lambda one: one.gain())
    lines += [
        "",
        f"Worths within {NOISE:.0%} of the least worst loss are equally quick; of these the one of fewest bytes is "
        f"taken: **{worth:g} word{'s' if worth != 1 else ''} an entry**.",
        "",
        f"The transposed order gains at most {percent(best.gain())} of a cloud's time ({best.name}); it is "
        + ("worth having." if best.gain() >= WORTH_HAVING else f"not worth having below {WORTH_HAVING:.0%}."),
    ]
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.reduction", description=__doc__)
    parser.add_argument(
        "clouds", nargs="*", help="names of bench/clouds.py, or NAME_float64: these anew (default: many)"
    )
    parser.add_argument("--rounds", type=int, default=9, help="turns of each form (default: 9)")
    parser.add_argument("--patience", type=float, default=5.0, help="seconds until a form is stopped (default: 5)")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="where reduction.md and .json go")
    given = parser.parse_args(arguments)
    native = build()
    page, record = given.docs / "reduction.md", given.docs / "reduction.json"
    known = read(record, machine()) if given.clouds and record.exists() else []
    measured = {one.name: one for one in known}
    for name in given.clouds or CLOUDS:
        one = measured[name] = measure(native, name, given.rounds, given.patience)
        quickest = FORMS[int(np.argmin(one.seconds))]
        print(
            f"{name}: h1 {one.h1 * 1e3:.3g} ms, of which flow and reduction {one.columns / one.h1:.1%}; reduction "
            + ", ".join(f"{form} {told(s, given.patience)}" for form, s in zip(FORMS, one.seconds, strict=True))
            + f" ms; quickest: {quickest}",
            flush=True,
        )
    rows = list(measured.values())
    worth = derive(rows)
    text = markdown(rows, machine(), worth, given.patience)
    print("\n" + text)
    if set(measured) >= set(CLOUDS):
        given.docs.mkdir(parents=True, exist_ok=True)
        write(record, rows, machine())
        page.write_text(text, encoding="utf-8")
    engine = float(native.engine_rule())
    said = "as derived" if engine == worth else f"derived were {worth:g}"
    print(f"the engine takes {engine:g} words an entry: {said}")
    return int(engine != worth)


if __name__ == "__main__":
    sys.exit(main())
