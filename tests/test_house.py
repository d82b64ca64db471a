"""One-way floors and the other rules of the house, on every file; and that each rule finds what it is there for."""

from __future__ import annotations

import pytest

from tests import house


def test_every_file_keeps_the_rules() -> None:
    found = [line for path in house.files() for line in house.violations(path, house.read(path))]
    assert not found, "\n" + "\n".join(found)


def test_the_files_are_all_there() -> None:
    files = set(house.files())
    assert {"cpp/adabet/types.hpp", "cpp/adabet/metric/pairwise.hpp", "pyproject.toml", "tests/house.py"} <= files
    assert sum(path.startswith("cpp/adabet/") for path in files) > 10


PLANTED = {
    "include upward from floor 0": (
        "cpp/adabet/x.hpp",
        '#include "adabet/metric/pairwise.hpp"',
        "of floor 1 from",
    ),
    "metric includes rips": ("cpp/adabet/metric/x.cpp", '  #  include "adabet/rips/y.hpp"', "of floor 2 from floor 1"),
    "rips includes persistence": ("cpp/adabet/rips/x.cpp", '#include "adabet/persistence/h1.hpp"', "of floor 3"),
    "library includes bindings": ("cpp/adabet/persistence/x.cpp", '#include "bindings/x.hpp"', "of floor 4"),
    "relative include": ("cpp/adabet/rips/x.cpp", '#include "y.hpp"', "on no floor"),
    "unknown folder": ("cpp/adabet/utils/x.cpp", "int x;", "stands on no floor"),
    "unknown folder included": ("cpp/bindings/x.cpp", '#include "adabet/utils/x.hpp"', "on no floor"),
    "pybind11 in the library": ("cpp/adabet/metric/x.cpp", "#include <pybind11/pybind11.h>", "Python only"),
    "Python.h in the library": ("cpp/adabet/x.cpp", "#include <Python.h>", "Python only"),
    "CUDA above rips": ("cpp/adabet/persistence/x.cpp", "cudaMalloc(&p, 4);", "CUDA only"),
    "CUDA file in the bindings": ("cpp/bindings/x.cu", "int x;", "CUDA only"),
    "CUDA by #if": ("cpp/adabet/metric/x.cpp", "#ifdef ADABET_CUDA", "chosen by file"),
    "printing": ("cpp/adabet/rips/x.cpp", 'std::cout << "x";', "printing"),
    "printing in the bindings": ("cpp/bindings/x.cpp", "  printf(x);", "printing"),
    "exit": ("cpp/adabet/rips/x.cpp", "std::exit(1);", "ending the process"),
    "assert": ("cpp/adabet/rips/x.cpp", "assert(n > 0);", "ending the process"),
    "intrinsics": ("cpp/adabet/rips/x.cpp", "x = _mm256_add_ps(a, b);", "intrinsics"),
    "OpenMP": ("cpp/adabet/rips/x.cpp", "#pragma omp parallel for", "OpenMP"),
    "face imports nn": ("python/adabet_fast/b.py", "from .nn import scores", "of floor 6 from floor 5"),
    "face imports nn by name": ("python/adabet_fast/b.py", "from . import nn", "of floor 6 from floor 5"),
    "face imports nn inside": ("python/adabet_fast/b.py", "def f():\n    import adabet_fast.nn", "of floor 6"),
    "face imports the roof": (
        "python/adabet_fast/b.py",
        "from adabet_fast import betti1",
        "of floor 8 from floor 5",
    ),
    "nn imports the command line": ("python/adabet_fast/nn/x.py", "from ..cli import main", "of floor 7 from floor 6"),
    "package imports bench": ("python/adabet_fast/nn/x.py", "from bench.clouds import torus", "imports bench"),
    "torch in the face": ("python/adabet_fast/p.py", "import torch", "torch only in nn/"),
    "torch deep in the face": (
        "python/adabet_fast/p.py",
        "def f():\n    from torch import nn",
        "torch only in nn/",
    ),
    "scipy when imported": (
        "python/adabet_fast/p.py",
        "try:\n    import scipy\nexcept ImportError: ...",
        "scipy",
    ),
    "matplotlib in a class": ("python/adabet_fast/b.py", "class B:\n    import matplotlib", "matplotlib"),
    "too long": ("bench/x.py", "x = 1\n" * 401, "401 lines"),
    "module.cpp too long": ("cpp/bindings/module.cpp", "int x;\n" * 41, "41 lines"),
    "machine path": ("README.md", "cd " + "/" + "home/someone/project", "speaks of"),
    "registry": ("requirements.txt", "--index" + "-url https://example.org/packages", "speaks of"),
}


@pytest.mark.parametrize(("path", "text", "expected"), PLANTED.values(), ids=PLANTED.keys())
def test_a_planted_violation_is_found(path: str, text: str, expected: str) -> None:
    found = house.violations(path, text)
    assert any(expected in line for line in found), found


ALLOWED = {
    "include downward": ("cpp/adabet/persistence/x.cpp", '#include "adabet/rips/y.hpp"\n#include "adabet/types.hpp"'),
    "bindings include all floors": ("cpp/bindings/x.cpp", '#include "adabet/persistence/h1.hpp"\n#include "x.hpp"'),
    "words in comments and strings": (
        "cpp/adabet/x.cpp",
        '// never exit()\nauto s = "cudaMalloc(1)"; /* std::cout\n*/',
    ),
    "static_assert, snprintf": ("cpp/adabet/x.cpp", "static_assert(true); snprintf(p, n, f);"),
    "float mode": ("cpp/adabet/x.cpp", "#include <immintrin.h>\n_mm_setcsr(_mm_getcsr());"),
    "CUDA below": ("cpp/adabet/rips/x.cu", "#include <cuda_runtime.h>\nvoid f() { cudaMalloc(&p, 4); }"),
    "host_device.hpp": ("cpp/adabet/host_device.hpp", "#ifdef __CUDACC__"),
    "nn uses torch and the face": (
        "python/adabet_fast/nn/x.py",
        "import torch\nfrom .._core import f",
    ),
    "scipy where it is used": ("python/adabet_fast/p.py", "def f():\n    import scipy.sparse"),
    "torch for types": ("python/adabet_fast/p.py", "if TYPE_CHECKING:\n    import torch\n    import scipy"),
    "marked torch": ("python/adabet_fast/p.py", "def f():\n    import torch  # house: lazy"),
    "the roof": ("python/adabet_fast/__init__.py", "from .nn import select_layers"),
}


@pytest.mark.parametrize(("path", "text"), ALLOWED.values(), ids=ALLOWED.keys())
def test_what_is_allowed_passes(path: str, text: str) -> None:
    assert house.violations(path, text) == []
