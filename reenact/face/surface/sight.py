"""What a picture shows of the head's surface, and what it hides."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import maximum_filter, minimum_filter

from reenact.face.surface.visible import NUM_PARTS, draw_surface

HIDDEN_BELOW = 0.12
"""dm: a point that lies deeper than this below the surface that the source shows there is hidden.
"""


class Shown(NamedTuple):
    """What a picture of side S shows of a head's surface.

    depth: (S, S) dm, infinite beside the head.
    is_inner: (S, S), whether a pixel is well inside the outline.
    parts: (NUM_PARTS, S, S), whether each part is seen in or next to the pixel.
    """

    depth: np.ndarray
    is_inner: np.ndarray
    parts: np.ndarray


def shown(points: np.ndarray, size: int, outline: int) -> Shown:
    """What a picture of side `size` shows of a surface (V, 3), see `surface_points`.

    outline: pixels; what is nearer to the outline is not well inside of it.
    """
    drawn, part = draw_surface(points, points[:, 2:], size)
    is_drawn = part >= 0
    is_part = part == np.arange(NUM_PARTS)[:, None, None]
    return Shown(
        depth=np.where(is_drawn, drawn[..., 0], np.float32(np.inf)),
        is_inner=minimum_filter(is_drawn, 2 * outline + 1, mode="nearest"),
        parts=maximum_filter(is_part, (1, 3, 3)),
    )


def is_seen(point: np.ndarray, part: np.ndarray, source: Shown) -> np.ndarray:
    """Whether a picture shows the points x, y, depth (S, S, 3) of these parts (S, S).

    Nothing may lie clearly above a point, no lid above an eyeball and no lip above teeth. Beyond
    the border of the picture nothing hides anything.
    """
    row, column, is_inside = pixel_of(point, len(source.depth))
    is_near = point[..., 2] <= source.depth[row, column] + HIDDEN_BELOW
    return ~is_inside | (is_near & source.parts[part, row, column])


def pixel_of(point: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row and column of the pixel nearest to x, y, and whether these lie inside the picture."""
    column, row = (np.floor(point[..., k]).astype(int) for k in (0, 1))
    is_inside = (column >= 0) & (column < size) & (row >= 0) & (row < size)
    return row.clip(0, size - 1), column.clip(0, size - 1), is_inside
