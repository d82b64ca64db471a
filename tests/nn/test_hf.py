"""The callback in Hugging Face's own Trainer, on real digits: what is trained, saved, and resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn import Selection, score_layers
from tests.nn import digits

transformers = pytest.importorskip("transformers")
pytest.importorskip("accelerate")

from adabet_fast.nn.hf import FILE_NAME, AdaBetCallback  # noqa: E402  (needs what is asked for above)


def model() -> Any:
    torch.manual_seed(0)
    config = transformers.ResNetConfig(
        num_channels=1, embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", num_labels=5
    )
    return transformers.ResNetForImageClassification(config)


IMAGES, LABELS = digits.load(digits.NEW, 64)
DATA = [{"pixel_values": image, "labels": label} for image, label in zip(IMAGES, LABELS, strict=True)]
BATCHES = [{"pixel_values": part} for part in IMAGES[:40].split(8)]


def trainer(folder: Path, network: Any, callback: Any, max_steps: int, **more: Any) -> Any:
    args = transformers.TrainingArguments(
        output_dir=str(folder),
        max_steps=max_steps,
        save_steps=4,
        per_device_train_batch_size=8,
        learning_rate=0.01,
        lr_scheduler_type="constant",  # one schedule, whatever max_steps is
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
        dataloader_pin_memory=False,
        logging_strategy="no",
        seed=1,
    )
    return transformers.Trainer(network, args, train_dataset=DATA, callbacks=[callback], **more)


def values(network: Any) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def changed(before: dict[str, torch.Tensor], network: Any) -> set[str]:
    return {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}


def test_only_the_chosen_layers_are_trained_and_the_optimizer_knows_no_others(tmp_path: Path) -> None:
    network = model()
    callback = AdaBetCallback(BATCHES, k=2, unit="block")
    run = trainer(tmp_path, network, callback, 4)
    selection = callback.selection
    assert selection is not None
    assert callback.source == "chosen"
    assert run.optimizer is None, "the selection comes before the optimizer"
    assert selection == score_layers(network, BATCHES, unit="block").select(k=2)
    assert Selection.from_json(tmp_path / FILE_NAME) == selection
    before = values(network)
    run.train()
    held = {id(p) for group in run.optimizer.param_groups for p in group["params"]}
    assert held == {id(p) for name, p in network.named_parameters() if name in selection.trained_parameters}
    moved = {name for name in changed(before, network) if "running" not in name and "num_batches" not in name}
    assert moved == set(selection.trained_parameters)
    frozen = [
        name
        for name in before
        if "running_mean" in name and name.rpartition(".")[0] not in str(selection.trained_parameters)
    ]
    assert frozen
    assert not changed(before, network).intersection(frozen), "frozen statistics stay"


def resumed(folder: Path, callback: Any, **more: Any) -> Any:
    network = model()
    run = trainer(folder, network, callback, 8, **more)
    run.train(resume_from_checkpoint=True)
    return run


@pytest.mark.parametrize("rho_channel", [None, 0.5])
def test_training_resumes_with_the_same_selection(tmp_path: Path, rho_channel: float | None) -> None:
    how = {"k": 3, "exclude": r".*stages\.1.*", "rho_channel": rho_channel}
    whole = model()
    trainer(tmp_path / "whole", whole, AdaBetCallback(BATCHES, **how), 8).train()
    first = AdaBetCallback(BATCHES, **how)
    trainer(tmp_path / "parts", model(), first, 4).train()
    other_batches = [{"pixel_values": torch.randn(8, 1, 8, 8)} for _ in range(5)]
    second = AdaBetCallback(other_batches, k=1)
    run = resumed(tmp_path / "parts", second)
    assert second.source == str(tmp_path / "parts" / FILE_NAME)
    assert second.selection == first.selection
    assert first.selection is not None
    assert bool(first.selection.channels) == (rho_channel is not None)
    assert run.state.global_step == 8
    for name, value in whole.state_dict().items():
        assert torch.equal(run.model.state_dict()[name], value), name


def test_a_checkpoint_is_an_ordinary_model(tmp_path: Path) -> None:
    network = model()
    callback = AdaBetCallback(BATCHES, k=2, include=["embedder.convolution", "0.layer.0.convolution"], rho_channel=0.5)
    trainer(tmp_path, network, callback, 4).train()
    assert callback.selection is not None
    assert callback.selection.channels
    loaded = transformers.ResNetForImageClassification.from_pretrained(tmp_path / "checkpoint-4")
    assert list(loaded.state_dict()) == list(model().state_dict())
    x = IMAGES[:4]
    torch.testing.assert_close(loaded.eval()(x).logits, network.eval()(x).logits)


def test_resuming_without_the_file_is_refused(tmp_path: Path) -> None:
    trainer(tmp_path, model(), AdaBetCallback(BATCHES, k=2), 4).train()
    (tmp_path / FILE_NAME).rename(tmp_path / "elsewhere.json")
    with pytest.raises(RuntimeError, match=r"resumes at step 4, but .*adabet_selection.json was not there"):
        resumed(tmp_path, AdaBetCallback(BATCHES, k=2))
    run = resumed(tmp_path, AdaBetCallback(selection=tmp_path / "elsewhere.json"))
    assert run.state.global_step == 8


def test_an_optimizer_built_before_is_refused(tmp_path: Path) -> None:
    network = model()
    head = [p for name, p in network.named_parameters() if "classifier" in name]
    optimizers = (torch.optim.SGD(head, lr=0.1), None)
    run = trainer(tmp_path, network, AdaBetCallback(BATCHES, k=2), 4, optimizers=optimizers)
    with pytest.raises(RuntimeError, match=r"the optimizer does not have '.*', which is to be trained"):
        run.train()


def test_a_model_made_anew_is_refused(tmp_path: Path) -> None:
    run = trainer(tmp_path, None, AdaBetCallback(BATCHES, k=2), 4, model_init=model)
    run.model_wrapped = run.model = model()
    run.callback_handler.model = run.model
    run.model_init = None
    with pytest.raises(RuntimeError, match="trains another model than it was built with"):
        run.train()


def test_arguments() -> None:
    with pytest.raises(InvalidInputError, match=r"^batches: give either batches to choose by, or a selection"):
        AdaBetCallback()
    selection = score_layers(model(), BATCHES).select(k=1)
    with pytest.raises(InvalidInputError, match=r"^batches: give either"):
        AdaBetCallback(BATCHES, selection=selection)
    assert AdaBetCallback(selection=selection).selection is selection
