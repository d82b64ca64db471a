"""Builds the package with CUDA where there is no network: by pip if all it needs is there, else by g++ and nvcc."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

CXX_FLAGS = ["-std=c++20", "-O3", "-DNDEBUG", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-fno-math-errno"]
NVCC_FLAGS = ["-std=c++20", "-O3", "--fmad=false", "--expt-relaxed-constexpr"]
NVCC_FLAGS += ["-Xcompiler=-fPIC,-fvisibility=hidden,-ffp-contract=off,-fno-math-errno"]


def tool(name: str) -> str | None:
    """Where a program is: on PATH, beside this Python, or where CUDA's own installer puts it."""
    homes = [os.environ.get(variable) for variable in ("CUDA_HOME", "CUDA_PATH")]
    places = [str(Path(sys.executable).parent), *(str(Path(home) / "bin") for home in homes if home)]
    places.append("/usr/local/cuda/bin")
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(places))


def environment() -> dict[str, str]:
    """This process's environment, with all those tools on PATH."""
    folders = {str(Path(found).parent) for name in ("cmake", "ninja", "nvcc") if (found := tool(name)) is not None}
    path = os.pathsep.join([os.environ.get("PATH", ""), *sorted(folders)])
    nvcc = tool("nvcc")
    return {**os.environ, "PATH": path, **({"CUDACXX": nvcc} if nvcc is not None else {})}


def run_until(limit: float, command: list[str], variables: dict[str, str], folder: Path) -> tuple[int, str]:
    """How a command ended, and what it said. At its time limit it ends (124) with all that it has started."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        text = process.communicate(timeout=limit)[0]
        return process.returncode, text
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        try:
            text = process.communicate(timeout=10)[0]
        except subprocess.TimeoutExpired:  # a process that waits for a GPU ends when that lets it
            text = ""
        return 124, f"{text}\nstopped after {limit:.0f} s"


def build(root: Path, architectures: str, limit: float) -> tuple[Path | None, dict[str, Any]]:
    """The folder to import the package from (None: nowhere), and what happened."""
    started = time.monotonic()
    missing = [name for name in ("pip", "scikit_build_core", "pybind11") if importlib.util.find_spec(name) is None]
    missing += [name for name in ("cmake", "nvcc") if tool(name) is None]
    to = root / "build" / "gpu"
    for old in (to, root / "build" / "gpu-cmake"):
        shutil.rmtree(old, ignore_errors=True)
    to.mkdir(parents=True)
    said = f"no pip build: {', '.join(missing)} not there; "
    if not missing:
        ok, text = by_pip(root, to, architectures, limit / 2)
        if ok:
            return to, {"ok": True, "said": f"by pip in {time.monotonic() - started:.0f} s"}
        shutil.rmtree(to / "adabet_fast", ignore_errors=True)
        said = f"pip failed: {text[-1500:]}; "
    try:
        directly(root, to, architectures, limit - (time.monotonic() - started))
    except (subprocess.SubprocessError, OSError, LookupError) as error:
        text = getattr(error, "stderr", None) or str(error)
        return None, {"ok": False, "said": said + f"g++ and nvcc failed: {text[-3000:]}"}
    return to, {"ok": True, "said": said + f"by g++ and nvcc in {time.monotonic() - started:.0f} s"}


def by_pip(root: Path, to: Path, architectures: str, limit: float) -> tuple[bool, str]:
    command = [sys.executable, "-m", "pip", "install", "--no-build-isolation", "--no-deps", "--no-index", "--upgrade"]
    command += ["--target", str(to), "-C", "cmake.define.ADABET_CUDA=ON", "-C", f"build-dir={to}-cmake"]
    command += ["-C", f"cmake.define.ADABET_CUDA_ARCHITECTURES={architectures}", str(root)]
    parallel = {"CMAKE_BUILD_PARALLEL_LEVEL": str(os.cpu_count() or 2)}
    code, text = run_until(limit, command, environment() | parallel, root)
    return code == 0, text


def pybind11_headers() -> str:
    """Of pybind11 itself, or of torch, which brings them along."""
    for package, inside in (("pybind11", "include"), ("torch", "include")):
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations or []) if spec is not None else []:
            if (Path(place) / inside / "pybind11" / "pybind11.h").is_file():
                return str(Path(place) / inside)
    raise LookupError("pybind11's headers were found neither in pybind11 nor in torch")


def python_headers() -> str:
    folder = sysconfig.get_paths()["include"]
    if not (Path(folder) / "Python.h").is_file():
        raise LookupError(f"there is no {folder}/Python.h: the headers of Python {sys.version.split()[0]} are missing")
    return folder


def code_flags(nvcc: str, architectures: str) -> list[str]:
    if architectures == "native":
        return ["-arch=native"]
    numbers = re.findall(r"\d+", architectures)
    if architectures == "all":
        known = subprocess.run([nvcc, "--list-gpu-code"], capture_output=True, text=True, check=True).stdout
        numbers = [number for number in ("75", "80", "86", "89", "90", "100", "120") if f"sm_{number}\n" in known]
    return [f"-gencode=arch=compute_{number},code=sm_{number}" for number in numbers]


def directly(root: Path, to: Path, architectures: str, limit: float) -> None:
    """Every file by the compiler itself, as many at once as there are cores; then one link."""
    ends = time.monotonic() + limit
    nvcc, cxx = tool("nvcc"), tool(os.environ.get("CXX", "g++"))
    if nvcc is None or cxx is None:
        raise LookupError(f"{' and '.join(n for n, at in (('nvcc', nvcc), ('g++', cxx)) if at is None)} not found")
    version = re.search(r'^version = "([^"]+)"', (root / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    python = ["-isystem", pybind11_headers(), "-isystem", python_headers()]
    objects = to / "objects"
    objects.mkdir(exist_ok=True)
    jobs: list[list[str]] = []
    outputs: list[str] = []
    for source in sorted((root / "cpp").rglob("*.c*")):
        if source.suffix not in (".cpp", ".cu") or source.name == "no_cuda.cpp":
            continue
        output = str(objects / (source.relative_to(root).as_posix().replace("/", "_") + ".o"))
        outputs.append(output)
        common = ["-I", str(root / "cpp"), "-c", str(source), "-o", output]
        if source.suffix == ".cu":
            jobs.insert(0, [nvcc, *NVCC_FLAGS, *code_flags(nvcc, architectures), *common])
        elif "bindings" in source.parts:
            jobs.append([cxx, *CXX_FLAGS, f'-DADABET_VERSION="{version[1] if version else 0}"', *python, *common])
        else:
            jobs.append([cxx, *CXX_FLAGS, *common])

    def compile_one(command: list[str]) -> None:
        left = max(1.0, ends - time.monotonic())
        subprocess.run(command, capture_output=True, text=True, timeout=left, check=True)

    with ThreadPoolExecutor(os.cpu_count() or 2) as pool:
        futures = [pool.submit(compile_one, job) for job in jobs]
        try:
            for future in futures:
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # what fails in one file is told at once
            raise
    package = to / "adabet_fast"
    shutil.copytree(root / "python" / "adabet_fast", package, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    module = package / f"_core{sysconfig.get_config_var('EXT_SUFFIX')}"
    libraries = ["-lrt", "-ldl", "-lpthread"]
    compile_one([nvcc, "-shared", "-cudart=static", "-o", str(module), *outputs, *libraries])
