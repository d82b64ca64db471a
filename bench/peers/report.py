"""The results as a table and a plot, and what they come to in each group."""

from __future__ import annotations

import math
import statistics
from pathlib import Path
from typing import Any, NamedTuple

from bench.machine import sentence
from bench.peers import answers, cases
from bench.peers.rivals import RIVALS
from bench.peers.store import OURS, OURS_ONE, OURS_QUARTER, Store, peak, seconds, wrong

ORDER = ["ripser.py", *(rival.name for rival in RIVALS if rival.name != "ripser.py")]
MIB = 2**20


class Ratio(NamedTuple):
    """How many times longer a peer took than we did; at least, where the peer was stopped."""

    cloud: str
    times: float
    at_least: bool
    peer: str


class Group(NamedTuple):
    """What is claimed of some clouds, in times faster."""

    title: str
    mean: float | None
    worst: float | None
    ratios: list[Ratio]


def best_peer(records: dict[str, Any], *, bare: bool = False) -> tuple[str, float, bool] | None:
    """The fastest peer; where none finished, the one stopped first, as a lower bound.

    `bare` gives pydory its distances and its text file for nothing.
    """
    taken = {who: seconds(records[who]) for who in ORDER if who in records and records[who]["runs"]}
    if bare:
        taken |= {
            who: (statistics.median(run["own_seconds"] for run in records[who]["runs"]), False)
            for who, (_, bound) in taken.items()
            if not bound and all("own_seconds" in run for run in records[who]["runs"])
        }
    able = {who: value for who, value in taken.items() if math.isfinite(value[0])}
    if not able:
        return None
    who = min(able, key=lambda who: able[who])
    return who, *able[who]


def ratio(cloud: str, records: dict[str, Any], peer: str | None = None, *, bare: bool = False) -> Ratio | None:
    """Against one peer, or against the best."""
    if OURS not in records:
        return None
    ours, ours_bound = seconds(records[OURS])
    if peer is None:
        found = best_peer(records, bare=bare)
    else:
        found = (peer, *seconds(records[peer])) if peer in records else None
    if found is None or ours_bound or not math.isfinite(found[1]):
        return None
    return Ratio(cloud, found[1] / ours, found[2], found[0])


def groups(clouds: dict[str, Any]) -> list[Group]:
    """The claims, each with the ratios that it stands on."""

    def collect(
        title: str, group: str, mean: float | None, worst: float | None, peer: str | None = None, bare: bool = False
    ) -> Group:
        found = [ratio(name, records, peer, bare=bare) for name, records in clouds.items() if belongs(name, group)]
        return Group(title, mean, worst, [one for one in found if one])

    return [
        collect("n ≥ 1,000, best peer", "large", 20, 5),
        collect("the same, pydory's distances and text for nothing", "large", None, None, bare=True),
        collect("n ≥ 1,000, ripser.py", "large", 50, None, "ripser.py"),
        collect("n = 100 … 500, best peer", "small", 8, 3),
        collect("n = 100 … 500, ripser.py", "small", None, None, "ripser.py"),
        collect("64 clouds of (40, 4096), best peer", "batch64_n40_d4096", None, 15),
        collect("10,000 clouds of (40, 49), ripser.py", "batch10000_n40_d49", None, 30, "ripser.py"),
        collect("10,000 clouds of (40, 49), best peer", "batch10000_n40_d49", None, None),
        collect("one wide layer, best peer", "wide", None, None),
        collect("30-nearest-neighbour graph, best peer", "knn30_n20000", None, 5),
    ]


def belongs(name: str, group: str) -> bool:
    return name == group or cases.group_of(name) == group


