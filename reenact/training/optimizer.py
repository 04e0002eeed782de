"""How a step changes the weights: optimizer, learning rate and average of the weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """Adam(W) with linear warm-up, then a constant rate or a half cosine down to
    `final_lr_fraction` of it.

    grad_clip is the largest norm of the whole gradient; 0 switches clipping off.
    """

    name: Literal["adam", "adamw"] = "adam"
    lr: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    grad_clip: float = 1.0
    warmup_steps: int = 0
    decay: Literal["constant", "cosine"] = "constant"
    final_lr_fraction: float = 0.0


def make_optimizer(
    parameters: Iterable[nn.Parameter], config: OptimizerConfig
) -> torch.optim.Optimizer:
    """The optimizer of a run. On CUDA one kernel updates all weights."""
    cls = torch.optim.Adam if config.name == "adam" else torch.optim.AdamW
    weights = list(parameters)
    return cls(
        weights,
        lr=config.lr,
        betas=config.betas,
        weight_decay=config.weight_decay,
        fused=True if all(weight.is_cuda for weight in weights) else None,
    )


def lr_at(config: OptimizerConfig, step: int, num_steps: int) -> float:
    """Learning rate of `step` (0-based) in a run of `num_steps`."""
    if step < config.warmup_steps:
        return config.lr * (step + 1) / config.warmup_steps
    if config.decay == "constant":
        return config.lr
    progress = (step - config.warmup_steps) / max(num_steps - config.warmup_steps, 1)
    cosine = 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
    return config.lr * (config.final_lr_fraction + (1 - config.final_lr_fraction) * cosine)


def ema_copy(module: nn.Module) -> nn.Module:
    """A frozen copy of `module` in evaluation mode: the start of the average."""
    return copy.deepcopy(module).eval().requires_grad_(False)


def ema_decay(decay: float, step: int) -> float:
    """Decay at `step` (0 for the first update). It is small at first, so that the average forgets
    its start.
    """
    return min(decay, (1 + step) / (10 + step))


@torch.no_grad()
def update_ema(average: nn.Module, module: nn.Module, decay: float, step: int) -> None:
    """Move `average` towards `module` after optimizer step `step`. Buffers are copied."""
    weight = 1 - ema_decay(decay, step)
    targets = [parameter.data for parameter in average.parameters()]
    sources = [parameter.data for parameter in module.parameters()]
    torch._foreach_lerp_(targets, sources, weight)
    for target, source in zip(average.buffers(), module.buffers(), strict=True):
        target.copy_(source)
