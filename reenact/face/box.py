"""Means and maxima over square windows, first along rows, then along columns."""

import torch.nn.functional as F
from torch import Tensor


def box_mean(image: Tensor, radius: int) -> Tensor:
    """Means (B, C, H, W) over squares of side 2 * radius + 1, at the border over what is inside."""
    for kernel, pad in _windows(radius):
        image = F.avg_pool2d(image, kernel, 1, pad, count_include_pad=False)
    return image


def box_max(image: Tensor, radius: int) -> Tensor:
    """Maxima (B, C, H, W) over the same squares."""
    for kernel, pad in _windows(radius):
        image = F.max_pool2d(image, kernel, 1, pad)
    return image


def _windows(radius: int) -> tuple[tuple[tuple[int, int], tuple[int, int]], ...]:
    """Kernel and padding of the two passes."""
    return ((2 * radius + 1, 1), (radius, 0)), ((1, 2 * radius + 1), (0, radius))
