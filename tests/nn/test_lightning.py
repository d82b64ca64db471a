"""The callback in Lightning's own Trainer, on real digits: what is trained, checkpointed, and resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn import score_layers
from tests.nn import digits
from tests.nn.networks import resnet

lightning = pytest.importorskip("lightning")

from adabet_fast.nn.lightning import AdaBetFinetuning  # noqa: E402  (needs what is asked for above)

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:Found .* in eval mode"),  # which is what frozen normalisations are meant to be
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec"),
    pytest.mark.filterwarnings("ignore:.*log_every_n_steps"),
]

IMAGES, LABELS = digits.load(digits.NEW, 64)
BATCHES = list(IMAGES[:40].split(8))


class Module(lightning.LightningModule):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.net = resnet()
        self.net.drop.p = 0.0  # random states are not part of a checkpoint
        self.seen: list[tuple[int, bool]] = []

    def training_step(self, batch: Any, _index: int) -> torch.Tensor:
        images, labels = batch
        return nn.functional.cross_entropy(self.net(images), labels)

    def validation_step(self, batch: Any, _index: int) -> None:
        self.net(batch[0])

    def on_train_batch_start(self, *_: Any) -> None:
        frozen = self.net.block1.bn1
        self.seen.append((self.current_epoch, frozen.training))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW([p for p in self.parameters() if p.requires_grad], lr=0.01)


def fit(folder: Path, module: Any, callback: Any, epochs: int, ckpt: Path | None = None) -> Any:
    torch.manual_seed(0)
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        callbacks=[callback],
        default_root_dir=str(folder),
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    loader = DataLoader(TensorDataset(IMAGES, LABELS), batch_size=16)
    trainer.fit(
        module, loader, DataLoader(TensorDataset(IMAGES, LABELS), batch_size=32), ckpt_path=ckpt, weights_only=False
    )
    return trainer


def test_only_the_chosen_layers_are_trained(tmp_path: Path) -> None:
    module = Module()
    before = {name: value.clone() for name, value in module.net.state_dict().items()}
    callback = AdaBetFinetuning(BATCHES, network="net", k=2, include=r"block2\..*conv.*|stem")
    trainer = fit(tmp_path, module, callback, 2)
    selection = callback.selection
    assert selection is not None
    assert callback.source == "chosen"
    held = {id(p) for group in trainer.optimizers[0].param_groups for p in group["params"]}
    assert held == {id(p) for name, p in module.net.named_parameters() if name in selection.trained_parameters}
    moved = {name for name, value in module.net.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == set(selection.trained_parameters), "no statistics either, though validation sets modes directly"
    assert module.seen
    assert not any(training for _, training in module.seen)


@pytest.mark.parametrize("rho_channel", [None, 0.5])
def test_training_resumes_with_the_same_selection(tmp_path: Path, rho_channel: float | None) -> None:
    whole = Module()
    fit(tmp_path, whole, AdaBetFinetuning(BATCHES, network="net", k=3, rho_channel=rho_channel), 3)
    first = AdaBetFinetuning(BATCHES, network="net", k=3, rho_channel=rho_channel)
    trainer = fit(tmp_path, Module(), first, 2)
    trainer.save_checkpoint(tmp_path / "two.ckpt")
    other_batches = [torch.randn(8, 1, 8, 8) for _ in range(5)]
    second = AdaBetFinetuning(other_batches, network="net", k=1)
    module = Module()
    fit(tmp_path, module, second, 3, ckpt=tmp_path / "two.ckpt")
    assert second.source == "checkpoint"
    assert second.selection == first.selection
    assert first.selection is not None
    assert bool(first.selection.channels) == (rho_channel is not None)
    assert {epoch for epoch, _ in module.seen} == {2}
    for name, value in whole.state_dict().items():
        assert torch.equal(module.state_dict()[name], value), name


def test_a_checkpoint_from_before_is_chosen_on(tmp_path: Path) -> None:
    class Nothing(lightning.Callback):  # type: ignore[misc, name-defined]
        pass

    trainer = fit(tmp_path, Module(), Nothing(), 1)
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    module, callback = Module(), AdaBetFinetuning(BATCHES, network="net", k=1)
    with pytest.raises((ValueError, RuntimeError, KeyError)):  # the optimizer of before had all parameters
        fit(tmp_path, module, callback, 2, ckpt=tmp_path / "one.ckpt")
    assert callback.source == "chosen"


def test_a_second_fit_goes_on_and_a_frozen_network_is_refused(tmp_path: Path) -> None:
    module, callback = Module(), AdaBetFinetuning(BATCHES, network="net", k=1)
    fit(tmp_path, module, callback, 1)
    chosen = callback.selection
    fit(tmp_path, module, callback, 1)
    assert callback.selection is chosen
    with pytest.raises(RuntimeError, match="a selection is applied to this network already"):
        fit(tmp_path, module, AdaBetFinetuning(BATCHES, network="net", k=1), 1)


def test_a_given_selection(tmp_path: Path) -> None:
    selection = score_layers(resnet(), BATCHES).select(k=1)
    selection.to_json(tmp_path / "selection.json")
    module = Module()
    callback = AdaBetFinetuning(selection=tmp_path / "selection.json", network="net")
    fit(tmp_path, module, callback, 1)
    assert callback.source == "given"
    trained = {name for name, parameter in module.net.named_parameters() if parameter.requires_grad}
    assert trained == set(selection.trained_parameters)
    with pytest.raises(InvalidInputError, match=r"^batches: give either batches"):
        AdaBetFinetuning()
