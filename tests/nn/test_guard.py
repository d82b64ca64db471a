"""Nothing about the model changes by scoring, also when it fails half way; what cannot be scored is refused."""

from __future__ import annotations

import copy
import pickle
import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, TensorDataset

from adabet_fast.errors import InvalidInputError
from adabet_fast.nn import score_layers, select_layers, training_cost
from adabet_fast.nn.freeze import check_applied, freeze, thaw
from adabet_fast.nn.trace import StepTracer
from tests.nn.networks import ResNet, Reused, images, mlp, state_of, vectors


class Counting(nn.Module):
    """Buffers that a forward pass reassigns, changes in place with gradients, and registers; ``last`` is the logits."""

    steps: torch.Tensor
    mean: torch.Tensor

    def __init__(self, *, looks: bool = False, fails: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(6, 8), nn.Linear(8, 3)
        self.looks, self.fails = looks, fails
        self.register_buffer("steps", torch.zeros(()))
        self.register_buffer("mean", torch.zeros(8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.steps = self.steps + 1
        hidden = torch.tanh(self.first(x))
        if self.mean.grad_fn is None:
            self.mean.mul_(0.9).add_(hidden.mean(0))
        if "late" not in self._buffers:
            self.register_buffer("late", torch.ones(8))
        if self.fails and torch.is_grad_enabled():
            raise ArithmeticError("half way")
        if self.looks and float(x.sum()) > 1e9:  # no fake tensor can tell
            return x
        return self.last(hidden * self.late)


class Restless(ResNet):
    """A forward pass that leaves traces wherever it can, in eval mode too."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))
        self.register_buffer("last", None)
        self.register_buffer("mean", torch.full((1,), float("nan")))
        self.fail_at = 10**6

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        self.last = x[:1]
        self.mean = x.mean()[None]
        if "late" not in self._buffers:
            self.register_buffer("late", torch.ones(1))
        torch.rand(3)
        np.random.rand(3)  # noqa: NPY002
        random.random()
        self.block1.bn1.running_mean.add_(1)
        for module in self.modules():
            module.training = False
        if self.calls >= self.fail_at:
            raise RuntimeError("half way")
        return super().forward(x)


@pytest.fixture
def restless() -> Restless:
    torch.manual_seed(0)
    model = Restless()
    model.train()
    model.block1.eval()
    model.block2.bn1.weight.requires_grad_(False)
    model.fc.weight.grad = torch.ones_like(model.fc.weight)
    model.fc.register_forward_hook(lambda *_: None)
    return model


def test_nothing_changes(restless: Restless) -> None:
    before = state_of(restless)
    select_layers(restless, images())
    assert state_of(restless) == before
    assert restless.last is None
    assert torch.isnan(restless.mean).all()


def test_nothing_changes_when_the_model_fails(restless: Restless) -> None:
    restless.fail_at = 3
    before = state_of(restless)
    with pytest.raises(RuntimeError, match="half way"):
        score_layers(restless, images())
    assert state_of(restless) == before


def test_nothing_changes_when_batches_or_layers_are_refused(restless: Restless) -> None:
    before = state_of(restless)
    for bad in (
        [*images(2), "text"],
        [*images(2), torch.zeros(8, 1, 9, 9)],
        [*images(2), torch.full((8, 1, 8, 8), torch.nan)],
    ):
        with pytest.raises(InvalidInputError):
            score_layers(restless, bad)
        assert state_of(restless) == before
    with pytest.raises(ZeroDivisionError):
        score_layers(restless, images(), score=lambda *_: 1 / 0)
    assert state_of(restless) == before
    with torch.inference_mode(False), pytest.raises(KeyboardInterrupt):
        score_layers(restless, images(), forward=lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    assert state_of(restless) == before


def test_a_shuffling_loader_leaves_the_random_state_alone() -> None:
    loader = DataLoader(TensorDataset(torch.cat(vectors(6, 9))), batch_size=8, shuffle=True)
    model = mlp(6, 8, 3)
    before = state_of(model)
    score_layers(model, loader)
    assert state_of(model) == before


def test_a_parameter_that_changes_is_reported() -> None:
    class Drifting(Reused):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.cell.bias.add_(1)
            return super().forward(x)

    with pytest.raises(InvalidInputError, match=r"changes the parameter 'cell.bias' in place even in eval mode"):
        score_layers(Drifting(), vectors(4))


def test_no_gradient_is_recorded() -> None:
    model = mlp(6, 8, 3)
    seen: list[bool] = []
    model[2].register_forward_hook(lambda _m, _i, output: seen.append(output.requires_grad))
    score_layers(model, vectors(6))
    assert seen == [False] * 5


@pytest.mark.parametrize(("value", "batch"), [(float("nan"), 0), (float("inf"), 1)])
def test_activations_that_are_not_finite_name_their_layer(value: float, batch: int) -> None:
    model = mlp(6, 8, 8, 3)
    with torch.no_grad():
        model[2].bias[5] = value
    batches = vectors(6)
    with pytest.raises(
        InvalidInputError, match=rf"^batches\[0\]: layer '2' returned {value} \(sample 0, activation 5 of 8\)"
    ):
        score_layers(model, batches)
    with torch.no_grad():
        model[2].bias[5] = 0
    batches[batch][3, 2] = value
    with pytest.raises(
        InvalidInputError, match=rf"^batches\[{batch}\]: layer '0' returned .* \(sample 3, activation \d of 8\)"
    ):
        score_layers(model, batches)


class EightBits(nn.Module):
    """Returns numbers of eight bits, in which nothing can be compared."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.eye(6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x @ self.weight).to(torch.float8_e4m3fn)


@pytest.mark.parametrize("memory_way", ["auto", "groups", "spill", "hook"])
def test_eight_bits_that_are_not_finite_name_their_layer_too(memory_way: Any) -> None:
    torch.manual_seed(0)
    batch = torch.randn(12, 6)
    assert score_layers(EightBits(), [batch], memory_way=memory_way)[0].size == 6
    batch[3] = torch.nan
    with pytest.raises(
        InvalidInputError, match=r"^batches\[0\]: layer '.*' returned nan \(sample 3, activation 0 of 6"
    ):
        score_layers(EightBits(), [batch], memory_way=memory_way)


def test_compiled_models_are_unwrapped() -> None:
    model = mlp(6, 8, 3)
    expected = [(x.name, x.b1) for x in score_layers(model, vectors(6))]
    compiled = torch.compile(model, backend="eager")
    scores = score_layers(compiled, vectors(6))
    assert [(x.name, x.b1) for x in scores] == expected
    selection = scores.select(0.5)
    selection.apply(compiled)
    assert [p.requires_grad for p in model[0].parameters()] == [True, True]
    selection.undo(compiled)


def test_models_with_compiled_parts_run_eagerly_meanwhile() -> None:
    graphs: list[object] = []

    def backend(graph: torch.fx.GraphModule, _inputs: object) -> object:
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    torch.manual_seed(0)
    model = Reused()
    expected = [x.b1 for x in score_layers(model, vectors(4))]
    model.compile(backend=backend)
    assert [x.b1 for x in score_layers(model, vectors(4))] == expected
    assert graphs == []
    with torch.no_grad():
        model(vectors(4)[0])
    compiled = len(graphs)
    assert compiled > 0, "compiled again afterwards"
    assert [x.b1 for x in score_layers(model, vectors(4))] == expected
    torch._dynamo.reset()  # what was compiled for one instance would serve the next
    nested = nn.Sequential(nn.Linear(4, 4), torch.compile(Reused(), backend=backend))
    assert all(x.status == "scored" for x in score_layers(nested, vectors(4)))
    assert len(graphs) == compiled
    with torch.no_grad():
        nested(vectors(4)[0])
    assert len(graphs) > compiled


def test_data_parallel_is_unwrapped() -> None:
    model = mlp(6, 8, 3)
    assert [x.name for x in score_layers(nn.DataParallel(model), vectors(6))] == ["0", "2"]


def test_what_cannot_be_watched_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"^model: expected a torch.nn.Module, got function"):
        score_layers(lambda x: x, vectors(6))  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match=r"^model: Sequential has no trainable parameters"):
        score_layers(nn.Sequential(nn.ReLU()), vectors(6))
    with pytest.raises(InvalidInputError, match=r"^model: parameter '0.weight' is not initialised yet"):
        score_layers(nn.Sequential(nn.LazyLinear(3)), vectors(6))
    with pytest.raises(InvalidInputError, match=r"^model: parameter 'weight' is on the meta device"):
        score_layers(nn.Linear(6, 2, device="meta"), vectors(6))
    with torch.inference_mode():
        born = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 2))
    with pytest.raises(InvalidInputError, match=r"^model: parameter '0.weight' was made in inference mode"):
        score_layers(born, vectors(6))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="TorchScript"):
        score_layers(torch.jit.script(mlp(6, 8, 3)), vectors(6))


