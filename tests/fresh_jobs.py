"""What tests of bench.fresh let a fresh process do."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import numpy as np

from bench.meter import Meter


def allocate(arguments: dict[str, Any], meter: Meter) -> dict[str, Any]:
    """Write to so many bytes, and give them back after a moment, in which they can be seen."""
    before = np.ones(arguments.get("before", 0), dtype=np.uint8)

    def call() -> int:
        taken = np.ones(arguments["bytes"], dtype=np.uint8)
        time.sleep(0.05)
        return len(taken)

    count = meter.measure(call, rounds=arguments.get("rounds", 1))
    return {"count": count, "before": len(before), "rounds": len(meter.seconds)}


def sleep(arguments: dict[str, Any], meter: Meter) -> dict[str, Any]:
    time.sleep(arguments.get("setup", 0))
    meter.measure(lambda: time.sleep(arguments["seconds"]))
    time.sleep(arguments.get("after", 0))
    return {}


def hold(arguments: dict[str, Any], meter: Meter) -> dict[str, Any]:
    """Take memory and keep it."""
    meter.measure(lambda: (np.ones(arguments["bytes"], dtype=np.uint8), time.sleep(60)))
    return {}


def fail(arguments: dict[str, Any], meter: Meter) -> dict[str, Any]:
    def call() -> None:
        if arguments["how"] == "raise":
            raise ValueError("the reason why\nand more of it")
        if arguments["how"] == "exit":
            os._exit(3)
        os.kill(os.getpid(), signal.SIGSEGV)

    meter.measure(call)
    return {}


def environment(arguments: dict[str, Any], meter: Meter) -> dict[str, Any]:
    meter.measure(lambda: print("a peer's own words"))
    return {name: os.environ.get(name) for name in arguments["names"]} | {"pid": os.getpid()}
