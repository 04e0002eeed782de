"""How a step changes the weights: optimizer, learning rate and average of the weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import nn

from reenact.ranges import Checked, NonNegative, Range, Share

Beta = Annotated[float, Range(at_least=0, below=1)]


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig(Checked):
    """How the weights are updated.

    name: Adam, or AdamW, whose weight decay does not depend on the gradient.
    lr: learning rate after the warm-up.
    betas: how much the two moments of the gradient keep of their past.
    weight_decay: strength of the pull of all weights to 0.
    grad_clip: largest norm of the whole gradient; 0 switches clipping off.
    warmup_steps: steps in which the rate rises linearly to `lr`.
    decay: `constant` keeps the rate, `cosine` lets it fall along a half cosine until the last step.
    final_lr_fraction: where the cosine ends, as a share of `lr`.
    """

    name: Literal["adam", "adamw"] = "adam"
    lr: Annotated[float, Range(above=0, at_most=1)] = 1e-4
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    weight_decay: NonNegative = 0.0
    grad_clip: NonNegative = 1.0
    warmup_steps: Annotated[int, Range(at_least=0)] = 0
    decay: Literal["constant", "cosine"] = "constant"
    final_lr_fraction: Share = 0.0


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
