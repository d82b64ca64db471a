"""What counts as a layer: modules, or blocks of a layer with its normalisation; include and exclude patterns."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn import Selection, score_layers, select_layers
from adabet_fast.nn.blocks import find_owners
from adabet_fast.nn.layers import find_layers
from tests.nn.networks import Encoder, images, mlp, resnet, state_of, vectors

transformers = pytest.importorskip("transformers")


def owners(model: nn.Module, x: torch.Tensor) -> dict[str, str]:
    return find_owners(model.eval(), find_layers(model), lambda network: network(x))


IDS = torch.arange(18).reshape(2, 9)
PIXELS = torch.linspace(-1, 1, 2 * 3 * 32 * 32).reshape(2, 3, 32, 32)
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}


def test_resnet_norms_belong_to_the_convolution_before_them_also_on_shortcuts() -> None:
    config = transformers.ResNetConfig(hidden_sizes=[8, 16], depths=[2, 2], embedding_size=8)
    model = transformers.ResNetForImageClassification(config)
    found = owners(model, PIXELS)
    assert any("shortcut" in norm for norm in found)
    assert found == {norm: norm.replace("normalization", "convolution") for norm in found}
    assert len(found) == sum(
        isinstance(m, nn.BatchNorm2d) for m in transformers.ResNetForImageClassification(config).modules()
    )


def test_vit_norms_belong_to_the_layers_that_read_them() -> None:
    found = owners(transformers.ViTForImageClassification(transformers.ViTConfig(image_size=32, **SMALL)), PIXELS)
    assert len(found) == 5
    for norm, owner in found.items():
        if norm.endswith("layernorm_before"):
            assert owner == norm.replace("layernorm_before", "attention.q_proj")
        elif norm.endswith("layernorm_after"):
            assert owner == norm.replace("layernorm_after", "mlp.fc1")
        else:  # the last one: nothing reads the sum past it
            assert (norm, owner) == ("vit.layernorm", "vit.layers.1.mlp.fc2")


def test_gpt_norms_belong_to_the_layers_that_read_them() -> None:
    config = transformers.GPT2Config(vocab_size=50, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0)
    assert owners(transformers.GPT2LMHeadModel(config), IDS) == {
        "transformer.h.0.ln_1": "transformer.h.0.attn.c_attn",
        "transformer.h.0.ln_2": "transformer.h.0.mlp.c_fc",
        "transformer.h.1.ln_1": "transformer.h.1.attn.c_attn",
        "transformer.h.1.ln_2": "transformer.h.1.mlp.c_fc",
        "transformer.ln_f": "transformer.h.1.mlp.c_proj",
    }


def test_bert_norms_belong_to_the_dense_layer_before_them() -> None:
    found = owners(transformers.BertForSequenceClassification(transformers.BertConfig(vocab_size=50, **SMALL)), IDS)
    inside = {norm: owner for norm, owner in found.items() if "encoder" in norm}
    assert inside == {norm: norm.replace("LayerNorm", "dense") for norm in inside}
    assert len(inside) == 4
    assert found["bert.embeddings.LayerNorm"].endswith("layer.0.attention.self.query"), "no linear layer is before it"


class LooksAtValues(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Linear(144, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.conv(x))
        if x.sum().item() > 1e9:
            x = -x
        return self.fc(x.flatten(1))


def test_models_that_look_at_values_are_run_truly() -> None:
    model = LooksAtValues()
    model.train()
    before = state_of(model)
    assert find_owners(model, find_layers(model), lambda net: net(images(1)[0])) == {"norm": "conv"}
    assert state_of(model) == before


def test_pre_activation_and_lonely_norms() -> None:
    class PreActivation(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.norm, self.conv = nn.Conv2d(1, 4, 3, 1, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, 1, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.stem(x)
            return x + self.conv(torch.relu(self.norm(x)))

    assert owners(PreActivation(), images(1)[0]) == {"norm": "conv"}
    assert owners(nn.Sequential(nn.LayerNorm(6), nn.Tanh()), vectors(6)[0]) == {}


def test_a_block_carries_its_norm_along() -> None:
    model = resnet()
    before = state_of(model)
    modules, blocks = score_layers(model, images()), score_layers(model, images(), unit="block")
    assert state_of(model) == before
    assert [layer.name for layer in blocks] == [layer.name for layer in modules if "bn" not in layer.name]
    block = blocks["block1.conv1"]
    assert block.members == ("block1.bn1",)
    assert block.parameters == ("block1.conv1.weight", "block1.bn1.weight", "block1.bn1.bias")
    assert block.n_parameters == modules["block1.conv1"].n_parameters + modules["block1.bn1"].n_parameters
    assert (block.b1, block.size) == (modules["block1.conv1"].b1, modules["block1.conv1"].size)
    assert blocks.settings.unit == "block"
    selection = blocks.select_named("block1.conv1")
    assert Selection.from_json(selection.to_json()) == selection
    with selection.applied(model):
        assert model.block1.bn1.weight.requires_grad
        model.train()
        assert model.block1.bn1.training
        assert not model.block1.bn2.training
    assert state_of(model) == before


def test_a_padded_encoder_in_blocks() -> None:
    torch.manual_seed(0)
    ids = [torch.randint(0, 30, (8, 6)) for _ in range(5)]
    batches = [{"input_ids": x, "attention_mask": torch.ones_like(x)} for x in ids]
    scores = score_layers(Encoder(), batches, unit="block", reduce="mean")
    assert scores["encoder.layers.0.linear2"].members == ("encoder.layers.0.norm2",)
    assert "encoder.layers.0.norm2" not in scores


def test_patterns_are_pefts() -> None:
    model = resnet()
    scores = score_layers(model, images())
    candidates = [layer.name for layer in scores.ranked() if layer.name != "fc"]

    def chosen(**patterns: object) -> set[str]:
        return set(scores.select(1.0, **patterns).layers)  # type: ignore[arg-type]

    assert chosen(include=["conv1"]) == {"block1.conv1", "block2.conv1"}
    assert chosen(include=["block1.conv1", "stem"]) == {"block1.conv1", "stem"}
    assert chosen(include=r".*conv\d") == {name for name in candidates if "conv" in name}
    assert chosen(exclude=["bn1", "bn2"]) == {name for name in candidates if "bn" not in name}
    assert chosen(include=r"block1\..*", exclude=["conv1"]) == {"block1.bn1", "block1.conv2", "block1.bn2"}
    assert len(scores.select(0.5, include=r"block1\..*").layers) == 2, "rho is of what is left"
    assert select_layers(model, images(), k=1, include=["stem"]).layers == ("stem",)
    with pytest.raises(InvalidInputError, match=r"^include: no scored layer is left of 10"):
        scores.select(include=["onv1"])
    with pytest.raises(InvalidInputError, match=r"^exclude: '\(' is no regular expression"):
        scores.select(exclude="(")
    with pytest.raises(InvalidInputError, match=r"^include: expected a regular expression or a list"):
        scores.select(include=3)  # type: ignore[arg-type]


def test_numbers_of_layers() -> None:
    scores = score_layers(mlp(6, 8, 8, 8, 3), vectors(6))
    selection = scores.select(k=2)
    assert selection.layers == tuple(layer.name for layer in scores.ranked() if layer.name != "6")[:2]
    assert selection.k == 2
    assert selection.rho is None
    assert "(k=2)" in selection.summary()
    assert Selection.from_json(selection.to_json()) == selection
    for bad in (-1, 1.5, True, "2"):
        with pytest.raises(InvalidInputError, match=r"^k: expected a number of layers"):
            scores.select(k=bad)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match=r"^k: 9 layers asked for, but only 3"):
        scores.select(k=9)
    with pytest.raises(InvalidInputError, match=r"^k: cannot be given together with rho"):
        scores.select(0.5, k=1)
    with pytest.raises(InvalidInputError, match=r"^unit: expected one of 'module', 'block'"):
        score_layers(mlp(6, 8, 3), vectors(6), unit="stage")  # type: ignore[arg-type]


def test_a_parametrised_weight_is_not_computed_by_looking_at_it() -> None:
    norm = nn.utils.parametrizations.spectral_norm(nn.Linear(8, 8))
    model = nn.Sequential(nn.Linear(16, 8), norm, nn.Linear(8, 3)).train()
    before = state_of(model)
    scores = score_layers(model, vectors(16), unit="block")
    assert state_of(model) == before
    assert scores
