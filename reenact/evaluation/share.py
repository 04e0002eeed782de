"""Several processes at one evaluation: who measures what. They meet in the output folder alone.

Started by torchrun, or by hand on machines that share the folder, with RANK and WORLD_SIZE set.
"""

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from reenact.errors import UserError

T = TypeVar("T")
POLL_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Share:
    """This process is number `rank` of `world`."""

    rank: int = 0
    world: int = 1

    @classmethod
    def from_environment(cls) -> "Share":
        """As torchrun numbers the processes; alone without it. Raises UserError."""
        try:
            rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        except ValueError:
            raise UserError("RANK and WORLD_SIZE must be numbers, start with torchrun") from None
        if not 0 <= rank < world:
            raise UserError(f"RANK {rank} must lie below WORLD_SIZE {world}, start with torchrun")
        return cls(rank=rank, world=world)

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def take(self, items: Sequence[T]) -> list[T]:
        """Every `world`-th item."""
        return list(items[self.rank :: self.world])

    def device(self, name: str) -> str:
        """ "auto" under torchrun is the GPU of this process, where there are any."""
        import torch

        if name == "auto" and self.world > 1 and torch.cuda.is_available():
            return (
                f"cuda:{int(os.environ.get('LOCAL_RANK', self.rank)) % torch.cuda.device_count()}"
            )
        return name


def say(line: str) -> None:
    """One line on stderr, by the first process only."""
    if Share.from_environment().is_first:
        print(line, file=sys.stderr)


def wait_until(condition: Callable[[], bool]) -> None:
    """Look again and again. A process that fails is torchrun's business: it ends all of them."""
    while not condition():
        time.sleep(POLL_SECONDS)
