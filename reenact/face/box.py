"""Means and maxima over square windows, first along rows, then along columns.

On the CPU, without gradients, compiled loops do the work. There torch's own functions take about
ten times as long.
"""

from __future__ import annotations

from collections.abc import Callable

import numba as nb
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def box_mean(image: Tensor, radius: int) -> Tensor:
    """Means (B, C, H, W) over squares of side 2 * radius + 1, at the border over what is inside."""
    if takes_loops(image):
        return _in_planes(_mean_of_plane, image, radius)
    for kernel, pad in _windows(radius):
        image = F.avg_pool2d(image, kernel, 1, pad, count_include_pad=False)
    return image


def box_max(image: Tensor, radius: int) -> Tensor:
    """Maxima (B, C, H, W) over the same squares."""
    if takes_loops(image):
        return _in_planes(_max_of_plane, image, radius)
    for kernel, pad in _windows(radius):
        image = F.max_pool2d(image, kernel, 1, pad)
    return image


def takes_loops(image: Tensor) -> bool:
    """Whether compiled loops can work on this tensor."""
    has_gradients = image.requires_grad and torch.is_grad_enabled()
    return image.device.type == "cpu" and image.dtype == torch.float32 and not has_gradients


def _windows(radius: int) -> tuple[tuple[tuple[int, int], tuple[int, int]], ...]:
    """Kernel and padding of the two passes."""
    return ((2 * radius + 1, 1), (radius, 0)), ((1, 2 * radius + 1), (0, radius))


def _in_planes(work: Callable[..., None], image: Tensor, radius: int) -> Tensor:
    out = torch.empty(image.shape)
    planes = image.detach().contiguous().numpy().reshape(-1, *image.shape[-2:])
    for plane, result in zip(planes, out.numpy().reshape(planes.shape), strict=True):
        if plane.any():
            work(plane, radius, result)
        else:
            result[:] = 0
    return out


@nb.njit(cache=True, fastmath=True, nogil=True)
def _mean_of_plane(plane: np.ndarray, radius: int, out: np.ndarray) -> None:
    height, width = plane.shape
    total = np.zeros(width)
    line = np.zeros(width + 1)
    for y in range(min(radius, height)):
        total += plane[y]
    for y in range(height):
        if y + radius < height:
            total += plane[y + radius]
        if y - radius > 0:
            total -= plane[y - radius - 1]
        rows = min(y + radius, height - 1) - max(y - radius, 0) + 1
        summed = 0.0
        for x in range(width):
            summed += total[x]
            line[x + 1] = summed
        for x in range(width):
            first, last = max(x - radius, 0), min(x + radius + 1, width)
            out[y, x] = (line[last] - line[first]) / (rows * (last - first))


@nb.njit(cache=True, nogil=True)
def _max_of_plane(plane: np.ndarray, radius: int, out: np.ndarray) -> None:
    height, width = plane.shape
    highest = np.empty(width, np.float32)
    for y in range(height):
        first, last = max(y - radius, 0), min(y + radius + 1, height)
        highest[:] = plane[first]
        for k in range(first + 1, last):
            for x in range(width):
                highest[x] = max(highest[x], plane[k, x])
        out[y] = highest
        for shift in range(1, radius + 1):
            for x in range(width - shift):
                out[y, x] = max(out[y, x], highest[x + shift])
            for x in range(shift, width):
                out[y, x] = max(out[y, x], highest[x - shift])
