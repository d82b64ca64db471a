"""A job in a fresh process: what it takes is measured, what overruns is stopped, what fails says why."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from bench import fresh
from bench.fresh import Limits
from bench.meter import resident

MIB = 2**20
linux = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="resident sizes are read from /proc")


@linux
def test_peak_is_what_the_call_takes_beyond_its_input() -> None:
    outcome = fresh.run("tests.fresh_jobs:allocate", {"bytes": 48 * MIB, "before": 32 * MIB, "rounds": 3})
    assert outcome.done
    assert outcome.result["count"] == 48 * MIB
    assert 1 <= outcome.result["rounds"] <= 3
    assert 46 * MIB <= outcome.peak_bytes <= 56 * MIB
    assert outcome.peak_how in ("VmHWM", "sampled")


def test_overrun_of_time_is_stopped() -> None:
    start = time.monotonic()
    outcome = fresh.run("tests.fresh_jobs:sleep", {"seconds": 120}, Limits(seconds=0.3))
    assert outcome.status == "time"
    assert outcome.seconds >= 0.3
    assert "0.3 s" in outcome.reason
    assert time.monotonic() - start < 60


def test_time_before_and_after_the_call_does_not_count() -> None:
    outcome = fresh.run("tests.fresh_jobs:sleep", {"seconds": 0.05, "setup": 1.2, "after": 1.2}, Limits(seconds=1.1))
    assert outcome.done
    assert 0.05 <= outcome.seconds < 1.1


def test_a_setup_that_does_not_end_is_stopped() -> None:
    outcome = fresh.run("tests.fresh_jobs:sleep", {"seconds": 0, "setup": 120}, Limits(setup_seconds=0.2))
    assert outcome.status == "failed"
    assert outcome.seconds == 0
    assert "start" in outcome.reason


@linux
def test_overrun_of_memory_is_stopped() -> None:
    outcome = fresh.run("tests.fresh_jobs:hold", {"bytes": 256 * MIB}, Limits(seconds=60, memory=160 * MIB))
    assert outcome.status == "memory"
    assert 0 < outcome.peak_bytes < 400 * MIB
    assert "GiB" in outcome.reason


@pytest.mark.parametrize(("how", "reason"), [("raise", "the reason why"), ("exit", "3"), ("signal", "SIGSEGV")])
def test_failures_say_why(how: str, reason: str) -> None:
    outcome = fresh.run("tests.fresh_jobs:fail", {"how": how})
    assert outcome.status == "failed"
    assert reason in outcome.reason


def test_the_child_is_another_process_and_has_no_settings_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADABET_NUM_THREADS", "1")
    outcome = fresh.run("tests.fresh_jobs:environment", {"names": ["ADABET_NUM_THREADS"]})
    assert outcome.result["ADABET_NUM_THREADS"] is None
    assert outcome.result["pid"] != os.getpid()
    assert resident(outcome.result["pid"]) == 0  # gone
