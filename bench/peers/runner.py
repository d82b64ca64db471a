"""Everyone on one cloud, in turn, each run in a fresh process."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from adabet_fast._memory import available_memory
from bench import fresh
from bench.fresh import ROOT, Limits, Outcome
from bench.peers import answers, cases
from bench.peers.rivals import RIVALS, Rival
from bench.peers.store import OURS, OURS_ONE, OURS_QUARTER, Store, finished, peak, seconds, wrong

REPEATS = 9  # of a call within one process, where it takes well under a second
SPARED = {"ripser.py"}  # it has a claim of its own, so its true time is wanted
LEAST_PATIENCE = 2.0  # seconds
LEFT_FREE = 2**30  # bytes that the rest of the machine keeps


@dataclass(frozen=True)
class Options:
    """How long, how often, in how much."""

    seconds: float = 300.0
    memory: int = 16 * 2**30
    rounds: int = 3
    patience: float | None = None
    exact_below: float = 30.0
    quarter_from: int = 4000  # points
    quarter_to: int = 5000


Say = Callable[[str], None]


def missing(rivals: list[Rival]) -> dict[str, str]:
    """The peers that cannot be imported, and why."""
    reasons: dict[str, str] = {}
    modules: dict[str, str] = {}
    for rival in rivals:
        if rival.module not in modules:
            command = [sys.executable, "-c", f"import {rival.module}"]
            tried = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            last = (tried.stderr.strip().splitlines() or ["no message"])[-1]
            modules[rival.module] = "" if tried.returncode == 0 else f"`pip install {rival.package}`: {last}"
        if modules[rival.module]:
            reasons[rival.name] = modules[rival.module]
    return reasons


def limits(options: Options) -> Limits:
    """The memory limit is never more than the machine can give, so that the kernel's killer is not met."""
    return Limits(options.seconds, min(options.memory, max(2**28, available_memory() - LEFT_FREE)))


