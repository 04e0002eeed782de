"""Glints of glasses: what clear lenses mirror of the surroundings (numba)."""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from reenact.data.synthetic.shading_math import Surroundings, mirrored, unit

CURVATURE = 0.75
"""How much a lens bends, in 1/dm: the normal turns so far for each dm from its middle."""
COATING = (0.75, 1.0, 0.95)
"""Colour of what coated glass mirrors."""
MIRRORED = 0.05
"""Share of the light that a clear lens mirrors when it is seen from the front."""
BRIGHTEST = 25.0


@nb.njit(inline="always")
def _is_inside(outline: np.ndarray, x: float, y: float) -> bool:
    """Whether a point lies in the closed polygon (P, 2)."""
    inside = False
    for n in range(outline.shape[0] - 1):
        x0, y0, x1, y1 = outline[n, 0], outline[n, 1], outline[n + 1, 0], outline[n + 1, 1]
        if (y0 > y) != (y1 > y) and x < x0 + (y - y0) / (y1 - y0) * (x1 - x0):
            inside = not inside
    return inside


@nb.njit(inline="always")
def _surroundings(picture: np.ndarray, x: float, y: float, z: float, k: int) -> float:
    """Bilinear colour of the surroundings in a direction."""
    height, width = picture.shape[0], picture.shape[1]
    u = (0.5 - math.atan2(x, z) / (2 * math.pi)) * width - 0.5
    v = (0.5 - math.asin(min(1.0, max(-1.0, y))) / math.pi) * height - 0.5
    v = min(height - 1.001, max(0.0, v))
    i, j = math.floor(u), int(v)
    fx, fy = u - i, v - j
    left, right = int(i) % width, (int(i) + 1) % width
    top = picture[j, left, k] * (1 - fx) + picture[j, right, k] * fx
    low = picture[j + 1, left, k] * (1 - fx) + picture[j + 1, right, k] * fx
    return top * (1 - fy) + low * fy


@nb.njit(cache=True, fastmath=True)
def shade_lenses(
    outlines: np.ndarray,
    middles: np.ndarray,
    depth: np.ndarray,
    strength: float,
    scene: Surroundings,
    nearest: np.ndarray,
    supersample: int,
    image: np.ndarray,
) -> None:
    """Add what two lenses mirror to `image` (S, S, 3), the radiance of the surface.

    outlines: (2, P, 2) closed, in samples. middles: (2, 3) posed, dm. depth: (2,) of the middles.
    nearest: (S ss, S ss) depth of the surface. A lens behind it mirrors nothing.
    """
    share = strength / (supersample * supersample)
    forward = scene.rotation[:, 2]
    side = nearest.shape[0]
    for lens in range(2):
        outline, middle = outlines[lens], middles[lens]
        low_x, high_x = outline[:, 0].min(), outline[:, 0].max()
        low_y, high_y = outline[:, 1].min(), outline[:, 1].max()
        middle_x, middle_y = 0.5 * (low_x + high_x), 0.5 * (low_y + high_y)
        # A lens is about 0.34 dm high, however it is turned.
        unit_length = 0.34 / max(1.0, high_y - low_y)
        for iy in range(max(0, int(low_y)), min(side, int(high_y) + 1)):
            for ix in range(max(0, int(low_x)), min(side, int(high_x) + 1)):
                if depth[lens] >= nearest[iy, ix]:
                    continue
                if not _is_inside(outline, ix + 0.5, iy + 0.5):
                    continue
                dx, dy = (ix + 0.5 - middle_x) * unit_length, (middle_y - iy - 0.5) * unit_length
                view = unit(
                    scene.camera[0] - middle[0] - dx,
                    scene.camera[1] - middle[1] - dy,
                    scene.camera[2] - middle[2],
                )
                normal = unit(forward[0] + CURVATURE * dx, forward[1] + CURVATURE * dy, forward[2])
                facing = normal[0] * view[0] + normal[1] * view[1] + normal[2] * view[2]
                if facing <= 0:
                    continue
                x, y, z = mirrored(normal, view)
                fresnel = MIRRORED + (1 - MIRRORED) * (1 - facing) ** 5
                for k in range(3):
                    light = min(BRIGHTEST, _surroundings(scene.environment, x, y, z, k))
                    oy, ox = iy // supersample, ix // supersample
                    image[oy, ox, k] += light * fresnel * COATING[k] * share
