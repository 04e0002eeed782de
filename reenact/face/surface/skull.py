"""How the round head moves in a picture, without the face before it."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numba as nb
import numpy as np
import torch
from torch import Tensor

from reenact.face.box import box_mean
from reenact.face.surface.motion_field import pixel_centres, resampled
from reenact.face.surface.visible import num_head_vertices, rest_points

SKULL_DEPTHS, SKULL_ABOVE = (-1.2, -0.4), -0.7
"""Vertices of the skull: rest depth between these two, rest height above this one (dm). They lie
near the outline of the head, where hair and hats begin.
"""
BACK_DEPTH = -0.2
"""dm: vertices behind this depth at rest, and above `SKULL_ABOVE`, are the round back of the head.
"""
HAIRLINE_HEIGHT, FOREHEAD_HEIGHT, EYE_HEIGHT = 0.3, 0.1, -0.1
MOUTH_HEIGHT, CHIN_HEIGHT, NECK_HEIGHT, SHOULDER_HEIGHT = -0.7, -1.1, -1.2, -1.75
LEVEL_WIDTH = 0.1
"""dm: heights at rest, and how near to a height vertices lie that count as of this height."""
PULLED = 0.03
"""Where the face pulls hair inwards by this share of the crop's side, hair follows it completely.
"""
NUM_SIDES, OUTLINE_SIZE = 64, 64
"""Sides of the polygon that is the outline of the round head, and pixels of the map of its motion.
"""
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


@dataclass(frozen=True, kw_only=True)
class Outline:
    """The outline of the round head in pictures: a convex polygon.

    middle: (B, 2) pixels. reach: (B, NUM_SIDES) pixels, how far away from the middle each side is.
    """

    middle: Tensor
    reach: Tensor

    def ratio(self, away: Tensor) -> Tensor:
        """How many times as far from the middle as the outline (B, K) points are that lie `away`
        (B, 2, K) from the middle.
        """
        scaled = (_sides() / self.reach[:, None]).expand(len(away), -1, -1).contiguous()
        return torch.from_numpy(_largest_products(scaled.numpy(), away.contiguous().numpy()))


@functools.cache
def _sides() -> Tensor:
    """The directions (2, NUM_SIDES) in which the sides of an outline lie."""
    angle = torch.arange(NUM_SIDES).double() * (2 * np.pi / NUM_SIDES)
    return torch.stack([angle.cos(), angle.sin()])


@nb.njit(cache=True, fastmath=True, nogil=True)
def _largest_products(sides: np.ndarray, points: np.ndarray) -> np.ndarray:
    """The largest product of each point (B, 2, K) with all sides (B, 2, N), at least 0: (B, K).

    A matrix of all products needs so much memory that it takes longer.
    """
    largest = np.zeros((len(points), points.shape[2]))
    for i in range(len(points)):
        for n in range(sides.shape[2]):
            across, down = sides[i, 0, n], sides[i, 1, n]
            for k in range(points.shape[2]):
                product = across * points[i, 0, k] + down * points[i, 1, k]
                largest[i, k] = max(largest[i, k], product)
    return largest


def outline(points: np.ndarray) -> Outline:
    """The outline of the round head, without the face, from `surface_points` (B, V, 3)."""
    places = _in_picture(points, _round_head())
    middle = _middle(places)
    return Outline(middle=middle, reach=((places - middle[:, None]) @ _sides()).amax(1))


def _middle(places: Tensor) -> Tensor:
    """The middle (B, 2) of the square in which points (B, K, 2) lie."""
    return (places.amax(1) + places.amin(1)) / 2


def inside_outline(points: np.ndarray, size: int) -> Tensor:
    """1 on the pixels inside the outline of the round head, 0 beside it: (B, 1, size, size)."""
    head = outline(points)
    # A coarser map is fine enough for what is smooth.
    coarse = min(size, OUTLINE_SIZE)
    away = _pixels(coarse).flatten(1) * (size / coarse) - head.middle[..., None]
    ratio = head.ratio(away).float().view(-1, 1, coarse, coarse)
    return (resampled(ratio, size) <= 1).float()


def outline_motion(start: np.ndarray, end: np.ndarray, roll: Tensor, size: int) -> Tensor:
    """Where each pixel around a head was in the source, so that the outline of the round head there
    becomes its outline here: x and y (B, 2, size, size).

    A pixel that lies twice as far from the middle as the outline does so in the source, too.

    start, end: `surface_points` (B, V, 3) of the source (or 1 for all) and of the picture to be
    made. roll: (B,) radians, by which the head is rolled anticlockwise from the source on.
    """
    before, now = outline(start), outline(end)
    # A coarser map is fine enough for what is smooth.
    coarse = min(size, OUTLINE_SIZE)
    away = _pixels(coarse).flatten(1) * (size / coarse) - now.middle[..., None]
    cos, sin = roll.cpu().double().cos(), roll.cpu().double().sin()
    back = torch.stack([cos, -sin, sin, cos], -1).view(-1, 2, 2) @ away
    ratio = now.ratio(away) / before.ratio(back).clamp(min=1e-6)
    places = before.middle[..., None] + back * ratio[:, None]
    motion = (places - away - now.middle[..., None]).float().view(-1, 2, coarse, coarse)
    return pixel_centres(size, motion.device) + resampled(motion, size)


def _pixels(size: int) -> Tensor:
    """The centres x and y of pixels: (2, size, size)."""
    return pixel_centres(size, torch.device("cpu")).double()[0]


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


def skull_share(
    end: np.ndarray, held: Tensor, front: Tensor, lag: Tensor, crop_side: float
) -> Tensor:
    """How much the skull's motion moves each pixel that has no motion of its own: (B, 1, S, S).

    Hair moves with the skull, which turns less far in the picture than the face before it. The
    share is 1 above the forehead, and falls to 0 at the chin, beside what is `held`, and where the
    skull's motion would show the front of the face a second time. It also falls to 0 where the face
    pulls hair inwards, away from the outline of the head: there hair turns into view.

    end: `surface_points` (B, V, 3) of the picture to be made. held: (B, 1, S, S), 1 on parts that
    have a motion of their own. front: (B, 1, S, S), 1 where the skull's motion leads to the front
    of the face. lag: (B, 2, S, S) pixels, from where the skull's motion leads to where the motion
    of the surroundings does. crop_side: pixels.
    """
    share = _above(end, held.shape[2], FOREHEAD_HEIGHT, CHIN_HEIGHT).to(held)
    reach = max(1, round(NEAR * crop_side))
    share = share * (1 - _inwards(end, lag) / (PULLED * crop_side)).clamp(0, 1)
    return share * (1 - _widened(held, reach)) * (1 - _widened(front, max(1, reach // 2)))


def _inwards(end: np.ndarray, lag: Tensor) -> Tensor:
    """How far the face pulls hair inwards, in pixels, at least 0: (B, 1, S, S). So far `lag`, see
    `skull_share`, points away from the middle of the head.
    """
    size = lag.shape[2]
    # A coarser map is fine enough for what is smooth.
    coarse = resampled(lag, OUTLINE_SIZE)
    middle = _middle(_in_picture(end, _round_head())).float().to(lag)[..., None, None]
    away = pixel_centres(OUTLINE_SIZE, lag.device) * (size / OUTLINE_SIZE) - middle
    outwards = away / away.norm(dim=1, keepdim=True).clamp(min=1)
    return resampled((coarse * outwards).sum(1, keepdim=True).clamp(min=0), size)


def above_chin(points: np.ndarray, size: int) -> Tensor:
    """1 in the rows of a picture above the mouth, falling to 0 at the chin: (B, 1, size, 1).

    points: `surface_points` (B, V, 3) of the picture.
    """
    return _above(points, size, MOUTH_HEIGHT, CHIN_HEIGHT)


def above_shoulders(points: np.ndarray, size: int) -> Tensor:
    """As `above_chin`, from the neck below the chin down to the shoulders."""
    return _above(points, size, NECK_HEIGHT, SHOULDER_HEIGHT)


def above_eyes(points: np.ndarray, size: int) -> Tensor:
    """As `above_chin`, from the hairline down to the eyes."""
    return _above(points, size, HAIRLINE_HEIGHT, EYE_HEIGHT)


def _above(points: np.ndarray, size: int, high: float, low: float) -> Tensor:
    top, bottom = (points[:, _at_height(height), 1].mean(1) for height in (high, low))
    rows = np.arange(size) + 0.5
    share = (bottom[:, None] - rows) / (bottom - top).clip(1)[:, None]
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
