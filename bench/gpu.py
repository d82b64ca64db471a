"""Everything that needs a GPU, by one command: `python -m bench.gpu` builds, checks, times, prints a short table last.

No network is needed: Python 3.10 or newer with numpy and torch, g++ and nvcc are. Each stage runs in its own process
with a time limit, so that one that fails or hangs leaves the others standing. After each of them
bench/results/gpu-<name>.json is written anew.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

from bench import gpu_build

ROOT = Path(__file__).resolve().parent.parent
CLEAN = "clean"
SANITIZERS = ("memcheck", "racecheck", "initcheck", "synccheck")
BUILD_SECONDS = 200
STAGES = {"checks": 120, "times": 130, "libraries": 40}  # seconds
REFUSALS = ("not supported", "error 999", "unable to", "failed to initialize", "internal error", "insufficient")


def run(command: list[str], package: Path | None, limit: float, **variables: str) -> dict[str, Any]:
    """What a command said and how it ended. At its time limit it ends with all that it has started."""
    paths = [str(package)] if package is not None else []
    environment = {**os.environ, **variables, "PYTHONPATH": os.pathsep.join([*paths, str(ROOT)])}
    started = time.monotonic()
    if limit < 1:
        return {"code": 124, "seconds": 0.0, "output": "not begun: no time was left"}
    try:
        code, text = gpu_build.run_until(limit, command, environment, ROOT)
    except OSError as error:
        return {"code": 127, "seconds": 0.0, "output": str(error)}
    return {"code": code, "seconds": round(time.monotonic() - started, 1), "output": text[-4000:]}


def stage(name: str, package: Path | None, limit: float) -> dict[str, Any]:
    """A stage in a process of its own: what it found, or why it did not."""
    result = ROOT / "build" / f"gpu-{name}.json"
    result.parent.mkdir(exist_ok=True)
    result.unlink(missing_ok=True)
    done = run([sys.executable, "-m", "bench.gpu_stages", name, str(result)], package, limit)
    try:  # written as it goes: also what was done before a time limit counts
        done |= json.loads(result.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        done["nothing_found"] = True
    return done


def sanitize(package: Path | None, ends: float) -> dict[str, Any]:
    """What each of compute-sanitizer's tools says; a machine may have none of them, or refuse them."""
    tool = gpu_build.tool("compute-sanitizer")
    if tool is None:
        return {name: {"code": None, "said": "compute-sanitizer is not on this machine"} for name in SANITIZERS}
    found: dict[str, Any] = {}
    for k, name in enumerate(SANITIZERS):
        command = [tool, "--tool", name, "--error-exitcode", "9", sys.executable, "-m", "bench.gpu_stages", "small"]
        done = run(command, package, (ends - time.monotonic()) / (len(SANITIZERS) - k))
        lines = [line for line in done["output"].splitlines() if line.strip()]
        refusal = [line for line in lines if any(word in line.lower() for word in REFUSALS)]
        ran = "small: done" in done["output"]  # some copies of the tool end well without having run anything
        if done["code"] == 0 and ran:
            said = CLEAN
        elif refusal and not ran:
            said = f"refused: {refusal[0].strip()}"
        else:
            said = f"exit {done['code']}: {' | '.join(lines[-3:])}"
        found[name] = done | {"said": said}
    return found


