"""The commands that need NumPy alone: info, betti1, h1 and plan."""

from __future__ import annotations

import argparse
import dataclasses
import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from adabet_fast import _core
from adabet_fast._backends import backends
from adabet_fast._memory import DEFAULT_SHARE, available_memory
from adabet_fast._options import check_length
from adabet_fast._plan import estimate_memory
from adabet_fast._threads import resolve_threads
from adabet_fast.barcode import Barcode
from adabet_fast.cli.files import read_array
from adabet_fast.cli.output import bar_lines, plain, print_json, readable
from adabet_fast.errors import BackendUnavailableError, InvalidInputError
from adabet_fast.homology import betti1 as count_bars
from adabet_fast.homology import betti1_batch
from adabet_fast.homology import h1 as compute_h1

_EXTRAS = ("torch", "ripser", "matplotlib", "scikit-learn", "gudhi", "scipy", "safetensors")
_VARIABLES = ("ADABET_BACKEND", "ADABET_ISA", "ADABET_NUM_THREADS", "OMP_NUM_THREADS")


def info(options: argparse.Namespace) -> int:
    """What is installed, what can run here, how much memory there is."""
    found = backends()
    try:
        isa, threads, problem = _core.active_isa(), resolve_threads(None), None
    except (InvalidInputError, BackendUnavailableError) as error:  # a variable of the environment is wrong: say so
        isa, threads, problem = None, None, str(error)
    memory = available_memory()
    data: dict[str, Any] = {
        "version": _core.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": platform.platform(),
        "cpu": {
            "model": _cpu_model(),
            "cores": _core.available_cores(),
            "instruction_set": isa,
            "instruction_sets": _core.available_isas(),
            "threads": threads,
        },
        "backends": {name: dataclasses.asdict(status) for name, status in found.items()},
        "memory": {"available_bytes": memory, "budget_bytes": int(memory * DEFAULT_SHARE)},
        "environment": {name: os.environ.get(name) for name in _VARIABLES},
        "problem": problem,
        "extras": {name: _version(name) for name in _EXTRAS},
    }
    if options.json:
        print_json(data)
        return 0
    environment = ", ".join(f"{name}={value}" for name, value in data["environment"].items() if value is not None)
    rows = [
        ("adabet_fast", f"{data['version']} (Python {data['python']}, NumPy {data['numpy']}, {data['platform']})"),
        ("processor", data["cpu"]["model"]),
        ("", f"instruction sets {', '.join(data['cpu']['instruction_sets'])}; in use: {isa or 'none'}"),
        ("threads", f"{threads or 'unknown'} of {data['cpu']['cores']} cores, unless n_threads says otherwise"),
        ("memory", f"{readable(memory)} available; a call takes at most {readable(data['memory']['budget_bytes'])}"),
        ("backends", ""),
        *(
            (f"  {name}", f"{'yes' if status.available else 'no ':<3}  {status.detail}")
            for name, status in found.items()
        ),
        ("environment", environment or f"none of {', '.join(_VARIABLES)} is set"),
        ("extras", ", ".join(f"{name} {version}" for name, version in data["extras"].items() if version) or "none"),
    ]
    missing = [name for name, version in data["extras"].items() if version is None]
    if missing:
        rows.append(("", f"not installed: {', '.join(missing)}"))
    if problem:
        rows.append(("problem", problem))
    print("\n".join(f"{name:<12}  {text}".rstrip() for name, text in rows))
    return 0


def betti1(options: argparse.Namespace) -> int:
    """Count the bars of the clouds of files."""
    results = []
    for name in options.files:
        x = _read(name, options)
        engine = {**_engine(options), "min_persistence": options.min_persistence}
        shape = _shape(x)
        counts: list[int] = betti1_batch(x, **engine).tolist() if options.batch else [count_bars(x, **engine)]
        results.append({"file": name, "shape": shape, "betti1": counts if options.batch else counts[0]})
        if not options.json:
            text = " ".join(map(str, counts))
            print(f"{name}\t{text}" if len(options.files) > 1 else text, flush=True)
    if options.json:
        print_json({"results": results})
    return 0


