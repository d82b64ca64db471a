"""The results so far: one JSON file, written after each run, read again to go on."""

from __future__ import annotations

import datetime
import json
import os
import statistics
from pathlib import Path
from typing import Any

from bench.fresh import Outcome
from bench.machine import build, machine, versions

PACKAGES = ["ripser", "giotto-ph", "gudhi", "pydory", "numpy", "scipy", "scikit-learn"]
OURS = "adabet_fast"
OURS_ONE = "adabet_fast 1 thr"
OURS_QUARTER = "adabet_fast in a quarter"
LONG_RUN = 10.0  # seconds; a run above it is not repeated

Record = dict[str, Any]


class OtherMachineError(RuntimeError):
    """The file's figures come from another machine: they cannot be compared."""


class Store:
    """Records by cloud and by who ran it."""

    def __init__(self, path: Path, *, fresh: bool = False) -> None:
        self.path = path
        self.data: dict[str, Any] = {"clouds": {}}
        if path.exists() and not fresh:
            self.data = json.loads(path.read_text())
            if self.data["machine"] != machine():
                raise OtherMachineError(f"{path} was measured on another machine: {self.data['machine']}")
            if self.data["build"] != build():
                self.forget([OURS, OURS_ONE, OURS_QUARTER])
        self.data |= {"machine": machine(), "build": build(), "versions": versions(PACKAGES)}

    def forget(self, names: list[str], clouds: list[str] | None = None) -> None:
        for cloud, records in self.data["clouds"].items():
            if clouds is None or cloud in clouds:
                for name in names:
                    records.pop(name, None)

    def record(self, cloud: str, who: str) -> Record:
        found: Record = self.data["clouds"].setdefault(cloud, {}).setdefault(who, {"runs": []})
        return found

    def add(self, cloud: str, who: str, outcome: Outcome, **more: Any) -> Record:
        """Note a run, and save."""
        record = self.record(cloud, who)
        run = {
            "status": outcome.status,
            "seconds": round(outcome.seconds, 6),
            "peak_bytes": outcome.peak_bytes,
            "peak_how": outcome.peak_how,
            "when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            **({"reason": outcome.reason} if outcome.reason else {}),
            **outcome.result,
            **more,
        }
        record["runs"].append(run)
        self.save()
        return run

    def save(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_suffix(".writing")
        beside.write_text(json.dumps(self.data, indent=1) + "\n")
        os.replace(beside, self.path)  # whole, or not at all


def finished(record: Record, rounds: int) -> bool:
    """Whether nothing is left to run: enough rounds, one long one, or one that was stopped or failed."""
    runs = record["runs"]
    return len(runs) >= rounds or any(run["status"] != "done" or run["seconds"] > LONG_RUN for run in runs)


def seconds(record: Record) -> tuple[float, bool]:
    """The median, and whether it is only a lower bound; infinite where it failed or answered wrongly."""
    if not record["runs"] or wrong(record):
        return float("inf"), True
    for run in record["runs"]:
        if run["status"] in ("time", "patience", "memory"):
            return run["seconds"], True
        if run["status"] == "failed":
            return float("inf"), True
    return statistics.median(run["seconds"] for run in record["runs"]), False


def peak(record: Record) -> tuple[int, bool]:
    """The median of the extra resident bytes, and whether that is only a lower bound."""
    if not record["runs"]:
        return 0, True
    bound = any(run["status"] != "done" for run in record["runs"])
    return int(statistics.median(run["peak_bytes"] for run in record["runs"])), bound


def wrong(record: Record) -> str:
    """How its answer is not ours; empty where it is, or was not compared."""
    return str(record.get("wrong_from_points") or record.get("wrong_from_matrix") or "")
