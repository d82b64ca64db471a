"""Finding the classifier head by what it did."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from adabet_fast.nn import score_layers
from tests.nn.networks import mlp, vectors


class Net(nn.Module):
    """Two layers and a head, and a way to end."""

    def __init__(self, end: Callable[[torch.Tensor], object], out: int = 3) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(6, 5), nn.Linear(5, 5)
        self.last = nn.Linear(5, out)
        self.end = end

    def forward(self, x: torch.Tensor) -> object:
        self.hidden = self.two(torch.tanh(self.one(x)))
        return self.end(self.last(torch.relu(self.hidden)))


def head_of(model: nn.Module, **arguments: object) -> tuple[tuple[str, ...], str]:
    scores = score_layers(model, vectors(6), **arguments)  # type: ignore[arg-type]
    return scores.head, scores.head_reason


@pytest.mark.parametrize(
    "end",
    [
        lambda x: x,
        lambda x: (x, x.sum()),
        lambda x: {"loss": None, "logits": x},
        lambda x: F.log_softmax(x, dim=-1),
        lambda x: F.softmax(x, dim=-1),
        torch.sigmoid,
        lambda x: x.unsqueeze(1),
        lambda x: x.clone(),
    ],
)
def test_the_layer_that_makes_the_logits(end: Callable[[torch.Tensor], object]) -> None:
    torch.manual_seed(0)
    assert head_of(Net(end)) == (("last",), "its output is the model's")


def test_a_squeezed_score() -> None:
    assert head_of(Net(lambda x: x.squeeze(-1), out=1))[0] == ("last",)


@pytest.mark.parametrize("end", [torch.tanh, lambda x: F.layer_norm(x, (3,)), lambda x: x.argmax(1), lambda x: None])
def test_other_ends_are_no_logits(end: Callable[[torch.Tensor], object]) -> None:
    torch.manual_seed(0)
    assert head_of(Net(end)) == ((), "no classifier head found")


def test_a_name_serves_where_the_end_does_not() -> None:
    torch.manual_seed(0)
    model = Net(torch.tanh)
    model.classifier = model.last
    del model.last

    def forward(x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(model.classifier(torch.relu(model.two(torch.tanh(model.one(x))))))

    model.forward = forward  # type: ignore[method-assign]
    assert head_of(model) == (("classifier",), "called last, named as a head")


def test_a_convolution_named_as_a_head() -> None:
    class SqueezeNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features = nn.Conv1d(1, 4, 3)
            self.classifier = nn.Sequential(nn.Dropout(), nn.Conv1d(4, 3, 1), nn.ReLU())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.classifier(self.features(x[:, None])).mean(2)

    torch.manual_seed(0)
    assert head_of(SqueezeNet())[0] == ("classifier.1",)


def test_two_heads() -> None:
    class TwoHeads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.boxes, self.body, self.classes = nn.Linear(5, 4), nn.Linear(6, 5), nn.Linear(5, 3)

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            hidden = torch.tanh(self.body(x))
            return {"boxes": self.boxes(hidden), "classes": self.classes(hidden)}

    torch.manual_seed(0)
    assert sorted(head_of(TwoHeads())[0]) == ["boxes", "classes"]


def test_features_that_are_returned_too_are_no_head() -> None:
    class Features(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.top = nn.Linear(6, 5), nn.Linear(5, 3)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            hidden = torch.relu_(self.body(x))
            return self.top(hidden), hidden

    torch.manual_seed(0)
    assert head_of(Features())[0] == ("top",)


def test_a_model_that_names_its_output_embeddings() -> None:
    class Language(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.decoder, self.body, self.pooler = nn.Linear(5, 9), nn.Linear(6, 5), nn.Linear(5, 5)

        def get_output_embeddings(self) -> nn.Module:
            return self.decoder

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            hidden = self.body(x)
            return self.decoder(hidden).tanh(), self.pooler(hidden)

    torch.manual_seed(0)
    assert head_of(Language()) == (("decoder",), "get_output_embeddings()")

    class Classifier(Language):
        def get_output_embeddings(self) -> nn.Module:
            raise NotImplementedError

    assert head_of(Classifier())[0] == ("pooler",)


def test_a_pass_that_does_not_run_the_whole_model() -> None:
    torch.manual_seed(0)
    model = Net(lambda x: x)
    found = score_layers(model, vectors(6), forward=lambda m, x: m.two(m.one(x)))
    assert found.head == ()
    assert found["last"].status == "not observed"
    named = nn.ModuleDict({"body": nn.Linear(6, 5), "head": nn.Linear(5, 3)})
    assert score_layers(named, vectors(6), forward=lambda m, x: m["head"](m["body"](x))).head == ("head",)


def test_the_only_layer_is_no_head() -> None:
    torch.manual_seed(0)
    assert head_of(nn.Linear(6, 3)) == ((), "no head taken: the model has no other layer")


def test_a_whole_classifier_gives_its_last_layer() -> None:
    model = nn.Sequential(nn.Linear(6, 6), mlp(6, 8, 8, 3))
    assert head_of(model)[0] == ("1.4",)
