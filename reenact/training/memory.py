"""What steps change besides the weights, and what is therefore saved with them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from reenact.processes import World

FACTOR = 2.0
FORGETTING = 0.1


class Memory(nn.Module):
    """The buffers of a stage. This one has none."""

    def end_step(self, world: World, batch_size: int) -> None:
        """Called by all processes after every step; `batch_size` is the whole batch's."""


class GradientGuard(Memory):
    """Hands pictures through; backwards it lets no sample's gradient exceed `FACTOR` times what is
    usual.

    Through the tracker a blurred face can have a gradient a thousand times the others', which would
    leave the whole step, clipped as one, to that sample. Usual is the median over the batch,
    averaged over the past steps: a number that all processes and micro-batches share. In the first
    step nothing is known and nothing bounded. A gradient that is not finite becomes 0.
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
        """The bounded gradient; its norms are noted until the step's end."""
        norms = gradient.flatten(1).norm(dim=1)
        usable = torch.isfinite(norms)
        self.norms.append(norms)
        scale = (FACTOR * self.usual / norms.clamp(min=1e-12)).clamp(max=1)
        scale = torch.where(self.usual > 0, scale, 1)
        shape = (-1, *[1] * (gradient.ndim - 1))
        return torch.where(usable.view(shape), gradient * scale.view(shape), 0)

    def end_step(self, world: World, batch_size: int) -> None:
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
