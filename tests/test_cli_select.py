"""`adabet-fast select`: networks and batches of the user's own files."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from adabet_fast import Selection, select_layers
from adabet_fast.cli import main

NET = """
print("loading net")
import torch
from torch import nn
from helper import width

LOADS = globals().setdefault("LOADS", [])
torch.manual_seed(0)


class Net(nn.Sequential):
    def __init__(self):
        torch.manual_seed(0)
        super().__init__(nn.Linear(4, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 3))


model = Net()
loader = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(torch.randn(48, 4), torch.zeros(48)), batch_size=8
)


def batches():
    generator = torch.Generator().manual_seed(1)
    for _ in range(5):
        yield torch.randn(8, 4, generator=generator)


class Group:
    inner = model


broken = None


def fails():
    return 1 / 0
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "helper.py").write_text("width = 16\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("net", "helper"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def forget() -> None:
    for name in ("net", "helper"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("model", "batches"),
    [
        ("net.py:model", "net.py:loader"),
        ("net.py:Net", "net.py:batches"),
        ("net:model", "net:batches"),
        ("./net.py:Group.inner", "./net.py:loader"),
    ],
)
def test_models_and_batches(model: str, batches: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["select", model, batches, "--rho", "0.5", "--output", "selection.json"]) == 0
    forget()
    captured = capsys.readouterr()
    assert "chosen:" in captured.out
    assert "loading net" not in captured.out
    assert captured.err.count("loading net") == 1  # one file, run once
    selection = Selection.from_json(folder / "selection.json")
    assert selection.rho == 0.5
    assert len(selection.layers) == 1
    assert selection.always_train == ("4",)


def test_it_is_select_layers(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "--rho 1 --score size --normalize none --n-batches 2 --always-train 0 --always-train 2 --json"
    assert main(["select", "net.py:Net", "net.py:batches", *words.split()]) == 0
    found = Selection.from_json(capsys.readouterr().out)
    theirs = sys.modules["net"]
    expected = select_layers(
        theirs.Net(),
        theirs.batches(),
        1.0,
        score="size",
        normalize="none",
        n_batches=2,
        always_train=["0", "2"],
    )
    forget()
    assert found.layers == expected.layers
    assert found.always_train == expected.always_train == ("0", "2")
    assert found.scores == expected.scores
    assert found.scores.settings.batch_sizes == (8, 8)


def test_a_number_of_layers_or_a_budget(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, count in (("--k 2", 2), ("--budget-bytes 1e9", 2), ("--k 1 --unit block --normalize parameters", 1)):
        assert main(["select", "net.py:model", "net.py:loader", *words.split(), "--json"]) == 0
        forget()
        assert len(json.loads(capsys.readouterr().out)["layers"]) == count
    assert main(["select", "net.py:model", "net.py:loader", "--k", "2", "--rho", "0.5"]) == 1
    forget()
    assert "rho" in capsys.readouterr().err


def test_no_head_and_all_batches(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["select", "net.py:model", "net.py:loader", "--always-train", "none", "--n-batches", "0", "--json"]
    assert main(words) == 0
    forget()
    data = json.loads(capsys.readouterr().out)
    assert data["always_train"] == []
    assert data["scores"]["settings"]["batch_sizes"] == [8] * 6


@pytest.mark.parametrize(
    ("model", "batches", "message"),
    [
        ("net.py", "net.py:loader", "net.py: expected module:attribute or file.py:attribute"),
        (":model", "net.py:loader", "expected module:attribute"),
        ("absent.py:model", "net.py:loader", "absent.py: no such file"),
        ("absent:model", "net.py:loader", "absent: no such module; a file is named with its suffix, absent.py"),
        ("net.py:modle", "net.py:loader", "net.py:modle: there is no 'modle'; there are "),
        ("net.py:loader", "net.py:loader", "expected a torch.nn.Module"),
        ("net.py:broken", "net.py:loader", "is a NoneType, expected a torch.nn.Module"),
        ("net.py:fails", "net.py:loader", "ZeroDivisionError: division by zero"),
        ("wrong.py:model", "net.py:loader", "ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("net.py:model", "net.py:broken", "batches"),
    ],
)
def test_refusals(model: str, batches: str, message: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "wrong.py").write_text("import nothing_of_this_name\n")
    assert main(["select", model, batches]) == 1
    forget()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert "cli/select.py" not in captured.err  # their lines, not ours


def test_nothing_of_the_model_is_changed(folder: Path) -> None:
    assert main(["select", "net.py:model", "net.py:loader"]) == 0
    model = sys.modules["net"].model
    forget()
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert model.training
    assert isinstance(model, torch.nn.Module)
