"""How the head's motion goes on beside its surface: over hair, hats and clothes."""

from __future__ import annotations

import functools

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from reenact.face.surface.visible import num_head_vertices, rest_points

CONTINUED_SIZE = 128
SMOOTHING_ROUNDS, CONTINUING_ROUNDS = 4, 16
"""More rounds make what is filled meet what is known more smoothly."""
SKULL_DEPTHS, SKULL_ABOVE = (-1.2, -0.4), -0.7
"""Vertices of the skull: rest depth between these two, rest height above this one (dm). They lie
near the outline of the head, where hair and hats begin.
"""


@functools.cache
def _skull() -> np.ndarray:
    """Indices into `surface_points` of vertices that turn with the head and carry hair."""
    head = rest_points()[: num_head_vertices()]
    low, high = SKULL_DEPTHS
    is_skull = (head[:, 2] > low) & (head[:, 2] < high) & (head[:, 1] > SKULL_ABOVE)
    return np.flatnonzero(is_skull)


def skull_motion(start: np.ndarray, end: np.ndarray) -> Tensor:
    """The affine maps (B, 2, 3) that move the skull of `end` best to that of `start`.

    start, end: `surface_points` (B, V, 3) of the source (or 1 for all) and of the picture to be
    made. A point (x, y) of the picture to be made, with a 1 appended, is mapped to the source.
    "Best" means least squares over the skull's vertices.
    """
    points = torch.from_numpy(end[:, _skull(), :2]).double()
    places = torch.from_numpy(start[:, _skull(), :2]).double()
    rows = torch.cat([points, torch.ones_like(points[..., :1])], -1)
    return torch.linalg.lstsq(rows, places.expand(len(rows), -1, -1)).solution.mT.float()


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
