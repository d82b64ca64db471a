"""The one command for a machine with a GPU, as far as a machine without one goes: it ends, in time, and says why."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bench import gpu, gpu_build

BUILT = {"build": {"ok": True, "said": "by pip"}, "machine": {"gpu": "NVIDIA X, 1", "why_no_gpu": None}}


def test_a_command_that_hangs_ends_with_all_that_it_started(tmp_path: Path) -> None:
    child = "import os, time; open('pid', 'w').write(str(os.getpid())); print('begun', flush=True); time.sleep(60)"
    code = f"import os, subprocess, sys; os.chdir({str(tmp_path)!r}); subprocess.run([sys.executable, '-c', {child!r}])"
    started = time.monotonic()
    done = gpu.run([sys.executable, "-c", code], None, 5)
    assert time.monotonic() - started < 30
    assert done["code"] == 124
    assert "begun" in done["output"]
    assert "stopped after 5 s" in done["output"]
    pid = int((tmp_path / "pid").read_text())
    for _ in range(100):
        status = Path(f"/proc/{pid}/status")
        if not status.exists() or "\nState:\tZ" in status.read_text():
            break
        time.sleep(0.05)
    else:
        pytest.fail("the grandchild lives on")
    assert gpu.run([sys.executable, "-c", ""], None, 0.0)["code"] == 124  # no time left: not begun
    assert gpu.run([str(tmp_path / "no-such-program")], None, 5)["code"] == 127


def test_where_there_is_nothing_to_build_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_build, "tool", lambda name: None)
    package, said = gpu_build.build(tmp_path, "native", 60)
    assert package is None
    assert not said["ok"]
    assert "cmake, nvcc not there" in said["said"]
    assert "nvcc and g++ not found" in said["said"]
    monkeypatch.setattr(gpu_build.sysconfig, "get_paths", lambda: {"include": str(tmp_path)})
    with pytest.raises(LookupError, match=r"no .*Python.h: the headers of Python 3"):
        gpu_build.python_headers()


def test_tools_are_found_where_cuda_puts_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    tool = tmp_path / "bin" / "a-tool-of-cuda"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    assert gpu_build.tool("a-tool-of-cuda") is None
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    assert gpu_build.tool("a-tool-of-cuda") == str(tool)


def test_a_file_that_does_not_compile_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpp").mkdir()
    (tmp_path / "cpp" / "bad.cpp").write_text("this is no C++;\n")
    (tmp_path / "pyproject.toml").write_text('version = "1.0"\n')
    monkeypatch.setattr(gpu_build, "tool", {"g++": "/usr/bin/g++", "nvcc": "/bin/true"}.get)
    package, said = gpu_build.build(tmp_path, "native", 60)
    assert package is None
    assert "cmake not there" in said["said"]
    assert "bad.cpp" in said["said"]


SANITIZER = """#!{python}
import sys
name = sys.argv[2]
if name == "memcheck": print("small: done"); sys.exit(0)
if name == "racecheck": print("========= Error: Race reported\\nsmall: done"); sys.exit(9)
if name == "initcheck": print("========= Error: Device not supported. Please refer\\nto"); sys.exit(1)
print("Traceback\\nValueError: odd"); sys.exit(1)
"""


def test_what_sanitizers_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "compute-sanitizer"
    tool.write_text(SANITIZER.format(python=sys.executable))
    tool.chmod(0o755)
    monkeypatch.setattr(gpu_build, "tool", lambda name: str(tool))
    found = gpu.sanitize(None, time.monotonic() + 60)
    assert [found[name]["said"].split(":")[0] for name in gpu.SANITIZERS] == ["clean", "exit 9", "refused", "exit 1"]
    assert "Device not supported" in found["initcheck"]["said"]
    assert "ValueError: odd" in found["synccheck"]["said"]
    assert not gpu.is_good({**BUILT, "sanitizers": found})
    assert gpu.is_good({**BUILT, "sanitizers": {name: found[name] for name in ("memcheck", "initcheck")}})
    tool.write_text("#!/bin/sh\necho ERROR SUMMARY: 0 errors\n")  # and nothing was run
    idle = gpu.sanitize(None, time.monotonic() + 60)
    assert all(done["said"].startswith("exit 0") for done in idle.values())
    assert not gpu.is_good({**BUILT, "sanitizers": idle})
    monkeypatch.setattr(gpu_build, "tool", lambda name: None)
    absent = gpu.sanitize(None, time.monotonic() + 60)
    assert all(done["said"] == "compute-sanitizer is not on this machine" for done in absent.values())
    assert gpu.is_good({**BUILT, "sanitizers": absent})


def test_the_table_has_what_failed_and_what_was_missed() -> None:
    rows: list[dict[str, Any]] = [
        {"what": "fast", "ms": 1.0, "aim_ms": 2.0},
        {"what": "slow", "ms": 3.0, "aim_ms": 2.0},
        {"what": "broken", "ms": None, "aim_ms": 2.0, "error": "RuntimeError: reason"},
    ]
    report = {
        **BUILT,
        "checks": {"code": 124, "output": "stopped", "checks": {"a": "ok", "b": "AssertionError: not equal"}},
        "times": {"code": 0, "times": rows},
    }
    lines = gpu.table(report).splitlines()
    assert "checks: 1 of 2 ok" in lines
    assert "  b: AssertionError: not equal" in lines
    assert any(line.startswith("fast") and line.endswith("met") for line in lines)
    assert any(line.startswith("slow") and line.endswith("missed") for line in lines)
    assert any(line.startswith("broken") and "failed" in line for line in lines)
    assert "  RuntimeError: reason" in lines
    assert lines[-1] == "stage checks: exit 124: stopped"
    assert not gpu.is_good(report)
    assert gpu.is_good({**BUILT, "times": {"code": 0, "times": rows[:2]}})  # an aim may be missed


@pytest.mark.slow
@pytest.mark.skipif(os.path.exists("/dev/nvidia0"), reason="there is a GPU")
def test_a_machine_without_a_gpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main(["--installed", "--no-sanitizers", "--out", str(tmp_path), "--minutes", "2"]) == 1
    report = json.loads((tmp_path / "gpu-none.json").read_text())
    assert report["machine"]["gpu"] is None
    assert report["machine"]["why_no_gpu"]
    checks = report["checks"]["checks"]
    assert len(checks) > 10
    # The last check breaks what there is of a GPU; what follows a failure was tried all the same.
    assert all(said != "begun, not ended" for said in checks.values())
    assert report["times"]["code"] != 0
    said = capsys.readouterr().out
    assert "check_regimes: " in said
    assert "stage times: exit" in said
