"""Run a job in a fresh process, under limits of time and memory; what overruns them is stopped and reported."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from bench.meter import resident

ROOT = Path(__file__).resolve().parent.parent
SAMPLE_SECONDS = 0.01
# A user's own settings of these would decide the comparison.
UNSET = ["OMP_NUM_THREADS", "ADABET_NUM_THREADS", "ADABET_ISA", "ADABET_BACKEND"]


@dataclass(frozen=True)
class Limits:
    """`seconds` of the measured call, `memory` bytes of resident size in all, `setup_seconds` for everything else."""

    seconds: float = 300.0
    memory: int = 16 * 2**30
    setup_seconds: float = 900.0


@dataclass
class Outcome:
    """What became of a job: "done", stopped for "time" or "memory", or "failed" with the reason.

    Where it is not done, `seconds` and `peak_bytes` are what it had taken until then: lower bounds.
    """

    status: str
    seconds: float
    peak_bytes: int
    peak_how: str  # "VmHWM", or "sampled" by the parent
    reason: str = ""
    result: dict[str, Any] = field(default_factory=dict)

    @property
    def done(self) -> bool:
        return self.status == "done"


def run(job: str, arguments: dict[str, Any], limits: Limits | None = None) -> Outcome:
    """Call ``module:function`` with these arguments and a `bench.meter.Meter` in a new interpreter."""
    ours, theirs = os.pipe()
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            [sys.executable, "-m", "bench.meter", job, json.dumps(arguments), str(theirs)],
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if name not in UNSET},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            pass_fds=(theirs,),
            start_new_session=True,
        )
        os.close(theirs)
        try:
            return _Watch(child, ours, limits or Limits(), errors).outcome()
        finally:
            os.close(ours)
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()


class _Watch:
    def __init__(self, child: subprocess.Popen[bytes], pipe: int, limits: Limits, errors: IO[bytes]) -> None:
        self.child, self.pipe, self.limits, self.errors = child, pipe, limits, errors
        self.deadline = time.monotonic() + limits.setup_seconds
        self.started: float | None = None
        self.base = self.highest = 0
        self.unread = b""

    def outcome(self) -> Outcome:
        while True:
            if select.select([self.pipe], [], [], SAMPLE_SECONDS)[0]:
                received = os.read(self.pipe, 65536)
                if not received:
                    return self._failed()
                if done := self._messages(received):
                    return done
            size = resident(self.child.pid)
            self.highest = max(self.highest, size)
            if size > self.limits.memory:
                return self._stopped("memory", f"above {self.limits.memory / 2**30:.1f} GiB")
            if time.monotonic() > self.deadline:
                if self.started is None:
                    return self._stopped("failed", "not ready to start in time")
                return self._stopped("time", f"not done after {self.limits.seconds:.1f} s")

    def _messages(self, received: bytes) -> Outcome | None:
        *lines, self.unread = (self.unread + received).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if message["event"] == "start":
                self.started = time.monotonic()
                self.base = self.highest = message["resident"]
                self.deadline = self.started + self.limits.seconds
            elif message["event"] == "stop":
                self.deadline = time.monotonic() + self.limits.setup_seconds
            else:
                peak = message["peak_bytes"]
                return Outcome(
                    "done",
                    message["seconds"],
                    self.highest - self.base if peak is None else peak,
                    "sampled" if peak is None else "VmHWM",
                    result=message["result"] or {},
                )
        return None

    def _stopped(self, status: str, reason: str) -> Outcome:
        elapsed = 0.0 if self.started is None else time.monotonic() - self.started
        return Outcome(status, elapsed, max(0, self.highest - self.base), "sampled", reason)

    def _failed(self) -> Outcome:
        code = self.child.wait()
        self.errors.seek(0)
        said = [line for line in self.errors.read().decode(errors="replace").splitlines() if line.strip()]
        errors = [line for line in said if re.match(r"[\w.]+(Error|Exception|Interrupt)\b", line)]
        last = (errors or said or [""])[-1].strip()[:200]
        if code < 0:
            # The innermost Python frame of faulthandler's report, without the folders of this machine.
            frames = [re.sub(r'File ".*/([^/"]+)"', r"\1", line.strip()) for line in said if 'File "' in line]
            last = f"killed by {signal.Signals(-code).name}" + (f" ({frames[0]})" if frames else "")
        return self._stopped("failed", last or f"ended with exit status {code}")