def geometric_mean(values: list[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def markdown(store: Store) -> str:
    """The whole page."""
    data = store.data
    clouds: dict[str, Any] = {name: data["clouds"][name] for name in sorted(data["clouds"], key=_order)}
    columns = [who for who in ORDER if any(who in records for records in clouds.values())]
    parts = [
        "# H1 by every peer that installs",
        _how(data),
        "## In one line each",
        _summary(clouds),
        "## Every cloud",
        "Seconds / extra MiB. `>`: stopped then, a lower bound. × best: against the fastest peer of that row; "
        "× ripser.py: against it.",
        _table(_timed(clouds), columns),
        "## Memory at 4,000 points",
        "The most frugal peer's extra MiB, and ours with `max_memory` set to a quarter of it: the engine's\n"
        "counted bytes beyond input and output, and the resident size beside them. `>`: what that peer had taken when\n"
        "it was stopped, which makes the claim the harder. All peers' MiB stand below. These were run for memory\n"
        "alone, `python -m bench.peers memory --rounds 1 --patience 1.2 --seconds 100`, from torus on\n"
        "with 45; seconds are of one run.",
        _memory(clouds),
        _all_memory(clouds, columns),
        _footnotes(data, clouds),
        "![times](peers.svg)",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _how(data: dict[str, Any]) -> str:
    used = data.get("limits", {})
    versions = ", ".join(f"{name} {version}" for name, version in data["versions"].items())
    days = sorted({run["when"][:10] for run in _runs(data["clouds"])})
    when = " to ".join(dict.fromkeys([days[0], days[-1]])) if days else "never"
    hows = {run["peak_how"] for run in _runs(data["clouds"]) if run["status"] == "done"} or {"VmHWM"}
    patience = used.get("patience")
    lines = [
        "H1 over Z/2, whole filtration unless a threshold (t) is named, end to end from points: all pay for",
        "their own distances, pydory also for the text file that it reads (points, or edges to the enclosing radius).",
        f"Each run in a fresh process, after a call on 12 points; median of {used.get('rounds', 3)}, one run above",
        f"10 s; limits {used.get('seconds', 300):g} s and {used.get('memory', 16 * 2**30) / 2**30:g} GiB.",
        f"Peers but ripser.py were stopped when {patience:g} times slower than the best so far." if patience else "",
        f"Memory is the rise of the resident size above what imports and input take ({', '.join(sorted(hows))}).",
        f"Answers were compared: from points within {answers.TOLERANCE:g} of the largest value in the bottleneck",
        f"distance, and, where a run took below {used.get('exact_below', 30):g} s, on our float32 matrix to the bit.",
    ]
    head = (
        f"{sentence(data['machine'])}. {versions}. Measured {when} by `python -m bench.peers`, which makes this page."
    )
    return head + "\n\n" + "\n".join(line for line in lines if line)


def _runs(clouds: dict[str, Any]) -> list[dict[str, Any]]:
    return [run for records in clouds.values() for record in records.values() for run in record["runs"]]


def _summary(clouds: dict[str, Any]) -> str:
    lines = ["| against | clouds | geometric mean | worst | asked for |", "|---|---|---|---|---|"]
    for group in groups(clouds):
        if not group.ratios:
            continue
        mean = geometric_mean([one.times for one in group.ratios])
        worst = min(group.ratios, key=lambda one: one.times)
        some = any(one.at_least for one in group.ratios)
        asked = [f"mean {group.mean}"] * bool(group.mean) + [f"worst {group.worst}"] * bool(group.worst)
        cells = [group.title, str(len(group.ratios)), f"{'≥ ' * some}{mean:.1f} ×"]
        cells += [f"{times(worst)} × ({worst.cloud}, {worst.peer})", ", ".join(asked)]
        lines.append("| " + " | ".join(cells) + " |")
    speedups = [
        seconds(records[OURS_ONE])[0] / seconds(records[OURS])[0]
        for records in clouds.values()
        if OURS in records and OURS_ONE in records and _both_long(records)
    ]
    if speedups:
        cells = ["ourselves on one thread (above 50 ms)", str(len(speedups)), f"{geometric_mean(speedups):.2f} ×"]
        lines.append("| " + " | ".join([*cells, f"{min(speedups):.2f} ×", ""]) + " |")
    return "\n".join(lines)


def _both_long(records: dict[str, Any]) -> bool:
    (one, bound), (two, other) = seconds(records[OURS_ONE]), seconds(records[OURS])
    return not bound and not other and one > 0.05 and math.isfinite(two)


def _table(clouds: dict[str, Any], columns: list[str]) -> str:
    heads = ["cloud", "bars", *columns, OURS, OURS_ONE, "× best", "× ripser.py"]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for name, records in clouds.items():
        counts = [run["bars"] for run in records.get(OURS, {"runs": []})["runs"] if "bars" in run]
        cells = [name, f"{counts[0]:,}" if counts else ""]
        cells += [cell(records.get(who)) for who in [*columns, OURS, OURS_ONE]]
        cells += [times(ratio(name, records)), times(ratio(name, records, "ripser.py"))]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cell(record: dict[str, Any] | None) -> str:
    """`0.123 / 45`, `> 300 / 8,355`, or what went wrong."""
    if record is None or not record["runs"]:
        return "·"
    if wrong(record):
        return "wrong"
    taken, bound = seconds(record)
    if not math.isfinite(taken):
        return "failed"
    size = f"{peak(record)[0] / MIB:,.0f}"
    if bound and record["runs"][0]["status"] == "memory":
        return f"> {taken:.3g} / > {size}"
    return f"{'> ' * bound}{taken:.3g} / {'> ' * bound}{size}"


def times(found: Ratio | None) -> str:
    return "" if found is None else f"{'≥ ' * found.at_least}{found.times:.1f}"


def _memory(clouds: dict[str, Any]) -> str:
    lines = [
        "| cloud | most frugal peer | MiB | quarter | ours, counted | ours, resident | plan | seconds |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, records in clouds.items():
        record = records.get(OURS_QUARTER)
        if not record or not record["runs"]:
            continue
        run = record["runs"][-1]
        head = f"| {name} | {record['peer']} | {'> ' * record['peer_bound']}{record['peer_bytes'] / MIB:,.0f} "
        head += f"| {record['max_memory'] / MIB:,.1f} "
        if run["status"] != "done" or wrong(record):
            lines.append(f"{head}| {wrong(record) or run.get('reason', run['status'])} | | | |")
        else:
            lines.append(
                f"{head}| {run['engine_bytes'] / MIB:,.1f} | {run['peak_bytes'] / MIB:,.1f} | {run['plan']} "
                f"| {run['seconds']:.3g} |"
            )
    return "\n".join(lines) if len(lines) > 2 else ""


def _all_memory(clouds: dict[str, Any], columns: list[str]) -> str:
    rows = {name: of for name, of in clouds.items() if cases.group_of(name) == "memory"}
    if not rows:
        return ""
    lines = ["| " + " | ".join(["cloud", *columns, OURS]) + " |", "|" + "---|" * (len(columns) + 2)]
    for name, records in rows.items():
        cells = [_mib(records.get(who)) for who in [*columns, OURS]]
        lines.append("| " + " | ".join([name, *cells]) + " |")
    return "\n".join(lines)


def _mib(record: dict[str, Any] | None) -> str:
    if record is None or not record["runs"] or wrong(record) or record["runs"][0]["status"] == "failed":
        return "·"
    found, bound = peak(record)
    return f"{'> ' * bound}{found / MIB:,.0f}"


def _footnotes(data: dict[str, Any], clouds: dict[str, Any]) -> str:
    notes = [f"- {who} was not installed: {reason}" for who, reason in data.get("missing", {}).items()]
    for name, records in clouds.items():
        for who, record in records.items():
            if wrong(record):
                notes.append(f"- {name}: {who}: another answer than ours: {wrong(record)}")
            notes += [f"- {name}: {who} failed: {run['reason']}" for run in record["runs"] if run["status"] == "failed"]
            if "exact_not_done" in record:
                notes.append(f"- {name}: {who} on our matrix: {record['exact_not_done']}")
    judged = [record for records in clouds.values() for record in records.values() if "wrong_from_matrix" in record]
    exact = sum(not wrong(record) for record in judged)
    notes.append(f"- {exact} comparisons with peers on our float32 matrix: the same intervals to the bit.")
    return "\n".join(notes)


def _timed(clouds: dict[str, Any]) -> dict[str, Any]:
    return {name: of for name, of in clouds.items() if cases.group_of(name) != "memory"}


def _order(name: str) -> tuple[int, str, int]:
    place = ["small", "large", "wide", "batch", "graph", "random", "memory"].index(cases.group_of(name))
    return place, cases.split(name)[0].split("_")[0], cases.points(name)


def write(store: Store, folder: Path) -> None:
    """The page and the plot."""
    from bench.peers.plot import draw

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "peers.md").write_text(markdown(store), encoding="utf-8")
    clouds = {name: store.data["clouds"][name] for name in sorted(store.data["clouds"], key=_order)}
    draw(_timed(clouds), folder / "peers.svg", ORDER)
