"""The inside of a fresh process: make the input, then time one call and see how far the resident size rises.

``python -m bench.meter module:function ARGUMENTS FD`` calls ``function(arguments, meter)``. Peak memory is the kernel's
own high-water mark (VmHWM), set back through ``clear_refs`` just before the call, less the resident size at that
moment: what imports and the input take is not in it. Where the kernel refuses to set it back, the parent's samples
stand in.
"""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import importlib
import json
import os
import re
import signal
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
STATUS = "/proc/{}/status"
CLEAR_REFS = Path("/proc/self/clear_refs")
PR_SET_PDEATHSIG = 1


def resident(pid: int | str = "self", field: str = "VmRSS") -> int:
    """Bytes of memory that a process has in RAM now (VmRSS), or had at most (VmHWM); 0 where it is gone."""
    try:
        found = re.search(rf"^{field}:\s+(\d+) kB", Path(STATUS.format(pid)).read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


def reset_peak() -> bool:
    """Set VmHWM back to what is resident now; whether the kernel did."""
    try:
        CLEAR_REFS.write_text("5")
    except OSError:
        return False
    return True


class Meter:
    """Times a call and tells the parent, whose limits count from the start of the call."""

    def __init__(self, send: Callable[..., None]) -> None:
        self._send = send
        self.seconds: list[float] = []
        self.peak_bytes: int | None = None

    def measure(self, call: Callable[[], T], *, rounds: int = 1, enough: float = 0.5) -> T:
        """The call's answer; it is repeated, up to `rounds` times, until `enough` seconds have been timed."""
        gc.collect()
        exact = reset_peak()
        before = resident()
        self._send(event="start", resident=before)
        start = time.perf_counter()
        answer = call()
        self.seconds = [time.perf_counter() - start]
        self.peak_bytes = max(0, resident(field="VmHWM") - before) if exact else None
        while len(self.seconds) < rounds and sum(self.seconds) < enough:
            start = time.perf_counter()
            call()
            self.seconds.append(time.perf_counter() - start)
        self._send(event="stop")
        return answer


def die_with_parent() -> None:
    """A parent that is killed leaves no child at work (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main(job: str, arguments: str, descriptor: str) -> None:
    die_with_parent()
    faulthandler.enable()  # a crash says where
    with os.fdopen(int(descriptor), "w", buffering=1) as pipe:

        def send(**message: Any) -> None:
            pipe.write(json.dumps(message) + "\n")

        meter = Meter(send)
        module, _, name = job.partition(":")
        result = getattr(importlib.import_module(module), name)(json.loads(arguments), meter)
        seconds = statistics.median(meter.seconds) if meter.seconds else 0.0
        send(event="done", result=result, seconds=seconds, peak_bytes=meter.peak_bytes)


if __name__ == "__main__":
    main(*sys.argv[1:])
