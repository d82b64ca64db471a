"""Everything that needs a GPU, by one command: `python -m bench.gpu` builds, checks, times, prints a short table last.

No network is needed: Python 3.10 or newer with numpy and torch, g++ and nvcc are. Each stage runs in its own process
with a time limit, so that one that fails or hangs leaves the others standing. Writes bench/results/gpu-<name>.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench import gpu_build

ROOT = Path(__file__).resolve().parent.parent
SANITIZERS = ("memcheck", "racecheck", "initcheck", "synccheck")
STAGES = {"checks": 150, "times": 200}  # seconds


def run(command: list[str], package: Path | None, limit: float, **variables: str) -> dict[str, Any]:
    """What a command said and how it ended."""
    paths = [str(package)] if package is not None else []
    environment = {**os.environ, **variables, "PYTHONPATH": os.pathsep.join([*paths, str(ROOT)])}
    started = time.monotonic()
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=max(1.0, limit), check=False
        )
        text, code = done.stdout + done.stderr, done.returncode
    except subprocess.TimeoutExpired as error:
        text, code = f"stopped after {limit:.0f} s: {error.stdout!r}", 124
    except OSError as error:
        text, code = str(error), 127
    return {"code": code, "seconds": round(time.monotonic() - started, 1), "output": text[-4000:]}


def stage(name: str, package: Path | None, limit: float) -> dict[str, Any]:
    """A stage in a process of its own: what it found, or why it did not."""
    result = ROOT / "build" / f"gpu-{name}.json"
    result.parent.mkdir(exist_ok=True)
    result.unlink(missing_ok=True)
    done = run([sys.executable, "-m", "bench.gpu_stages", name, str(result)], package, limit)
    if result.is_file():  # written as it goes: also what was done before a time limit counts
        done |= json.loads(result.read_text(encoding="utf-8"))
    return done


def sanitize(package: Path | None, limit: float) -> dict[str, Any]:
    tool = shutil.which("compute-sanitizer") or shutil.which("compute-sanitizer", path="/usr/local/cuda/bin")
    if tool is None:
        return {name: {"code": None, "output": "compute-sanitizer is not on this machine"} for name in SANITIZERS}
    found = {}
    ends = time.monotonic() + limit
    for name in SANITIZERS:
        command = [tool, "--tool", name, "--error-exitcode", "9", sys.executable, "-m", "bench.gpu_stages", "small"]
        found[name] = run(command, package, min(60.0, ends - time.monotonic()))
    return found


def machine() -> dict[str, Any]:
    query = "name,driver_version,memory.total,clocks.max.sm,power.limit"
    smi = run(["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader"], None, 20)
    nvcc = run(["nvcc", "--version"], None, 20)
    return {
        "gpu": smi["output"].strip() if smi["code"] == 0 else f"no nvidia-smi: {smi['output'].strip()}",
        "nvcc": nvcc["output"].strip().splitlines()[-1] if nvcc["code"] == 0 else "none",
        "python": platform.python_version(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "day": time.strftime("%Y-%m-%d"),
    }


def table(report: dict[str, Any]) -> str:
    lines = [f"GPU: {report['machine']['gpu']}", f"build: {report['build']['said']}"]
    checks = report.get("checks", {}).get("checks", {})
    failed = [name for name, said in checks.items() if said != "ok"]
    lines.append(f"checks: {len(checks) - len(failed)} of {len(checks)} ok")
    lines += [f"  {name}: {checks[name]}" for name in failed]
    for name, done in report.get("sanitizers", {}).items():
        said = {0: "clean", None: done["output"]}.get(done["code"], f"exit {done['code']}: {done['output'][-200:]}")
        lines.append(f"compute-sanitizer {name}: {said}")
    times = report.get("times", {}).get("times", [])
    if times:
        lines.append(f"{'what':<44}{'median':>12}{'aim':>12}")
    for row in times:
        aim = f"{row['aim_ms']:.3f} ms" if row["aim_ms"] else ""
        verdict = "" if not row["aim_ms"] else "  met" if row["ms"] <= row["aim_ms"] else "  missed"
        lines.append(f"{row['what']:<44}{row['ms']:>9.3f} ms{aim:>12}{verdict}")
    for name in STAGES:
        if report.get(name, {}).get("code", 0) != 0:
            lines.append(f"stage {name}: exit {report[name]['code']}: {report[name]['output'][-400:]}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results", help="folder for the JSON")
    parser.add_argument("--minutes", type=float, default=8.0, help="time for everything")
    parser.add_argument("--architectures", default="native", help="GPUs to compile for: native, all, or such as 90;120")
    parser.add_argument("--build-only", action="store_true", help="build, and stop")
    parser.add_argument("--installed", action="store_true", help="use the package as it is installed, build nothing")
    parser.add_argument("--no-sanitizers", action="store_true", help="leave compute-sanitizer out")
    options = parser.parse_args(arguments)
    ends = time.monotonic() + 60 * options.minutes

    report: dict[str, Any] = {"machine": machine()}
    package: Path | None = None
    if options.installed:
        report["build"] = {"ok": True, "said": "the installed package"}
    else:
        package, report["build"] = gpu_build.build(ROOT, options.architectures)
    if report["build"]["ok"] and not options.build_only:
        # What is measured comes before what may take long.
        for name, limit in STAGES.items():
            report[name] = stage(name, package, min(limit, ends - time.monotonic()))
        if not options.no_sanitizers:
            report["sanitizers"] = sanitize(package, ends - time.monotonic())
    options.out.mkdir(parents=True, exist_ok=True)
    name = "".join(c if c.isalnum() else "-" for c in report["machine"]["gpu"].split(",")[0].lower())[:40]
    path = options.out / f"gpu-{name}.json"
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(table(report))
    print(f"written: {path}")
    checks = report.get("checks", {})
    good = report["build"]["ok"] and all(said == "ok" for said in checks.get("checks", {}).values())
    return 0 if good and all(report.get(name, {}).get("code", 0) == 0 for name in STAGES) else 1


if __name__ == "__main__":
    sys.exit(main())
