"""The pages in docs/: their Python and shell snippets run, and every snippet is one of a kind that is run."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import adabet_fast
import adabet_fast.nn

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
# Fetched from elsewhere, or the commands that CI itself consists of: shown, not run again.
SHOWN = {
    "pip install .              # numpy is the only dependency; compiles for about two minutes\n"
    'pip install ".[all]"       # and PyTorch, scikit-learn, GUDHI, matplotlib, ripser.py for what uses them\n',
    "count = adabet_fast.betti1(activations.cpu())\n",  # needs a GPU
}


def pages() -> list[str]:
    """All pages but those that a benchmark wrote, which have no snippets to run."""
    found = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md") if "_build" not in path.parts)
    assert {"index.md", "start.md", "howto/gpu.md", "training.md"} <= set(found)
    return found


def blocks(page: str) -> list[tuple[str, str]]:
    """The fenced blocks of a page: language and text."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(r"^```([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", pages())
def test_snippets_run(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # snippets write files
    results = doctest.testfile(str(DOCS / page), module_relative=False, optionflags=OPTIONS, encoding="utf-8")
    assert results.failed == 0, "see the captured output"
    for _, text in (block for block in blocks(page) if block[0] == "console"):
        for command, expected in re.findall(r"^\$ ([^\n]*)\n((?:(?!\$ )[^\n]*\n)*)", text, re.MULTILINE):
            got = shell(command, tmp_path)
            same = doctest.OutputChecker().check_output(expected, got, OPTIONS)
            assert same, f"{page}: $ {command}\nexpected:\n{expected}\ngot:\n{got}"


def shell(command: str, folder: Path) -> str:
    scripts = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=os.environ | {"PATH": scripts},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, f"$ {command}\n{ran.stdout}{ran.stderr}"
    return ran.stdout


@pytest.mark.parametrize("page", pages())
def test_every_snippet_is_of_a_kind_that_is_run(page: str) -> None:
    for language, text in blocks(page):
        if language == "python":
            assert text.startswith(">>> "), f"{page}: a Python block without >>> is not run:\n{text}"
        elif language == "console":
            assert text.startswith("$ "), f"{page}: a console block begins with a command:\n{text}"
        elif not language.startswith("{"):
            assert text in SHOWN, f"{page}: a block of {language!r} is not run:\n{text}"


def test_the_reference_has_every_public_name() -> None:
    directive = re.compile(r"^\.\. auto(?:function|class|exception):: (?:[\w.]*\.)?(\w+)", re.MULTILINE)
    listed = {name for page in (DOCS / "api").glob("*.rst") for name in directive.findall(page.read_text("utf-8"))}
    public = {*adabet_fast.__all__, *adabet_fast.nn.__all__} - {"__version__"}
    assert public <= listed, f"not in docs/api: {sorted(public - listed)}"


def test_the_pictures_are_the_same_each_time(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        subprocess.run([sys.executable, str(DOCS / "pictures.py"), str(tmp_path / folder)], check=True, timeout=300)
    drawn = sorted(path.name for path in (tmp_path / "one").iterdir())
    shown = set(re.findall(r"_pictures/(\w+\.svg)", (DOCS / "method.md").read_text("utf-8")))
    assert shown == set(drawn)
    for name in drawn:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
