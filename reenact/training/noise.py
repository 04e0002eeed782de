"""Where sampling starts: the source's inverted x_T, or a mixture of it with fresh noise."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def soft_mask(mask: Tensor, *, grow: float = 0.06, soften: float = 0.04) -> Tensor:
    """Grow and soften a coverage mask (B, 1, S, S) in [0, 1] by shares of the picture's side."""
    size = mask.shape[-1]
    grow_px, soften_px = max(round(grow * size), 1), max(round(soften * size), 1)
    grown = F.max_pool2d(mask, 2 * grow_px + 1, stride=1, padding=grow_px)
    padded = F.pad(grown, (soften_px,) * 4, mode="replicate")
    return F.avg_pool2d(padded, 2 * soften_px + 1, stride=1)


def mix_x_T(x_T: Tensor, noise: Tensor, mask: Tensor) -> Tensor:
    """Replace x_T by noise where `mask` is 1. The square roots keep the variance of the mixture at one."""
    return torch.sqrt(1 - mask) * x_T + torch.sqrt(mask) * noise
