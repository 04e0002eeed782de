"""How the head's motion goes on beside its surface: over hair, hats and clothes."""

from __future__ import annotations

import numba as nb
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from reenact.face.box import takes_loops

CONTINUED_SIZE = 128
SMOOTHING_ROUNDS, CONTINUING_ROUNDS = 4, 16
"""More rounds make what is filled meet what is known more smoothly."""


def continued(offset: Tensor, known: Tensor, rigid: Tensor) -> Tensor:
    """`offset` (B, 2, S, S), where `known` (B, 1, S, S) is 1, continued to everywhere.

    rigid: offsets (B, 2, S, S) of the whole head. Far from all that is known, or between parts that
    move alike, the result is `rigid`; next to known parts it changes smoothly into their motion.
    """
    rest = (offset - rigid) * known
    # A coarser field is fine enough for what is smooth.
    step = max(2, round(offset.shape[-1] / CONTINUED_SIZE))
    share = F.avg_pool2d(known, step, ceil_mode=True)
    mean = F.avg_pool2d(rest, step, ceil_mode=True) / share.clamp(min=1e-3)
    coarse = filled_in(mean, (share > 0).to(known), rounds=CONTINUING_ROUNDS)
    rest = F.interpolate(coarse, rest.shape[-2:], mode="bilinear")
    return torch.where(known > 0, offset, rest + rigid)


def filled_in(value: Tensor, known: Tensor, rounds: int = SMOOTHING_ROUNDS) -> Tensor:
    """Fill `value` (B, C, H, W) where `known` (B, 1, H, W) is 0.

    Each pixel takes ever coarser averages of the known ones around it; what is filled is smoothed
    this many rounds at each size.
    """
    if takes_loops(value) and takes_loops(known):
        planes = [
            _filled_in_loops(v, k, rounds)
            for v, k in zip(value.detach().numpy(), known[:, 0].detach().numpy(), strict=True)
        ]
        return torch.from_numpy(np.stack(planes))
    is_known = known > 0
    if min(value.shape[-2:]) <= 2:
        mean = (value * known).sum((2, 3), True) / known.sum((2, 3), True).clamp(min=1)
        return torch.where(is_known, value, mean)
    share = F.avg_pool2d(known, 2, ceil_mode=True)
    mean = F.avg_pool2d(value * known, 2, ceil_mode=True) / share.clamp(min=0.2)
    coarse = filled_in(mean, (share > 0).to(known), rounds)
    filled = F.interpolate(coarse, value.shape[-2:], mode="bilinear")
    for _ in range(rounds):
        filled = torch.where(is_known, value, filled)
        filled = F.avg_pool2d(F.pad(filled, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    return torch.where(is_known, value, filled)


def _filled_in_loops(value: np.ndarray, known: np.ndarray, rounds: int) -> np.ndarray:
    """`filled_in` of one picture (C, H, W), known (H, W)."""
    sizes = [(np.ascontiguousarray(value), np.ascontiguousarray(known))]
    while min(sizes[-1][1].shape) > 2:
        sizes.append(_halved(*sizes[-1]))
    smallest, where = sizes.pop()
    mean = (smallest * where).sum((1, 2), keepdims=True) / max(where.sum(), 1)
    filled = np.where(where > 0, smallest, mean).astype(np.float32)
    for value, known in reversed(sizes):
        filled = _doubled(filled, *known.shape)
        _smoothed(filled, value, known, rounds)
    return filled


@nb.njit(cache=True, fastmath=True, nogil=True)
def _halved(value: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means over 2 x 2 pixels of the known ones, and where there are any."""
    count, height, width = value.shape
    mean = np.zeros((count, (height + 1) // 2, (width + 1) // 2), np.float32)
    is_known = np.zeros(mean.shape[1:], np.float32)
    for y in range(mean.shape[1]):
        for x in range(mean.shape[2]):
            bottom, right = min(2 * y + 2, height), min(2 * x + 2, width)
            share = np.float32(0)
            for v in range(2 * y, bottom):
                for u in range(2 * x, right):
                    share += known[v, u]
                    for c in range(count):
                        mean[c, y, x] += value[c, v, u] * known[v, u]
            area = (bottom - 2 * y) * (right - 2 * x)
            scale = np.float32(1 / (area * max(share / area, 0.2)))
            for c in range(count):
                mean[c, y, x] *= scale
            is_known[y, x] = share > 0
    return mean, is_known


@nb.njit(cache=True, fastmath=True, nogil=True)
def _doubled(value: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear (C, height, width)."""
    count, rows, columns = value.shape
    out = np.empty((count, height, width), np.float32)
    left = np.empty(width, np.int64)
    along = np.empty(width, np.float32)
    for x in range(width):
        place = max((x + 0.5) * columns / width - 0.5, 0.0)
        left[x] = int(place)
        along[x] = place - left[x]
    mixed = np.empty(columns + 1, np.float32)
    for y in range(height):
        place = max((y + 0.5) * rows / height - 0.5, 0.0)
        top = int(place)
        below, down = min(top + 1, rows - 1), np.float32(place - top)
        for c in range(count):
            for u in range(columns):
                mixed[u] = value[c, top, u] + down * (value[c, below, u] - value[c, top, u])
            mixed[columns] = mixed[columns - 1]
            for x in range(width):
                u = left[x]
                out[c, y, x] = mixed[u] + along[x] * (mixed[u + 1] - mixed[u])
    return out


@nb.njit(cache=True, fastmath=True, nogil=True)
def _smoothed(filled: np.ndarray, value: np.ndarray, known: np.ndarray, rounds: int) -> None:
    """Rounds of 3 x 3 means in `filled` (C, H, W), which has `value` where that is known."""
    count, height, width = filled.shape
    third = np.float32(1 / 3)
    for c in range(count):
        plane, own = filled[c], value[c]
        above, line = np.empty(width, np.float32), np.empty(width + 2, np.float32)
        for y in range(height):
            for x in range(width):
                plane[y, x] = own[y, x] if known[y, x] > 0 else plane[y, x]
        for _ in range(rounds):
            above[:] = plane[0]
            for y in range(height):
                below = plane[min(y + 1, height - 1)]
                for x in range(width):
                    line[x + 1] = (above[x] + plane[y, x] + below[x]) * third
                line[0], line[width + 1] = line[1], line[width]
                for x in range(width):
                    above[x] = plane[y, x]
                    mean = (line[x] + line[x + 1] + line[x + 2]) * third
                    plane[y, x] = own[y, x] if known[y, x] > 0 else mean
