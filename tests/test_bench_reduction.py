"""The forms of the reduction: all give the engine's bars, and the rule is the one that the engine keeps to."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

import numpy as np
import pytest

import adabet_fast
from bench import reduction, reduction_forms
from bench.fresh import ROOT
from bench.reduction import FORMS, STOPPED, WORTHS, Measured

RECORDED = ROOT / "docs" / "reduction.json"
AT_MOST = WORTHS.index(1.0)


def invented(name: str, h1: float, by_cells: list[float], transposed: list[float], peaks: list[int]) -> Measured:
    return Measured(name, 10, 20, 30, h1, h1 / 2, by_cells + transposed, [*peaks, 1, 1])


def test_the_rule_is_the_most_frugal_of_the_quick_ones() -> None:
    peaks = [10, 5, 4, 5, 6, 7, 8, 20]
    slow_lists = invented("a", 1.0, [STOPPED, 0.5, 0.35, 0.31, 0.30, 0.30, 0.30, 0.30], [0.9, STOPPED], peaks)
    slow_bits = invented("b", 1.0, [0.10, 0.10, 0.10, 0.10, 0.10, 0.10, 0.10, 0.40], [0.2, 0.1], peaks)
    assert reduction.derive([slow_lists]) == 1.0  # the half loses 5 %; 1 loses 1 %, and takes least memory of the rest
    assert reduction.derive([slow_bits]) == 0.5
    assert reduction.derive([slow_lists, slow_bits]) == 1.0
    assert slow_lists.loss(0.5) == pytest.approx(0.05)
    assert slow_lists.loss(0.0) == STOPPED


def test_what_the_transposed_order_gains_is_a_part_of_all() -> None:
    quicker = invented("a", 2.0, [0.5] * 8, [0.25, STOPPED], [1] * 8)
    slower = invented("b", 2.0, [0.5] * 8, [0.7, 0.9], [1] * 8)
    assert quicker.gain() == pytest.approx(0.125)
    assert slower.gain() == pytest.approx(-0.1)
    page = reduction.markdown([quicker, slower], {"processor": "p", **dict.fromkeys(WORDS, "1")}, 1.0, 5.0)
    assert "gains at most 12.5% of a cloud's time (a); it is worth having" in page
    assert "> 5,000" in page  # stopped
    assert "not worth having" in reduction.markdown([slower], dict.fromkeys([*WORDS, "processor"], "1"), 1.0, 5.0)


WORDS = ["cores", "memory", "system", "python", "instructions"]


def test_measurements_survive_their_file(tmp_path: Path) -> None:
    measured = [invented("a", 2.0, [0.5] * 8, [0.4, STOPPED], [1] * 8)]
    reduction.write(tmp_path / "reduction.json", measured, {"processor": "p"})
    assert reduction.read(tmp_path / "reduction.json") == measured
    assert reduction.read(tmp_path / "reduction.json", {"processor": "p"}) == measured
    assert reduction.read(tmp_path / "reduction.json", {"processor": "another"}) == []


def test_the_engine_keeps_to_the_rule_on_record() -> None:
    header = (ROOT / "cpp" / "adabet" / "persistence" / "columns.hpp").read_text(encoding="utf-8")
    (own,) = re.findall(r"double words_per_entry = ([\d.]+);", header)
    measured = reduction.read(RECORDED)
    assert {one.name for one in measured} == set(reduction.CLOUDS)
    assert reduction.derive(measured) == float(own)
    assert max(one.gain() for one in measured) < reduction.WORTH_HAVING  # else the engine lacks a form


@pytest.fixture(scope="module")
def native() -> ctypes.CDLL:
    if reduction_forms.tool("cmake") is None:
        pytest.skip("needs cmake")
    return reduction_forms.build()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "gauss_d8_n150",
        "o3_n120_float64",
        "grid_12x12",
        "knn6_n200",
        "tied_n80",
        "bipartite_n40",
        "random_n90",
        "cube3_n3",
    ],
)
def test_all_forms_give_the_bars_of_h1(native: ctypes.CDLL, name: str) -> None:
    one = reduction.measure(native, name, rounds=1, patience=60)  # asserts them
    assert all(np.isfinite(one.seconds))
    assert len(one.seconds) == len(one.peaks) == len(FORMS)
    options = reduction.input_of(name)[2]
    assert one.births >= len(adabet_fast.h1(reduction.input_of(name)[0], **options).intervals)
    assert one.by_cells()[1.0] == one.seconds[AT_MOST]
    assert native.engine_rule() in WORTHS


@pytest.mark.slow
def test_a_form_is_stopped(native: ctypes.CDLL) -> None:
    with reduction_forms.Cells(native, reduction.input_of("random_n200")[1]) as cells:
        assert cells.reduce(FORMS[0], most=0.0).seconds == STOPPED
        with pytest.raises(ValueError, match="expected a square one of floats"):
            reduction_forms.Cells(native, np.zeros((2, 3), np.float32))
