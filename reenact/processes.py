"""The processes of a run: which one this is, which part of the work and which GPU it takes.

Training, preparation and evaluation can be started as several processes, by torchrun or by hand.
A process that is started alone needs none of this.
"""

from __future__ import annotations

import gc
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist

# The functions of this module take the default group at the moment of import as their default
# argument. DistributedDataParallel imports the module late. The group would then never be freed.
import torch.distributed.nn.functional
from torch import Tensor

from reenact.device import pick_device
from reenact.errors import UserError

T = TypeVar("T")
TIMEOUT = timedelta(hours=1)
"""The other processes wait while the main process writes previews and checkpoints."""
POLL_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class World:
    """This process (`rank`, from 0) among the `size` processes of the run.

    `sum`, `any` and `whole` exchange values. They need the group of `joined`, and all processes
    must call them in the same order.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def from_environment(cls) -> World:
        """Read RANK and WORLD_SIZE, which torchrun sets. Without them the process is alone.

        Raises UserError when they are not numbers or do not fit together.
        """
        rank, size = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
        if not (rank.isdecimal() and size.isdecimal() and int(rank) < int(size)):
            raise UserError(
                f"RANK is {rank!r} and WORLD_SIZE is {size!r}: RANK must be a number from 0 to "
                "WORLD_SIZE - 1, start with torchrun"
            )
        return cls(rank=int(rank), size=int(size))

    @classmethod
    def parse(cls, text: str) -> World:
        """Read `i/n`, for example 0/4 for the first of four. Raises UserError."""
        match = re.fullmatch(r"(\d+)/(\d+)", text)
        if match is None or not int(match[1]) < int(match[2]):
            raise UserError(f"--shard {text}: write it as i/n, with i from 0 to n - 1")
        return cls(rank=int(match[1]), size=int(match[2]))

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    def part(self, items: Sequence[T]) -> Sequence[T]:
        """The items of this process: every `size`-th one. Each item belongs to one process."""
        return items[self.rank :: self.size]

    def device(self, name: str) -> torch.device:
        """The device of this process.

        name: as for `pick_device`. "auto" and "cuda" give each process its own GPU. The processes
        take turns where there are fewer GPUs. Raises UserError for a device that does not work
        here, and when torchrun's processes would all take the same numbered GPU.
        """
        device = pick_device(name)
        if device.type != "cuda" or self.size == 1:
            return device
        if device.index is None:
            local_rank = int(os.environ.get("LOCAL_RANK", self.rank))
            return torch.device("cuda", local_rank % torch.cuda.device_count())
        if int(os.environ.get("LOCAL_WORLD_SIZE", 1)) > 1:
            raise UserError(f"device {name}: all processes would share this GPU, give cuda or auto")
        return device

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes, on the CPU."""
        # Small tensors go through the CPU. Its group works beside the group of any GPU.
        total = values.detach().to("cpu", copy=True)
        if self.size > 1:
            dist.all_reduce(total)
        return total

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        return bool(self.sum(torch.tensor(float(flag))))

    def whole(self, values: Tensor, num_rows: int) -> Tensor:
        """Put the values (N,) of each process's part together: (num_rows,), on the CPU."""
        every = torch.zeros(num_rows, dtype=values.dtype)
        every[list(self.part(range(num_rows)))] = values.detach().cpu()
        return self.sum(every)


ALONE = World()


@contextmanager
def joined(device_name: str) -> Iterator[tuple[World, torch.device]]:
    """Connect the processes that torchrun started, so that they can exchange values.

    device_name: as for `World.device`. Raises UserError when there are more processes than GPUs.
    """
    world = World.from_environment()
    device = world.device(device_name)
    if world.size == 1:
        yield ALONE, device
        return
    if device.type == "cuda":
        # NCCL cannot connect two processes that share one GPU.
        if int(os.environ.get("LOCAL_WORLD_SIZE", 1)) > torch.cuda.device_count():
            raise UserError(
                f"more processes than the {torch.cuda.device_count()} GPUs here, "
                "lower --nproc-per-node"
            )
        torch.cuda.set_device(device)
    elif device.type != "cpu":
        raise UserError(f"device {device_name!r}: several processes need cuda or cpu")
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=TIMEOUT)
    try:
        yield world, device
    finally:
        # An object that still holds the group keeps the group's threads alive until the
        # interpreter ends. A thread that frees a tensor then aborts the process.
        # DistributedDataParallel is such an object, and reference cycles keep it alive.
        gc.collect()
        dist.destroy_process_group()


def note(line: str) -> None:
    """Print one line on stderr, in the main process only."""
    if World.from_environment().is_main:
        print(line, file=sys.stderr)


def warn(text: str) -> None:
    """As `reenact.errors.warn`, for what all processes notice. Only the main process prints."""
    note(f"warning: {text}")


def wait_until(condition: Callable[[], bool]) -> None:
    """Check the condition every few seconds. If another process fails, torchrun ends all."""
    while not condition():
        time.sleep(POLL_SECONDS)
