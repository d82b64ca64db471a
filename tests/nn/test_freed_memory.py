"""Memory that hooks left in pieces goes back to the system while a pass runs."""

from __future__ import annotations

import ctypes
import platform

import pytest

from adabet_fast import _core
from adabet_fast.nn.memory import Meter, resident_bytes

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc is known to keep memory so")

BLOCK = 64 * 2**10  # below what glibc maps on its own
COUNT = 1024


def blocks_between_pins() -> tuple[list[int], list[int]]:
    """Return 64 MiB in blocks, all written to, and small allocations that keep them from joining when freed."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    blocks, pins = [], []
    for _ in range(COUNT):
        blocks.append(libc.malloc(ctypes.c_size_t(BLOCK)))
        ctypes.memset(blocks[-1], 1, BLOCK)
        pins.append(libc.malloc(ctypes.c_size_t(2000)))
    return blocks, pins


def free(addresses: list[int]) -> None:
    libc = ctypes.CDLL(None)
    for address in addresses:
        libc.free(ctypes.c_void_p(address))


@glibc
def test_the_meter_returns_freed_memory_where_the_process_grew() -> None:
    assert _core.return_freed_memory()
    meter = Meter()
    before = meter.resident_before
    blocks, pins = blocks_between_pins()
    try:
        assert resident_bytes() > before + 0.9 * BLOCK * COUNT
        free(blocks)
        kept = resident_bytes()
        assert kept > before + 0.8 * BLOCK * COUNT, "the C library kept it for later"
        meter.look()
        assert resident_bytes() < before + 0.3 * BLOCK * COUNT
        assert meter.resident_peak >= before
    finally:
        free(pins)


@glibc
def test_what_stays_within_what_was_seen_costs_no_second_return(monkeypatch: pytest.MonkeyPatch) -> None:
    returned: list[int] = []
    monkeypatch.setattr(_core, "return_freed_memory", lambda: bool(returned.append(1)) or True)
    meter = Meter()
    blocks, pins = blocks_between_pins()
    meter.look()
    assert len(returned) == 1, "64 MiB more than before"
    meter.look()
    free(blocks)
    free(pins)
    meter.look()
    assert len(returned) == 1
