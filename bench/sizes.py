"""``python -m bench.sizes [names]``: the big inputs, each in a fresh process within its own memory and time.

Seconds, the engine's counted bytes, resident size, plan and a checksum of the barcode go to docs/sizes.json and .md.
A barcode that was recorded on the same input must come out again, to the bit; ``--verify`` runs each once more on one
thread and in other memory. A second call of the command runs what has not been run with this build; ``--again`` all.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench import clouds, fresh
from bench.fresh import ROOT, Limits
from bench.machine import build, machine, sentence, versions
from bench.meter import Meter

GIB = 2**30
MIB = 2**20


@dataclass(frozen=True)
class Size:
    """An input, the memory it is given, and what it is to keep to."""

    name: str
    max_memory: int | None
    seconds: float
    other_memory: int | None = None  # for --verify, where another budget makes another plan

    @property
    def matrix(self) -> bool:
        return self.name.startswith(("knn", "geometric", "neighbours", *clouds.MATRICES))


SIZES = [
    Size("torus_n10000", int(0.6 * GIB), 3, 2 * GIB),
    Size("random_n2000", None, 60, 256 * MIB),
    Size("knn30_n20000", 256 * MIB, 1, GIB),
    Size("geometric_n149000_e1700000", 2 * GIB, 20, GIB),
    Size("cube3_n50000", 2 * GIB, 60, 3 * GIB),
    Size("neighbours_n1000000_e10000000", 6 * GIB, 120, 8 * GIB),
    Size("torus_n50000", int(2.5 * GIB), 300, 4 * GIB),
    Size("gauss_d512_n20000", 6 * GIB, 600, 4 * GIB),
    Size("cube3_n100000", 4 * GIB, 300, 6 * GIB),
]
BY_NAME = {size.name: size for size in SIZES}


def checksum(intervals: Any) -> str:
    """Of the sorted float32 intervals, byte by byte."""
    bars = np.asarray(intervals, dtype="<f4").reshape(-1, 2)
    return hashlib.sha256(bars[np.lexsort((bars[:, 1], bars[:, 0]))].tobytes()).hexdigest()[:16]


def input_checksum(x: Any) -> str:
    """Sines differ in the last bit between processors: a barcode is only compared where the input is the same."""
    parts = [x.row, x.col, x.data] if hasattr(x, "tocoo") else [x]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()[:16]


def job(arguments: dict[str, Any], meter: Meter) -> dict[str, Any]:
    """In the fresh process: `h1` of the input within `max_memory`."""
    import adabet_fast

    x = clouds.make(arguments["name"])
    graph = hasattr(x, "tocoo")
    given: dict[str, Any] = {"distance_matrix": arguments["matrix"], "n_threads": arguments.get("n_threads")}
    shape = {"n_edges": x.nnz} if graph else {} if arguments["matrix"] else {"d": x.shape[1]}
    told = adabet_fast.estimate_memory(
        x.shape[0], **shape, n_threads=arguments.get("n_threads"), max_memory=arguments["max_memory"]
    )
    estimate = {"estimated_plan": told.plan, "fixed": told.fixed, "reserve": told.reserve}
    if not told.fits and arguments["max_memory"] is not None:
        estimate["told"] = str(told)
    bars = meter.measure(lambda: adabet_fast.h1(x, max_memory=arguments["max_memory"], **given))
    stats = {key: value for key, value in bars.stats.items() if isinstance(value, int | float)}
    return {
        "bars": len(bars),
        "checksum": checksum(bars.intervals),
        "input": input_checksum(x),
        "plan": bars.plan,
        "engine_bytes": int(stats.get("peak_bytes", 0)),
        "stats": {key: round(value, 3) for key, value in stats.items()},
        **estimate,
    }


def run(size: Size, *, n_threads: int | None = None, max_memory: int | None, seconds: float | None = None) -> Any:
    """One run, as a record."""
    allowed = seconds if seconds is not None else 3 * size.seconds + 30
    arguments = {"name": size.name, "matrix": size.matrix, "n_threads": n_threads, "max_memory": max_memory}
    outcome = fresh.run("bench.sizes:job", arguments, Limits(allowed, 20 * GIB))
    return {
        "status": outcome.status,
        "reason": outcome.reason,
        "seconds": round(outcome.seconds, 3),
        "resident_bytes": outcome.peak_bytes,
        "max_memory": max_memory,
        "n_threads": n_threads,
        "when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        **outcome.result,
    }


def unequal(one: dict[str, Any], other: dict[str, Any]) -> str:
    """How the barcodes of two runs on the same input differ; empty where they do not, or were not both found."""
    if "checksum" not in one or "checksum" not in other or one["input"] != other["input"]:
        return ""
    if one["checksum"] == other["checksum"] and one["bars"] == other["bars"]:
        return ""
    return f"{one['bars']} bars ({one['checksum']}) against {other['bars']} ({other['checksum']})"


class Results:
    """docs/sizes.json: for each input the last run, its verifications, and the barcode that is on record."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        self.data.setdefault("sizes", {})
        if self.data.get("machine", machine()) != machine():
            raise RuntimeError(f"{path.name} was measured on another machine: name another --docs folder")
        self.data |= {"machine": machine(), "versions": versions()}

    def current(self, name: str) -> bool:
        run = self.data["sizes"].get(name, {}).get("run", {})
        return run.get("build") == build() and run.get("status") == "done"

    def note(self, name: str, key: str, record: dict[str, Any]) -> str:
        """Save a run; how its barcode differs from the one on record."""
        entry = self.data["sizes"].setdefault(name, {})
        entry[key] = record | {"build": build()}
        difference = ""
        if record["status"] == "done":
            known = entry.setdefault("answer", {key: record[key] for key in ("bars", "checksum", "input")})
            difference = unequal(record, known)
            entry[key]["difference"] = difference
            agreed = entry.setdefault("agreed", [])
            if not difference and (kind := how(record)) not in agreed:
                agreed.append(kind)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(self.data, indent=1) + "\n")
        return difference


