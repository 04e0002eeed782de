"""Scalar triangle rasteriser with an alpha test for hair shells and eyelashes (numba).

Materials: 0 skin and clothes, 1 eyeball, 2 teeth, 3 tongue, 4 eyelashes, 5 hair, 6 plain.
Materials below 4 are drawn single-sided.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

SKIN, EYE, TEETH, TONGUE, LASH, HAIR, PLAIN = range(7)
FAR = 9.0


class AlphaMaps(NamedTuple):
    """What the alpha test reads: hair shells and eyelashes."""

    hair_offset: int
    """Index of the first hair vertex."""
    hair_uv: np.ndarray
    """(Vh, 2) strand coordinate and root-to-tip coordinate."""
    hair_level: np.ndarray
    """(Vh,) shell height in (0, 1]."""
    hair_map: np.ndarray
    """(2, H, W) strand and clump density in [0, 1]."""
    hair_threshold: float
    lash_x: np.ndarray
    """(V,) lateral position on the unposed head."""
    lash_level: np.ndarray
    """(V,) distance from the lid, 0 to 1."""
    lash_density: float


@nb.njit(inline="always")
def _hair_hole(maps: AlphaMaps, a: int, b: int, c: int, w0: float, w1: float, w2: float) -> bool:
    """True where the shell has no strand."""
    a, b, c = a - maps.hair_offset, b - maps.hair_offset, c - maps.hair_offset
    uv = maps.hair_uv
    u = w0 * uv[a, 0] + w1 * uv[b, 0] + w2 * uv[c, 0]
    v = w0 * uv[a, 1] + w1 * uv[b, 1] + w2 * uv[c, 1]
    rows, columns = maps.hair_map.shape[1], maps.hair_map.shape[2]
    i = min(columns - 1, max(0, int(u * (columns - 1))))
    j = min(rows - 1, max(0, int(v * (rows - 1))))
    strand, clump = maps.hair_map[0, j, i], maps.hair_map[1, j, i]
    tip = min(1.0, max(0.0, (v - 0.88) / 0.12))
    tip = tip * tip * (3 - 2 * tip)
    height = maps.hair_level[a] * maps.hair_threshold * 0.62
    return strand * 0.6 + clump * 0.4 < 0.06 + height + tip * 0.30 * (0.4 + strand)


@nb.njit(inline="always")
def _lash_hole(maps: AlphaMaps, a: int, b: int, c: int, w0: float, w1: float, w2: float) -> bool:
    """True between two lashes."""
    x = w0 * maps.lash_x[a] + w1 * maps.lash_x[b] + w2 * maps.lash_x[c]
    phase = x * 95.0 + 1.7 * np.sin(x * 57.0)
    phase = phase - np.floor(phase)
    level = w0 * maps.lash_level[a] + w1 * maps.lash_level[b] + w2 * maps.lash_level[c]
    return level > 0.8 or phase > maps.lash_density * 1.3 * (1.0 - level)


@nb.njit(cache=True, fastmath=True)
def _rasterize(
    xy: np.ndarray,
    depth: np.ndarray,
    triangles: np.ndarray,
    material: np.ndarray,
    maps: AlphaMaps,
    triangle_id: np.ndarray,
    barycentric: np.ndarray,
    nearest: np.ndarray,
) -> None:
    height, width = nearest.shape
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        x0, x1, x2 = xy[a, 0], xy[b, 0], xy[c, 0]
        y0, y1, y2 = xy[a, 1], xy[b, 1], xy[c, 1]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        kind = material[t]
        if (kind < 4 and area >= 0) or abs(area) < 1e-9:
            continue
        ix0 = max(0, int(np.ceil(min(x0, x1, x2) - 0.5)))
        ix1 = min(width - 1, int(np.floor(max(x0, x1, x2) - 0.5)))
        iy0 = max(0, int(np.ceil(min(y0, y1, y2) - 0.5)))
        iy1 = min(height - 1, int(np.floor(max(y0, y1, y2) - 0.5)))
        if ix0 > ix1 or iy0 > iy1:
            continue
        inverse = 1.0 / area
        za, zb, zc = depth[a], depth[b], depth[c]
        for iy in range(iy0, iy1 + 1):
            for ix in range(ix0, ix1 + 1):
                fx, fy = ix + 0.5, iy + 0.5
                w0 = ((x1 - fx) * (y2 - fy) - (x2 - fx) * (y1 - fy)) * inverse
                w1 = ((x2 - fx) * (y0 - fy) - (x0 - fx) * (y2 - fy)) * inverse
                w2 = 1.0 - w0 - w1
                if w0 < -1e-5 or w1 < -1e-5 or w2 < -1e-5:
                    continue
                z = w0 * za + w1 * zb + w2 * zc
                if z >= nearest[iy, ix]:
                    continue
                if kind == 5 and _hair_hole(maps, a, b, c, w0, w1, w2):
                    continue
                if kind == 4 and _lash_hole(maps, a, b, c, w0, w1, w2):
                    continue
                nearest[iy, ix] = z
                triangle_id[iy, ix] = t
                barycentric[iy, ix, 0] = w0
                barycentric[iy, ix, 1] = w1
                barycentric[iy, ix, 2] = w2


def no_alpha() -> AlphaMaps:
    """Maps for meshes without hair and lashes."""
    one = np.zeros(1, np.float32)
    return AlphaMaps(
        0, np.zeros((1, 2), np.float32), one, np.zeros((2, 2, 2), np.float32), 0.5, one, one, 0.0
    )


def rasterize(
    xy: np.ndarray,
    depth: np.ndarray,
    triangles: np.ndarray,
    material: np.ndarray,
    height: int,
    width: int,
    maps: AlphaMaps | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw triangles (T, 3) of vertices at pixels `xy` (V, 2) with `depth` (V,), smaller = nearer.

    Returns the triangle of every pixel (height, width) int32, -1 where none, and its screen
    barycentric coordinates (height, width, 3) float32.
    """
    triangle_id = np.full((height, width), -1, np.int32)
    barycentric = np.zeros((height, width, 3), np.float32)
    nearest = np.full((height, width), FAR, np.float32)
    _rasterize(
        np.ascontiguousarray(xy, np.float32),
        np.ascontiguousarray(depth, np.float32),
        triangles,
        material,
        no_alpha() if maps is None else maps,
        triangle_id,
        barycentric,
        nearest,
    )
    return triangle_id, barycentric
