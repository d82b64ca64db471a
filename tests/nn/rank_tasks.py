"""What test_ranks.py runs in every process: `python -m tests.nn.rank_tasks FOLDER RANK SIZE TASK ...`."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from adabet_fast.nn import score_layers, select_layers
from adabet_fast.nn import scoring as scoring_module
from adabet_fast.nn.tally import Tally
from tests.nn.networks import images, mlp, resnet, state_of, vectors

TIGHT = 140_000  # bytes; all that the residual network returns for 48 samples is 300,000


class Counting(Tally):
    """Remembers which layers were measured here."""

    names: set[str] = set()  # noqa: RUF012

    def add(self, layer: Any, *rest: Any) -> None:
        self.names.add(layer.name)
        super().add(layer, *rest)


def select(rank: int, size: int, **how: Any) -> dict[str, Any]:
    scoring_module.Tally = Counting  # type: ignore[attr-defined]
    model = resnet()
    before = state_of(model)
    batches = images(6)
    share = 6 // size
    own = how.pop("own", batches[rank * share : (rank + 1) * share])
    scores = score_layers(model, own, n_batches=None, score="total_persistence", **how)
    return {
        "selection": scores.select(0.3).to_json(),
        "pooling": how.get("pooling", "pool"),
        "measured": len(Counting.names),
        "unchanged": state_of(model) == before,
    }


def choices(rank: int, size: int) -> dict[str, Any]:
    """Channels and budgets: batches differ from rank to rank, the choice must not."""
    model, batches = resnet(), images(6)
    before = state_of(model)
    share = 6 // size
    own = batches[rank * share : (rank + 1) * share]
    cut = select_layers(model, own, k=5, n_batches=None, unit="block", rho_channel=0.4)
    unchanged = state_of(model) == before
    budget = select_layers(model, own, n_batches=None, budget_bytes=45_000, train_batch=batches[0][: 8 - rank])
    wrong = message_of(
        lambda: select_layers(model, own, budget_bytes=45_000, always_train=None if rank else "nothing like this")
    )
    apart = cut.with_channels(model, own, 0.4, ranks="own")
    return {
        "channels": cut.to_json(),
        "budget": budget.to_json(),
        "unchanged": unchanged,
        "wrong": wrong,
        "apart": {name: choice.b1 for name, choice in apart.channels.items()},
    }


def message_of(call: Callable[[], object]) -> str:
    try:
        call()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing was raised"


class Failing(nn.Sequential):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        super().forward(x)
        raise RuntimeError("half way")


def errors(rank: int) -> dict[str, Any]:
    model, batches = resnet(), images(2)
    before = state_of(model)
    bad = [x.clone() for x in batches]
    if rank == 1:
        bad[0][2] = torch.nan
    torch.manual_seed(0)
    other = mlp(6, 8, 3)
    failing = Failing(*(Failing(*other) if rank == 0 else nn.Sequential(*other)))

    def no_score(*_: object) -> float:
        if rank == 0:
            raise ZeroDivisionError("no score")
        return 1.0

    told: dict[str, Any] = {
        "nan": message_of(lambda: score_layers(model, bad)),
        "model": message_of(lambda: score_layers(failing if rank == 0 else other, vectors(6))),
        "argument": message_of(lambda: score_layers(model, batches, n_batches=-rank or None)),
        "score": message_of(lambda: score_layers(model, batches, score=no_score)),
        "sizes": message_of(lambda: score_layers(model, [x[..., : 8 - rank] for x in batches])),
        "shapes": message_of(lambda: score_layers(mlp(6, 8 + rank, 3), vectors(6))),
    }
    after = state_of(model)
    told["unchanged"] = all(after[part] == before[part] for part in before if "random" not in part)  # mlp() sets a seed
    with torch.no_grad():
        model.fc.bias += rank
    told["weights"] = message_of(lambda: score_layers(model, batches))
    return told


def wrapped(rank: int) -> dict[str, Any]:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard

    batches = vectors(6, 4)[2 * rank : 2 * rank + 2]
    ddp = DistributedDataParallel(mlp(6, 8, 3))
    told: dict[str, Any] = {"ddp": message_of(lambda: score_layers(ddp, batches))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is made for GPUs
        fsdp = FullyShardedDataParallel(mlp(6, 8, 3), device_id=torch.device("cpu"))
    told["fsdp"] = message_of(lambda: score_layers(fsdp, batches))
    shared = mlp(6, 8, 3)
    fully_shard(shared, mesh=init_device_mesh("cpu", (2,)))
    told["fully_shard"] = message_of(lambda: score_layers(shared, batches))
    told["hook"] = message_of(lambda: score_layers(mlp(6, 8, 3), batches[:1], memory_way="hook"))
    told["own"] = score_layers(mlp(6, 8, 3), batches, ranks="own").settings.ranks
    # The way it is meant to be used: choose, freeze, wrap.
    model = mlp(6, 8, 8, 3)
    selection = score_layers(model, batches, progress=True).select(0.5)
    selection.apply(model)
    trained = DistributedDataParallel(model)
    trained(batches[0]).sum().backward()
    chosen = {f"{name}.{kind}" for name in selection.trained_layers for kind in ("weight", "bias")}
    moved = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    told["trained after"] = "as chosen" if moved == chosen else f"{moved} instead of {chosen}"
    return told


HOW: dict[str, dict[str, Any]] = {
    "pool": {},
    "tight": {"max_memory": TIGHT},
    "spill": {"memory_way": "spill"},
    "sum": {"pooling": "sum"},
}


def run_task(task: str, rank: int, size: int) -> dict[str, Any]:
    if task == "errors":
        return errors(rank)
    if task == "wrapped":
        return wrapped(rank)
    if task == "choices":
        return choices(rank, size)
    if task == "merged":
        batches = images(6)
        return select(rank, size, own=batches[:4] if rank == 0 else batches[4:], merge_batches=True)
    if task == "uneven":
        batches = images(4)
        return select(rank, size, own=[batches[0], batches[1][:5], batches[2]] if rank == 0 else batches[3:])
    return select(rank, size, **HOW[task])


def main(folder: str, rank: int, size: int, tasks: list[str]) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=size)
    try:
        told = {}
        for task in tasks:
            Counting.names.clear()
            told[task] = run_task(task, rank, size)
        (Path(folder) / f"{rank}.json").write_text(json.dumps(told))
        dist.barrier()
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
