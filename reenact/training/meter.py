"""Means of what the steps report."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from reenact.errors import UserError
from reenact.processes import ALONE, World

MAX_BAD_STEPS = 20


def tally(values: Tensor, chosen: Tensor | None = None) -> Tensor:
    """(2,) float32: sum and number of the values (B,), or of the `chosen` (B,) among them. Tallies
    of parts add up to that of the whole.
    """
    values = values.detach().float()
    if chosen is None:
        chosen = torch.ones_like(values, dtype=torch.bool)
    return torch.stack([torch.where(chosen, values, 0).sum(), chosen.sum().float()])


def means(tallies: dict[str, Tensor], world: World = ALONE) -> dict[str, float]:
    """Means over all processes, by name; a name that no sample had is left out."""
    if not tallies:
        return {}
    names = sorted(tallies)
    totals = world.sum(torch.stack([tallies[name] for name in names]).double()).tolist()
    pairs = zip(names, totals, strict=True)
    return {name: total / count for name, (total, count) in pairs if count}


class Meter:
    """Means of tallied values since the last reset, and the speed in images a second."""

    def __init__(self) -> None:
        self.tallies: dict[str, Tensor] = {}
        self.num_images = 0
        self.bad_in_sequence = 0
        self.clock = time.monotonic()

    def add(self, tallies: dict[str, Tensor], num_images: int, *, is_bad: bool) -> None:
        """Count one step; of a step that was `is_bad` only that. Raises UserError after many of
        them in sequence.
        """
        self.bad_in_sequence = self.bad_in_sequence + 1 if is_bad else 0
        if self.bad_in_sequence >= MAX_BAD_STEPS:
            raise UserError(
                f"{MAX_BAD_STEPS} steps in sequence had no finite gradient, "
                "lower optimizer.lr or set precision to fp32"
            )
        self.num_images += num_images
        bad = {"bad_steps": torch.tensor([float(is_bad), 1.0])}
        for name, value in (bad if is_bad else tallies | bad).items():
            self.tallies[name] = self.tallies[name] + value if name in self.tallies else value

    def mean_and_reset(self, world: World = ALONE) -> dict[str, float]:
        """Means by name over all processes, plus `images_per_second`."""
        values = means({name: t.cpu() for name, t in self.tallies.items()}, world)
        values["images_per_second"] = self.num_images / max(time.monotonic() - self.clock, 1e-9)
        self.tallies = {}
        self.restart_clock()
        return values

    def restart_clock(self) -> None:
        """Leave the time since the last reset out of the speed (previews, checkpoints)."""
        self.num_images = 0
        self.clock = time.monotonic()
