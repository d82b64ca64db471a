"""Kendall tau, resampled rankings, warnings for flat and unstable ones, and drift."""

from __future__ import annotations

import json
import math
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau
from torch import nn

from adabet_fast import Barcode, h1, pairwise_distances
from adabet_fast.errors import InvalidInputError
from adabet_fast.nn import LayerScore, LayerScores, RankingWarning, Selection, score_layers, select_layers
from adabet_fast.nn.stability import Resampled, compare, kendall_tau
from tests.nn.networks import count_bars, images, mlp, resnet, state_of, vectors

PAIRS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=25)


@given(PAIRS)
def test_kendall_tau_is_scipys(pairs: list[tuple[int, int]]) -> None:
    a, b = zip(*pairs, strict=True)
    ours, theirs = kendall_tau(a, b), float(kendalltau(a, b).statistic)
    assert math.isnan(ours) if math.isnan(theirs) else ours == pytest.approx(theirs, abs=1e-12)


def test_kendall_tau_of_other_shapes() -> None:
    with pytest.raises(InvalidInputError, match=r"^b: expected as many numbers as a, got shapes \(2,\) and \(3,\)"):
        kendall_tau([1, 2], [1, 2, 3])
    assert math.isnan(kendall_tau([1, 1], [1, 2]))


def outputs(model: nn.Module, name: str) -> torch.Tensor:
    seen: list[torch.Tensor] = []
    handle = model.get_submodule(name).register_forward_hook(lambda _m, _i, out: seen.append(out.detach().clone()))
    model.eval()
    with torch.no_grad():
        for batch in images():
            model(batch)
    handle.remove()
    return torch.cat(seen).flatten(1)


def test_parts_are_counted_as_clouds_of_their_own() -> None:
    model = resnet()
    before = state_of(model)
    by_batch = score_layers(model, images(), resamples="batches")
    drawn = score_layers(model, images(), resamples=3)
    assert state_of(model) == before
    cloud = outputs(model, "block2.conv1")
    assert list(by_batch["block2.conv1"].resampled) == [count_bars(cloud[i : i + 8]) for i in range(0, 40, 8)]
    rows = Resampled(3).rows([8] * 5)
    assert list(drawn["block2.conv1"].resampled) == [count_bars(cloud[torch.from_numpy(each)]) for each in rows]
    assert by_batch.ranked() != drawn.ranked()
    assert [layer.b1 for layer in by_batch] == [layer.b1 for layer in drawn]
    assert LayerScores.from_json(drawn.to_json()) == drawn


def test_stability_is_kendalls_tau_over_the_parts() -> None:
    scores = score_layers(resnet(), images(), resamples="batches")
    found = scores.stability()
    ranked = scores.ranked()
    parts = np.array([layer.resampled for layer in ranked]).T / [layer.size for layer in ranked]
    taus = [kendalltau(parts[i], parts[j]).statistic for i in range(5) for j in range(i + 1, 5)]
    assert found.taus == pytest.approx(taus)
    assert found.tau == pytest.approx(np.mean(taus))
    assert (found.n_parts, found.n_layers) == (5, 11)
    assert "Kendall tau" in str(found)
    b1 = scores.rescore("b1").stability()
    assert b1.taus != found.taus
    assert scores.rescore("size").stability().tau == 1.0  # no sample changes it
    with pytest.raises(InvalidInputError, match=r"^resamples: parts were not measured"):
        score_layers(resnet(), images()).stability()


def test_the_best_tenth_in_common() -> None:
    whole = [float(20 - i) for i in range(20)]
    found = compare(whole, [whole, list(reversed(whole))])
    assert found.taus == (-1.0,)
    assert found.top == 0.5
    assert not found.is_stable


def test_an_unstable_ranking_warns_and_says_what_to_do() -> None:
    scores = score_layers(resnet(), images(), resamples="batches")
    assert scores.stability().tau < 0.5, "eight samples rank these layers by chance"
    with pytest.warns(
        RankingWarning, match=r"ranking is unstable: Kendall tau .*Give more samples \(n_batches="
    ) as caught:
        scores.select(0.2)
    assert caught[0].filename == __file__
    stable = score_layers(resnet(), images(), resamples=10)
    assert stable.stability().is_stable
    stable.select(0.2)


