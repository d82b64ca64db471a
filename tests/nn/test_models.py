"""The architectures that users bring, in their true shapes: every layer against what a plain pass shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from adabet_fast import h1, pairwise_distances
from adabet_fast.nn import LayerScores, score_layers, select_layers
from tests.nn.networks import count_bars, vectors

transformers = pytest.importorskip("transformers")


def vgg16() -> nn.Module:
    plan = [64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0]
    layers: list[nn.Module] = []
    channels = 3
    for width in plan:
        layers += [nn.Conv2d(channels, width, 3, 1, 1), nn.ReLU(inplace=True)] if width else [nn.MaxPool2d(2)]
        channels = width or channels
    for wide, narrow in ((25088, 4096), (4096, 4096)):
        layers += [
            *([nn.Flatten()] if wide == 25088 else []),
            nn.Linear(wide, narrow),
            nn.ReLU(inplace=True),
            nn.Dropout(),
        ]
    return nn.Sequential(*layers, nn.Linear(4096, 1000))


def resnet50() -> nn.Module:
    return transformers.ResNetForImageClassification(transformers.ResNetConfig())


def vit() -> nn.Module:
    return transformers.ViTForImageClassification(transformers.ViTConfig())


def mobilenet() -> nn.Module:
    return transformers.MobileNetV2ForImageClassification(transformers.MobileNetV2Config())


def quick_init(make: Callable[[], nn.Module]) -> nn.Module:
    """Build a model without the minutes that its own initialisation takes; every weight is set afterwards."""
    torch.manual_seed(0)
    with torch.device("meta"):
        model = make()
    model = model.to_empty(device="cpu")
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if (
                not tensor.is_floating_point()
                or "running_var" in name
                or (tensor.ndim == 1 and name.endswith("weight"))
            ):
                tensor.fill_(1 if tensor.is_floating_point() else 0)
            elif tensor.ndim > 1:
                tensor.normal_(std=(2 / tensor[0].numel()) ** 0.5)
            else:
                tensor.zero_()
    return model


def activations(model: nn.Module, batches: Iterable[Mapping[str, torch.Tensor]]) -> dict[str, list[torch.Tensor]]:
    """What each module with parameters returned, by hooks of our own, copied."""
    seen: dict[str, list[torch.Tensor]] = {}

    def keep(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def returned(_module: nn.Module, _inputs: Any, output: Any) -> None:
            tensor = output if isinstance(output, torch.Tensor) else next(iter(output))
            seen.setdefault(name, []).append(tensor.detach().clone())

        return returned

    with ExitStack() as hooks, torch.no_grad():
        for name, module in model.named_modules():
            if any(True for _ in module.parameters(recurse=False)):
                hooks.callback(module.register_forward_hook(keep(name)).remove)
        training = model.training
        model.eval()
        for batch in batches:
            model(**batch)
        model.train(training)
    return seen


def weights(model: nn.Module) -> list[tuple[object, ...]]:
    return [
        (name, id(tensor), tensor._version, float(tensor.detach().double().sum()))
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]
    ]


def check_against_plain_passes(
    model: nn.Module, batches: list[dict[str, torch.Tensor]], scores: LayerScores
) -> dict[str, torch.Tensor]:
    plain = activations(model, batches)
    clouds = {}
    for layer in scores:
        if layer.rank is None:
            continue
        clouds[layer.name] = torch.cat([x.flatten(1) for x in plain[layer.name]])
        assert layer.size == clouds[layer.name].shape[1], layer.name
        # Distances in the same order of coordinates need not be the same bits here: bars are compared by number.
        assert layer.b1 == count_bars(clouds[layer.name]), layer.name
        assert layer.score == layer.b1 / layer.size
    return clouds


LARGE: dict[str, tuple[Callable[[], nn.Module], int, int, float]] = {
    "resnet50": (resnet50, 107, 22_227_970, 1),
    "mobilenet": (mobilenet, 105, 0, 1),
    "vit": (vit, 0, 0, 1),
    "vgg16": (vgg16, 16, 0, 1),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_large_models_in_their_true_shapes(name: str) -> None:
    make, n_layers, size, _ = LARGE[name]
    model = quick_init(make)
    model.train()
    key = "input" if name == "vgg16" else "pixel_values"
    generator = torch.Generator().manual_seed(1)
    batches = [{key: torch.randn(4, 3, 224, 224, generator=generator)} for _ in range(2)]
    before = weights(model)
    scores = score_layers(model, batches)
    if n_layers:
        assert len(scores) == n_layers
    if size:
        assert sum(layer.size or 0 for layer in scores) == size
    unscored = {layer.name: layer.status for layer in scores if layer.rank is None}
    # ViT's own table of positions and its class token belong to the module that adds them.
    assert unscored == {}, unscored
    check_against_plain_passes(model, batches, scores)
    merged = score_layers(model, batches, merge_batches=True)
    kept = score_layers(model, batches, merge_batches=True, memory_way="groups", max_memory="200MB")
    assert [(x.name, x.b1, x.score) for x in merged] == [(x.name, x.b1, x.score) for x in kept]
    assert merged.settings.memory is not None
    assert kept.settings.memory is not None
    assert (merged.settings.memory.way, kept.settings.memory.way) == ("hook", "groups")
    assert weights(model) == before
    assert all(module.training for module in model.modules())
    assert not any(module._forward_hooks for module in model.modules())
    assert scores.head == ({"resnet50": "classifier.1", "vgg16": "38"}.get(name, "classifier"),)


def bert() -> nn.Module:
    config = transformers.BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=32, num_labels=3,
    )  # fmt: skip
    return transformers.BertForSequenceClassification(config)


def gpt() -> nn.Module:
    config = transformers.GPT2Config(vocab_size=50, n_positions=32, n_embd=16, n_layer=2, n_head=2)
    return transformers.GPT2LMHeadModel(config)


def texts(lengths: list[int]) -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(5)
    batches = []
    for length in lengths:
        mask = (torch.arange(length)[None] < torch.randint(2, length + 1, (8, 1), generator=generator)).long()
        mask[0] = 1
        ids = torch.randint(1, 50, (8, length), generator=generator) * mask
        batches.append({"input_ids": ids, "attention_mask": mask})
    return batches


def test_a_bert_with_padding() -> None:
    torch.manual_seed(0)
    model, batches = bert(), texts([12] * 5)
    before = weights(model)
    scores = score_layers(model, [{**batch, "labels": torch.zeros(8, dtype=torch.long)} for batch in batches])
    clouds = check_against_plain_passes(model, batches, scores)
    assert weights(model) == before
    unscored = {layer.name: layer.status for layer in scores if layer.rank is None}
    assert unscored == {"bert.embeddings.position_embeddings": "output of shape (1, 12, 16) has no axis for 8 samples"}
    assert len(clouds) == len(scores) - 1
    assert scores.head == ("classifier",)


def test_a_bert_with_texts_of_several_lengths() -> None:
    torch.manual_seed(0)
    model, batches = bert(), texts([5, 9, 7, 12, 8])
    scores = score_layers(model, batches, reduce="mean")
    plain = activations(model, batches)
    for layer in scores:
        if "reduced over the length" not in layer.note:
            continue
        rows = [
            words[mask.bool()].double().mean(0).float()
            for output, batch in zip(plain[layer.name], batches, strict=True)
            for words, mask in zip(output, batch["attention_mask"], strict=True)
        ]
        assert layer.size == rows[0].numel()
        assert layer.b1 == count_bars(torch.stack(rows)), layer.name
    assert sum("reduced over the length" in layer.note for layer in scores) > 10
    assert scores["classifier"].size == 3


def test_a_gpt_with_tied_weights() -> None:
    torch.manual_seed(0)
    model, batches = gpt(), texts([10] * 5)
    scores = score_layers(model, batches)
    check_against_plain_passes(model, batches, scores)
    assert scores["lm_head"].status == "tied to transformer.wte"
    assert scores["transformer.wpe"].status == "output of shape (1, 10, 16) has no axis for 8 samples"
    assert "shares a parameter" in scores.head_reason
    assert len(scores.ranked()) == len(scores) - 2


def test_an_lstm_whose_output_is_a_tuple() -> None:
    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(50, 8)
            self.lstm = nn.LSTM(8, 6, num_layers=2, batch_first=True, bidirectional=True)
            self.fc = nn.Linear(12, 3)

        def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
            states, _ = self.lstm(self.words(input_ids))
            return self.fc(states.mean(1))

    torch.manual_seed(0)
    model = Reader()
    batches = [{"input_ids": batch["input_ids"]} for batch in texts([9] * 5)]
    scores = score_layers(model, batches)
    check_against_plain_passes(model, batches, scores)
    assert [(layer.name, layer.size) for layer in scores] == [("words", 72), ("lstm", 108), ("fc", 3)]


def test_a_bert_in_bfloat16_with_checkpoints() -> None:
    torch.manual_seed(0)
    model, batches = bert().to(torch.bfloat16), texts([12] * 5)
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable()
    model.train()
    before = weights(model)
    scores = score_layers(model, batches)
    plain = activations(model, batches)
    for layer in scores.ranked():
        cloud = torch.cat([x.flatten(1) for x in plain[layer.name]])
        assert cloud.dtype == torch.bfloat16
        assert layer.b1 == len(h1(pairwise_distances(cloud), distance_matrix=True)), layer.name
    assert weights(model) == before
    small = score_layers(model, batches, max_memory=150_000, memory_way="groups")
    assert [(x.b1, x.score) for x in small] == [(x.b1, x.score) for x in scores]


class Detector(nn.Module):
    """Takes a list of images, as detection models do."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(4, 2)

    def forward(self, images: list[torch.Tensor]) -> torch.Tensor:
        return self.fc(self.stem(torch.stack(images)).mean((2, 3)))


