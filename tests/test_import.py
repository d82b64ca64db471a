"""Importing the package, and using its face, imports nothing heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ["torch", "scipy", "sklearn", "matplotlib", "ripser", "pandas", "numpy.ma"]

LINES = {
    "import": "",
    "dir": "dir(adabet_fast)",
    "betti1": "assert adabet_fast.betti1(numpy.eye(4)) == 0",
    "h1": "assert len(adabet_fast.h1(numpy.eye(4))) == 0",
    "betti1_batch": "assert adabet_fast.betti1_batch(numpy.zeros((2, 5, 3))).tolist() == [0, 0]",
    "pairwise_distances": "assert adabet_fast.pairwise_distances(numpy.eye(3)).shape == (3, 3)",
    "estimate_memory": "adabet_fast.estimate_memory(100, 3)",
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
def test_nothing_heavy_is_imported(line: str, tmp_path: Path) -> None:
    code = (
        "import sys, numpy; before = set(sys.modules)\n"  # NumPy 1 imports numpy.ma itself
        f"import adabet_fast\n{line}\n"
        f"print([name for name in {HEAVY} if name in sys.modules and name not in before])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_what_was_installed_is_what_is_tested() -> None:
    import adabet_fast

    pyproject = (Path(__file__).resolve().parent.parent / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{adabet_fast.__version__}"' in pyproject


def test_without_torch_all_else_is_there() -> None:
    code = """
import sys; sys.modules["torch"] = None  # as if it were not installed
sys.modules["sklearn"] = None  # SciPy, which it imports, stumbles over that
import inspect, pydoc
import adabet_fast
from adabet_fast import *
assert "h1" in dir(adabet_fast) and "select_layers" not in dir(adabet_fast)
assert len(inspect.getmembers(adabet_fast)) > 10 and "betti1" in pydoc.render_doc(adabet_fast)
try:
    adabet_fast.select_layers
except ModuleNotFoundError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "adabet_fast.select_layers needs PyTorch, which is not installed: pip install torch\n", done