def how(record: dict[str, Any]) -> str:
    threads = "all threads" if record["n_threads"] is None else f"{record['n_threads']} thread"
    budget = "default memory" if record["max_memory"] is None else f"{record['max_memory'] / GIB:.3g} GiB"
    return f"{record['plan']}, {threads}, {budget}"


def markdown(data: dict[str, Any]) -> str:
    lines = [
        "# Big inputs",
        "",
        f"{sentence(data['machine'])}. {', '.join(f'{name} {of}' for name, of in data['versions'].items())}. "
        "`python -m bench.sizes` makes this page; with `--verify` each runs once more in other ways, named in its row.",
        "",
        "One run each, in a fresh process, end to end from points (or from the graph, or the matrix). Counted: what",
        "the engine allocated beyond input and output, to be within `max_memory`. Resident: the rise of the process's",
        "resident size. Fixed: what `estimate_memory` said beforehand.",
        "",
        "| input | bars | plan | seconds | asked | max_memory | counted | resident | fixed | the same barcode from |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for size in SIZES:
        entry = data["sizes"].get(size.name)
        if not entry or "run" not in entry:
            continue
        one = entry["run"]
        budget = "default" if one["max_memory"] is None else f"{one['max_memory'] / GIB:.3g} GiB"
        if one["status"] != "done":
            told = f"{one['status']}: {one['reason']}"
            lines.append(f"| {size.name} | | | > {one['seconds']:.3g} | {size.seconds:g} | {budget} | {told} | | | |")
            continue
        agreed = "; ".join(entry.get("agreed", []))
        if one.get("difference"):
            agreed = f"DIFFERS: {one['difference']}"
        sizes = [f"{one[key] / MIB:,.0f} MiB" for key in ("engine_bytes", "resident_bytes", "fixed")]
        cells = [size.name, f"{one['bars']:,}", one["plan"], f"{one['seconds']:.3g}", f"{size.seconds:g}", budget]
        lines.append("| " + " | ".join([*cells, *sizes, agreed]) + " |")
    return "\n".join(lines) + "\n"


def say(record: dict[str, Any], size: Size, difference: str) -> None:
    if record["status"] != "done":
        print(f"  {record['status']} after {record['seconds']:.1f} s: {record['reason']}", flush=True)
        return
    within = record["max_memory"] is None or record["engine_bytes"] <= record["max_memory"]
    print(
        f"  {record['seconds']:.2f} s (asked: {size.seconds:g}), {how(record)}; counted "
        f"{record['engine_bytes'] / MIB:,.0f} MiB{'' if within else ' ABOVE max_memory'}, resident "
        f"{record['resident_bytes'] / MIB:,.0f} MiB, fixed {record['fixed'] / MIB:,.0f} MiB; {record['bars']:,} bars"
        f"{f'  DIFFERS: {difference}' if difference else ''}",
        flush=True,
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.sizes", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(BY_NAME)} (default: all)")
    parser.add_argument("--verify", action="store_true", help="once more on one thread, and in other memory")
    parser.add_argument("--again", action="store_true", help="also what this build has run already")
    parser.add_argument("--seconds", type=float, help="limit of a run (default: thrice what is asked, and 30)")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="where sizes.json and .md go")
    given = parser.parse_args(arguments)
    unknown = [name for name in given.names if name not in BY_NAME]
    if unknown:
        parser.error(f"no size is called {unknown[0]!r}: {', '.join(BY_NAME)}")
    results = Results(given.docs / "sizes.json")
    bad = False
    for size in SIZES:
        if given.names and size.name not in given.names:
            continue
        print(size.name, flush=True)
        todo: list[tuple[str, int | None, int | None]] = [("run", None, size.max_memory)]
        if given.verify:
            todo += [("one thread", 1, size.max_memory), ("other memory", None, size.other_memory)]
        for key, n_threads, max_memory in todo:
            if key == "run" and results.current(size.name) and not given.again:
                print("  run already", flush=True)
                continue
            limit = given.seconds or (3 * size.seconds + 30) * (2 if n_threads == 1 else 1)
            record = run(size, n_threads=n_threads, max_memory=max_memory, seconds=limit)
            difference = results.note(size.name, key, record)
            say(record, size, difference)
            bad |= bool(difference)
        (given.docs / "sizes.md").write_text(markdown(results.data), encoding="utf-8")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
