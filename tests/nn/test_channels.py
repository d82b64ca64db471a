"""Training some channels of a layer: which, by masks or as parameters of their own, and back."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn import ChannelChoice, Selection, score_layers, select_layers
from adabet_fast.nn.channels import cut_channels, restore_channels, why_whole
from adabet_fast.nn.freeze import freeze, thaw
from tests.nn.networks import Encoder, TiedLanguageModel, count_bars, images, mlp, resnet, state_of, vectors

FORMS = ["slice", "mask"]


def cut(model: nn.Module, form: str = "slice", rho: float = 0.25, *layers: str) -> Selection:
    selection = score_layers(model, images()).select_named(layers or ("stem", "block1.conv2", "block2.conv1"))
    selection = selection.with_channels(model, images(), rho)
    selection.apply(model, channels=form)  # type: ignore[arg-type]
    return selection


def train(model: nn.Module, steps: int = 4, decay: float = 0.0) -> torch.optim.Optimizer:
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=0.01, weight_decay=decay)
    model.train()
    for x in images(steps, seed=4):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), torch.arange(8) % 5).backward()
        optimizer.step()
    return optimizer


def test_channels_are_ranked_by_the_b1_of_their_own_clouds() -> None:
    model = resnet()
    before = state_of(model)
    selection = score_layers(model, images()).select_named(["block2.conv1", "block2.bn1"])
    found = selection.with_channels(model, images(), 0.3)
    assert state_of(model) == before
    assert list(found.channels) == ["block2.conv1"], "a normalisation is trained whole"
    choice = found.channels["block2.conv1"]
    seen: list[torch.Tensor] = []
    handle = model.block2.conv1.register_forward_hook(lambda _m, _i, out: seen.append(out.detach().clone()))
    model.eval()
    with torch.no_grad():
        for batch in images():
            model(batch)
    handle.remove()
    clouds = torch.cat(seen).transpose(0, 1).flatten(2)
    expected = [count_bars(cloud) for cloud in clouds]
    assert list(choice.b1) == expected
    best = sorted(range(8), key=lambda i: (-expected[i], i))[:3]  # ceil(0.3 * 8)
    assert choice.trained == tuple(sorted(best))
    assert Selection.from_json(found.to_json()) == found
    assert "of 'block2.conv1' 3 of 8 channels are trained" in str(found)


def test_tokens_are_the_positions_of_a_linear_layer() -> None:
    torch.manual_seed(0)
    model = Encoder()
    ids = [torch.randint(0, 30, (8, 6)) for _ in range(5)]
    batches = [{"input_ids": x, "attention_mask": torch.ones_like(x)} for x in ids]

    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.mix, self.head = nn.Embedding(30, 8), nn.Linear(8, 12), nn.Linear(12, 3)

        def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
            return self.head(torch.tanh(self.mix(self.words(input_ids))).mean(1))

    plain = Plain()
    selection = select_layers(plain, ids, k=1, include=["mix"], rho_channel=0.5)
    choice = selection.channels["mix"]
    assert len(choice.trained) == 6
    with torch.no_grad():
        out = plain.mix(plain.words(torch.cat(ids)))
    assert list(choice.b1) == [count_bars(out[..., channel]) for channel in range(12)]
    # Linear layers inside torch's own encoder layer are read past the module, so they stay whole.
    whole = score_layers(model, batches, reduce="mean").select_named(["encoder.layers.0.linear1"])
    assert whole.with_channels(model, batches).channels == {}


def test_one_value_a_sample_has_no_loops_so_the_layer_stays_whole() -> None:
    model = mlp(6, 8, 8, 3)
    selection = select_layers(model, vectors(6), k=1, rho_channel=0.5)
    assert selection.channels == {}
    whole = sum(selection.scores[name].n_parameters for name in selection.trained_layers)
    assert selection.n_trainable == whole


@pytest.mark.parametrize("form", FORMS)
def test_only_the_chosen_channels_change(form: str) -> None:
    model = resnet()
    start = copy.deepcopy(model.state_dict())
    selection = cut(model, form)
    train(model)
    after = model.state_dict()
    assert list(after) == list(start)
    for name, choice in selection.channels.items():
        changed = (after[f"{name}.weight"] != start[f"{name}.weight"]).flatten(1).any(1)
        assert tuple(torch.nonzero(changed).flatten().tolist()) == choice.trained
    others = [key for key in start if key.rpartition(".")[0] not in selection.channels and "fc" not in key]
    assert all(torch.equal(after[key], start[key]) for key in others)


def test_both_forms_train_to_the_same_weights() -> None:
    found = []
    for form in FORMS:
        model = resnet()
        cut(model, form)
        train(model)
        found.append(model.state_dict())
    for key, value in found[0].items():
        torch.testing.assert_close(value, found[1][key], rtol=1e-4, atol=1e-6)


def test_weight_decay_reaches_masked_channels_and_no_sliced_ones() -> None:
    moved = {}
    for form in FORMS:
        model = resnet()
        start = copy.deepcopy(model.state_dict())
        selection = cut(model, form)
        train(model, decay=0.5)
        rest = [c for c in range(4) if c not in selection.channels["stem"].trained]
        moved[form] = bool((model.state_dict()["stem.weight"][rest] != start["stem.weight"][rest]).any())
    assert moved == {"slice": False, "mask": True}


def test_what_each_form_saves_as_measured() -> None:
    model, batch = resnet(), images(1)[0]
    whole = score_layers(model, images()).select_named(["block2.conv1", "block2.conv2"], always_train=None)
    part = whole.with_channels(model, images(), 0.25)
    costs = {form: part.cost(model, batch, channels=form) for form in FORMS}  # type: ignore[arg-type]
    all_of_it = whole.cost(model, batch)
    assert costs["mask"] == all_of_it
    assert costs["slice"].gradient_bytes * 4 == all_of_it.gradient_bytes
    moments = all_of_it.optimizer_bytes - 2 * 4  # two parameters, each with a step of 4 bytes
    assert (costs["slice"].optimizer_bytes - 2 * 4) * 4 == moments
    assert costs["slice"].saved_bytes == all_of_it.saved_bytes
    assert part.n_trainable * 4 == whole.n_trainable
    assert part.trainable_bytes == costs["slice"].gradient_bytes


@pytest.mark.parametrize("form", FORMS)
def test_undo_restores_everything_but_the_trained_values(form: str) -> None:
    model = resnet()
    before = state_of(model)
    selection = cut(model, form)
    x = images(1, seed=8)[0]
    train(model)
    model.eval()
    expected, state = model(x), model.state_dict()
    selection.undo()
    assert torch.equal(model(x), expected)
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    model.train()
    after = state_of(model)
    for key in ("requires_grad", "attributes", "hooks", "training"):
        assert after[key] == before[key], key
    assert {n: where for n, (where, *_) in after["parameters"].items()} == {
        n: where for n, (where, *_) in before["parameters"].items()
    }


def test_an_untrained_cut_computes_what_the_model_did() -> None:
    model = resnet().eval()
    x = images(1, seed=3)[0]
    expected = model(x)
    selection = cut(model)
    model.eval()
    torch.testing.assert_close(model(x), expected)
    selection.undo()
    assert torch.equal(model(x), expected)


def test_state_dicts_go_both_ways() -> None:
    plain, sliced = resnet(), resnet()
    selection = cut(sliced)
    train(sliced)
    plain.load_state_dict(sliced.state_dict())
    x = images(1, seed=3)[0]
    torch.testing.assert_close(plain.eval()(x), sliced.eval()(x))
    fresh = resnet()
    selection.apply(fresh)
    given = plain.state_dict()
    keys = list(given)
    assert fresh.load_state_dict(given) == ([], [])
    assert list(given) == keys, "the caller's state dict is not changed"
    torch.testing.assert_close(fresh.eval()(x), sliced.eval()(x))
    selection.undo(fresh)
    assert all(torch.equal(value, given[key]) for key, value in fresh.state_dict().items())
    nested = nn.Sequential(resnet(), nn.Identity())
    selection.apply(nested[0])
    assert nested.load_state_dict({f"0.{key}": value for key, value in given.items()}) == ([], [])


def through_pickle(model: nn.Module) -> nn.Module:
    return pickle.loads(pickle.dumps(model))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("through", [copy.deepcopy, through_pickle])
def test_copies_go_on_with_the_same_channels(form: str, through: Callable[[nn.Module], nn.Module]) -> None:
    model = resnet()
    selection = cut(model, form)
    other = through(model)
    start = copy.deepcopy(other.state_dict())
    train(other)
    after = other.state_dict()
    for name, choice in selection.channels.items():
        changed = (after[f"{name}.weight"] != start[f"{name}.weight"]).flatten(1).any(1)
        assert tuple(torch.nonzero(changed).flatten().tolist()) == choice.trained
    assert all(torch.equal(value, start[key]) for key, value in model.state_dict().items())
    selection.undo(other)
    assert list(dict(other.named_parameters())) == list(dict(resnet().named_parameters()))


LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(6, 8), (3, 5, 6)),
    "linear without bias": (lambda: nn.Linear(6, 8, bias=False), (3, 6)),
    "conv1d": (lambda: nn.Conv1d(4, 8, 3, padding=1), (3, 4, 9)),
    "conv2d, stride, dilation": (lambda: nn.Conv2d(4, 8, 3, 2, dilation=2), (3, 4, 9, 9)),
    "conv2d, unbatched": (lambda: nn.Conv2d(4, 8, 3), (4, 9, 9)),
    "conv2d, reflected": (lambda: nn.Conv2d(4, 8, 3, padding=1, padding_mode="reflect"), (3, 4, 9, 9)),
    "conv2d, same": (lambda: nn.Conv2d(4, 8, 3, padding="same"), (3, 4, 9, 9)),
    "conv2d, depthwise": (lambda: nn.Conv2d(8, 8, 3, groups=8), (3, 8, 9, 9)),
    "conv2d, groups": (lambda: nn.Conv2d(4, 8, 3, groups=2), (3, 4, 9, 9)),
    "conv3d": (lambda: nn.Conv3d(2, 8, 2), (3, 2, 4, 4, 4)),
}


@pytest.mark.parametrize(("make", "shape"), LAYERS.values(), ids=LAYERS.keys())
def test_every_kind_of_layer(make: Callable[[], nn.Module], shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    layer: Any = make()
    model = nn.Sequential(layer)
    x = torch.randn(shape, requires_grad=True)
    expected = model(x)
    expected.pow(2).sum().backward()
    whole = {name: p.grad.clone() for name, p in layer.named_parameters()}
    given = x.grad.clone()
    x.grad = None
    trained = (1, 2, 6)
    freeze(model, set(dict(model.named_parameters())))
    cut_channels(model, {"0": ChannelChoice(trained, 8)}, "slice")
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) * 8 == 3 * sum(
        v.numel() for v in whole.values()
    )
    found = model(x)
    torch.testing.assert_close(found, expected)
    found.pow(2).sum().backward()
    torch.testing.assert_close(x.grad, given)
    for name, gradient in whole.items():
        torch.testing.assert_close(getattr(layer, f"adabet_{name}").grad, gradient[list(trained)])
        assert getattr(layer, name).grad is None
    restore_channels(model)
    thaw(model)
    assert torch.equal(model(x), expected)


def test_why_layers_stay_whole() -> None:
    model = nn.Sequential(
        nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4), nn.ConvTranspose1d(4, 4, 1), nn.Bilinear(2, 2, 2)
    )
    assert why_whole(model, "0") is None
    nn.utils.parametrizations.weight_norm(model[1])
    assert why_whole(model, "1") == "its weight is computed (a parametrisation or a hook)"
    model[2].forward = lambda x: x  # type: ignore[method-assign]
    assert why_whole(model, "2") == "its forward was replaced"
    assert "ConvTranspose1d is neither" in str(why_whole(model, "3"))
    assert "Bilinear is neither" in str(why_whole(model, "4"))
    assert why_whole(TiedLanguageModel(), "lm_head") == "it shares a parameter with another layer"
    encoder = nn.TransformerEncoderLayer(8, 2, 16)
    assert why_whole(encoder, "linear1") == "TransformerEncoderLayer reads its weight past it"


def test_compiled_models_train_the_same_channels() -> None:
    torch._dynamo.reset()
    model = resnet()
    start = copy.deepcopy(model.state_dict())
    selection = cut(model)
    train(torch.compile(model, backend="eager"), steps=2)
    changed = (model.state_dict()["stem.weight"] != start["stem.weight"]).flatten(1).any(1)
    assert tuple(torch.nonzero(changed).flatten().tolist()) == selection.channels["stem"].trained


def test_bad_shares_and_activations() -> None:
    model = resnet()
    selection = score_layers(model, images()).select_named("stem")
    for bad in (0, 1.5, True, "half"):
        with pytest.raises(InvalidInputError, match=r"^rho_channel: expected a share above 0"):
            selection.with_channels(model, images(), bad)  # type: ignore[arg-type]
    assert selection.with_channels(model, images(), 1.0).channels == {}
    with pytest.raises(InvalidInputError, match=r"^channels: expected one of 'slice', 'mask'"):
        selection.apply(model, channels="half")  # type: ignore[arg-type]
    assert all(p.requires_grad for p in model.parameters())
    broken = [batch.clone() for batch in images()]
    broken[1][0, 0, 0, 0] = np.nan
    with pytest.raises(InvalidInputError, match=r"^batches: layer 'stem' returned NaN"):
        selection.with_channels(model, broken)