def test_lists_of_single_images() -> None:
    torch.manual_seed(0)
    model = Detector()
    whole = [torch.randn(8, 3, 6, 6) for _ in range(5)]
    lists = [list(batch) for batch in whole]
    expected = score_layers(model, whole, forward=lambda network, batch: network(list(batch)))
    scores = score_layers(model, lists, forward=lambda network, batch: network(batch), n_samples=len)
    assert scores == expected
    assert scores["stem"].size == 64
    # Without a word on it the first axis of the first image, its channels, would pass for the samples.
    wrong = score_layers(model, lists, forward=lambda network, batch: network(batch))
    assert wrong["stem"].rank is None


def test_single_images_without_an_axis_for_samples() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3))
    singles = list(torch.randn(12, 3, 6, 6))
    scores = score_layers(model, singles, n_batches=None, n_samples=1)
    with torch.no_grad():
        first = torch.stack([model[0](image) for image in singles])
    assert (scores["0"].b1, scores["0"].size) == (count_bars(first.flatten(1)), 64)
    assert scores["0"].note == "4 rows read as 1 samples x 4"
    assert scores.settings.batch_sizes == (1,) * 12
    for bad in (0, 2.5, True, lambda batch: None):
        with pytest.raises(ValueError, match=r"^n_samples: expected a positive integer for batches\[0\]"):
            score_layers(model, singles, n_samples=bad)  # type: ignore[arg-type]


def test_select_layers_passes_everything_on() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))
    selection = select_layers(model, vectors(6), rho=0.5, max_memory=200_000, memory_way="spill", n_samples=8)
    assert selection.scores.settings.memory is not None
    assert selection.scores.settings.memory.way == "spill"
    assert np.isfinite([layer.score or 0 for layer in selection.scores]).all()
