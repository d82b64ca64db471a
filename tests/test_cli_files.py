"""Files of every kind that the command line reads, and what it says of those that it cannot."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import scipy.sparse
import torch
from numpy.typing import NDArray

import adabet_fast
from adabet_fast.cli import main
from adabet_fast.cli.files import read_array


@pytest.fixture
def points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NDArray[np.float64]:
    monkeypatch.chdir(tmp_path)
    return np.random.default_rng(0).standard_normal((30, 3))


def test_npy_is_mapped(points: NDArray[np.float64]) -> None:
    np.save("a.npy", points)
    found = read_array("a.npy")
    assert isinstance(found, np.memmap)
    assert np.array_equal(found, points)


def test_npz(points: NDArray[np.float64], capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("one.npz", points)
    np.savez_compressed("two.npz", a=points, b=points[:5])
    assert np.array_equal(read_array("one.npz"), points)
    assert np.array_equal(read_array("two.npz", "b"), points[:5])
    assert main(["betti1", "two.npz"]) == 1
    assert "two.npz: holds 2 arrays, choose one by --key: 'a', 'b'" in capsys.readouterr().err
    assert main(["betti1", "two.npz", "--key", "c"]) == 1
    assert "holds no 'c', but 'a', 'b'" in capsys.readouterr().err
    np.save("a.npy", points)
    assert np.array_equal(read_array(str(Path("a.npy").rename("a.npz"))), points)
    np.save("a.npy", points)
    assert main(["betti1", "a.npy", "--key", "c"]) == 1
    assert "holds one array without a name" in capsys.readouterr().err


def test_sparse_npz(points: NDArray[np.float64], capsys: pytest.CaptureFixture[str]) -> None:
    matrix = adabet_fast.pairwise_distances(points)
    scipy.sparse.save_npz("graph.npz", scipy.sparse.csr_array(matrix))
    assert main(["betti1", "graph.npz", "--distance-matrix"]) == 0
    assert capsys.readouterr().out == f"{adabet_fast.betti1(points)}\n"
    assert main(["betti1", "graph.npz"]) == 1
    assert "pass distance_matrix=True" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "separator", "header"),
    [
        ("a.csv", ",", ""),
        ("a.csv", ", ", "x, y, z\n"),
        ("a.csv", ";", "x;y;z\n"),
        ("a.tsv", "\t", "# a comment\n\nx\ty\tz\n"),
        ("a.txt", "  ", "x y z\n"),
        ("A.CSV", ",", "\ufeff"),
    ],
)
def test_text(points: NDArray[np.float64], name: str, separator: str, header: str) -> None:
    rows = "\n".join(separator.join(map(repr, row)) for row in points.tolist())
    Path(name).write_text(header + rows + "\n", encoding="utf-8")
    assert np.array_equal(read_array(name), points)


def test_a_condensed_matrix_in_a_column(points: NDArray[np.float64], capsys: pytest.CaptureFixture[str]) -> None:
    condensed = adabet_fast.pairwise_distances(points, condensed=True)
    np.savetxt("column.csv", condensed)
    np.savetxt("row.csv", condensed[None], delimiter=",")
    for name in ("column.csv", "row.csv"):
        assert main(["betti1", name, "--distance-matrix"]) == 0
        assert capsys.readouterr().out == f"{adabet_fast.betti1(points)}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no numbers"),
        ("x,y\n", "holds no numbers below the line of names"),
        ("1,2\n3,four\n", "cannot be read: could not convert string 'four'"),
        ("1,2\n3\n", "cannot be read: the number of columns changed"),
    ],
)
def test_text_that_is_no_table(
    text: str, message: str, points: NDArray[np.float64], capsys: pytest.CaptureFixture[str]
) -> None:
    del points
    Path("a.csv").write_text(text)
    assert main(["betti1", "a.csv"]) == 1
    assert f"a.csv: {message}" in capsys.readouterr().err


def test_tensors(points: NDArray[np.float64], capsys: pytest.CaptureFixture[str]) -> None:
    tensor = torch.from_numpy(points)
    torch.save(tensor.bfloat16().requires_grad_(), "half.pt")
    torch.save({"a": tensor, "b": tensor[:5]}, "two.pth")
    torch.save([tensor, tensor[:9]], "list.pt")
    assert main(["betti1", "half.pt"]) == 0
    assert capsys.readouterr().out == f"{adabet_fast.betti1(tensor.bfloat16())}\n"
    assert main(["betti1", "two.pth", "--key", "a"]) == 0
    assert capsys.readouterr().out == f"{adabet_fast.betti1(points)}\n"
    assert main(["betti1", "list.pt", "--batch"]) == 0
    assert capsys.readouterr().out == f"{adabet_fast.betti1(points)} {adabet_fast.betti1(points[:9])}\n"
    assert main(["betti1", "list.pt"]) == 1
    assert "list.pt: holds a list, expected one array; lists go to betti1 --batch" in capsys.readouterr().err


def test_pickles_are_not_run(points: NDArray[np.float64], capsys: pytest.CaptureFixture[str]) -> None:
    del points
    torch.save(torch.nn.Linear(2, 2), "model.pt")
    assert main(["betti1", "model.pt"]) == 1
    assert "model.pt: holds more than tensors" in capsys.readouterr().err
    np.save("objects.npy", np.array([{}, []], dtype=object), allow_pickle=True)
    assert main(["betti1", "objects.npy"]) == 1
    assert "objects.npy: cannot be read" in capsys.readouterr().err


def test_safetensors(
    points: NDArray[np.float64], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tensor = torch.from_numpy(points)
    safetensors.torch.save_file({"only": tensor}, "one.safetensors")
    safetensors.torch.save_file({"a": tensor, "half": tensor.bfloat16()}, "two.safetensors")
    for words in (["one.safetensors"], ["two.safetensors", "--key", "a"]):
        assert main(["betti1", *words]) == 0
        assert capsys.readouterr().out == f"{adabet_fast.betti1(points)}\n"
    assert main(["betti1", "two.safetensors", "--key", "half"]) == 0
    assert capsys.readouterr().out == f"{adabet_fast.betti1(tensor.bfloat16())}\n"
    assert main(["betti1", "two.safetensors"]) == 1
    assert "choose one by --key: 'a', 'half'" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "safetensors", None)
    assert main(["betti1", "one.safetensors"]) == 1
    assert "which is not installed: pip install safetensors" in capsys.readouterr().err


def test_without_torch(points: NDArray[np.float64]) -> None:
    torch.save(torch.from_numpy(points), "a.pt")
    safetensors.torch.save_file(
        {"a": torch.from_numpy(points), "half": torch.zeros(3, 2, dtype=torch.bfloat16)}, "a.safetensors"
    )
    code = (
        "import sys; sys.modules['torch'] = None\nfrom adabet_fast.cli import main\n"
        "print(main(['betti1', 'a.pt']), main(['betti1', 'a.safetensors', '--key', 'a']),\n"
        "      main(['betti1', 'a.safetensors', '--key', 'half']), main(['select', 'a.py:b', 'a.py:c']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == f"{adabet_fast.betti1(points)}\n1 0 1 1\n", done.stderr
    first, second, third = done.stderr.splitlines()
    assert first == "adabet-fast: error: a.pt: is read by PyTorch, which is not installed: pip install torch"
    assert "'half' is of a type that NumPy does not have: pip install torch" in second
    assert third == "adabet-fast: error: select needs PyTorch, which is not installed: pip install torch"


@pytest.mark.parametrize("kind", [".npy", ".npz", ".pt", ".safetensors"])
def test_damaged_files(kind: str, points: NDArray[np.float64], capsys: pytest.CaptureFixture[str]) -> None:
    del points
    for content in (b"", b"nonsense that is no file of any kind", b"PK\x03\x04 torn", b"\x93NUMPY torn"):
        Path(f"a{kind}").write_bytes(content)
        assert main(["betti1", f"a{kind}"]) == 1
        error = capsys.readouterr().err
        assert error.startswith(f"adabet-fast: error: a{kind}: "), error


def test_unknown_kinds_and_folders(points: NDArray[np.float64], capsys: pytest.CaptureFixture[str]) -> None:
    del points
    Path("a.xlsx").write_bytes(b"")
    Path("bare").write_bytes(b"")
    Path("folder.npy").mkdir()
    for name, message in (
        ("a.xlsx", "'.xlsx' are not known"),
        ("bare", "without a suffix"),
        ("folder.npy", "directory"),
    ):
        assert main(["betti1", name]) == 1
        assert message in capsys.readouterr().err


def test_points_that_are_no_cloud(points: NDArray[np.float64], capsys: pytest.CaptureFixture[str]) -> None:
    np.save("flat.npy", points[:, 0])
    points[3, 1] = np.nan
    np.save("nan.npy", points)
    for name, message in (("flat.npy", "has shape (30,)"), ("nan.npy", "got nan at row 3, column 1")):
        for command in ("betti1", "h1"):
            assert main([command, name]) == 1
            assert message in capsys.readouterr().err


def test_standard_input(points: NDArray[np.float64]) -> None:
    buffer, archive = io.BytesIO(), io.BytesIO()
    np.save(buffer, points)
    np.savez(archive, points)
    text = "\n".join(",".join(map(repr, row)) for row in points.tolist()).encode()
    for content in (buffer.getvalue(), archive.getvalue(), text):
        command = [sys.executable, "-m", "adabet_fast", "betti1", "-"]
        done = subprocess.run(command, input=content, capture_output=True, check=False)
        assert done.stdout.decode() == f"{adabet_fast.betti1(points)}\n", done.stderr
