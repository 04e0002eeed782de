"""One run over several processes, as torchrun starts them; a process alone needs none of it."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

# Its functions have the default group of the moment of import as default argument.
# DistributedDataParallel imports it late, after which that group would never be freed.
import torch.distributed.nn.functional
from torch import Tensor

from reenact.device import pick_device
from reenact.errors import UserError

TIMEOUT = timedelta(hours=1)
"""The others wait while the main process writes previews and checkpoints."""


@dataclass(frozen=True, kw_only=True)
class World:
    """This process (`rank`, from 0) among the `size` that compute every step together.

    The methods that exchange something must be called by all of them, in the same order.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    def rows(self, num_rows: int) -> range:
        """Which rows of a batch this process computes: each belongs to exactly one."""
        return range(self.rank, num_rows, self.size)

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes, on the CPU."""
        # Small things go through the CPU, whose group works beside any GPU's.
        total = values.detach().to("cpu", copy=True)
        if self.size > 1:
            dist.all_reduce(total)
        return total

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        return bool(self.sum(torch.tensor(float(flag))))

    def whole(self, values: Tensor, num_rows: int) -> Tensor:
        """From the values (N,) of this process's rows to all rows' (num_rows,), on the CPU."""
        every = torch.zeros(num_rows, dtype=values.dtype)
        every[list(self.rows(num_rows))] = values.detach().cpu()
        return self.sum(every)


ALONE = World()


@contextmanager
def joined(device_name: str) -> Iterator[tuple[World, torch.device]]:
    """Join the processes that torchrun started; without torchrun, be alone.

    device_name: as for `pick_device`; of several GPUs each process takes its own. Raises UserError
    when there are more processes than GPUs.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    device = pick_device(device_name)
    if size == 1:
        yield ALONE, device
        return
    if device.type == "cuda":
        device = _own_gpu(device)
        torch.cuda.set_device(device)
    elif device.type != "cpu":
        raise UserError(f"device {device_name!r}: several processes need cuda or cpu")
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=TIMEOUT)
    try:
        yield World(rank=dist.get_rank(), size=size), device
    finally:
        # What still holds the group would keep its threads alive into the interpreter's end, where
        # one that releases a tensor aborts the process. DistributedDataParallel is in cycles.
        gc.collect()
        dist.destroy_process_group()


def _own_gpu(device: torch.device) -> torch.device:
    local_rank, count = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if device.index is not None:
        raise UserError(f"device {device}: several processes take one GPU each, give cuda or auto")
    if local_rank >= count:
        raise UserError(f"more processes than the {count} GPUs here, lower --nproc-per-node")
    return torch.device("cuda", local_rank)
