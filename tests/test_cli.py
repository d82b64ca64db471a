"""The command line: what it prints, as text and as JSON, and what it tells the shell."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import adabet_fast
from adabet_fast import h1
from adabet_fast.cli import main
from adabet_fast.cli.parser import make_parser


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NDArray[np.float32]:
    """A cloud, also in cloud.npy of the working folder."""
    monkeypatch.chdir(tmp_path)
    points = np.random.default_rng(0).standard_normal((60, 3)).astype(np.float32)
    np.save("cloud.npy", points)
    return points


def strict(text: str) -> Any:
    """JSON as its standard has it: without NaN and Infinity."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(text, parse_constant=refuse)


def run(*words: str) -> int:
    return main(list(words))


# -- info, plan


def test_info(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info") == 0
    text = capsys.readouterr().out
    for expected in (adabet_fast.__version__, "instruction sets baseline", "cuda", "ripser", "available; a call takes"):
        assert expected in text
    assert run("info", "--json") == 0
    data = strict(capsys.readouterr().out)
    assert data["version"] == adabet_fast.__version__
    assert data["cpu"]["instruction_set"] in data["cpu"]["instruction_sets"]
    assert data["backends"]["cpu"]["available"] is True
    assert {name: status.detail for name, status in adabet_fast.backends().items()} == {
        name: status["detail"] for name, status in data["backends"].items()
    }
    assert 0 < data["memory"]["budget_bytes"] < data["memory"]["available_bytes"]
    assert data["extras"]["torch"].startswith("2.")


def test_info_tells_a_wrong_environment(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADABET_NUM_THREADS", "many")
    assert run("info") == 0
    assert "ADABET_NUM_THREADS is 'many'" in capsys.readouterr().out
    assert run("info", "--json") == 0
    data = strict(capsys.readouterr().out)
    assert data["environment"]["ADABET_NUM_THREADS"] == "many"
    assert "expected a positive integer" in data["problem"]


def test_plan(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("plan", "1000", "512", "--max-memory", "1GiB", "--n-threads", "1") == 0
    told = adabet_fast.estimate_memory(1000, 512, max_memory="1GiB", n_threads=1)
    assert capsys.readouterr().out == f"{told}\n"
    assert run("plan", "1000000", "--dtype", "float64", "--max-memory", "1GiB", "--json") == 1
    data = strict(capsys.readouterr().out)
    assert (data["fits"], data["n"], data["d"], data["dtype"]) == (False, 1_000_000, None, "float64")
    assert run("plan", "100", "--max-memory", "much") == 1
    assert "max_memory is 'much'" in capsys.readouterr().err


# -- betti1, h1


def test_betti1(cloud: NDArray[np.float32], capsys: pytest.CaptureFixture[str]) -> None:
    count = adabet_fast.betti1(cloud)
    assert run("betti1", "cloud.npy") == 0
    assert capsys.readouterr().out == f"{count}\n"
    np.save("other.npy", cloud[:10])
    assert run("betti1", "cloud.npy", "other.npy") == 0
    assert capsys.readouterr().out == f"cloud.npy\t{count}\nother.npy\t{adabet_fast.betti1(cloud[:10])}\n"
    assert run("betti1", "cloud.npy", "other.npy", "--json") == 0
    assert strict(capsys.readouterr().out)["results"][1] == {
        "file": "other.npy",
        "shape": [10, 3],
        "betti1": adabet_fast.betti1(cloud[:10]),
    }


def test_options_reach_the_engine(cloud: NDArray[np.float32], capsys: pytest.CaptureFixture[str]) -> None:
    options = (
        "--metric cityblock --threshold 2.5 --min-persistence 0.05 --dtype float64 --n-threads 1 --max-memory 1GiB"
    )
    assert run("betti1", "cloud.npy", *options.split()) == 0
    expected = adabet_fast.betti1(cloud, metric="cityblock", threshold=2.5, min_persistence=0.05, dtype="float64")
    assert capsys.readouterr().out == f"{expected}\n"
    np.save("distances.npy", adabet_fast.pairwise_distances(cloud))
    assert run("betti1", "distances.npy", "--distance-matrix") == 0
    assert capsys.readouterr().out == f"{adabet_fast.betti1(cloud)}\n"
    cuda = adabet_fast.backends()["cuda"]
    assert run("betti1", "cloud.npy", "--backend", "cuda") == (0 if cuda.available else 1)
    said = capsys.readouterr()
    assert f"{adabet_fast.betti1(cloud)}\n" == said.out if cuda.available else cuda.detail in said.err
    assert run("betti1", "cloud.npy", "--max-memory", "100B") == 1
    assert "100" in capsys.readouterr().err


def test_a_stack_of_clouds(cloud: NDArray[np.float32], capsys: pytest.CaptureFixture[str]) -> None:
    stack = cloud.reshape(3, 20, 3)
    np.save("stack.npy", stack)
    counts = adabet_fast.betti1_batch(stack).tolist()
    assert run("betti1", "stack.npy", "--batch") == 0
    assert capsys.readouterr().out == " ".join(map(str, counts)) + "\n"
    assert run("betti1", "stack.npy", "--batch", "--json") == 0
    assert strict(capsys.readouterr().out)["results"][0]["betti1"] == counts


def test_h1_as_text(cloud: NDArray[np.float32], capsys: pytest.CaptureFixture[str]) -> None:
    bars = h1(cloud)
    assert run("h1", "cloud.npy", "--top", "3", "--at", "1.5") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == repr(bars)
    assert lines[1] == f"Betti number at scale 1.5: {bars.betti(1.5)}"
    longest = bars.intervals[np.argmax(bars.persistence)]
    assert lines[3].split()[:2] == [f"{longest[0]:.5g}", f"{longest[1]:.5g}"]
    assert len(lines) == 7
    assert lines[6].strip() == f"and {len(bars) - 3} shorter; --top 0 shows all"
    assert run("h1", "cloud.npy", "--top", "0", "--check") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("ripser.py agrees")
    assert len(lines) == 2 + len(bars)
    np.save("three.npy", cloud[:3])
    assert run("h1", "three.npy") == 0
    assert capsys.readouterr().out.endswith("no loops\n")


def test_h1_as_json(cloud: NDArray[np.float32], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("h1", "cloud.npy", "--json", "--threshold", "1.0") == 0
    data = strict(capsys.readouterr().out)
    bars = h1(cloud, threshold=1.0)
    assert np.isinf(bars.deaths).any()
    read_back = np.array([[birth, np.inf if death is None else death] for birth, death in data["intervals"]])
    assert np.array_equal(read_back.astype(np.float32), bars.intervals)
    assert data["birth_edges"] == bars.birth_edges.tolist()
    assert data["death_edges"] == bars.death_edges.tolist()
    assert (data["n"], data["d"], data["backend"]) == (60, 3, "cpu")
    assert data["h0"][-1][1] is None
    assert data["stats"]["births"] == bars.stats["births"]
    assert run("h1", "cloud.npy", "--json", "--min-persistence", "0.1", "--backend", "ripser") == 0
    data = strict(capsys.readouterr().out)
    assert len(data["intervals"]) == h1(cloud).count(0.1)
    assert data["birth_edges"] is None


def test_h1_into_files(cloud: NDArray[np.float32], capsys: pytest.CaptureFixture[str]) -> None:
    bars = h1(cloud, threshold=1.0)
    for name in ("bars.csv", "bars.npy", "bars.json"):
        assert run("h1", "cloud.npy", "--threshold", "1.0", "--output", name) == 0
    table = np.loadtxt("bars.csv", delimiter=",", skiprows=1, dtype=np.float32)
    assert np.array_equal(table, bars.intervals)
    assert np.array_equal(np.load("bars.npy"), bars.intervals)
    assert len(strict(Path("bars.json").read_text())["intervals"]) == len(bars)
    assert run("h1", "cloud.npy", "--output", "bars.xlsx") == 1
    assert "expected a .csv, .npy or .json file" in capsys.readouterr().err


def test_h1_as_a_picture(cloud: NDArray[np.float32], capsys: pytest.CaptureFixture[str]) -> None:
    del cloud
    assert run("h1", "cloud.npy", "--plot", "bars.png") == 0
    assert Path("bars.png").read_bytes().startswith(b"\x89PNG")
    assert run("h1", "cloud.npy", "--plot", "bars.xyz") == 1
    assert "--plot bars.xyz" in capsys.readouterr().err


def test_a_forgotten_flag_is_a_warning_in_one_line(
    cloud: NDArray[np.float32], capsys: pytest.CaptureFixture[str]
) -> None:
    np.save("distances.npy", adabet_fast.pairwise_distances(cloud))
    with pytest.warns(UserWarning, match="pass distance_matrix=True"):
        adabet_fast.betti1(np.load("distances.npy"))
    done = process("betti1", "distances.npy")
    assert done.returncode == 0
    assert done.stderr.startswith("adabet-fast: warning: x is symmetric")
    assert done.stderr.count("\n") == 1


# -- demo, help


def test_demo(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("demo") == 0
    text = capsys.readouterr().out
    assert "noisy circle" in text
    assert "torus" in text
    assert "rank" in text  # the table of layers
    assert run("demo", "--json") == 0
    data = strict(capsys.readouterr().out)
    circle, torus = ([death - birth for birth, death in each["longest"]] for each in data["clouds"])
    assert circle[0] > 5 * circle[1]  # one loop
    assert torus[1] > 1.8 * torus[2]  # two
    assert data["selection"]["always_train"]


def test_demo_without_torch(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert run("demo") == 0
    assert "pip install torch" in capsys.readouterr().out


@pytest.mark.parametrize("words", [[], ["info"], ["betti1"], ["h1"], ["plan"], ["select"], ["demo"]])
def test_help_teaches(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([*words, "--help"])
    assert left.value.code == 0
    text = capsys.readouterr().out
    assert "usage: adabet-fast" in text
    if words not in (["info"], ["demo"]):
        assert "examples:" in text
    assert max(map(len, text.splitlines())) <= 120


def test_examples_in_help_are_valid(capsys: pytest.CaptureFixture[str]) -> None:
    texts = []
    for words in ([], ["betti1"], ["h1"], ["plan"], ["select"]):
        with pytest.raises(SystemExit):
            main([*words, "--help"])
        texts.append(capsys.readouterr().out)
    lines = [line for text in texts for line in text.splitlines() if line.startswith("  adabet-fast")]
    assert len(lines) > 15
    for line in lines:
        command = line.split("|")[0].split("   ")[0].strip() if "   " in line.strip() else line.split("|")[0]
        make_parser().parse_args(shlex.split(command)[1:])  # exits where it is none


# -- what the shell is told


def process(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "adabet_fast", *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, **options)


def test_exit_status(cloud: NDArray[np.float32]) -> None:
    done = process("betti1", "cloud.npy")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{adabet_fast.betti1(cloud)}\n", "")
    done = process("betti1", "nothing.npy")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "adabet-fast: error: nothing.npy: no such file\n")
    for words in (
        ["betti1"],
        ["h2", "cloud.npy"],
        ["plan", "-3"],
        ["plan", "x"],
        ["betti1", "cloud.npy", "--metric", "l3"],
    ):
        done = process(*words)
        assert (done.returncode, done.stdout) == (2, ""), words
        assert "usage: adabet-fast" in done.stderr
    done = process()
    assert (done.returncode, done.stdout) == (2, "")
    assert "examples:" in done.stderr
    done = process("--version")
    assert (done.returncode, done.stdout) == (0, f"adabet_fast {adabet_fast.__version__}\n")


def test_a_reader_that_leaves(cloud: NDArray[np.float32]) -> None:
    del cloud
    command = [sys.executable, "-m", "adabet_fast", "h1", "cloud.npy", "--top", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == ""
        assert running.wait(timeout=60) == 141


def test_ctrl_c(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import signal, sys, time, torch\nmodel = torch.nn.Linear(2, 2)\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored in a job that starts in the background
        "def batches():\n    print('ready', flush=True)\n    time.sleep(60)\n"
    )
    command = [sys.executable, "-m", "adabet_fast", "select", "slow.py:model", "slow.py:batches"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        assert running.stderr.readline() == "ready\n"  # what their code prints does not mix with our output
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert (running.returncode, out, err) == (130, "", "adabet-fast: interrupted\n")


def test_starting_imports_nothing_heavy() -> None:
    code = (
        "import sys; from adabet_fast.cli import main; main(['plan', '10', '2']); "
        "print([name for name in ('torch', 'scipy', 'sklearn', 'matplotlib', 'ripser') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_console_script_is_declared() -> None:
    pyproject = (Path(__file__).resolve().parent.parent / "pyproject.toml").read_text(encoding="utf-8")
    assert '[project.scripts]\nadabet-fast = "adabet_fast.cli:main"' in pyproject
    assert find_spec("adabet_fast.__main__") is not None


def test_text_without_unicode(cloud: NDArray[np.float32]) -> None:
    del cloud
    done = process("h1", "cloud.npy", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert "====" in done.stdout