def test_ddp_is_refused_with_the_reason(tmp_path: object) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1)
    try:
        wrapped = DistributedDataParallel(mlp(6, 8, 3))
        with pytest.raises(
            InvalidInputError, match="must be built after freezing; choose layers on the module inside it"
        ):
            score_layers(wrapped, vectors(6))
        selection = select_layers(wrapped.module, vectors(6), rho=0.5)
        with pytest.raises(InvalidInputError, match="must be built after freezing"):
            selection.apply(wrapped)
    finally:
        torch.distributed.destroy_process_group()


def kept(model: nn.Module) -> dict[str, Any]:
    """What is to be as before; parameters that a true step writes and writes back count up versions."""
    facts = state_of(model)
    facts["parameters"] = {name: (which, value) for name, (which, _, value) in facts["parameters"].items()}
    facts["graph"] = {name: (buffer.requires_grad, buffer.grad_fn) for name, buffer in model.named_buffers()}
    return facts


@pytest.mark.parametrize("looks", [False, True])
def test_measuring_a_step_leaves_reassigned_buffers_alone(looks: bool) -> None:
    model, batches = Counting(looks=looks), vectors(6)
    before = kept(model)
    scores = score_layers(model, batches)
    assert kept(model) == before
    selection = scores.select_named(["first"])
    selection.cost(model, batches[0])
    assert kept(model) == before
    for normalize in ("flops", "saved_bytes", "latency"):
        score_layers(model, batches, normalize=normalize)  # type: ignore[arg-type]
        assert kept(model) == before
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    training_cost(model, lambda: model(batches[0]).sum(), optimizer)
    assert kept(model) == before
    scores.select(budget_bytes=1e6, model=model, batch=batches[0])
    assert kept(model) == before
    scores.select(budget_flops=1e6, model=model, batch=batches[0])
    assert kept(model) == before


