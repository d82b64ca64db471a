"""Peers side by side: wrong answers are found, lower bounds stay lower bounds, results are kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import clouds, fresh
from bench.fresh import Limits, Outcome
from bench.peers import answers, cases, jobs, report, runner
from bench.peers.__main__ import main, parse
from bench.peers.rivals import RIVALS, Data
from bench.peers.store import OURS, OURS_QUARTER, OtherMachineError, Store, finished, seconds

MIB = 2**20
BARS = np.array([[0.5, 0.9], [0.5, 0.9], [0.6, 0.7], [1.0, 1.5], [1.2, 1.2]])


def changed(index: int, column: int, by: float) -> np.ndarray[Any, Any]:
    bars = BARS.copy()
    bars[index, column] += by
    return bars


def test_equal_barcodes_in_any_order() -> None:
    assert answers.differ([BARS], [BARS[::-1]]) == ""
    assert answers.differ([BARS[:4]], [BARS]) == ""  # a bar of length zero is none
    assert answers.far([BARS], [BARS[::-1]]) == ""


@pytest.mark.parametrize(
    ("theirs", "said"),
    [
        (BARS[1:], "4 bars against 3"),
        (np.concatenate([BARS, BARS[:1]]), "4 bars against 5"),
        (changed(3, 1, 1e-6), "1 of 4 bars differ"),
        (changed(0, 0, -1e-6), "differ"),
        (np.empty((0, 2)), "4 bars against 0"),
        (changed(3, 1, np.inf), "1 of 4"),
    ],
)
def test_another_barcode_is_found(theirs: Any, said: str) -> None:
    assert said in answers.differ([BARS], [theirs])
    assert answers.differ([BARS, BARS], [BARS, theirs]).startswith("cloud 1: ")


def test_rounding_is_forgiven_and_no_more() -> None:
    tolerance = 1e-3  # of 1.5
    assert answers.far([BARS], [BARS + 1e-3], tolerance) == ""
    assert answers.far([BARS], [np.concatenate([BARS, [[0.8, 0.8025]]])], tolerance) == ""  # too short to count
    assert "no partner" in answers.far([BARS], [np.concatenate([BARS, [[0.8, 0.81]]])], tolerance)
    assert "no partner" in answers.far([BARS], [changed(3, 1, 0.01)], tolerance)
    assert "1 of ours" in answers.far([BARS], [BARS[1:]], tolerance)  # one of two equal bars has no partner of its own
    assert "essential" in answers.far([BARS], [changed(3, 1, np.inf)], tolerance)
    essential = np.array([[0.5, np.inf]])
    assert answers.far([essential], [essential + 1e-9], tolerance) == ""
    assert "essential" in answers.far([essential], [essential + 0.1], tolerance)


def test_answers_are_kept(tmp_path: Path) -> None:
    many = [BARS, np.empty((0, 2)), BARS[:1]]
    answers.save(tmp_path / "a.npz", many)
    assert [bars.tolist() for bars in answers.load(tmp_path / "a.npz")] == [bars.tolist() for bars in many]


def test_groups_have_all_kinds_in_their_sizes() -> None:
    for group, least, most in (("small", 100, 500), ("large", 1000, 4000), ("memory", 4000, 4100)):
        names = cases.GROUPS[group]
        assert {kind for kind in cases.KINDS if any(name.startswith(kind) for name in names)} == set(cases.KINDS)
        assert all(least <= cases.points(name) <= most for name in names), names
    assert {cases.group_of(name) for name in cases.GROUPS["memory"]} == {"memory"}


def test_names_of_clouds() -> None:
    assert cases.split("o3_n4000_t1.8") == ("o3_n4000", 1.8)
    assert cases.split("o3_n4000") == ("o3_n4000", np.inf)
    assert cases.chosen(["wide", "torus_n300", "wide"]) == ["gauss_d100000_n40", "torus_n300"]
    for name in [name for names in cases.GROUPS.values() for name in names]:
        assert cases.chosen([name]) == [name]
    for nonsense in ("torus", "torrus_n300", "torus_n", "all"):
        with pytest.raises(ValueError, match="neither a group"):
            cases.chosen([nonsense])
    with pytest.raises(ValueError, match="no cloud"):
        clouds.make("torrus_n300")


def test_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    given = parse(["torus_n200", "--patience", "3", "--seconds", "10"])
    assert (given.names, given.patience, given.seconds) == (["torus_n200"], 3.0, 10.0)
    assert set(parse([]).names) == {name for names in cases.GROUPS.values() for name in names}
    for bad in (["torrus"], ["--seconds", "0"], ["--rounds", "-1"]):
        with pytest.raises(SystemExit):
            parse(bad)
    assert "expected a positive number" in capsys.readouterr().err


def run(status: str = "done", took: float = 1.0, size: int = 100, **more: Any) -> dict[str, Any]:
    at = "2026-01-01T00:00:00"
    return {"status": status, "seconds": took, "peak_bytes": size * MIB, "peak_how": "VmHWM", "when": at, **more}


def runs(*of: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"runs": list(of), **more}


def test_a_run_that_was_stopped_is_a_lower_bound() -> None:
    assert seconds(runs(run(took=3), run(took=1), run(took=2))) == (2, False)
    assert seconds(runs(run("time", 300))) == (300, True)
    assert seconds(runs(run("patience", 5))) == (5, True)
    assert seconds(runs(run("failed"))) == (float("inf"), True)
    assert seconds(runs(run(), wrong_from_matrix="1 bar differs")) == (float("inf"), True)
    assert not finished(runs(run(), run()), 3)
    assert finished(runs(run(), run(), run()), 3)
    assert finished(runs(run(took=11)), 3)
    assert finished(runs(run("time")), 3)


def test_ratios_are_against_the_fastest_that_is_right() -> None:
    records = {
        OURS: runs(run(took=0.5)),
        "ripser.py": runs(run(took=20)),
        "GUDHI": runs(run(took=1), wrong_from_points="4 bars against 3"),
        "pydory 1 thr": runs(run(took=10, own_seconds=4)),
        "giotto-ph 1 thr": runs(run("patience", 15)),
    }
    assert report.ratio("torus_n1000", records) == report.Ratio("torus_n1000", 20, False, "pydory 1 thr")
    assert report.ratio("torus_n1000", records, bare=True) == report.Ratio("torus_n1000", 8, False, "pydory 1 thr")
    assert report.ratio("torus_n1000", records, "ripser.py") == report.Ratio("torus_n1000", 40, False, "ripser.py")
    assert report.ratio("torus_n1000", {OURS: records[OURS]}) is None
    stopped = {OURS: runs(run(took=0.5)), "ripser.py": runs(run("time", 300)), "GUDHI": runs(run("time", 301))}
    assert report.ratio("torus_n1000", stopped) == report.Ratio("torus_n1000", 600, True, "ripser.py")


def test_the_page_tells_it_all(tmp_path: Path) -> None:
    store = Store(tmp_path / "peers.json")
    store.data["missing"] = {"pydory 1 thr": "`pip install pydory`: ModuleNotFoundError: no"}
    store.data["clouds"] = {
        "torus_n4000": {
            OURS: runs(run(took=0.5, bars=7, size=30)),
            "GUDHI": runs(run(size=100)),
            "ripser.py": runs(run("time", 300, 8000)),
            OURS_QUARTER: runs(
                run(took=0.7, engine_bytes=20 * MIB, plan="streamed"),
                max_memory=25 * MIB,
                peer="GUDHI",
                peer_bytes=100 * MIB,
                peer_bound=False,
            ),
        },
        "torus_n2000": {
            OURS: runs(run(took=0.5, bars=7)),
            "GUDHI": runs(run(took=5), wrong_from_matrix=""),
            "ripser.py": runs(run("time", 300, 8000)),
            "giotto-ph 1 thr": runs(run("failed", reason="std::bad_alloc")),
        },
        "torus_n100": {OURS: runs(run(took=0.001, bars=1)), "ripser.py": runs(run(took=0.004))},
    }
    report.write(store, tmp_path)
    page = (tmp_path / "peers.md").read_text()
    assert "| n ≥ 1,000, best peer | 1 | 10.0 × | 10.0 × (torus_n2000, GUDHI) | mean 20, worst 5 |" in page
    assert "| n ≥ 1,000, ripser.py | 1 | ≥ 600.0 × | ≥ 600.0 × (torus_n2000, ripser.py) | mean 50 |" in page
    assert "| n = 100 … 500, best peer | 1 | 4.0 × |" in page
    assert "> 300 / > 8,000" in page
    assert "| torus_n4000 | GUDHI | 100 | 25.0 | 20.0 | 100.0 | streamed | 0.7 |" in page
    assert "| torus_n4000 | > 8,000 | 100 | · | 30 |" in page
    assert "giotto-ph 1 thr failed: std::bad_alloc" in page
    assert "pydory 1 thr was not installed: `pip install pydory`" in page
    assert "- 1 comparisons" in page
    assert store.data["machine"]["processor"] in page
    assert (tmp_path / "peers.svg").read_text().count("torus") == 2


def test_the_most_frugal_peer() -> None:
    store = Store(Path("nowhere.json"))
    rivals = [rival for rival in RIVALS if rival.name in ("GUDHI", "ripser.py")]
    assert runner.most_frugal(store, "x", rivals) is None
    store.data["clouds"]["x"] = {"GUDHI": runs(run("time", size=10)), "ripser.py": runs(run(size=70))}
    assert runner.most_frugal(store, "x", rivals) == ("GUDHI", 10 * MIB, True)  # it would have needed that at least
    store.data["clouds"]["x"] = {"GUDHI": runs(run(size=90)), "ripser.py": runs(run("time", size=700))}
    assert runner.most_frugal(store, "x", rivals) == ("GUDHI", 90 * MIB, False)
    store.data["clouds"]["x"] = {"GUDHI": runs(run("failed", size=10)), "ripser.py": runs(run(size=70))}
    assert runner.most_frugal(store, "x", rivals) == ("ripser.py", 70 * MIB, False)


def test_results_of_another_machine_or_build_are_not_mixed(tmp_path: Path) -> None:
    path = tmp_path / "peers.json"
    store = Store(path)
    store.add("torus_n100", OURS, Outcome("done", 1.0, 5, "VmHWM"))
    store.add("torus_n100", "GUDHI", Outcome("done", 1.0, 5, "VmHWM"))
    assert Store(path).data["clouds"]["torus_n100"].keys() == {OURS, "GUDHI"}
    data = json.loads(path.read_text())
    path.write_text(json.dumps(data | {"build": "another"}))
    assert Store(path).data["clouds"]["torus_n100"].keys() == {"GUDHI"}
    path.write_text(json.dumps(data | {"machine": {"processor": "another"}}))
    with pytest.raises(OtherMachineError, match="another machine"):
        Store(path)
    assert Store(path, fresh=True).data["clouds"] == {}


def test_ours_and_ripser_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ripser")
    monkeypatch.setattr(runner, "RIVALS", [rival for rival in RIVALS if rival.name == "ripser.py"])
    command = ["torus_n60", "--rounds", "1", "--docs", str(tmp_path)]
    assert main(command) == 0
    records = json.loads((tmp_path / "peers.json").read_text())["clouds"]["torus_n60"]
    assert records["ripser.py"]["wrong_from_points"] == records["ripser.py"]["wrong_from_matrix"] == ""
    assert records["ripser.py"]["runs"][0]["bars"] == records[OURS]["runs"][0]["bars"] > 0
    before = (tmp_path / "peers.md").read_text()
    assert "torus_n60" in before

    monkeypatch.setattr(fresh, "run", lambda *_: pytest.fail("nothing was left to run"))
    assert main(command) == 0
    assert (tmp_path / "peers.md").read_text() == before


def test_a_peer_that_answers_wrongly_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    true = np.array([[0.5, 0.9]])

    def pretend(job: str, arguments: dict[str, Any], limits: Limits) -> Outcome:
        answers.save(arguments["answer"], [true if job.endswith("ours") else true + 0.1])
        return Outcome("done", 0.1, MIB, "VmHWM", result={"bars": 1})

    monkeypatch.setattr(fresh, "run", pretend)
    monkeypatch.setattr(runner, "RIVALS", RIVALS[:1])
    monkeypatch.setattr(runner, "missing", lambda rivals: {})
    assert main(["torus_n60", "--rounds", "1", "--docs", str(tmp_path)]) == 1
    page = (tmp_path / "peers.md").read_text()
    assert f"torus_n60: {RIVALS[0].name}: another answer than ours: 1 of ours" in page
    assert "| wrong |" in page


def test_patience_ends_with_a_lower_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    allowed: dict[str, float] = {}

    def pretend(job: str, arguments: dict[str, Any], limits: Limits) -> Outcome:
        who = arguments.get("peer", OURS)
        allowed[who] = limits.seconds
        answers.save(arguments["answer"], [BARS])
        if who == "giotto-ph 2 thr":
            return Outcome("time", limits.seconds, MIB, "sampled", "not done")
        return Outcome("done", 4.0, MIB, "VmHWM", result={"bars": 4})

    monkeypatch.setattr(fresh, "run", pretend)
    monkeypatch.setattr(runner, "missing", lambda rivals: {})
    names = ["GUDHI", "giotto-ph 2 thr", "ripser.py"]
    monkeypatch.setattr(runner, "RIVALS", [rival for rival in RIVALS if rival.name in names])
    store = Store(tmp_path / "peers.json")
    runner.run_all(["torus_n1000"], store, runner.Options(patience=5, rounds=1, exact_below=0), lambda line: None)
    assert allowed == {OURS: 300, "GUDHI": 300, "giotto-ph 2 thr": 20, "ripser.py": 300}
    assert seconds(store.record("torus_n1000", "giotto-ph 2 thr")) == (20, True)


def test_a_peer_that_does_not_import_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = runner.Rival("nowhere", "no-such-package", "no_such_module", RIVALS[0].prepare)
    assert "No module named 'no_such_module'" in runner.missing([nowhere])["nowhere"]


@pytest.mark.parametrize("name", ["torus_n30", "random_n30", "knn4_n30", "batch3_n20_d4", "o3_n30_t1.8"])
def test_input_and_its_tiny_like(name: str) -> None:
    data = jobs.data_of(name)
    small = jobs.tiny(data)
    assert isinstance(data, Data)
    assert small.kind == data.kind == {"random": "matrix", "knn4": "graph"}.get(name.split("_")[0], "points")
    assert small.clouds[0].shape[0] == jobs.WARM_POINTS
    assert len(data.clouds) == (3 if name.startswith("batch") else 1)
