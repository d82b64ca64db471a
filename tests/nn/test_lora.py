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
    head = list(selection.always_train)
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
