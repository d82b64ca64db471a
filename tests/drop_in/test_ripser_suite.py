"""ripser.py's own tests, from its source distribution, with `adabet_fast` for `ripser` in their import lines."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

VERSION = "0.6.15"
SHA256 = "bc0e340f778df0fc6a6e85ac081d2073db1af109a729bc81821af7214da15af4"
TESTS = 37
ROOT = Path(__file__).resolve().parents[2]

IMPORT = re.compile(r"^(\s*)from ripser import", re.MULTILINE)


def fetch(folder: Path) -> Path:
    """The source distribution, by pip from wherever pip is told to look."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary=ripser"]
    done = subprocess.run(
        [*command, f"ripser=={VERSION}", f"--dest={folder}"], capture_output=True, text=True, check=False, timeout=300
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["pip gave no reason"]
        pytest.skip(f"ripser.py's tests cannot be fetched: {lines[-1]}")
    archive = folder / f"ripser-{VERSION}.tar.gz"
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == SHA256, "not the file whose tests were read"
    return archive


def rewritten(archive: Path, folder: Path) -> list[str]:
    names = []
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            path = Path(member.name)
            if path.parent.name != "tests" or not path.match("test_*.py"):
                continue
            file = tar.extractfile(member)
            assert file is not None
            text = IMPORT.sub(r"\1from adabet_fast import", file.read().decode())
            assert re.search(r"^\s*(from|import)\s+ripser\b", text, re.MULTILINE) is None, (
                f"{path.name} imports ripser in another way"
            )
            (folder / path.name).write_text(text)
            names.append(path.name)
    return sorted(names)


@pytest.mark.slow
def test_ripsers_own_tests_pass(tmp_path: Path) -> None:
    pytest.importorskip("ripser", reason="some of its tests ask for degree 2, other fields or cocycles")
    archives, tests = tmp_path / "archives", tmp_path / "tests"
    archives.mkdir()
    tests.mkdir()
    names = rewritten(fetch(archives), tests)
    assert names == ["test_lower_star.py", "test_ripser.py", "test_ripser_sklearn.py"]
    (tests / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=.", *names]
    done = subprocess.run(command, cwd=tests, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = done.stdout.strip().splitlines()[-1]
    assert re.match(rf"{TESTS} passed\b(?!.*(skipped|xfailed|deselected))", summary), summary


@pytest.mark.slow
def test_without_a_network_they_are_skipped_with_pips_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(pytest.skip.Exception, match="cannot be fetched: ERROR: No matching distribution found"):
        fetch(tmp_path)


def test_the_version_is_the_one_that_is_installed() -> None:
    assert f"ripser=={VERSION}\n" in (ROOT / "requirements-dev.txt").read_text()
