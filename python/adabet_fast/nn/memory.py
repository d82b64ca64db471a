"""What scoring holds of memory: asked for beforehand, counted while it runs."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from adabet_fast._memory import resolve_budget

MemoryWay: TypeAlias = Literal["auto", "hook", "groups", "spill"]

MOST_GROUPS = 8
"""Beyond this many groups of layers, writing activations to a file takes less time than the replayed passes."""


@dataclass(frozen=True)
class MemoryUse:
    """How activations were kept while layers were scored, and what that took, as measured.

    Attributes
    ----------
    way
        ``"hook"``: distances were computed while the pass was running and activations dropped at once. ``"groups"``:
        activations of one group of layers after another were kept; with one group, all of them. ``"spill"``: they
        were kept in a mapped file.
    groups
        Groups of layers.
    passes
        Forward passes that were run, those stopped early included.
    stopped_early
        Passes that ended after the group's last layer.
    budget
        Bytes that activations and distances might take.
    peak_bytes
        The most bytes of activations and distances that were held at once, without those in a file.
    file_bytes
        Size of the mapped file.
    resident_before, resident_peak
        Memory of the process when scoring began, and the most of it while passes ran, the passes' own included; 0
        where the system does not tell. The peak is the system's own mark if the passes raised it, else the most that
        was seen at the layers' outputs.
    """

    way: str = "groups"
    groups: int = 1
    passes: int = 0
    stopped_early: int = 0
    budget: int = 0
    peak_bytes: int = 0
    file_bytes: int = 0
    resident_before: int = 0
    resident_peak: int = 0

    def summary(self) -> str:
        """Say it in one line.

        >>> MemoryUse("groups", 3, 15, 10, 2**30, 2**29).summary()
        'activations: 3 groups of layers, 15 passes (10 stopped early), at most 512.0 MiB held of 1.0 GiB allowed'
        """
        ways = {
            "hook": "measured in the hook and dropped",
            "groups": "all kept" if self.groups == 1 else f"{self.groups} groups of layers",
            "spill": f"in a file of {in_units(self.file_bytes)}",
        }
        early = f" ({self.stopped_early} stopped early)" if self.stopped_early else ""
        return (
            f"activations: {ways[self.way]}, {self.passes} {'pass' if self.passes == 1 else 'passes'}{early}, "
            f"at most {in_units(self.peak_bytes)} held of {in_units(self.budget)} allowed"
        )


def activation_budget(max_memory: int | str | None) -> int:
    """Return the bytes that activations may take; without a limit, half of what a call may take of this machine.

    The other half is for the forward passes themselves.

    >>> activation_budget("1GiB")
    1073741824
    """
    return resolve_budget(max_memory) if max_memory is not None else resolve_budget(None) // 2


def in_units(n_bytes: int) -> str:
    """Write a number of bytes for people.

    >>> in_units(512), in_units(3 * 2**20)
    ('512 B', '3.0 MiB')
    """
    size, unit = float(n_bytes), "B"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            break
        size /= 1024
    return f"{n_bytes} B" if unit == "B" else f"{size:.1f} {unit}"


class Meter:
    """Counts the bytes that are held, and looks at the memory of the process."""

    def __init__(self) -> None:
        self.held = 0
        self.peak = 0
        self.resident_before = resident_bytes()
        self._seen = self.resident_before
        self._mark = _high_water_mark()

    def hold(self, n_bytes: int) -> None:
        """Count bytes that are held from now on."""
        self.held += n_bytes
        self.peak = max(self.peak, self.held)

    def drop(self, n_bytes: int) -> None:
        """Count bytes that are held no longer."""
        self.held -= n_bytes

    def look(self) -> None:
        """Look at the process now; some ten microseconds."""
        self._seen = max(self._seen, resident_bytes())

    @property
    def resident_peak(self) -> int:
        """The most memory of the process since the meter was made."""
        mark = _high_water_mark()
        return max(self._seen, mark if mark > self._mark else 0)


def resident_bytes() -> int:
    """Return the resident memory of this process; 0 where the system does not tell."""
    try:
        file = os.open("/proc/self/statm", os.O_RDONLY)  # a Path and a file object would take three times as long
    except OSError:
        return 0
    try:
        fields = os.read(file, 256).split()
    finally:
        os.close(file)
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def _high_water_mark() -> int:
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