def test_a_flat_ranking_warns_and_says_what_to_do() -> None:
    line = mlp(1, 1, 1, 1, 1, 3)
    scores = score_layers(line, vectors(1))  # points on a line have no loops
    assert {layer.b1 for layer in scores if layer.name != "8"} == {0}
    with pytest.warns(RankingWarning, match=r"ranking is flat: 4 of 4 layers have the best score, 0, and 2 of them"):
        selection = scores.select(0.5)
    assert selection.layers == ("0", "2")
    with pytest.warns(RankingWarning, match="flat"):
        select_layers(line, vectors(1), k=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores.select(1.0)  # all are chosen, so no order decides


def test_bad_resamples() -> None:
    model = resnet()
    for bad in (1, 0, True, 2.5, "halves"):
        with pytest.raises(InvalidInputError, match=r"^resamples: expected 'batches' or a number of draws"):
            score_layers(model, images(), resamples=bad)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match=r"^resamples: parts of the samples are parts of one cloud"):
        score_layers(model, images(), resamples=3, pooling="sum")
    with pytest.raises(InvalidInputError, match=r"^resamples: 'batches' needs two batches or more of at least 4"):
        score_layers(model, images(5, 3), resamples="batches")


def test_drift() -> None:
    model = resnet()
    selection = score_layers(model, images()).select(0.3)
    same = selection.drift(images(), model)
    assert same.tau == 1.0
    assert same.again == selection.layers
    assert (same.leaving, same.entering, same.kept) == ((), (), 1.0)
    shifted = [torch.sign(batch).roll(3, dims=3) * (batch > 1) for batch in images(seed=7)]
    before = state_of(model)
    drift = selection.drift(shifted, model)
    assert state_of(model) == before
    new = score_layers(model, shifted)
    old = selection.scores
    assert drift.scores.ranked() == new.ranked()
    names = [layer.name for layer in old]
    assert drift.tau == pytest.approx(
        kendalltau([old[name].score for name in names], [new[name].score for name in names]).statistic
    )
    best = [layer.name for layer in new.ranked() if layer.name != "fc"][:3]
    assert set(drift.again) == set(best) & set(selection.layers)
    assert set(drift.entering) == set(best) - set(selection.layers)
    assert set(drift.leaving) == set(selection.layers) - set(best)
    assert f"{len(drift.again)} of 3 chosen layers would be chosen again" in str(drift)


def test_drift_of_the_model_that_it_is_applied_to() -> None:
    model = resnet()
    selection = score_layers(model, images(), unit="block", normalize="flops").select(k=2)
    with pytest.raises(RuntimeError, match="applied to no model, so there is nothing to measure"):
        selection.drift(images())
    with selection.applied(model):
        found = selection.drift(images())
        assert found.tau == 1.0
        assert found.scores.settings.unit == "block"
        trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
        assert trained == set(selection.trained_parameters)


RULES: list[dict[str, Any]] = [
    {"k": 2, "include": r".*conv\d"},
    {"k": 3, "exclude": ["conv1", "bn1"]},
    {"rho": 0.5, "include": ["conv1", "conv2", "bn2"], "exclude": r"block1\..*"},
    {"rho": 0.4, "rounding": "floor", "always_train": "block1"},
    {"rho": 0.0},
]


@pytest.mark.parametrize("rule", RULES)
def test_drift_cuts_by_the_rule_of_the_choice(rule: dict[str, Any]) -> None:
    model = resnet()
    chosen = score_layers(model, images()).select(**rule)
    for selection in (chosen, Selection.from_json(chosen.to_json())):
        assert selection == chosen
        same = selection.drift(images(), model)
        assert (same.tau, same.again, same.leaving, same.entering) == (1.0, selection.layers, (), ())
        assert same.no_rule == ""
    new = images(seed=7)
    drift = chosen.drift(new, model)
    expected = select_layers(model, new, **rule).layers
    assert set(drift.again + drift.entering) == set(expected)
    assert set(drift.leaving) == set(chosen.layers) - set(expected)


@pytest.mark.parametrize("budget", [{"budget_bytes": 34_000}, {"budget_flops": 900_000}])
def test_drift_within_a_budget(budget: dict[str, Any]) -> None:
    model = resnet()
    selection = select_layers(model, images(), include=r"block.*", **budget)
    assert selection.layers
    assert selection.budget is not None
    same = selection.drift(images(), model)
    assert (same.tau, same.again, same.leaving, same.entering) == (1.0, selection.layers, (), ())
    new = images(seed=4)
    expected = select_layers(model, new, include=r"block.*", **budget).layers
    assert set(expected) != set(selection.layers)
    before = state_of(model)
    free = selection.drift(iter(new), model)
    assert state_of(model) == before
    with selection.applied(model):
        held = state_of(model)
        applied = selection.drift(new)
        assert state_of(model) == held
    for drift in (free, applied, selection.drift(new, model, train_batch=images()[0])):
        assert set(drift.again + drift.entering) == set(expected)
        assert set(drift.leaving) == set(selection.layers) - set(expected)