class Case:
    """One cloud."""

    def __init__(self, name: str, rivals: list[Rival], store: Store, options: Options, say: Say) -> None:
        many = cases.group_of(name) == "batch"
        self.name, self.store, self.options, self.say = name, store, options, say
        self.rivals = [rival for rival in rivals if many or not rival.batch_only]
        if many:  # of small clouds GUDHI is the fastest, and sets the measure for --patience
            self.rivals.sort(key=lambda rival: not rival.name.startswith("GUDHI"))

    def run(self) -> None:
        """Rounds of all in turn, so that what disturbs the machine disturbs all; then exactness, then memory."""
        memory = Path("/dev/shm")  # pydory reads text: not from a disk
        with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
            self.folder = Path(folder)
            for turn in range(self.options.rounds):
                self._ours(OURS, turn)
                self._ours(OURS_ONE, turn, n_threads=1)
                for rival in self.rivals:
                    self._rival(rival, turn)
            for rival in self.rivals:
                self._exact(rival)
            if self.options.quarter_from <= cases.points(self.name) < self.options.quarter_to:
                self._quarter()

    def _ours(self, who: str, turn: int, **arguments: Any) -> None:
        record = self.store.record(self.name, who)
        if len(record["runs"]) > turn or finished(record, self.options.rounds):
            return
        path = self.folder / f"{who}.npz"
        outcome = self._fresh("ours", limits(self.options), answer=str(path), **arguments)
        if outcome.done and not self.reference.exists():
            path.rename(self.reference)
        elif outcome.done and answers.differ(answers.load(self.reference), answers.load(path)):
            record["wrong_from_points"] = "another barcode than in the first run"
        self._note(who, outcome)

    def _rival(self, rival: Rival, turn: int) -> None:
        record = self.store.record(self.name, rival.name)
        if len(record["runs"]) > turn or finished(record, self.options.rounds):
            return
        allowed, patience = limits(self.options), self._patience(rival)
        hurried = patience is not None and patience < allowed.seconds
        if hurried and patience is not None:
            allowed = replace(allowed, seconds=patience)
        path = self.folder / "theirs.npz"
        outcome = self._fresh("peer", allowed, peer=rival.name, answer=str(path))
        if hurried and outcome.status == "time":
            outcome.status = "patience"
        if outcome.done:
            self._judge(rival.name, "wrong_from_points", path, answers.far)
        self._note(rival.name, outcome)

    def _exact(self, rival: Rival) -> None:
        """Give the peer our own float32 matrix: now its intervals must be ours to the bit. Not timed."""
        record = self.store.record(self.name, rival.name)
        taken, bound = seconds(record)
        if bound or "wrong_from_matrix" in record or taken > self.options.exact_below:
            return
        path = self.folder / "exact.npz"
        outcome = self._fresh("peer", limits(self.options), peer=rival.name, answer=str(path), matrix=True)
        if outcome.done:
            record.pop("exact_not_done", None)
            self._judge(rival.name, "wrong_from_matrix", path, answers.differ)
        else:
            record["exact_not_done"] = outcome.reason
        self.store.save()
        said = wrong(record) or ("the same to the bit" if outcome.done else outcome.reason)
        self.say(f"  {rival.name:26s} on our matrix: {said}")

    def _quarter(self) -> None:
        """Ours within a quarter of the most frugal peer's peak."""
        frugal = most_frugal(self.store, self.name, self.rivals)
        if frugal is None:
            return
        peer, peak_bytes, bound = frugal
        quarter = peak_bytes // 4
        record = self.store.record(self.name, OURS_QUARTER)
        if record["runs"] and record.get("max_memory") == quarter:
            return
        record |= {"runs": [], "max_memory": quarter, "peer": peer, "peer_bytes": peak_bytes, "peer_bound": bound}
        path = self.folder / "quarter.npz"
        outcome = self._fresh("ours", limits(self.options), answer=str(path), max_memory=quarter, matrix=True)
        if outcome.done:
            self._judge(OURS_QUARTER, "wrong_from_points", path, answers.differ)
        self._note(OURS_QUARTER, outcome)

    def _patience(self, rival: Rival) -> float | None:
        if self.options.patience is None or rival.name in SPARED:
            return None
        taken = [seconds(self.store.record(self.name, other.name)) for other in self.rivals]
        best = min((value for value, bound in taken if not bound), default=None)
        return None if best is None else max(LEAST_PATIENCE, self.options.patience * best)

    @property
    def reference(self) -> Path:
        return self.folder / "ours.npz"

    def _judge(self, who: str, key: str, path: Path, compare: Callable[..., str]) -> None:
        record = self.store.record(self.name, who)
        if not self.reference.exists():  # ours was measured in an earlier call
            self._fresh("ours", limits(self.options), answer=str(self.reference))
        if not self.reference.exists():
            record["not_compared"] = "adabet_fast gave no answer"
            return
        record[key] = compare(answers.load(self.reference), answers.load(path))

    def _fresh(self, job: str, allowed: Limits, **arguments: Any) -> Outcome:
        arguments |= {"case": self.name, "rounds": REPEATS}
        return fresh.run(f"bench.peers.jobs:{job}", arguments, allowed)

    def _note(self, who: str, outcome: Outcome) -> None:
        self.store.add(self.name, who, outcome)
        bad = wrong(self.store.record(self.name, who))
        said = f"{outcome.result.get('bars', '')} bars" if outcome.done else f"{outcome.status}: {outcome.reason}"
        size = f"{outcome.peak_bytes / 2**20:,.0f} MiB"
        self.say(f"  {who:26s} {outcome.seconds:9.4f} s {size:>10s}  {said}{f'  WRONG: {bad}' if bad else ''}")


def most_frugal(store: Store, name: str, rivals: list[Rival]) -> tuple[str, int, bool] | None:
    """The peer with the least peak, and whether it was stopped.

    What a stopped peer had taken until then counts too: it would have needed that at least, so the claim is the harder.
    """
    peaks = {}
    for rival in rivals:
        record = store.record(name, rival.name)
        if record["runs"] and not wrong(record) and record["runs"][0]["status"] != "failed":
            peaks[rival.name] = peak(record)
    if not peaks:
        return None
    who = min(peaks, key=lambda name: peaks[name])
    return who, *peaks[who]


def run_all(names: list[str], store: Store, options: Options, say: Say, only: list[str] | None = None) -> None:
    """All of these clouds; peers that are not installed are said and noted."""
    unavailable = missing(RIVALS)
    store.data["missing"] = unavailable
    for who, reason in unavailable.items():
        say(f"not installed: {who}: {reason}")
    rivals = [rival for rival in RIVALS if rival.name not in unavailable and (only is None or rival.name in only)]
    for index, name in enumerate(names, 1):
        say(f"{index}/{len(names)} {name}")
        Case(name, rivals, store, options, say).run()


def wrongs(store: Store) -> list[str]:
    return [
        f"{cloud}: {who}: {wrong(record)}"
        for cloud, records in store.data["clouds"].items()
        for who, record in records.items()
        if wrong(record)
    ]
