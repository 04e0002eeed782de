"""How the round head moves in a picture, without the face before it."""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor

from reenact.face.box import box_mean
from reenact.face.surface.visible import num_head_vertices, rest_points

SKULL_DEPTHS, SKULL_ABOVE = (-1.2, -0.4), -0.7
"""Vertices of the skull: rest depth between these two, rest height above this one (dm). They lie
near the outline of the head, where hair and hats begin.
"""
BACK_DEPTH = -0.2
"""dm: vertices behind this depth at rest, and above `SKULL_ABOVE`, are the round back of the head.
"""
FOREHEAD_HEIGHT, MOUTH_HEIGHT, CHIN_HEIGHT, LEVEL_WIDTH = 0.1, -0.7, -1.1, 0.1
"""dm: heights at rest, and how near to a height vertices lie that count as of this height."""
NEAR = 1 / 9
"""The motion of a part goes on about this far beside it, in shares of the crop's side. Farther away
hair moves as the skull does.
"""


@functools.cache
def _skull() -> np.ndarray:
    """Indices into `surface_points` of vertices that turn with the head and carry hair."""
    head = rest_points()[: num_head_vertices()]
    low, high = SKULL_DEPTHS
    is_skull = (head[:, 2] > low) & (head[:, 2] < high) & (head[:, 1] > SKULL_ABOVE)
    return np.flatnonzero(is_skull)


@functools.cache
def _round_head() -> np.ndarray:
    """Indices into `surface_points` of vertices all around the head, without the face."""
    head = rest_points()[: num_head_vertices()]
    return np.flatnonzero((head[:, 1] > SKULL_ABOVE) & (head[:, 2] < BACK_DEPTH))


def skull_motion(start: np.ndarray, end: np.ndarray) -> Tensor:
    """The affine maps (B, 2, 3) that move the outline of the head from `end` to `start`.

    start, end: `surface_points` (B, V, 3) of the source (or 1 for all) and of the picture to be
    made. A point (x, y) of the picture to be made, with a 1 appended, is mapped to the source.

    The head without the face is about an ellipsoid, and its outline is an ellipse. The map sends
    the one ellipse to the other. So a head that turns gets less narrow than a flat picture. How it
    rolls in the picture is read from the skull's vertices.
    """
    points, places = (_in_picture(x, _skull()) for x in (end, start))
    rows = torch.cat([points, torch.ones_like(points[..., :1])], -1)
    places = places.expand(len(rows), -1, -1)
    linear = torch.linalg.lstsq(rows, places).solution.mT[..., :2]
    (centre, shape), (middle, source) = (
        _ellipse(_in_picture(x, _round_head())) for x in (end, start)
    )
    left, _, right = torch.linalg.svd(torch.linalg.inv(source) @ linear @ shape)
    turned = source @ (left @ right) @ torch.linalg.inv(shape)
    shift = middle[..., None] - turned @ centre[..., None]
    return torch.cat([turned, shift], -1).float()


def _in_picture(points: np.ndarray, which: np.ndarray) -> Tensor:
    """x and y of some of `surface_points`: (B, K, 2)."""
    return torch.from_numpy(points[:, which, :2]).double()


def _ellipse(points: Tensor) -> tuple[Tensor, Tensor]:
    """Centre (B, 2) and symmetric shape (B, 2, 2) of the ellipse that points (B, K, 2) cover: the
    shape times the unit circle is as wide as the points scatter.
    """
    centre = points.mean(1)
    away = points - centre[:, None]
    values, axes = torch.linalg.eigh(away.mT @ away / points.shape[1])
    return centre, axes @ torch.diag_embed(values.sqrt()) @ axes.mT


def skull_share(end: np.ndarray, held: Tensor, front: Tensor, crop_side: float) -> Tensor:
    """How much the skull's motion moves each pixel that has no motion of its own: (B, 1, S, S).

    Hair moves with the skull, which turns less far in the picture than the face before it. The
    share is 1 above the forehead, and falls to 0 at the chin, beside what is `held`, and where the
    skull's motion would show the front of the face a second time.

    end: `surface_points` (B, V, 3) of the picture to be made. held: (B, 1, S, S), 1 on parts that
    have a motion of their own. front: (B, 1, S, S), 1 where the skull's motion leads to the front
    of the face. crop_side: pixels.
    """
    forehead, chin = (
        end[:, _at_height(height), 1].mean(1) for height in (FOREHEAD_HEIGHT, CHIN_HEIGHT)
    )
    rows = np.arange(held.shape[2]) + 0.5
    above = ((chin[:, None] - rows) / (chin - forehead).clip(1)[:, None]).clip(0, 1)
    share = torch.from_numpy(above).to(held)[:, None, :, None]
    reach = max(1, round(NEAR * crop_side))
    return share * (1 - _widened(held, reach)) * (1 - _widened(front, max(1, reach // 2)))


def above_chin(end: np.ndarray, size: int) -> Tensor:
    """1 in the rows of a picture above the mouth, falling to 0 at the chin: (B, 1, size, 1).

    end: `surface_points` (B, V, 3) of the picture.
    """
    mouth, chin = (end[:, _at_height(height), 1].mean(1) for height in (MOUTH_HEIGHT, CHIN_HEIGHT))
    rows = np.arange(size) + 0.5
    share = (chin[:, None] - rows) / (chin - mouth).clip(1)[:, None]
    return torch.from_numpy(share.clip(0, 1)).float()[:, None, :, None]


@functools.cache
def _at_height(height: float) -> np.ndarray:
    """Indices into `surface_points` of the head's vertices that lie at this height at rest (dm)."""
    return np.flatnonzero(np.abs(rest_points()[: num_head_vertices(), 1] - height) < LEVEL_WIDTH)


def _widened(mask: Tensor, reach: int) -> Tensor:
    """1 on `mask` (B, 1, S, S), falling smoothly to 0 within some `reach` pixels beside it."""
    for _ in range(3):
        mask = box_mean(mask, reach)
    return (2 * mask).clamp(max=1)
