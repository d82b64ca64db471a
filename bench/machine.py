"""The machine and the versions that a measurement belongs to."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import re
from pathlib import Path

import adabet_fast
from adabet_fast import _core

PACKAGES = ["numpy", "scipy", "scikit-learn"]


def machine() -> dict[str, str]:
    """What stays the same as long as figures can be compared."""
    model = re.search(r"^model name\s*:\s*(.+)$", _read("/proc/cpuinfo"), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s+(\d+) kB", _read("/proc/meminfo"), re.MULTILINE)
    return {
        "processor": model[1].strip() if model else platform.processor() or platform.machine(),
        "cores": str(cores()),
        "memory": f"{int(memory[1]) / 2**20:.1f} GiB" if memory else "unknown",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "instructions": adabet_fast.backends()["cpu"].detail,
    }


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def versions(packages: list[str] | None = None) -> dict[str, str]:
    """Versions of the packages that are there."""
    found = {"adabet_fast": f"{adabet_fast.__version__} (build {build()})"}
    for name in packages if packages is not None else PACKAGES:
        for distribution in importlib.metadata.distributions(name=name):
            found[name] = distribution.version
    return found


def build() -> str:
    """A short name for the compiled engine: other code, other name."""
    return hashlib.sha256(Path(_core.__file__).read_bytes()).hexdigest()[:10]


def sentence(described: dict[str, str]) -> str:
    return (
        f"{described['processor']}, {described['cores']} cores in use, {described['memory']}, {described['system']}, "
        f"Python {described['python']}, adabet_fast on {described['instructions']}"
    )


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