def test_drift_of_layers_chosen_by_name_compares_scores_alone() -> None:
    model = resnet()
    scores = score_layers(model, images())
    worst = [layer.name for layer in scores.ranked()[-2:]]
    drift = scores.select_named(worst).drift(images(seed=7), model)
    assert -1 <= drift.tau < 1
    assert (drift.again, drift.leaving, drift.entering, drift.kept) == (tuple(worst), (), (), 1.0)
    assert "the layers were chosen by name, so no layer leaves or enters" in str(drift)


def test_drift_of_an_older_file_that_does_not_hold_its_patterns() -> None:
    model = resnet()
    scores = score_layers(model, images())

    def older(selection: Selection) -> Selection:
        data = json.loads(selection.to_json())
        del data["include"], data["exclude"]
        return Selection.from_json(json.dumps(data))

    drift = older(scores.select(k=2, exclude=scores.ranked()[1].name)).drift(images(), model)
    assert (drift.tau, drift.leaving, drift.entering) == (1.0, (), ())
    assert "by which rule the layers were chosen is not known" in str(drift)
    assert older(scores.select(k=2)).drift(images(), model).no_rule == ""
    within = select_layers(model, images(), budget_bytes=45_000, exclude=scores.ranked()[1].name)
    assert older(within).drift(images(), model).no_rule


def longest(cloud: torch.Tensor, barcode: Barcode, module: nn.Module) -> float:
    return float(max(barcode.persistence, default=0.0)) / len(list(module.parameters())) + 1e-9 * float(cloud.std())


@pytest.mark.parametrize("score", ["total_persistence", longest])
@pytest.mark.parametrize("resamples", ["batches", 3])
def test_stability_of_scores_that_look_at_the_bars(score: Any, resamples: Any) -> None:
    """Parts get their own bars, and a callable the activations of the part."""
    model = resnet()
    scores = score_layers(model, images(), score=score, resamples=resamples)
    ranked = scores.ranked()
    columns = []
    for rows in Resampled(resamples).rows([8] * 5):
        column = []
        for layer in ranked:
            cloud = outputs(model, layer.name)[torch.from_numpy(rows)]
            bars = h1(pairwise_distances(cloud), distance_matrix=True)
            if callable(score):
                column.append(score(cloud, bars, model.get_submodule(layer.name)))
            else:
                column.append(bars.total_persistence() / cloud.shape[1])
        columns.append(column)
    for part, column in enumerate(columns):
        assert [layer.resampled_scores[part] for layer in ranked] == pytest.approx(column, rel=1e-5)
    taus = [kendalltau(a, b).statistic for i, a in enumerate(columns) for b in columns[i + 1 :]]
    assert scores.stability().taus == pytest.approx(taus)
    assert LayerScores.from_json(scores.to_json()) == scores
    lengths = scores.rescore("total_persistence")
    assert [layer.resampled_scores[0] for layer in lengths] == [
        layer.resampled_persistence[0] / layer.size for layer in lengths
    ]
    plain = score_layers(model, images(), resamples=resamples)
    assert scores.rescore("adabet").stability() == plain.stability()
    assert plain.stability().taus != scores.stability().taus


def test_stability_with_divisors_of_ones_own() -> None:
    def width(layer: LayerScore) -> float:
        return float(layer.n_parameters) ** 0.5

    scores = score_layers(resnet(), images(), normalize=width, resamples="batches")
    assert scores["stem"].resampled_scores == tuple(b1 / width(scores["stem"]) for b1 in scores["stem"].resampled)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RankingWarning)
        assert len(scores.select(0.2).layers) == 2
    by_flops = score_layers(resnet(), images(), normalize="flops", resamples="batches")
    assert by_flops["stem"].resampled_scores == tuple(
        b1 / (by_flops["stem"].flops or 0) for b1 in by_flops["stem"].resampled
    )


def test_parts_that_were_not_measured_for_a_score() -> None:
    scores = score_layers(resnet(), images(), score="total_persistence")
    without = replace(
        scores,
        layers=tuple(replace(layer, resampled=(3, 4)) for layer in scores.layers),
    )
    with pytest.raises(InvalidInputError, match=r"^score: parts were not measured for 'total_persistence'"):
        without.rescore("total_persistence").stability()
