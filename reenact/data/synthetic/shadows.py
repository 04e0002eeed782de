"""Shadows of the two sharp lights: depth maps of the head and the thickness of the hair."""

from __future__ import annotations

from dataclasses import dataclass

import numba as nb
import numpy as np

from reenact.data.synthetic.geometry import surface_depth
from reenact.face.surface.raster import FAR, SKIN, rasterize

MAP_SIZE = 144
MAP_REACH = 2.6
"""The maps show this many dm around MAP_CENTRE."""
MAP_CENTRE = np.array([0.0, -0.35, -0.6])
DEPTH_SPAN = 12.0
BIAS = 0.05 / DEPTH_SPAN
HAIR_DENSITY = 0.35
"""How fast light fades with the number of strands before a point."""
HAIR_START = 0.06 / DEPTH_SPAN
FADE = 0.35


@dataclass(frozen=True)
class ShadowMap:
    """What one light sees.

    axes: (2, 3), the directions of the map's columns and rows.
    direction: (3,), to the light.
    depth, hair_depth: (S, S) depth of the surface and of the first hair.
    hair_count: (S, S) number of strands in each pixel.
    """

    axes: np.ndarray
    direction: np.ndarray
    depth: np.ndarray
    hair_depth: np.ndarray
    hair_count: np.ndarray


def _axes(direction: np.ndarray) -> np.ndarray:
    up = np.array([0.0, 1, 0]) if abs(direction[1]) < 0.9 else np.array([1.0, 0, 0])
    a = np.cross(up, direction)
    a /= np.linalg.norm(a)
    return np.stack([a, np.cross(direction, a)])


def _map_pixels(
    points: np.ndarray, axes: np.ndarray, direction: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (V, 2) and depths (V,) of points (V, 3), smaller = nearer to the light."""
    scale = MAP_SIZE / (2 * MAP_REACH)
    centred = points - MAP_CENTRE.astype(np.float32)
    xy = centred @ (axes.T * [scale, -scale]).astype(np.float32) + np.float32(MAP_SIZE / 2)
    return xy, 0.5 - centred @ direction.astype(np.float32) / np.float32(DEPTH_SPAN)


def draw_shadow_map(
    direction: np.ndarray,
    points: np.ndarray,
    triangles: np.ndarray,
    hair_points: np.ndarray,
    hair_weight: float,
) -> ShadowMap:
    """What the light from unit vector `direction` meets first.

    `hair_weight` is how many strands of the full hair each of the hair points stands for.
    """
    axes = _axes(direction)
    xy, depth = _map_pixels(points, axes, direction)
    # Skin is drawn from the front only, which is all that a light meets.
    one_sided = np.full(len(triangles), SKIN)
    ids, bary = rasterize(xy, depth, triangles, one_sided, MAP_SIZE, MAP_SIZE)
    surface = surface_depth(ids, bary, triangles, depth, FAR)
    hair_depth = np.full((MAP_SIZE, MAP_SIZE), np.float32(FAR))
    hair_count = np.zeros((MAP_SIZE, MAP_SIZE), np.float32)
    if len(hair_points):
        hair_xy, hair_z = _map_pixels(hair_points, axes, direction)
        _splat(hair_xy, hair_z, hair_weight, hair_depth, hair_count)
    return ShadowMap(axes, direction, surface, hair_depth, hair_count)


@nb.njit(cache=True, fastmath=True)
def _splat(
    xy: np.ndarray, depth: np.ndarray, weight: float, hair_depth: np.ndarray, count: np.ndarray
) -> None:
    """Count points into the map, spread over 2 x 2 pixels."""
    size = count.shape[0]
    for v in range(xy.shape[0]):
        x, y = xy[v, 0] - 0.5, xy[v, 1] - 0.5
        i, j = int(np.floor(x)), int(np.floor(y))
        if i < 0 or j < 0 or i >= size - 1 or j >= size - 1:
            continue
        fx, fy = x - i, y - j
        count[j, i] += weight * (1 - fx) * (1 - fy)
        count[j, i + 1] += weight * fx * (1 - fy)
        count[j + 1, i] += weight * (1 - fx) * fy
        count[j + 1, i + 1] += weight * fx * fy
        for dj in range(2):
            for di in range(2):
                hair_depth[j + dj, i + di] = min(hair_depth[j + dj, i + di], depth[v])


def light_seen(shadow: ShadowMap, points: np.ndarray, softness: float) -> np.ndarray:
    """Share (V,) of the light that reaches points (V, 3).

    `softness` is the reach of the shadow's soft edge in map pixels; 0 is faster.
    """
    xy, depth = _map_pixels(points, shadow.axes, shadow.direction)
    out = np.empty(len(points), np.float32)
    _look_up(xy, depth, shadow.depth, shadow.hair_depth, shadow.hair_count, softness, out)
    return out


@nb.njit(cache=True, fastmath=True)
def _look_up(
    xy: np.ndarray,
    depth: np.ndarray,
    surface: np.ndarray,
    hair_depth: np.ndarray,
    hair_count: np.ndarray,
    softness: float,
    out: np.ndarray,
) -> None:
    size = surface.shape[0]
    reach = 1 if softness > 0 else 0
    for v in range(xy.shape[0]):
        total = 0.0
        for dj in range(-reach, reach + 1):
            for di in range(-reach, reach + 1):
                i = min(size - 1, max(0, int(xy[v, 0] + softness * di)))
                j = min(size - 1, max(0, int(xy[v, 1] + softness * dj)))
                z = depth[v]
                # A surface just before the point shades it partly: no hard step on slopes.
                before = (z - surface[j, i] - BIAS) / (FADE * BIAS)
                seen = min(1.0, max(0.0, 1.0 - before))
                inside = (z - hair_depth[j, i]) / HAIR_START
                if inside > 0:
                    # About exp(-x), at a fraction of its cost.
                    x = HAIR_DENSITY * hair_count[j, i] * min(1.0, inside * 0.35)
                    seen /= 1.0 + x + 0.5 * x * x
                total += seen
        out[v] = total / ((2 * reach + 1) * (2 * reach + 1))
