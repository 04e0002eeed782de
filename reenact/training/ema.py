"""Exponential moving average of a module's weights."""

from __future__ import annotations

import copy

import torch
from torch import nn


def ema_copy(module: nn.Module) -> nn.Module:
    """A frozen copy of `module` in evaluation mode, the start of the average."""
    return copy.deepcopy(module).eval().requires_grad_(False)


def ema_decay(decay: float, step: int) -> float:
    """Decay at `step` (0 for the first update): small at first, so that the average forgets its
    start.
    """
    return min(decay, (1 + step) / (10 + step))


@torch.no_grad()
def update_ema(average: nn.Module, module: nn.Module, decay: float, step: int) -> None:
    """Move `average` towards `module` after optimizer step `step`; buffers are copied."""
    weight = 1 - ema_decay(decay, step)
    targets = [parameter.data for parameter in average.parameters()]
    sources = [parameter.data for parameter in module.parameters()]
    torch._foreach_lerp_(targets, sources, weight)
    for target, source in zip(average.buffers(), module.buffers(), strict=True):
        target.copy_(source)
