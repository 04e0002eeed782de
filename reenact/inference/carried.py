"""What the head model's motion carries from the source picture into the result (ours)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from reenact.face.surface.motion_field import MotionField, filled, resampled, warp

FINE = 1 / 32
"""Where the source is carried, what is finer than about this share of the side is its own, what is
coarser (light above all) the networks'.
"""
SMOOTHING_SIZE = 128
AGREEMENT, AGREEMENT_REACH = 0.07, 3 / 256
"""Elsewhere the moved source is the result where the networks draw the same for source and result
there: up to this difference, of values in [-1, 1], averaged over this share of the side.
"""


@dataclass(frozen=True, kw_only=True)
class SourceDetail:
    """Source pictures `sharp` (B, 3, D, D), and `lost`, what the networks lose of each: it minus
    their rendering of it with its own motion.
    """

    sharp: Tensor
    lost: Tensor

    def __getitem__(self, rows: slice | list[int]) -> SourceDetail:
        return SourceDetail(sharp=self.sharp[rows], lost=self.lost[rows])

    @classmethod
    def cat(cls, details: Sequence[SourceDetail]) -> SourceDetail:
        """The sources of several (at least one) as one."""
        return cls(
            sharp=torch.cat([detail.sharp for detail in details]),
            lost=torch.cat([detail.lost for detail in details]),
        )

    @classmethod
    def of(cls, sharp: Tensor, autoencoded: Tensor) -> SourceDetail:
        """From pictures and their rendering (B, 3, S, S), S <= D."""
        return cls(sharp=sharp, lost=sharp - enlarged(autoencoded, sharp.shape[-1]))


def with_detail(images: Tensor, detail: SourceDetail, field: MotionField) -> Tensor:
    """The networks' pictures (B, 3, S, S) in the detail's size (B, 3, D, D), with what is the
    source's own. On the head that is its fine features and, coarsely, what the networks lose of it.
    Where `field` is not sure, it is the moved source if the networks agree. Without any motion the
    result is the source itself.
    """
    images = enlarged(images, detail.sharp.shape[-1])
    sharp, lost = warp(detail.sharp, field), warp(detail.lost, field)
    missing = filled(sharp, field) - images
    on_head = missing + _smooth(lost - missing, field.sure, FINE)
    agreed = _agreement(images, sharp - lost)
    beside = field.untorn * (1 - field.unknown) * agreed * missing
    return images + field.sure * on_head + (1 - field.sure) * beside


def _agreement(images: Tensor, moved: Tensor) -> Tensor:
    """How much pictures (B, 3, D, D) are the same, everywhere: (B, 1, D, D), 1 where they are."""
    everywhere = torch.ones_like(images[:, :1])
    difference = _smooth(images - moved, everywhere, AGREEMENT_REACH).abs().mean(1, keepdim=True)
    return torch.exp(-(difference / AGREEMENT).square())


def enlarged(images: Tensor, size: int) -> Tensor:
    """Bicubic, to (B, C, size, size)."""
    if images.shape[-1] == size:
        return images
    return F.interpolate(images, (size, size), mode="bicubic", align_corners=False)


def _smooth(image: Tensor, weight: Tensor, reach: float) -> Tensor:
    """Gaussian means (B, C, S, S) of `image` under `weight` (B, 1, S, S), `reach` a share of the
    side; linear in `image`.
    """
    size = image.shape[-1]
    side = min(size, SMOOTHING_SIZE)
    small, share = (resampled(x, side) for x in (image * weight, weight))
    sigma = reach * side
    mean = _blurred(small, sigma) / _blurred(share, sigma).clamp(min=0.02)
    return resampled(mean, size)


def _blurred(image: Tensor, sigma: float) -> Tensor:
    radius = round(3 * sigma)
    ticks = torch.arange(-radius, radius + 1, device=image.device)
    kernel = torch.exp(-(ticks / sigma).square() / 2)
    kernel, planes = kernel / kernel.sum(), image.flatten(0, 1)[:, None]
    planes = F.pad(planes, (radius,) * 4, mode="replicate")
    planes = F.conv2d(F.conv2d(planes, kernel[None, None, None]), kernel[None, None, :, None])
    return planes.view(image.shape)
