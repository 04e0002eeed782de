"""Small functions that the shaders inline, and the scene that they read.

numba's cache of a shader notices changes of the shader's own file only: remove `__pycache__` after
a change here.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba as nb
import numpy as np

SURFACE_DARK = 0.02
"""The soft light never falls below this, because order-2 harmonics can undershoot."""


class Surroundings(NamedTuple):
    """Light, pose and camera of one frame."""

    light_directions: np.ndarray
    """(2, 3) sharp lights."""
    light_colours: np.ndarray
    soft: np.ndarray
    """(9, 3) harmonics of the soft light: the sum over lights of colour times basis."""
    environment: np.ndarray
    """(32, 64, 3) surroundings, as eyes mirror them."""
    front: np.ndarray
    """(3,) soft light on a surface that faces like the face."""
    rotation: np.ndarray
    camera: np.ndarray
    eyes: np.ndarray
    """(5, 3): two eyeball centres, then the eye rotation matrix."""
    eyes_seen: np.ndarray
    """(2, 2) how much of each sharp light reaches each eye."""
    mouth_light: float
    """Share of the light that enters the mouth."""


@nb.njit(inline="always")
def step(low: float, high: float, x: float) -> float:
    """Cubic step from 0 at `low` to 1 at `high`."""
    t = min(1.0, max(0.0, (x - low) / (high - low)))
    return t * t * (3 - 2 * t)


@nb.njit(inline="always")
def clip01(x: float) -> float:
    return min(1.0, max(0.0, x))


@nb.njit(inline="always")
def unit(x: float, y: float, z: float) -> tuple[float, float, float]:
    length = 1.0 / math.sqrt(x * x + y * y + z * z + 1e-12)
    return x * length, y * length, z * length


@nb.njit(inline="always")
def weighted(values: np.ndarray, corners: tuple, weights: tuple, k: int) -> float:
    """Column k of `values` (V, K) at a point of a triangle, by its barycentric coordinates."""
    a, b, c = corners
    return weights[0] * values[a, k] + weights[1] * values[b, k] + weights[2] * values[c, k]


@nb.njit(inline="always")
def drawn_point(
    points: np.ndarray, corners: tuple, weights: tuple, camera: np.ndarray
) -> tuple[tuple, tuple]:
    """A point of a triangle of `points` (V, 3), and the direction from there to the camera."""
    x = weighted(points, corners, weights, 0)
    y = weighted(points, corners, weights, 1)
    z = weighted(points, corners, weights, 2)
    return (x, y, z), unit(camera[0] - x, camera[1] - y, camera[2] - z)


@nb.njit(inline="always")
def half_way(view: tuple, lights: np.ndarray, i: int) -> tuple[float, float, float]:
    """Unit vector between the directions to the camera and to light `i`."""
    return unit(view[0] + lights[i, 0], view[1] + lights[i, 1], view[2] + lights[i, 2])


@nb.njit(inline="always")
def mirrored(normal: tuple, view: tuple) -> tuple[float, float, float]:
    """Direction that a mirror with this normal shows to the viewer."""
    d = 2 * (normal[0] * view[0] + normal[1] * view[1] + normal[2] * view[2])
    return d * normal[0] - view[0], d * normal[1] - view[1], d * normal[2] - view[2]


@nb.njit(inline="always")
def blurred_radiance(soft: np.ndarray, x: float, y: float, z: float, k: int) -> float:
    """Soft light of channel `k` that comes from a direction, strongly blurred."""
    e = 0.282095 * soft[0, k] + 0.43974 * (y * soft[1, k] + z * soft[2, k] + x * soft[3, k])
    e += 0.71 * (x * y * soft[4, k] + y * z * soft[5, k] + x * z * soft[7, k])
    e += 0.205 * (3 * z * z - 1) * soft[6, k] + 0.355 * (x * x - y * y) * soft[8, k]
    return max(SURFACE_DARK, e * math.pi)