def machine() -> dict[str, Any]:
    query = "name,driver_version,memory.total,clocks.max.sm,power.limit"
    smi = run(["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader"], None, 20)
    nvcc = gpu_build.tool("nvcc")
    version: dict[str, Any] = {"code": 127}
    if nvcc is not None:
        version = run([nvcc, "--version"], None, 20)
    return {
        "gpu": smi["output"].strip() if smi["code"] == 0 else None,
        "why_no_gpu": None if smi["code"] == 0 else f"nvidia-smi: {smi['output'].strip()}",
        "nvcc": version["output"].strip().splitlines()[-1] if version["code"] == 0 else None,
        "python": platform.python_version(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "day": time.strftime("%Y-%m-%d"),
    }


def milliseconds(value: float | None) -> str:
    return "failed" if value is None else f"{value:.3f} ms"


def table(report: dict[str, Any]) -> str:
    about = report["machine"]
    lines = [f"GPU: {about['gpu'] or about['why_no_gpu']}", f"build: {report['build']['said']}"]
    for name in ("checks", "libraries"):
        found = report.get(name, {}).get("checks", {})
        failed = [check for check, said in found.items() if said != "ok"]
        if name in report:
            lines.append(f"{name}: {len(found) - len(failed)} of {len(found)} ok")
        lines += [f"  {check}: {found[check]}" for check in failed]
    lines += [f"compute-sanitizer {name}: {done['said']}" for name, done in report.get("sanitizers", {}).items()]
    times = report.get("times", {}).get("times", [])
    if times:
        lines.append(f"{'what':<46}{'median':>12}{'aim':>12}")
    for row in times:
        aim = milliseconds(row["aim_ms"]) if row["aim_ms"] else ""
        met = row["ms"] is not None and row["aim_ms"] and row["ms"] <= row["aim_ms"]
        verdict = "" if not row["aim_ms"] else "  met" if met else "  missed"
        lines.append(f"{row['what']:<46}{milliseconds(row['ms']):>12}{aim:>12}{verdict}")
        if row.get("error"):
            lines.append(f"  {row['error']}")
    for name in STAGES:
        if report.get(name, {}).get("code", 0) != 0:
            lines.append(f"stage {name}: exit {report[name]['code']}: {report[name]['output'][-400:].strip()}")
    return "\n".join(lines)


def is_good(report: dict[str, Any]) -> bool:
    """Whether all that was asked for was done, and every check held. Aims may be missed."""
    found = [said for name in STAGES for said in report.get(name, {}).get("checks", {}).values()]
    rows = report.get("times", {}).get("times", [])
    tools = report.get("sanitizers", {}).values()
    return bool(
        report["build"]["ok"]
        and all(said == "ok" for said in found)
        and all(report.get(name, {}).get("code", 0) == 0 for name in STAGES)
        and all(row["ms"] is not None for row in rows)
        and all(done["code"] is None or done["said"] == CLEAN or done["said"].startswith("refused") for done in tools)
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results", help="folder for the JSON")
    parser.add_argument("--minutes", type=float, default=8.0, help="time for everything")
    parser.add_argument("--architectures", default="native", help="GPUs to compile for: native, all, or such as 90;120")
    parser.add_argument("--build-only", action="store_true", help="build, and stop")
    parser.add_argument("--installed", action="store_true", help="use the package as it is installed, build nothing")
    parser.add_argument("--no-sanitizers", action="store_true", help="leave compute-sanitizer out")
    options = parser.parse_args(arguments)
    ends = time.monotonic() + 60 * options.minutes - 5

    report: dict[str, Any] = {"machine": machine(), "build": {"ok": True, "said": "the installed package"}}
    gpu = (report["machine"]["gpu"] or "none").split(",")[0].lower()
    path = options.out / f"gpu-{''.join(c if c.isalnum() else '-' for c in gpu)[:40]}.json"
    options.out.mkdir(parents=True, exist_ok=True)

    def keep() -> None:
        path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")

    package: Path | None = None
    if not options.installed:
        report["build"] = {"ok": False, "said": "stopped while building"}
        keep()
        package, report["build"] = gpu_build.build(
            ROOT, options.architectures, min(BUILD_SECONDS, 30 * options.minutes)
        )
    keep()
    if report["build"]["ok"] and not options.build_only:
        # What is measured comes before what may take long.
        for name, limit in STAGES.items():
            report[name] = stage(name, package, min(limit, ends - time.monotonic()))
            keep()
        if not options.no_sanitizers:
            report["sanitizers"] = sanitize(package, ends)
            keep()
    print(table(report))
    print(f"written: {path}")
    return 0 if is_good(report) else 1


if __name__ == "__main__":
    sys.exit(main())
