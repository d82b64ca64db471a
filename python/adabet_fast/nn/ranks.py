"""Several processes that score one model together, each on batches of its own (torch.distributed)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias

import torch
import torch.distributed as dist
from torch import nn

from adabet_fast.errors import InvalidInputError

RanksChoice: TypeAlias = Literal["all", "own"]


class Ranks:
    """One process alone."""

    rank = 0
    size = 1

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all ranks, in their order; every rank gets the same list."""
        return [value]

    @contextmanager
    def together(self) -> Iterator[None]:
        """Run the body on every rank; if it raises on one, it raises on all."""
        yield

    def bring(self, rows: Sequence[torch.Tensor], owners: Sequence[int]) -> list[tuple[int, list[torch.Tensor]]]:
        """Bring the rows of several layers from all ranks to the owner of each.

        Parameters
        ----------
        rows
            This rank's rows of each layer, of shape (samples, activations); samples may differ from rank to rank.
        owners
            The rank that is to have them.

        Returns
        -------
        list
            For each layer that this rank owns, its place in ``rows``, and the rows of every rank in their order.
        """
        return [(i, [each]) for i, each in enumerate(rows)]

    def close(self) -> None:
        """Undo what was set up between the ranks."""


class World(Ranks):
    """All ranks of the default process group.

    What is exchanged goes by the CPU: if the group's backend cannot do that, a group with gloo is made beside it.
    """

    def __init__(self) -> None:
        self.rank = dist.get_rank()
        self.size = dist.get_world_size()
        self._group: Any = None
        if "gloo" not in str(dist.get_backend_config()):
            self._group = dist.new_group(backend="gloo")

    def gather(self, value: Any) -> list[Any]:
        """Return the values of all ranks, in their order."""
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value, group=self._group)
        return values

    @contextmanager
    def together(self) -> Iterator[None]:
        """Run the body on every rank; if it raises on one, it raises on all."""
        error: Exception | None = None
        try:
            yield
        except Exception as raised:
            error = raised
        told = self.gather(None if error is None else f"{type(error).__name__}: {error}")
        if error is not None:
            raise error
        for rank, message in enumerate(told):
            if message is not None:
                raise InvalidInputError(f"rank {rank} failed: {message}")

    def bring(self, rows: Sequence[torch.Tensor], owners: Sequence[int]) -> list[tuple[int, list[torch.Tensor]]]:
        """Bring the rows of several layers from all ranks to the owner of each."""
        sizes = self.gather([len(each) for each in rows])
        waiting, mine = [], []
        for i, (each, owner) in enumerate(zip(rows, owners, strict=True)):
            raw = each.contiguous().view(torch.uint8)
            if owner != self.rank:
                waiting.append(dist.isend(raw, owner, group=self._group, tag=i))
                continue
            whole = []
            for rank in range(self.size):
                if rank == self.rank:
                    whole.append(each)
                    continue
                got = torch.empty((sizes[rank][i], each.shape[1]), dtype=each.dtype)
                waiting.append(dist.irecv(got.view(torch.uint8), rank, group=self._group, tag=i))
                whole.append(got)
            mine.append((i, whole))
        for work in waiting:
            if work is not None:
                work.wait()
        return mine

    def close(self) -> None:
        """Undo what was set up between the ranks."""
        if self._group is not None:
            dist.destroy_process_group(self._group)


def find_ranks(ranks: RanksChoice) -> Ranks:
    """Return the ranks that score together: all of an initialised process group, or this process alone."""
    if ranks == "own" or not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
        return Ranks()
    return World()


def check_same_model(model: nn.Module, ranks: Ranks) -> None:
    """Raise unless all ranks hold the same parameters and buffers, by shapes and sums."""
    if ranks.size == 1:
        return
    state = [
        (name, tuple(tensor.shape), str(tensor.dtype), _checksum(tensor))
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]
    ]
    for rank, other in enumerate(ranks.gather(state)):
        if len(other) != len(state) or any(mine[:3] != its[:3] for mine, its in zip(state, other, strict=True)):
            raise InvalidInputError(f"model: has other parameters on rank {rank} than on rank {ranks.rank}")
        for mine, its in zip(state, other, strict=True):
            if mine[3] != its[3]:
                raise InvalidInputError(
                    f"model: '{mine[0]}' has other values on rank {rank} than on rank {ranks.rank}; "
                    "load the same weights on every rank, or give ranks='own' to score apart"
                )


def _checksum(tensor: torch.Tensor) -> tuple[str, ...]:
    if tensor.numel() == 0:
        return ()
    values = torch.view_as_real(tensor.detach()) if tensor.is_complex() else tensor.detach()
    # As text, so that NaN equals NaN.
    return repr(values.sum(dtype=torch.float64).item()), repr(values.flatten()[0].item())
