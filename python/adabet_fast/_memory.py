"""How much memory a call may take: `max_memory`, or a share of what the machine and its control groups have free."""

from __future__ import annotations

import operator
import os
import re
import time
from pathlib import Path

from adabet_fast.errors import InvalidInputError

DEFAULT_SHARE = 0.8
"""The part of the available memory that a call may take where `max_memory` is None."""

_UNITS = {"": 1, "B": 1}
_UNITS |= {f"{prefix}B": 1000**k for k, prefix in enumerate(("k", "M", "G", "T"), 1)}
_UNITS |= {f"{prefix}iB": 1024**k for k, prefix in enumerate(("K", "M", "G", "T"), 1)}
_UNITS["KB"] = 1000
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*([A-Za-z]*)\s*", re.ASCII)
_LARGEST = 2**63 - 1
_MAX_AGE = 0.1  # seconds; reading the figures takes longer than a small cloud's barcode

_last_reading: tuple[float, int] | None = None


def resolve_budget(max_memory: object) -> int:
    """The bytes that a call may take beyond its input and output."""
    if max_memory is None:
        return _default_budget()
    if isinstance(max_memory, str):
        size = _parse(max_memory)
    elif isinstance(max_memory, bool):
        raise _nonsense(max_memory)
    else:
        try:
            size = operator.index(max_memory)  # type: ignore[arg-type]
        except TypeError:
            raise _nonsense(max_memory) from None
    if size <= 0:
        raise _nonsense(max_memory)
    return min(size, _LARGEST)


def _parse(text: str) -> int:
    match = _SIZE.fullmatch(text)
    if match is None or match[2] not in _UNITS:
        raise _nonsense(text)
    return int(float(match[1]) * _UNITS[match[2]]) if "." in match[1] else int(match[1]) * _UNITS[match[2]]


def _nonsense(value: object) -> InvalidInputError:
    return InvalidInputError(
        f"max_memory is {value!r}, expected a positive number of bytes, a size such as '2GiB' or '500MB', or None"
    )


def _default_budget() -> int:
    global _last_reading
    now = time.monotonic()
    if _last_reading is None or now - _last_reading[0] > _MAX_AGE:
        _last_reading = (now, available_memory())
    return int(_last_reading[1] * DEFAULT_SHARE)


def available_memory(root: Path = Path("/")) -> int:
    """Bytes this process can still take: the least of what the machine, its control groups and its own limit leave."""
    figures = [_machine(root), *_control_groups(root)]
    if root == Path("/"):
        figures.append(_address_space())
    return max(0, min((figure for figure in figures if figure is not None), default=2**31))


def _machine(root: Path) -> int | None:
    text = _read(root / "proc/meminfo")
    match = re.search(r"^MemAvailable:\s+(\d+) kB", text or "", re.MULTILINE)
    if match is not None:
        return int(match[1]) * 1024
    try:  # not Linux: all of the physical memory
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None


def _control_groups(root: Path) -> list[int]:
    """What each group from this process's own up to the top leaves, in either version of the interface."""
    figures = []
    for line in (_read(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2) if line.count(":") >= 2 else ("", "-", "")
        if controllers == "":
            base, limit, usage, idle = root / "sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"
        elif "memory" in controllers.split(","):
            base = root / "sys/fs/cgroup/memory"
            limit, usage, idle = "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
        else:
            continue
        group = base / path.lstrip("/")
        # In a container the path may be the host's while the mount shows the container's own group at its top.
        for folder in [group, *group.parents]:
            if not folder.is_relative_to(base):
                break
            figures += _group_leaves(folder, limit, usage, idle)
    return figures


def _group_leaves(folder: Path, limit: str, usage: str, idle: str) -> list[int]:
    allowed, used = (_read(folder / name) for name in (limit, usage))
    if allowed is None or used is None or not allowed.strip().isdigit() or not used.strip().isdigit():
        return []  # no such group here, or no limit ("max")
    # Pages of files that nobody uses are given back under pressure.
    match = re.search(rf"^{idle} (\d+)$", _read(folder / "memory.stat") or "", re.MULTILINE)
    return [int(allowed) - int(used) + (int(match[1]) if match else 0)]


def _address_space() -> int | None:
    try:
        import resource
    except ImportError:
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    match = re.search(r"^VmSize:\s+(\d+) kB", _read(Path("/proc/self/status")) or "", re.MULTILINE)
    if soft == resource.RLIM_INFINITY or match is None:
        return None
    return soft - int(match[1]) * 1024


def resident_peak() -> dict[str, float]:
    """The most memory this process has held, under the name that a barcode's stats give it."""
    try:
        import resource
    except ImportError:  # not on this platform
        return {}
    return {"peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
