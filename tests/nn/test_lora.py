"""Selections handed to the real PEFT: the layers that get adapters are the chosen ones, and no others."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import nn

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn import score_layers, select_layers
from tests.nn import digits
from tests.nn.networks import images, resnet

peft = pytest.importorskip("peft")
transformers = pytest.importorskip("transformers")

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")  # PEFT asks for it


def adapted(model: nn.Module) -> set[str]:
    return {name for name, module in model.named_modules() if isinstance(module, peft.tuners.lora.LoraLayer)}


def vit() -> Any:
    torch.manual_seed(0)
    config = transformers.ViTConfig(
        image_size=8, patch_size=2, num_channels=1, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, num_labels=5,
    )  # fmt: skip
    return transformers.ViTForImageClassification(config)


IMAGES, LABELS = digits.load(digits.NEW, 40)
BATCHES = [{"pixel_values": part} for part in IMAGES.split(8)]


def test_peft_adapts_the_chosen_layers_and_trains() -> None:
    model = vit()
    selection = select_layers(model, BATCHES, k=4)
    pattern = selection.target_modules(model)
    expected = {name for name in selection.layers if isinstance(model.get_submodule(name), (nn.Linear, nn.Conv2d))}
    assert expected
    head = selection.modules_to_save(model)
    assert head == ["classifier"]
    config = peft.LoraConfig(r=2, target_modules=pattern, modules_to_save=head)
    lora = peft.get_peft_model(model, config)
    assert {name.removeprefix("base_model.model.") for name in adapted(lora)} == expected
    trainable = {name for name, parameter in lora.named_parameters() if parameter.requires_grad}
    assert all("lora_" in name or "modules_to_save" in name for name in trainable)
    assert any("modules_to_save" in name for name in trainable)
    optimizer = torch.optim.AdamW([p for p in lora.parameters() if p.requires_grad], lr=0.02)
    losses = []
    for _ in range(8):
        loss = lora(pixel_values=IMAGES, labels=LABELS).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


def test_a_list_would_hit_more() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(6, 6)
            self.b = nn.Module()
            self.b.fc = nn.Linear(6, 6)
            self.head = nn.Linear(6, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(torch.tanh(self.b.fc(torch.tanh(self.fc(x)))))

    torch.manual_seed(0)
    model = Twice()
    selection = score_layers(model, [torch.randn(8, 6) for _ in range(5)]).select_named("fc")
    assert selection.target_modules() == "^(?:fc)$"
    by_list = peft.inject_adapter_in_model(peft.LoraConfig(target_modules=["fc"]), Twice())
    assert adapted(by_list) == {"fc", "b.fc"}
    by_pattern = peft.inject_adapter_in_model(peft.LoraConfig(target_modules=selection.target_modules()), model)
    assert adapted(by_pattern) == {"fc"}


def test_types_that_take_no_lora_are_left_out() -> None:
    model = resnet()
    scores = score_layers(model, images())
    selection = scores.select_named(["block1.conv1", "block1.bn1", "stem"])
    for given in (None, model):
        assert selection.target_modules(given) == "^(?:block1\\.conv1|stem)$"
    assert selection.target_modules(always_train=True) == "^(?:stem|block1\\.conv1|fc)$"
    lora = peft.get_peft_model(model, peft.LoraConfig(r=2, target_modules=selection.target_modules()))
    assert {name.removeprefix("base_model.model.") for name in adapted(lora)} == {"block1.conv1", "stem"}
    with pytest.raises(InvalidInputError, match=r"^target_modules: none of block1.bn1 takes LoRA \(BatchNorm2d\)"):
        scores.select_named("block1.bn1").target_modules()


def test_grouped_convolutions_are_left_out_and_names_are_escaped() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3, groups=4), nn.Flatten(), nn.Linear(64, 3))
    selection = score_layers(model, images()).select_named(["0", "1"])
    assert selection.target_modules(model) == "^(?:0)$"
    peft.inject_adapter_in_model(peft.LoraConfig(r=3, target_modules=selection.target_modules(model)), model)
    blocks = score_layers(resnet(), images(), unit="block").select_named("block1.conv1")
    assert re.fullmatch(blocks.target_modules(), "block1.conv1")
    assert not re.fullmatch(blocks.target_modules(), "block1xconv1")


def test_gpt2_with_its_own_linear_layers() -> None:
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=50, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0)
    model = transformers.GPT2LMHeadModel(config)
    batches = [{"input_ids": torch.randint(0, 50, (8, 6))} for _ in range(5)]
    selection = select_layers(model, batches, k=2, unit="block", include=r".*\.(c_attn|c_fc|c_proj)")
    lora = peft.get_peft_model(
        model, peft.LoraConfig(r=2, target_modules=selection.target_modules(), fan_in_fan_out=True)
    )
    assert {name.removeprefix("base_model.model.") for name in adapted(lora)} == set(selection.layers)


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(6, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.fc(x))


class Named(nn.Module):
    """Two blocks with a layer ``fc`` each, and a head of any name."""

    def __init__(self, head: str, between: nn.Module | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.b = nn.Sequential(Block(), Block())
        self.mid = between or nn.Dropout(0.1)
        self.add_module(head, nn.Linear(6, 3))
        self.head_name = head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.get_submodule(self.head_name)(self.mid(self.b(x)))
        return out


def trained_by_peft(model: nn.Module, selection: Any, saved: list[str]) -> set[str]:
    """Name the modules of which PEFT trains a full copy."""
    config = peft.LoraConfig(r=2, target_modules=selection.target_modules(model), modules_to_save=saved)
    lora = peft.get_peft_model(model, config)
    trainable = [name for name, parameter in lora.named_parameters() if parameter.requires_grad]
    whole = [name.partition(".modules_to_save")[0] for name in trainable if "modules_to_save" in name]
    return {name.removeprefix("base_model.model.") for name in whole}


ROWS = [torch.randn(8, 6, generator=torch.Generator().manual_seed(i)) for i in range(5)]


def test_a_head_whose_name_ends_others_is_refused() -> None:
    model = Named("fc")
    selection = score_layers(model, ROWS).select_named("b.1.fc")
    assert selection.always_train == ("fc",)
    wide = Named("fc", between=nn.Linear(6, 6))
    by_end = score_layers(wide, ROWS).select_named(["b.1.fc", "mid"])
    assert trained_by_peft(wide, by_end, ["fc"]) == {"b.0.fc", "b.1.fc", "fc"}  # what PEFT makes of the bare name
    for given in (None, model):
        with pytest.raises(InvalidInputError, match=r"^modules_to_save: .*'fc' would also mean 'b.0.fc', 'b.1.fc'"):
            selection.modules_to_save(given)
    assert re.fullmatch(selection.target_modules(model, always_train=True), "fc")
    ends = Named("c")  # an end need not begin at a dot
    with pytest.raises(InvalidInputError, match=r"'c' would also mean 'b.0.fc', 'b.1.fc'"):
        score_layers(ends, ROWS).select_named("b.1.fc").modules_to_save()
    parts = Named("layer")  # PEFT calls what it wraps 'base_layer'
    with pytest.raises(InvalidInputError, match=r"'layer' would also mean 'b.1.fc.base_layer'"):
        score_layers(parts, ROWS).select_named("b.1.fc").modules_to_save(parts)


def test_peft_trains_a_copy_of_the_head_alone() -> None:
    for head in ("head", "id"):
        model = Named(head, between=nn.Dropout(0.1))
        selection = score_layers(model, ROWS).select_named("b.1.fc")
        assert selection.modules_to_save() == selection.modules_to_save(model) == [head]
        assert trained_by_peft(model, selection, selection.modules_to_save(model)) == {head}
    none = score_layers(Named("fc"), ROWS).select_named("b.1.fc", always_train=None)
    assert none.modules_to_save() == []
    inner = score_layers(Named("head"), ROWS).select_named("b.1.fc", always_train="b.0.fc")
    assert inner.modules_to_save(Named("head")) == ["b.0.fc"]
    assert trained_by_peft(Named("head"), inner, inner.modules_to_save()) == {"b.0.fc"}


def test_a_head_with_layers_inside_and_one_with_a_normalisation() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(6))
            self.inner = nn.Linear(6, 6)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.inner(x * self.scale)
            return out

    model = Named("head", between=Scaled())
    scores = score_layers(model, ROWS)
    with pytest.raises(InvalidInputError, match=r"'mid' would also mean 'mid.inner'"):
        scores.select_named("b.1.fc", always_train=["mid"]).modules_to_save(model)
    both = scores.select_named("b.1.fc", always_train=["mid", "mid.*"])
    assert both.modules_to_save(model) == ["mid"]
    assert trained_by_peft(model, both, ["mid"]) == {"mid"}
    normed = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6), nn.LayerNorm(6))
    blocks = score_layers(normed, ROWS, unit="block").select_named("0", always_train="2")
    assert blocks.modules_to_save(normed) == ["2", "3"]
    assert trained_by_peft(normed, blocks, ["2", "3"]) == {"2", "3"}
