"""Recurrent networks and transformers: tuples, axes, masks, lengths, modules that are never called."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn import score_layers
from adabet_fast.nn.layers import find_layers
from tests.nn.networks import Encoder, Tagger, count_bars


def test_outputs_that_are_tuples_and_samples_on_axis_one() -> None:
    torch.manual_seed(0)
    model = Tagger()
    generator = torch.Generator().manual_seed(3)
    # Eight samples of length eight: only batch_first=False tells the axes apart.
    batches = [torch.randint(0, 20, (8, 8), generator=generator) for _ in range(5)]
    with torch.no_grad():
        states = [model.lstm(model.embedding(x).transpose(0, 1))[0].transpose(0, 1) for x in batches]
    scores = score_layers(model, [{"input_ids": x, "labels": torch.zeros(8)} for x in batches])
    assert scores["lstm"].size == 8 * 7
    assert scores["lstm"].b1 == count_bars(torch.cat(states).flatten(1))
    assert scores["embedding"].b1 == count_bars(torch.cat([model.embedding(x) for x in batches]).detach().flatten(1))
    assert scores.head == ("head",)


def test_a_transformer_takes_the_path_of_training() -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    generator = torch.Generator().manual_seed(3)
    batches = [torch.randn(8, 4, 8, generator=generator) for _ in range(5)]
    scores = score_layers(model, batches)
    hidden = []
    with torch.no_grad():
        for x in batches:
            first = model.layers[0]
            x = first.norm1(x + first.self_attn(x, x, x, need_weights=False)[0])
            hidden.append(first.linear1(x))
    assert scores["layers.0.linear1"].b1 == count_bars(torch.cat(hidden).flatten(1))
    assert scores["layers.0.self_attn.out_proj"].status == "not observed"
    assert scores["layers.0.self_attn.out_proj"].score is None
    assert scores["layers.0.self_attn.out_proj"].rank is None
    assert scores["layers.0.self_attn"].size == 32
    assert "not observed" in str(scores)
    assert all(layer.rank is not None for layer in scores if "out_proj" not in layer.name)
    assert scores.head == ()


def test_sequences_first_when_the_whole_model_is() -> None:
    torch.manual_seed(0)
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 1, enable_nested_tensor=False)
    batches = [torch.randn(8, 8, 8) for _ in range(5)]  # (length, samples, width), sizes that could be confused
    with torch.no_grad():
        model.eval()
        first = model.layers[0]
        attended = [first.self_attn(x, x, x)[0].transpose(0, 1).flatten(1) for x in batches]
    scores = score_layers(model, batches, sample_axis=1)
    assert scores["layers.0.self_attn"].b1 == count_bars(torch.cat(attended))


class SequenceFirst(nn.Module):
    """Holds its transformer at PyTorch's default, which is not that of the model around it."""

    def __init__(self, inner: nn.Module, *, batch_first: bool) -> None:
        super().__init__()
        self.inner = inner
        self.batch_first_inside = batch_first

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        given = x if self.batch_first_inside else x.transpose(0, 1)
        decodes = isinstance(self.inner, (nn.TransformerDecoder, nn.TransformerDecoderLayer))
        out: torch.Tensor = self.inner(given, given) if decodes else self.inner(given)
        return out if self.batch_first_inside else out.transpose(0, 1)


def transformer(kind: str, *, batch_first: bool) -> nn.Module:
    torch.manual_seed(0)
    if kind in ("decoder", "decoder layer"):
        decoder = nn.TransformerDecoderLayer(8, 2, 16, batch_first=batch_first)
        inner = decoder if kind == "decoder layer" else nn.TransformerDecoder(decoder, 1, nn.LayerNorm(8))
    else:
        encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=batch_first)
        stack = nn.TransformerEncoder(encoder, 1, nn.LayerNorm(8), enable_nested_tensor=False)
        inner = encoder if kind == "encoder layer" else stack
    return SequenceFirst(inner, batch_first=batch_first)


