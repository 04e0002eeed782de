"""Scalar triangle rasteriser (numba).

Materials: 0 skin and clothes, 1 eyeball, 2 teeth, 3 tongue, 4 eyelashes, 5 plain. Materials below 4
are drawn single-sided.
"""

from __future__ import annotations

import numba as nb
import numpy as np

SKIN, EYE, TEETH, TONGUE, LASH, PLAIN = range(6)
FAR = 9.0


@nb.njit(cache=True, fastmath=True, nogil=True)
def _rasterize(
    xy: np.ndarray,
    depth: np.ndarray,
    triangles: np.ndarray,
    material: np.ndarray,
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
                nearest[iy, ix] = z
                triangle_id[iy, ix] = t
                barycentric[iy, ix, 0] = w0
                barycentric[iy, ix, 1] = w1
                barycentric[iy, ix, 2] = w2


def rasterize(
    xy: np.ndarray,
    depth: np.ndarray,
    triangles: np.ndarray,
    material: np.ndarray,
    height: int,
    width: int,
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
        triangle_id,
        barycentric,
        nearest,
    )
    return triangle_id, barycentric
