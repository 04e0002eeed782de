"""A bound on each sample's gradient, learnt from the steps before."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from reenact.processes import World

FACTOR = 2.0
FORGETTING = 0.1


class GradientGuard(nn.Module):
    """Hands pictures through unchanged. In the backward pass no sample's gradient may have more
    than `FACTOR` times the usual norm.

    Through the face tracker a blurred face can have a gradient a thousand times larger than the
    others. Clipping the gradient of the whole batch would leave the step to that one sample.

    The usual norm is the median over the batch, averaged over the past steps. All processes and
    all parts of a batch share this number. In the first step it is not known, so nothing is
    bounded. A gradient that is not finite becomes 0.
    """

    usual: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("usual", torch.tensor(0.0))
        self.norms: list[Tensor] = []

    def forward(self, image: Tensor) -> Tensor:
        """The image itself (B, ...)."""
        guarded: Tensor = _Guarded.apply(image, self)
        return guarded

    def tamed(self, gradient: Tensor) -> Tensor:
        """The bounded gradient (B, ...). Its norms are kept until the step ends."""
        norms = gradient.flatten(1).norm(dim=1)
        usable = torch.isfinite(norms)
        self.norms.append(norms)
        scale = (FACTOR * self.usual / norms.clamp(min=1e-12)).clamp(max=1)
        scale = torch.where(self.usual > 0, scale, 1)
        shape = (-1, *[1] * (gradient.ndim - 1))
        return torch.where(usable.view(shape), gradient * scale.view(shape), 0)

    def end_step(self, world: World, batch_size: int) -> None:
        """Learn from the step's norms. All processes call it after every step; `batch_size` is
        that of the whole batch.
        """
        if not self.norms:
            return
        norms = world.whole(torch.cat(self.norms), batch_size)
        self.norms.clear()
        norms = norms[torch.isfinite(norms) & (norms > 0)]
        if len(norms) == 0:
            return
        median = norms.median().to(self.usual)
        self.usual.copy_(torch.where(self.usual > 0, self.usual.lerp(median, FORGETTING), median))


class _Guarded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, guard: GradientGuard) -> Tensor:
        ctx.guard = guard
        return image.view_as(image)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.guard.tamed(gradient), None
