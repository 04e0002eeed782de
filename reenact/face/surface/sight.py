"""What a picture shows of the head's surface, and what it hides."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import maximum_filter, minimum_filter

from reenact.face.surface.visible import NUM_PARTS, draw_surface

HIDDEN_BELOW = 0.12
"""dm: a point that lies deeper than this below the surface that the source shows there is hidden.
"""


def shown(points: np.ndarray, size: int, outline: int) -> np.ndarray:
    """What a picture of side `size` shows of a surface (V, 3), see `surface_points`.

    Returns planes (2 + NUM_PARTS, size, size): the depth; whether a pixel is more than `outline`
    pixels inside the outline; and for each part whether it is seen in or next to the pixel.
    """
    drawn, part = draw_surface(points, points[:, 2:], size)
    is_drawn = part >= 0
    depth = np.where(is_drawn, drawn[..., 0], np.inf)
    is_part = part == np.arange(NUM_PARTS)[:, None, None]
    is_inner = minimum_filter(is_drawn, 2 * outline + 1, mode="nearest")
    return np.concatenate([depth[None], is_inner[None], maximum_filter(is_part, (1, 3, 3))])


def is_seen(point: np.ndarray, part: np.ndarray, planes: np.ndarray) -> np.ndarray:
    """Whether a picture shows the points x, y, depth (S, S, 3) of these parts (S, S).

    planes: of `shown`. Nothing may lie clearly above a point, no lid above an eyeball and no lip
    above teeth. Beyond the border of the picture nothing hides anything.
    """
    row, column, is_inside = pixel_of(point, planes.shape[-1])
    is_near = point[..., 2] <= planes[0, row, column] + HIDDEN_BELOW
    return ~is_inside | (is_near & (planes[2 + part, row, column] > 0))


def pixel_of(point: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row and column of the pixel nearest to x, y, and whether these lie inside the picture."""
    column, row = (np.floor(point[..., k]).astype(int) for k in (0, 1))
    is_inside = (column >= 0) & (column < size) & (row >= 0) & (row < size)
    return row.clip(0, size - 1), column.clip(0, size - 1), is_inside
