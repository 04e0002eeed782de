"""Weighted Gaussian means of pictures."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from reenact.face.surface.motion_field import resampled

LARGEST_SIZE, FINEST_SIGMA = 128, 4
"""Larger pictures are reduced to this side first, and farther where the Gaussian's sigma would have
more pixels than the second value: a mean has no fine features.
"""


def smooth(image: Tensor, weight: Tensor, reach: float, least_weight: float = 1e-5) -> Tensor:
    """Gaussian means (B, C, S, S) of `image` (B, C, S, S) under `weight` (B, 1, S, S).

    reach: the Gaussian's sigma, as a share of S.
    least_weight: where the smoothed weight is below it, the mean fades out to 0.

    The result is linear in `image`.
    """
    size = image.shape[-1]
    side = min(size, LARGEST_SIZE, max(1, round(FINEST_SIGMA / reach)))
    small, share = (resampled(x, side) for x in (image * weight, weight))
    sigma = reach * side
    mean = _blurred(small, sigma) / _blurred(share, sigma).clamp(min=least_weight)
    return resampled(mean, size)


def _blurred(image: Tensor, sigma: float) -> Tensor:
    radius = round(3 * sigma)
    ticks = torch.arange(-radius, radius + 1, device=image.device)
    kernel = torch.exp(-(ticks / sigma).square() / 2)
    kernel, planes = kernel / kernel.sum(), image.flatten(0, 1)[:, None]
    planes = F.pad(planes, (radius,) * 4, mode="replicate")
    planes = F.conv2d(F.conv2d(planes, kernel[None, None, None]), kernel[None, None, :, None])
    return planes.view(image.shape)
