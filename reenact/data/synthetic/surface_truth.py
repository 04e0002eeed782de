"""Truth of the surface in each pixel: its normal, and whether frame 0 of the clip shows it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba as nb
import numpy as np

from reenact.data.synthetic.surface_shader import Mesh

NORMAL_UNIT = 127
"""A stored normal is the unit vector times this."""
LEAST_FACING = 0.02
"""Smooth normals may turn away from the camera at outlines: they are bent to this cosine."""
HIDDEN_BIAS = 0.001
"""How far (in depths) a point must lie behind the surface of frame 0 to be hidden: 0.02 dm."""


@dataclass(frozen=True, kw_only=True)
class FirstView:
    """The surface as frame 0 of a clip and its photo show it.

    xy: (V, 2) place of every vertex, in samples.
    depth: (V,) depth of every vertex; smaller = nearer.
    nearest: (H, W) depth of the surface in each sample.
    """

    xy: np.ndarray
    depth: np.ndarray
    nearest: np.ndarray


@dataclass(frozen=True, kw_only=True)
class SurfaceTruth:
    """`normals` (S, S, 3) int8 of `surface_normals`, `hidden` (S, S) uint8 of `hidden_in_first`."""

    normals: np.ndarray
    hidden: np.ndarray


def surface_truth(
    triangle_id: np.ndarray,
    barycentric: np.ndarray,
    mesh: Mesh,
    normals: np.ndarray,
    camera: np.ndarray,
    num_shown: int,
    first: FirstView,
    supersample: int,
) -> SurfaceTruth:
    """Truth of a rasterised frame; `normals` (V, 3) belong to the vertices of the mesh."""
    drawn = (triangle_id, barycentric, mesh.triangles)
    seen = (first.xy, first.depth, first.nearest)
    return SurfaceTruth(
        normals=surface_normals(*drawn, mesh.points, normals, camera, supersample),
        hidden=hidden_in_first(*drawn, num_shown, *seen, supersample),
    )


@nb.njit(cache=True)
def surface_normals(
    triangle_id: np.ndarray,
    barycentric: np.ndarray,
    triangles: np.ndarray,
    points: np.ndarray,
    normals: np.ndarray,
    camera: np.ndarray,
    supersample: int,
) -> np.ndarray:
    """Normals (S, S, 3) int8 of the surface, X to the right, Y up, Z to the camera.

    They are unit vectors times NORMAL_UNIT, and 0 where less than half of the pixel is surface.
    `points` and `normals` (V, 3) belong to the vertices.
    """
    size = triangle_id.shape[0] // supersample
    out = np.zeros((size, size, 3), np.int8)
    normal, place = np.zeros(3), np.zeros(3)
    for oy in range(size):
        for ox in range(size):
            normal[:] = 0
            place[:] = 0
            num = 0
            for iy in range(oy * supersample, (oy + 1) * supersample):
                for ix in range(ox * supersample, (ox + 1) * supersample):
                    t = triangle_id[iy, ix]
                    if t < 0:
                        continue
                    num += 1
                    for c in range(3):
                        corner, weight = triangles[t, c], barycentric[iy, ix, c]
                        for k in range(3):
                            normal[k] += weight * normals[corner, k]
                            place[k] += weight * points[corner, k]
            if 2 * num < supersample * supersample:
                continue
            view = camera - place / num
            view /= math.sqrt((view * view).sum())
            normal /= math.sqrt((normal * normal).sum()) + 1e-9
            facing = (normal * view).sum()
            if facing < LEAST_FACING:
                normal += (LEAST_FACING - facing) * view
                normal /= math.sqrt((normal * normal).sum()) + 1e-9
            for k in range(3):
                out[oy, ox, k] = np.int8(np.rint(normal[k] * NORMAL_UNIT))
    return out


@nb.njit(cache=True)
def hidden_in_first(
    triangle_id: np.ndarray,
    barycentric: np.ndarray,
    triangles: np.ndarray,
    num_shown: int,
    xy: np.ndarray,
    depth: np.ndarray,
    nearest: np.ndarray,
    supersample: int,
) -> np.ndarray:
    """Share (S, S) uint8 of each pixel whose surface point frame 0 does not show, 255 is all of it.

    Only the first `num_shown` triangles count: those of head and clothes. `xy`, `depth` and
    `nearest` are those of `FirstView`. A point is hidden when it faces away in frame 0, lies behind
    another surface, or lies outside of the photo.
    """
    size = triangle_id.shape[0] // supersample
    counts = np.zeros((size, size), np.int64)
    height, width = nearest.shape
    for iy in range(triangle_id.shape[0]):
        for ix in range(triangle_id.shape[1]):
            t = triangle_id[iy, ix]
            if t < 0 or t >= num_shown:
                continue
            a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
            w0, w1, w2 = barycentric[iy, ix, 0], barycentric[iy, ix, 1], barycentric[iy, ix, 2]
            area = (xy[b, 0] - xy[a, 0]) * (xy[c, 1] - xy[a, 1])
            area -= (xy[c, 0] - xy[a, 0]) * (xy[b, 1] - xy[a, 1])
            x = math.floor(w0 * xy[a, 0] + w1 * xy[b, 0] + w2 * xy[c, 0])
            y = math.floor(w0 * xy[a, 1] + w1 * xy[b, 1] + w2 * xy[c, 1])
            hidden = area >= 0 or x < 0 or y < 0 or x >= width or y >= height
            if not hidden:
                # The neighbours are asked, too: a slope is deeper within one sample.
                deepest = np.float32(0)
                for j in range(max(0, y - 1), min(height, y + 2)):
                    for i in range(max(0, x - 1), min(width, x + 2)):
                        deepest = max(deepest, nearest[j, i])
                z = w0 * depth[a] + w1 * depth[b] + w2 * depth[c]
                hidden = z > deepest + HIDDEN_BIAS
            if hidden:
                counts[iy // supersample, ix // supersample] += 1
    share = 255.0 / (supersample * supersample)
    out = np.zeros((size, size), np.uint8)
    for y in range(size):
        for x in range(size):
            out[y, x] = np.uint8(np.rint(counts[y, x] * share))
    return out