def h1(options: argparse.Namespace) -> int:
    """Compute, print, write and draw the barcode of a file."""
    least = check_length(options.min_persistence, "min_persistence")
    if options.output is not None and Path(options.output).suffix.lower() not in (".csv", ".npy", ".json"):
        raise InvalidInputError(f"--output {options.output}: expected a .csv, .npy or .json file")
    x = _read(options.file, options)
    check = "ripser" if options.check else None
    barcode = compute_h1(x, check=check, progress=options.progress, **_engine(options))
    kept = np.flatnonzero(barcode.persistence > barcode.intervals.dtype.type(least))
    data = _as_data(options.file, barcode, kept)
    if options.at is not None:
        data["betti"] = {"scale": options.at, "number": barcode.betti(options.at)}
    if options.output is not None:
        _write(Path(options.output), barcode.intervals[kept], data)
    if options.plot is not None:
        _draw(Path(options.plot), barcode, least)
    if options.json:
        print_json(data)
        return 0
    checked = ", ripser.py agrees" if options.check else ""
    left_out = len(barcode) - len(kept)
    short = f", {left_out} not longer than {least:g} left out" if left_out else ""
    print(f"{barcode!r}{checked}{short}")
    if options.at is not None:
        print(f"Betti number at scale {options.at:g}: {data['betti']['number']}")
    print("\n".join(bar_lines(barcode.intervals[kept], options.top)) or "no loops")
    return 0


def plan(options: argparse.Namespace) -> int:
    """Tell the memory of a barcode; 1 where it does not fit."""
    told = estimate_memory(
        options.n,
        options.d,
        n_edges=options.edges,
        dtype=options.dtype,
        n_threads=options.n_threads,
        max_memory=options.max_memory,
    )
    if options.json:
        print_json({**dataclasses.asdict(told), "fits": told.fits})
    else:
        print(told)
    return 0 if told.fits else 1


def _read(name: str, options: argparse.Namespace) -> Any:
    x = read_array(name, options.key)
    shape = getattr(x, "shape", None)
    if options.distance_matrix and isinstance(x, np.ndarray) and x.ndim == 2 and 1 in x.shape and x.size > 1:
        return x.ravel()  # a condensed matrix as one row or column of a text file
    if shape is None and not (options.command == "betti1" and options.batch):
        raise InvalidInputError(f"{name}: holds a {type(x).__name__}, expected one array; lists go to betti1 --batch")
    return x


def _shape(x: Any) -> list[int] | None:
    shape = getattr(x, "shape", None)
    return None if shape is None else [int(size) for size in shape]


def _engine(options: argparse.Namespace) -> dict[str, Any]:
    names = ("distance_matrix", "metric", "threshold", "dtype", "backend", "max_memory", "n_threads")
    return {name: getattr(options, name) for name in names}


def _as_data(name: str, barcode: Barcode, kept: Any) -> dict[str, Any]:
    edges = barcode.backend != "ripser"
    return {
        "file": name,
        "n": barcode.n,
        "d": barcode.d,
        "dtype": str(barcode.intervals.dtype),
        "backend": barcode.backend,
        "plan": barcode.plan,
        "enclosing_radius": barcode.enclosing_radius,
        "intervals": barcode.intervals[kept],
        "birth_edges": barcode.birth_edges[kept] if edges else None,
        "death_edges": barcode.death_edges[kept] if edges else None,
        "h0": barcode.h0,
        "stats": barcode.stats,
    }


def _write(path: Path, intervals: Any, data: dict[str, Any]) -> None:
    kind = path.suffix.lower()
    if kind == ".csv":
        # repr of a number in its own precision reads back to the same bits
        rows = [",".join(str(value) for value in bar) for bar in intervals]
        path.write_text("\n".join(["birth,death", *rows]) + "\n", encoding="utf-8")
    elif kind == ".npy":
        np.save(path, intervals)
    else:
        import json

        path.write_text(json.dumps(plain(data), allow_nan=False) + "\n", encoding="utf-8")


def _draw(path: Path, barcode: Barcode, least: float) -> None:
    os.environ.setdefault("MPLBACKEND", "agg")  # a file needs no window
    axes = barcode.plot(min_persistence=least)
    try:
        axes[0].figure.savefig(path, dpi=150)
    except ValueError as error:
        raise InvalidInputError(f"--plot {path}: {error}") from error


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _cpu_model() -> str:
    if sys.platform == "linux":
        try:
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
        except OSError:
            pass
    return platform.processor() or platform.machine()