def test_a_true_run_starts_from_the_buffers_that_the_fake_one_found() -> None:
    model, batches = Counting(looks=True), vectors(6)
    seen: list[tuple[type, float]] = []

    def step(network: nn.Module, batch: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = network(batch)
        seen.extend((type(buffer), float(buffer.detach().sum())) for buffer in network.buffers())
        return found.sum()

    tracer = StepTracer(model, batches[0], step=step)
    tracer(["first.weight"])
    assert not tracer.fake
    assert {kind for kind, _ in seen} == {torch.Tensor}
    assert seen[0] == (torch.Tensor, 1.0), "the true pass is the first to count"


def test_buffers_are_put_back_when_the_step_fails() -> None:
    model, batches = Counting(fails=True), vectors(6)
    before = kept(model)
    scores = score_layers(model, batches)
    selection = scores.select_named(["first"])
    for measure in (
        lambda: selection.cost(model, batches[0]),
        lambda: scores.select(budget_bytes=1e6, model=model, batch=batches[0]),
        lambda: score_layers(model, batches, normalize="saved_bytes"),
    ):
        with pytest.raises(ArithmeticError, match="half way"):
            measure()
        assert kept(model) == before


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_a_scripted_model_is_put_back() -> None:
    scripted = torch.jit.script(nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8)))
    before = {name: value.clone() for name, value in scripted.state_dict().items()}
    x = vectors(6)[0]
    found = training_cost(scripted, lambda: scripted(x).sum(), torch.optim.SGD(scripted.parameters(), lr=0.1))
    assert found.gradient_bytes == (6 * 8 + 8 + 2 * 8) * 4
    assert all(torch.equal(value, before[name]) for name, value in scripted.state_dict().items())


def test_another_selection_that_is_applied_is_told_apart() -> None:
    model = mlp(6, 8, 3)
    before = state_of(model)
    check_applied(model, {"0.weight"})
    freeze(model, {"0.weight"}, channels={"0": (0, 2)})
    for network in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        check_applied(network, ["0.weight"], {"0": [0, 2]})
        for trained, channels in (({"2.weight"}, {"0": (0, 2)}), ({"0.weight"}, {"0": (0, 1)}), ({"0.weight"}, None)):
            with pytest.raises(InvalidInputError, match=r"^model: another selection is applied to it; undo that one"):
                check_applied(network, trained, channels)
    thaw(model)
    check_applied(model, {"2.weight"})
    assert state_of(model) == before


def test_a_buffer_that_is_a_view_is_put_back() -> None:
    class Averaging(nn.Linear):
        def __init__(self) -> None:
            super().__init__(8, 8)
            self.ema: torch.Tensor
            self.register_buffer("ema", torch.zeros(8).unsqueeze(0))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = super().forward(x)
            if self.training:
                self.ema.mul_(0.9).add_(y.mean(0, keepdim=True))
            return y

    torch.manual_seed(0)
    model = nn.Sequential(Averaging(), nn.Linear(8, 3))
    selection = score_layers(model, vectors(8)).select(k=1)
    assert selection.cost(model, vectors(8)[0]).total_bytes > 0
    assert not model[0].ema.any()
    assert not model[0].ema.requires_grad
    assert all(parameter.requires_grad for parameter in model.parameters())