@pytest.mark.parametrize("kind", ["encoder layer", "decoder layer", "encoder", "decoder"])
@pytest.mark.parametrize("length", [8, 16])
def test_what_is_inside_a_transformer_layer_has_the_axes_of_its_attention(kind: str, length: int) -> None:
    """Length as many as samples would be taken for them, and twice as many for two rows a sample."""
    generator = torch.Generator().manual_seed(3)
    batches = [torch.randn(8, length, 8, generator=generator) for _ in range(5)]
    by_default = score_layers(transformer(kind, batch_first=False), batches)
    plain = score_layers(transformer(kind, batch_first=True), batches)
    assert [(x.name, x.status, x.b1, x.size) for x in by_default] == [(x.name, x.status, x.b1, x.size) for x in plain]
    assert all(layer.rank is not None for layer in by_default if "out_proj" not in layer.name)


def test_attention_in_a_module_of_ones_own_says_nothing_about_it() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.self_attn = nn.MultiheadAttention(8, 2)
            self.linear = nn.Linear(8, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = x.transpose(0, 1)
            out: torch.Tensor = self.linear(self.self_attn(y, y, y)[0].transpose(0, 1))
            return out

    axes = {layer.name: layer.sample_axis for layer in find_layers(Block())}
    assert axes == {"self_attn": 1, "self_attn.out_proj": 1, "linear": None}


def padded_texts(lengths: list[int]) -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(5)
    batches = []
    for length in lengths:
        mask = (torch.arange(length)[None] < torch.randint(2, length + 1, (8, 1), generator=generator)).long()
        mask[0] = 1
        ids = torch.randint(1, 30, (8, length), generator=generator) * mask
        batches.append({"input_ids": ids, "attention_mask": mask, "labels": torch.zeros(8)})
    return batches


def test_batches_of_different_lengths_raise_or_are_reduced_over_the_mask() -> None:
    torch.manual_seed(0)
    model, batches = Encoder(), padded_texts([5, 9, 7, 6, 8])
    with pytest.raises(InvalidInputError, match=r"'words' has samples of different sizes \(40, 72, 56, 48, 64"):
        score_layers(model, batches)
    scores = score_layers(model, batches, reduce="mean")
    with torch.no_grad():
        rows = []
        for batch in batches:
            for words, mask in zip(model.words(batch["input_ids"]), batch["attention_mask"], strict=True):
                rows.append(words[mask.bool()].mean(0))
    assert scores["words"].size == 8
    assert scores["words"].b1 == count_bars(torch.stack(rows))
    assert scores["words"].note.startswith("reduced over the length")
    assert (scores["classifier"].size, scores["classifier"].note) == (3, "")
    assert scores.head == ("classifier",)
    assert "no axis for 8 samples" in scores["positions"].status
    custom = score_layers(model, batches, reduce=lambda x, mask: (x * mask[..., None]).sum(1) / mask.sum(1)[:, None])
    assert custom["words"].b1 == scores["words"].b1
    assert score_layers(model, batches, reduce="max")["words"].size == 8


def test_reduce_needs_a_mask_and_a_known_name() -> None:
    model, batches = Encoder(), padded_texts([5, 9])
    with pytest.raises(InvalidInputError, match="reduce"):
        score_layers(model, batches, reduce="median")
    plain = nn.Sequential(nn.Embedding(9, 4), nn.Flatten(0, 1), nn.Linear(4, 2))
    with pytest.raises(InvalidInputError, match=r"reduce: needs a mask"):
        score_layers(plain, [torch.randint(0, 9, (8, 5))], reduce="mean")
    by_ids = score_layers(plain, [torch.randint(0, 9, (8, 5))], reduce="mean", mask=lambda ids: ids >= 0)
    assert by_ids["0"].size == 4
    assert by_ids["2"].note == "40 rows read as 8 samples x 5"
    with pytest.raises(InvalidInputError, match="mask"):
        score_layers(plain, [torch.randint(0, 9, (8, 5))], reduce="mean", mask=lambda ids: ids[0])
    with pytest.raises(InvalidInputError, match="reduce: expected"):
        score_layers(model, batches, reduce=lambda x, mask: x.sum())
    with pytest.raises(InvalidInputError, match="no position left"):
        score_layers(plain, [torch.randint(0, 9, (8, 5))], reduce="mean", mask=lambda ids: ids < 0)
