"""Several processes as one: who this one is among those that `torchrun` started, and sums over all of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed


@dataclass(frozen=True)
class Ranks:
    """This process among all."""

    rank: int
    count: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Return whether this rank speaks and writes for all."""
        return self.rank == 0


@contextmanager
def joined(device: str | None = None) -> Iterator[Ranks]:
    """Join the processes that `torchrun` started (NCCL on GPUs, gloo on CPUs); one process alone joins nobody.

    Args:
        device: cpu, cuda or cuda:N; by default the GPU of this process's local rank where there is one.
    """
    count, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    name = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda":
        name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    chosen = torch.device(name)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    if count > 1:
        distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield Ranks(rank, count, chosen)
    finally:
        if count > 1:
            distributed.destroy_process_group()


def total(value: Tensor, ranks: Ranks) -> Tensor:
    """Sum a tensor over all ranks, in place."""
    if ranks.count > 1:
        distributed.all_reduce(value)
    return value


def everybodys(value: Any, ranks: Ranks) -> list[Any]:
    """Gather what each rank brought, in their order; wait for all."""
    if ranks.count == 1:
        return [value]
    values: list[Any] = [None] * ranks.count
    distributed.all_gather_object(values, value)
    return values


def wait(ranks: Ranks) -> None:
    """Wait until all ranks are here."""
    if ranks.count > 1:
        distributed.barrier()
