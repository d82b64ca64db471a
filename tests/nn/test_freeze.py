"""Freezing that holds: gradients, running statistics, copies, and the way back."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import nn

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn import Selection, score_layers, select_layers
from adabet_fast.nn.freeze import StayInEval, freeze, thaw
from tests.nn.networks import ResNet, TiedLanguageModel, images, mlp, resnet, state_of, vectors


def choose(model: ResNet, *layers: str) -> Selection:
    return score_layers(model, images()).select_named(layers)


def train(model: nn.Module, steps: int = 3) -> None:
    """A few steps of a plain training loop, as a user writes it."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05, weight_decay=0.1)
    model.train()
    for x in images(steps, seed=9):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), torch.arange(8) % 5).backward()
        optimizer.step()


def values(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_only_the_chosen_layers_change_in_training() -> None:
    model = resnet()
    choose(model, "block2.conv1", "block2.bn2").apply(model)
    before = values(model)
    train(model)
    changed = {name for name, value in values(model).items() if not torch.equal(value, before[name])}
    assert changed == {
        *("block2.conv1.weight", "fc.weight", "fc.bias", "block2.bn2.weight", "block2.bn2.bias"),
        *("block2.bn2.running_mean", "block2.bn2.running_var", "block2.bn2.num_batches_tracked"),
    }


def test_frozen_normalisation_stays_in_eval_through_train() -> None:
    model = resnet()
    with choose(model, "block1.bn1").applied(model) as same:
        assert same is model
        for mode in (True, False, True):
            assert model.train(mode) is model
            held = {
                name
                for name, module in model.named_modules()
                if isinstance(module, nn.BatchNorm2d) and not module.training
            }
            frozen = {"block1.bn2", "block2.bn1", "block2.bn2"}
            assert held == (frozen if mode else frozen | {"block1.bn1"})
            assert model.drop.training is mode
        with pytest.raises(ValueError, match="boolean"):
            model.block1.bn2.train("yes")  # type: ignore[arg-type]
    assert all(module.training for module in model.modules())


def test_frozen_statistics_may_move_if_asked() -> None:
    model = resnet()
    selection = choose(model, "stem")
    selection.apply(model, hold_statistics=False)
    before = values(model)
    train(model)
    after = values(model)
    assert not torch.equal(before["block1.bn1.running_mean"], after["block1.bn1.running_mean"])
    assert torch.equal(before["block1.bn1.weight"], after["block1.bn1.weight"])


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("kind", [nn.BatchNorm1d, nn.SyncBatchNorm, nn.InstanceNorm1d])
def test_every_norm_with_running_statistics_is_held(kind: type[nn.Module], affine: bool) -> None:
    model = nn.Sequential(nn.Linear(6, 4), kind(4, affine=affine, track_running_stats=True), nn.Linear(4, 2))
    freeze(model, {"0.weight"})
    model.train()
    assert not model[1].training
    assert model[0].training
    thaw(model)
    assert model[1].training
    without = nn.Sequential(nn.Linear(6, 4), kind(4, affine=affine, track_running_stats=False), nn.Linear(4, 2))
    freeze(without, {"0.weight"})
    without.train()
    assert without[1].training, "without running statistics there is nothing to hold"


def test_undo_restores_every_flag_and_mode() -> None:
    model = resnet()
    model.stem.bias.requires_grad_(False)
    model.block1.bn1.weight.requires_grad_(False)
    model.block1.bn2.eval()
    before = state_of(model)
    selection = choose(model, "stem", "block1.bn2")
    selection.apply(model)
    assert model.stem.bias.requires_grad
    assert state_of(model) != before
    selection.undo()
    assert state_of(model) == before


def test_undo_gives_the_mode_that_was_asked_for_meanwhile() -> None:
    model = resnet()
    selection = choose(model, "stem")
    selection.apply(model)
    model.eval()
    selection.undo()
    assert not any(module.training for module in model.modules())


def test_applied_undoes_after_an_error() -> None:
    model = resnet()
    before = state_of(model)
    with pytest.raises(ZeroDivisionError), choose(model, "stem").applied(model):
        raise ZeroDivisionError
    assert state_of(model) == before


def test_apply_twice_and_undo_without_apply_say_so() -> None:
    model = resnet()
    first, second = choose(model, "stem"), choose(model, "block1")
    with pytest.raises(RuntimeError, match="applied to no model, so there is nothing to undo"):
        first.undo()
    with pytest.raises(RuntimeError, match="no selection is applied to this model"):
        first.undo(model)
    first.apply(model)
    for selection in (first, second):
        with pytest.raises(RuntimeError, match="applied to this model already; undo it first"):
            selection.apply(model)
    assert model.stem.weight.requires_grad
    assert not model.block1.conv1.weight.requires_grad
    first.undo()
    second.apply(model)
    second.undo()
    with pytest.raises(RuntimeError, match="nothing to undo"):
        second.undo()


def test_one_selection_for_several_copies() -> None:
    model = resnet()
    selection = choose(model, "stem")
    copies = [copy.deepcopy(model) for _ in range(2)]
    for each in copies:
        selection.apply(each)
    selection.undo(copies[0])
    assert copies[0].fc.weight.requires_grad
    assert copies[0].block1.bn1.weight.requires_grad
    assert not copies[1].block1.bn1.weight.requires_grad
    selection.undo()
    assert copies[1].block1.bn1.weight.requires_grad
    del copies
    with pytest.raises(RuntimeError, match="nothing to undo"):
        selection.undo()


def test_a_model_with_other_parameters_is_refused() -> None:
    selection = choose(resnet(), "stem")
    other = resnet()
    other.fc = nn.Linear(8, 7)
    with pytest.raises(InvalidInputError, match=r"'fc.weight': expected float32\[5, 8\], got float32\[7, 8\]"):
        selection.apply(other)
    assert all(p.requires_grad for p in other.parameters())
    with pytest.raises(InvalidInputError, match=r"got bfloat16\[4, 1, 3, 3\].*and \d+ more"):
        selection.apply(resnet().to(torch.bfloat16))
    with pytest.raises(InvalidInputError, match=r"'stem.weight': expected float32.*no such parameter"):
        selection.apply(mlp(6, 8, 3))
    untied = TiedLanguageModel()
    ids = [torch.randint(0, 12, (8, 4))]
    tied_selection = select_layers(untied, ids)
    untied.lm_head.weight = nn.Parameter(untied.wte.weight.detach().clone())
    with pytest.raises(InvalidInputError, match=r"'lm_head.weight': expected .* = wte.weight, got float32"):
        tied_selection.apply(untied)


def test_a_new_head_after_apply_keeps_its_flags() -> None:
    model = resnet()
    selection = choose(model, "stem")
    selection.apply(model)
    model.head = nn.Linear(5, 2)
    model.head.bias.requires_grad_(False)
    selection.undo()
    assert model.head.weight.requires_grad
    assert not model.head.bias.requires_grad


def through_pickle(model: nn.Module) -> nn.Module:
    return pickle.loads(pickle.dumps(model))


def through_torch_save(model: nn.Module) -> nn.Module:
    buffer = io.BytesIO()
    torch.save(model, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=False)


@pytest.mark.parametrize("through", [copy.deepcopy, through_pickle, through_torch_save])
def test_a_frozen_model_copies_and_pickles(through: Callable[[nn.Module], nn.Module]) -> None:
    model = resnet()
    selection = choose(model, "stem")
    selection.apply(model)
    other = through(model)
    assert other.train() is other
    for name, module in other.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            assert not module.training, name
            held = vars(module)["train"]
            assert isinstance(held, StayInEval)
            assert held.module is module, "the copy must hold itself, not the original"
    assert [p.requires_grad for p in other.parameters()] == [p.requires_grad for p in model.parameters()]
    selection.undo(other)
    assert all(p.requires_grad for p in other.parameters())
    assert all(module.training for module in other.modules())
    assert not model.block1.bn1.weight.requires_grad


def test_the_state_dict_knows_nothing_of_it() -> None:
    model = resnet()
    keys = list(model.state_dict())
    choose(model, "stem").apply(model)
    assert list(model.state_dict()) == keys
    fresh = resnet()
    fresh.load_state_dict(model.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(values(model).values(), values(fresh).values(), strict=True))


def test_a_train_method_of_the_users_own_comes_back() -> None:
    model = resnet()
    calls: list[bool] = []
    model.block1.bn1.train = lambda mode=True: calls.append(mode)  # type: ignore[assignment]
    own = model.block1.bn1.train
    selection = choose(model, "stem")
    with selection.applied(model):
        model.train()
        assert calls == []
    assert model.block1.bn1.train is own
    model.train()
    assert calls == [True]


def test_undo_after_flags_were_set_directly() -> None:
    model = resnet()
    model.train()
    model.block2.bn1.eval()
    with choose(model, "stem").applied(model):
        model.train()
        modes = {name: module.training for name, module in model.named_modules()}
        model.eval()
        for name, module in model.named_modules():  # as Lightning does after validation
            module.training = modes[name]
        assert not model.block1.bn1.training
    assert model.block1.bn1.training
    assert not model.block2.bn1.training


def test_undo_after_a_held_module_got_or_lost_a_part() -> None:
    model = resnet()
    model.train()
    selection = choose(model, "stem")
    selection.apply(model)
    model.block1.bn1.part = nn.Dropout()
    selection.undo()
    assert all(part.training for part in model.modules())
    selection.apply(model)
    model.block1.bn1.part = None
    selection.undo()
    assert all(part.training for part in model.modules())


def test_compiled_models_hold_their_statistics() -> None:
    torch._dynamo.reset()
    model = resnet()
    selection = choose(model, "block2.conv2")
    compiled = torch.compile(model, backend="eager")
    selection.apply(compiled)
    before = values(model)
    train(compiled, steps=2)
    changed = {name for name, value in values(model).items() if not torch.equal(value, before[name])}
    assert changed == {"block2.conv2.weight", "fc.weight", "fc.bias"}


def test_parametrised_weights_are_one_layer() -> None:
    torch.manual_seed(0)
    model = mlp(6, 8, 8, 3)
    nn.utils.parametrizations.weight_norm(model[0])
    nn.utils.parametrizations.spectral_norm(model[2])
    scores = score_layers(model, vectors(6))
    assert [layer.name for layer in scores] == ["0", "2", "4"]
    assert scores["0"].parameters == (
        "0.bias",
        "0.parametrizations.weight.original0",
        "0.parametrizations.weight.original1",
    )
    assert scores["0"].size == 8
    assert scores["0"].n_parameters == 8 + 8 + 48
    selection = scores.select_named("0")
    selection.apply(model)
    model.train()
    weight = model[2].weight.detach().clone()
    for x in vectors(6):
        model(x)
    assert torch.equal(model[2].weight, weight), "power iteration must not move a frozen weight"
    assert model[0].parametrizations.weight.original0.requires_grad
    selection.undo()
    model.train()
    before = model[2].parametrizations.weight[0]._u.clone()
    with torch.no_grad():
        model[2].parametrizations.weight.original += torch.randn(8, 8)
    model(vectors(6)[0])
    assert not torch.equal(model[2].parametrizations.weight[0]._u, before)


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_spectral_norm_as_a_hook_is_held_too() -> None:
    model = mlp(6, 8, 8, 3)
    nn.utils.spectral_norm(model[2])
    selection = score_layers(model, vectors(6)).select_named("0")
    with selection.applied(model):
        model.train()
        before = model[2].weight_u.clone()
        with torch.no_grad():
            model[2].weight_orig += torch.randn(8, 8)
        model(vectors(6)[0])
        assert torch.equal(model[2].weight_u, before)
    model.train()
    model(vectors(6)[0])
    assert not torch.equal(model[2].weight_u, before)


def test_tied_parameters_are_trained_by_identity_and_reported() -> None:
    torch.manual_seed(0)
    model = TiedLanguageModel()
    scores = score_layers(model, [torch.randint(0, 12, (8, 4)) for _ in range(5)])
    selection = scores.select_named(["mix"], always_train=["lm_head"])
    assert set(selection.trained_parameters) == {"mix.weight", "mix.bias", "wte.weight"}
    assert [tuple(shared) for shared in selection.shared] == [("wte.weight", "lm_head", "wte")]
    assert "shared: 'wte.weight' is trained with 'lm_head' and is also part of 'wte', which is not chosen" in str(
        selection
    )
    assert selection.n_trainable == 72 + 42
    assert selection.n_parameters == 72 + 42
    with selection.applied(model):
        assert model.wte.weight.requires_grad
    frozen = scores.select_named(["mix"], always_train=None)
    assert frozen.shared == ()
    with frozen.applied(model):
        assert not model.lm_head.weight.requires_grad


def test_unknown_parameters_are_refused_before_anything_changes() -> None:
    model = mlp(6, 8, 3)
    with pytest.raises(InvalidInputError, match="no parameter 'x'"):
        freeze(model, {"x"})
    assert all(p.requires_grad for p in model.parameters())
    freeze(model, {"0.weight"})
    thaw(model)


def test_another_selection_is_neither_measured_nor_undone() -> None:
    model, x = resnet(), images(1)[0]
    scores = score_layers(model, images())
    wide, narrow, again = (scores.select_named(names) for names in ("*", ["block2"], ["block2"]))
    before = state_of(model)
    expected = narrow.cost(model, x)
    with narrow.applied(model):
        assert again.cost(model, x) == expected
        for refused in (lambda: wide.cost(model, x), lambda: wide.undo(model)):
            with pytest.raises(InvalidInputError, match=r"^model: another selection is applied to it; undo that one"):
                refused()
        assert narrow.cost(model, x) == expected
    for facts in (before, after := state_of(model)):
        facts["parameters"] = {n: (which, value) for n, (which, _, value) in facts["parameters"].items()}
    assert after == before
