"""What long calls tell of themselves on the way."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from adabet_fast import InvalidInputError, h1

X = np.random.default_rng(3).standard_normal((3000, 8)).astype(np.float32)


def test_a_function_is_told_how_far_the_run_is() -> None:
    seen: list[dict[str, float]] = []
    bars = h1(X, progress=lambda **figures: seen.append(figures))
    assert seen, "a run of some 100 ms reports every 50 ms"
    assert all(set(figures) == {"edges", "births", "alive", "radius"} for figures in seen)
    assert all(figures["births"] == bars.stats["births"] for figures in seen)
    for name in ("edges", "radius"):
        assert [figures[name] for figures in seen] == sorted(figures[name] for figures in seen)
    alive = [figures["alive"] for figures in seen]
    assert alive == sorted(alive, reverse=True)


def test_what_it_raises_ends_the_call() -> None:
    def stop(**_: float) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        h1(X, progress=stop)
    assert len(h1(X[:50])) > 0


def test_a_bar(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    h1(X, progress=True)
    shown = capsys.readouterr().err
    assert "H1" in shown
    assert "radius=" in shown


def test_without_tqdm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.warns(UserWarning, match="pip install tqdm"):
        h1(X[:100], progress=True)


@pytest.mark.parametrize("progress", [1, "yes", []])
def test_nonsense(progress: object) -> None:
    with pytest.raises(InvalidInputError, match="progress is"):
        h1(X[:10], progress=progress)  # type: ignore[arg-type]
