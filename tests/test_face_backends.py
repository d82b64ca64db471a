"""Backends and threads: what is named runs or raises; environment variables; the package without its native part."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import adabet_fast
from adabet_fast import (
    BackendUnavailableError,
    InvalidInputError,
    _core,
    backends,
    betti1,
    betti1_batch,
    h1,
    pairwise_distances,
)
from adabet_fast._threads import resolve_threads

X = np.random.default_rng(2).standard_normal((50, 10)).astype(np.float32)


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env={**os.environ, **environment}
    )


def test_backends_are_told() -> None:
    found = backends()
    assert list(found) == ["cpu", "cuda", "ripser"]
    assert len(found) == 3
    assert found["cpu"].available
    assert _core.active_isa() in found["cpu"].detail
    assert f"{_core.available_cores()} core" in found["cpu"].detail
    assert found["cuda"].detail
    assert found["ripser"].available == (importlib.util.find_spec("ripser") is not None)
    lines = str(found).splitlines()
    assert [line.split()[0] for line in lines][:3] == ["cpu", "cuda", "ripser"]
    with pytest.raises(KeyError):
        found["gudhi"]


def test_ripser_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "pip install" in backends()["ripser"].detail
    assert not backends()["ripser"].available
    monkeypatch.setitem(sys.modules, "ripser", None)
    for call in (
        lambda: h1(X, backend="ripser"),
        lambda: h1(X, check="ripser"),
        lambda: betti1(X, backend="ripser"),
        lambda: betti1_batch([X], backend="ripser"),
    ):
        with pytest.raises(BackendUnavailableError, match="pip install ripser"):
            call()


def test_a_named_backend_runs_or_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_core, "cuda_devices", lambda: ("no GPU here", []))
    monkeypatch.setattr(_core, "cuda_problem", lambda index: "no GPU here")
    for call in (betti1, h1, pairwise_distances, lambda x, **options: betti1_batch([x], **options)):
        with pytest.raises(BackendUnavailableError, match="backend is 'cuda', but no GPU here"):
            call(X, backend="cuda")
        monkeypatch.setenv("ADABET_BACKEND", "cuda")
        with pytest.raises(BackendUnavailableError, match=r"ADABET_BACKEND is 'cuda'"):
            call(X)
        call(X, backend="cpu")
        monkeypatch.setenv("ADABET_BACKEND", "fpga")
        with pytest.raises(InvalidInputError, match=r"ADABET_BACKEND is 'fpga'"):
            call(X)
        call(X, backend="cpu")
        for value in ("auto", "cpu", ""):
            monkeypatch.setenv("ADABET_BACKEND", value)
            call(X)
        monkeypatch.delenv("ADABET_BACKEND")
    with pytest.raises(BackendUnavailableError, match="computes no distances"):
        pairwise_distances(X, backend="ripser")
    assert h1(X).backend == "cpu"


def test_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ADABET_NUM_THREADS", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert resolve_threads(None) == _core.available_cores() == len(os.sched_getaffinity(0))
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert resolve_threads(None) == 3
    monkeypatch.setenv("OMP_NUM_THREADS", " 4 , 2")
    assert resolve_threads(None) == 4
    monkeypatch.setenv("ADABET_NUM_THREADS", " ")
    assert resolve_threads(None) == 4
    monkeypatch.setenv("ADABET_NUM_THREADS", "7")
    assert resolve_threads(None) == 7
    assert resolve_threads(np.int64(2)) == 2
    assert resolve_threads(10**30) == resolve_threads(10**6)
    for variable in ("ADABET_NUM_THREADS", "OMP_NUM_THREADS"):
        for value in ("0", "-1", "two", "1.5", "²", "1e3", "0x2", "3;4"):
            monkeypatch.setenv(variable, value)
            with pytest.raises(InvalidInputError, match=rf"{variable} is {value!r}"):
                betti1(X)
            assert betti1(X, n_threads=1) > 0
        monkeypatch.delenv(variable)
    monkeypatch.setenv("ADABET_NUM_THREADS", "2,2")
    with pytest.raises(InvalidInputError, match="ADABET_NUM_THREADS"):
        betti1(X)


@pytest.mark.parametrize("isa", _core.available_isas())
def test_every_instruction_set_gives_the_same_bits(isa: str) -> None:
    code = (
        "import numpy as np, adabet_fast as a\n"
        "x = np.random.default_rng(2).standard_normal((50, 300)).astype(np.float32)\n"
        "print(a._core.active_isa(), a.h1(x).intervals.tobytes().hex(), a.pairwise_distances(x).tobytes().hex())"
    )
    done = python(code, ADABET_ISA=isa)
    assert done.returncode == 0, done.stderr
    x = np.random.default_rng(2).standard_normal((50, 300)).astype(np.float32)
    assert done.stdout.split() == [isa, h1(x).intervals.tobytes().hex(), pairwise_distances(x).tobytes().hex()]


def test_an_instruction_set_that_does_not_exist() -> None:
    code = (
        "import adabet_fast as a\n"
        "print(a.backends()['cpu'])\n"
        "try: a.betti1([[0, 0], [1, 0], [1, 1], [0, 1]])\n"
        "except a.BackendUnavailableError as error: print('raised', error)"
    )
    done = python(code, ADABET_ISA="sse9")
    assert done.returncode == 0, done.stderr
    told, raised = done.stdout.splitlines()
    assert "available=False" in told
    assert raised.startswith("raised")
    assert "sse9" in told
    assert "sse9" in raised


def test_without_the_native_module() -> None:
    code = (
        "import sys\n"
        "sys.modules['adabet_fast._core'] = None\n"
        "try: import adabet_fast\n"
        "except ImportError as error: print(error)"
    )
    done = python(code)
    assert done.returncode == 0, done.stderr
    assert "_core" in done.stdout
    assert "pip install ." in done.stdout
    assert "PYTHONPATH" in done.stdout


def test_names() -> None:
    assert set(adabet_fast.__all__) <= set(dir(adabet_fast))
    for name in adabet_fast.__all__:
        assert getattr(adabet_fast, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'betti2'"):
        adabet_fast.betti2  # noqa: B018
    assert adabet_fast.__version__ == _core.__version__
    from importlib.metadata import version

    assert adabet_fast.__version__ == version("adabet_fast")


def test_calls_from_many_threads_at_once() -> None:
    from concurrent.futures import ThreadPoolExecutor

    clouds = np.random.default_rng(4).standard_normal((24, 40, 6)).astype(np.float32)
    expected: list[Any] = [h1(x, n_threads=1) for x in clouds]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(lambda x: h1(x, n_threads=3), clouds)) == expected


def test_calls_in_a_forked_child() -> None:
    """A child forked after the engine has used threads computes as well."""
    code = (
        "import os, numpy as np, adabet_fast as a\n"
        "x = np.random.default_rng(4).standard_normal((300, 6)).astype(np.float32)\n"
        "expected = a.betti1(x, n_threads=4)\n"
        "child = os.fork()\n"
        "if child == 0: os._exit(0 if a.betti1(x, n_threads=4) == expected else 1)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    done = python(code)
    assert done.stdout.split() == ["0"], done.stderr
