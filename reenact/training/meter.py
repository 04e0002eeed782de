"""Means of what the steps report."""

from __future__ import annotations

import time

import torch
from torch import Tensor

from reenact.errors import UserError

MAX_BAD_STEPS = 20


class Meter:
    """Means of logged values since the last reset, and the speed in images a second."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}
        self.num_images = 0
        self.bad_in_sequence = 0
        self.clock = time.monotonic()

    def add(self, parts: dict[str, Tensor], num_images: int) -> None:
        """Count one step. Raises UserError after many steps in sequence without gradient."""
        bad = bool(parts["bad_steps"])
        self.bad_in_sequence = self.bad_in_sequence + 1 if bad else 0
        if self.bad_in_sequence >= MAX_BAD_STEPS:
            raise UserError(
                f"{MAX_BAD_STEPS} steps in sequence had no finite gradient, "
                "lower optimizer.lr or set precision to fp32"
            )
        self.num_images += num_images
        if bad:
            parts = {"bad_steps": parts["bad_steps"]}
        for name, value in parts.items():
            self.sums[name] = self.sums.get(name, torch.zeros(())) + value.float().cpu()
            self.counts[name] = self.counts.get(name, 0) + 1

    def mean_and_reset(self) -> dict[str, float]:
        """Means by name, plus `images_per_second`."""
        means = {name: float(total) / self.counts[name] for name, total in self.sums.items()}
        means["images_per_second"] = self.num_images / max(time.monotonic() - self.clock, 1e-9)
        self.sums, self.counts = {}, {}
        self.restart_clock()
        return means

    def restart_clock(self) -> None:
        """Leave the time since the last reset out of the speed (previews, checkpoints)."""
        self.num_images = 0
        self.clock = time.monotonic()
