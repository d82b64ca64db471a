"""What requires_grad=False alone does not do: the lines of the design's list that have no test elsewhere.

Running statistics, undo, shared parameters, copies and compiled models are in test_freeze.py; the bytes that frozen
layers hold for a gradient that passes through are in test_budget.py; Hugging Face's optimizer is in test_hf.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn import score_layers, select_layers
from tests.nn.networks import images, resnet, vectors


class Checkpointed(nn.Module):
    def __init__(self, reentrant: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.reentrant = reentrant
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(6, 6), nn.Tanh()) for _ in range(3))
        self.head = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=self.reentrant)
        return self.head(x)


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")
@pytest.mark.parametrize("reentrant", [False, True])
def test_reentrant_checkpointing_above_frozen_layers_is_told_of(reentrant: bool) -> None:
    model = Checkpointed(reentrant)
    selection = score_layers(model, vectors(6)).select_named("blocks.1.0")
    found = selection.cost(model, vectors(6)[0])
    lost = ("blocks.1.0.weight", "blocks.1.0.bias") if reentrant else ()
    assert found.without_gradient == lost
    with selection.applied(model):
        inputs = vectors(6)[0].requires_grad_()  # what the documentation advises
        model(inputs).sum().backward()
        assert model.blocks[1][0].weight.grad is not None
        assert model.blocks[0][0].weight.grad is None


def test_hf_checkpointing_trains_a_middle_layer(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    hf = pytest.importorskip("adabet_fast.nn.hf")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=30, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, num_labels=3
    )
    model = transformers.BertForSequenceClassification(config)
    ids = torch.randint(0, 30, (40, 6))
    data = [{"input_ids": row, "labels": i % 3} for i, row in enumerate(ids)]
    fields = transformers.TrainingArguments.__dataclass_fields__
    name = next(name for name in ("activation_checkpointing", "gradient_checkpointing") if name in fields)
    args = transformers.TrainingArguments(
        output_dir=str(tmp_path),
        max_steps=2,
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
        dataloader_pin_memory=False,
        **{name: True, f"{name}_kwargs": {"use_reentrant": True}},
        save_strategy="no",
        learning_rate=0.1,
    )
    layer = "bert.encoder.layer.0.intermediate.dense"
    batches = [{"input_ids": part} for part in ids.split(8)]
    callback = hf.AdaBetCallback(batches, k=1, include=[layer])
    before = model.get_submodule(layer).weight.detach().clone()
    trainer = transformers.Trainer(model, args, train_dataset=data, callbacks=[callback])
    trainer.train()
    assert not torch.equal(model.get_submodule(layer).weight, before)
    assert not model.bert.embeddings.word_embeddings.weight.requires_grad


class DistributedDataParallel(nn.Module):
    """Stands in by its name: the real one needs a process group."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: torch.Tensor) -> Any:
        return self.module(x)


def test_wrappers_come_after_freezing() -> None:
    model = resnet()
    selection = select_layers(model, images(), k=1)
    with pytest.raises(InvalidInputError, match="must be built after freezing"):
        selection.apply(DistributedDataParallel(model))
    selection.apply(torch.compile(model, backend="eager"))
    assert sum(p.requires_grad for p in model.parameters()) == len(selection.trained_parameters)


def test_an_optimizer_built_before_moves_frozen_parameters_that_have_a_gradient() -> None:
    """The reason why the selection comes first; plain PyTorch, as documented."""
    model = resnet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(images(1)[0]).sum().backward()
    selection = score_layers(model, images()).select_named("block2.conv1")
    before = model.stem.weight.detach().clone()
    selection.apply(model)
    optimizer.step()
    assert not torch.equal(model.stem.weight, before)


def test_a_shared_parameter_in_two_blocks_is_one() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.a, self.b, self.head = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)
            self.b.weight = self.a.weight

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(torch.tanh(self.b(torch.tanh(self.a(x)))))

    model = Shared()
    scores = score_layers(model, vectors(6))
    selection = scores.select_named("b")
    assert [tuple(shared) for shared in selection.shared] == [("a.weight", "b", "a")]
    with selection.applied(model):
        assert model.a.weight.requires_grad
        assert not model.a.bias.requires_grad
    assert selection.n_trainable == 36 + 6 + 21
    assert selection.with_channels(model, vectors(6)).channels == {}
