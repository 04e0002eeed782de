"""Moves, lights and draws strands (numba).

The strands are drawn from back to front with soft edges, so a wisp covers a pixel only partly. A
strand behind the head or the clothes is hidden by the depth of the rasterised surface.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from reenact.data.synthetic.light import NUM_SHARP_LIGHTS
from reenact.data.synthetic.shading_math import SURFACE_DARK, unit
from reenact.data.synthetic.strands import CLOTH, HAIR, ON_FACE
from reenact.face.surface.raster import FAR

NUM_BINS = 4096
"""Steps of depth by which segments are sorted."""
DEPTH_BIAS = 0.0012


@nb.njit(cache=True, fastmath=True)
def move_strands(
    points: np.ndarray, anchor: np.ndarray, share: np.ndarray, moved: np.ndarray, out: np.ndarray
) -> None:
    """Write points (V, 3) plus the expression's displacements `moved` of their anchors to `out`."""
    for v in range(points.shape[0]):
        for k in range(3):
            out[v, k] = points[v, k]
        if share[v, 0] + share[v, 1] + share[v, 2] > 0:
            for n in range(3):
                for k in range(3):
                    out[v, k] += share[v, n] * moved[anchor[v, n], k]


@nb.njit(inline="always")
def _turned(rotation: np.ndarray, vectors: np.ndarray, v: int) -> tuple[float, float, float]:
    """Row `v` of `vectors` (V, 3), turned by `rotation` (3, 3)."""
    x, y, z = vectors[v, 0], vectors[v, 1], vectors[v, 2]
    return (
        rotation[0, 0] * x + rotation[0, 1] * y + rotation[0, 2] * z,
        rotation[1, 0] * x + rotation[1, 1] * y + rotation[1, 2] * z,
        rotation[2, 0] * x + rotation[2, 1] * y + rotation[2, 2] * z,
    )


@nb.njit(inline="always")
def _soft_light(soft: np.ndarray, normal: tuple, k: int) -> float:
    """Soft light of channel `k` on a surface with this normal.

    Order-2 irradiance (Ramamoorthi and Hanrahan 2001), bands 1, 2/3, 1/4.
    """
    x, y, z = normal
    e = 0.282095 * soft[0, k] + 0.325735 * (y * soft[1, k] + z * soft[2, k] + x * soft[3, k])
    e += 0.273137 * (x * y * soft[4, k] + y * z * soft[5, k] + x * z * soft[7, k])
    e += 0.078848 * (3 * z * z - 1) * soft[6, k]
    e += 0.136569 * (x * x - y * y) * soft[8, k]
    return max(SURFACE_DARK, e * math.pi)


@nb.njit(inline="always")
def _scattered(
    tangent: tuple, normal: tuple, view: tuple, light: tuple
) -> tuple[float, float, float, float]:
    """How a strand scatters a sharp light to the camera; all arguments are unit vectors.

    Returns how much light the strand gets, the diffuse share across the strand, the narrow
    highlight of the surface, which is shifted to the root, and the wide highlight, which is shifted
    to the tip and takes the colour of the strand.
    """
    (tx, ty, tz), (nx, ny, nz), (vx, vy, vz), (lx, ly, lz) = tangent, normal, view, light
    wrap = max(0.0, (nx * lx + ny * ly + nz * lz + 0.35) / 1.35)
    tl = tx * lx + ty * ly + tz * lz
    across = math.sqrt(max(0.0, 1 - tl * tl))
    hx, hy, hz = vx + lx, vy + ly, vz + lz
    length = 1.0 / math.sqrt(hx * hx + hy * hy + hz * hz + 1e-9)
    th = (tx * hx + ty * hy + tz * hz) * length
    first, second = th + 0.10, th - 0.14
    narrow = max(0.0, 1 - first * first) ** 45
    wide = max(0.0, 1 - second * second) ** 9
    return wrap, across, narrow, wide


@nb.njit(cache=True, fastmath=True)
def light_strands(
    points: np.ndarray,
    colours: np.ndarray,
    normals: np.ndarray,
    openness: np.ndarray,
    gloss: np.ndarray,
    tangent_start: np.ndarray,
    camera: np.ndarray,
    rotation: np.ndarray,
    lights: np.ndarray,
    light_colours: np.ndarray,
    seen: np.ndarray,
    soft: np.ndarray,
    out: np.ndarray,
) -> None:
    """Radiance of every strand point into `out` (V, 3): Kajiya and Kay 1989, two highlights.

    The first arrays are those of `StrandArrays`. `normals` are turned by `rotation`. `seen` (V, 2)
    is how much of each sharp light arrives, and `soft` (9, 3) are the soft light's coefficients.
    """
    for v in range(points.shape[0]):
        a = tangent_start[v]
        tangent = unit(
            points[a + 1, 0] - points[a, 0],
            points[a + 1, 1] - points[a, 1],
            points[a + 1, 2] - points[a, 2],
        )
        normal = _turned(rotation, normals, v)
        view = unit(
            camera[0] - points[v, 0],
            camera[1] - points[v, 1],
            camera[2] - points[v, 2],
        )
        for k in range(3):
            out[v, k] = colours[v, k] * _soft_light(soft, normal, k) * openness[v]
        for i in range(NUM_SHARP_LIGHTS):
            arrives = seen[v, i]
            if arrives <= 0.003:
                continue
            light = (lights[i, 0], lights[i, 1], lights[i, 2])
            wrap, across, narrow, wide = _scattered(tangent, normal, view, light)
            wrap *= arrives
            glint = narrow * 0.10 * gloss[v] * wrap
            diffuse = wrap * (0.30 + 0.55 * across)
            for k in range(3):
                tinted = colours[v, k] * (diffuse + wide * 0.45 * gloss[v] * wrap)
                out[v, k] += (tinted + glint) * light_colours[i, k]


@nb.njit(cache=True)
def _back_to_front(depth: np.ndarray, segments: np.ndarray) -> np.ndarray:
    """The segments, the farthest first: a counting sort into NUM_BINS steps of depth."""
    num = segments.shape[0]
    low, high = 1e9, -1e9
    for s in range(num):
        z = depth[segments[s]]
        low, high = min(low, z), max(high, z)
    scale = (NUM_BINS - 1) / max(high - low, 1e-9)
    starts = np.zeros(NUM_BINS + 1, np.int64)
    for s in range(num):
        starts[NUM_BINS - 1 - int((depth[segments[s]] - low) * scale) + 1] += 1
    for k in range(NUM_BINS):
        starts[k + 1] += starts[k]
    order = np.empty(num, np.int64)
    for s in range(num):
        k = NUM_BINS - 1 - int((depth[segments[s]] - low) * scale)
        order[starts[k]] = segments[s]
        starts[k] += 1
    return order


@nb.njit(inline="always")
def _compared(
    nearest: np.ndarray, supersample: int, ix: int, iy: int, z: float
) -> tuple[int, int, int]:
    """Of the samples of pixel (ix, iy): how many show no surface, and how many show one behind
    depth `z` and before it.
    """
    bare = before = behind = 0
    for sy in range(iy * supersample, (iy + 1) * supersample):
        for sx in range(ix * supersample, (ix + 1) * supersample):
            if nearest[sy, sx] >= FAR:
                bare += 1
            elif z < nearest[sy, sx]:
                before += 1
            else:
                behind += 1
    return bare, before, behind


@nb.njit(cache=True, fastmath=True)
def draw_strands(
    xy: np.ndarray,
    depth: np.ndarray,
    width: np.ndarray,
    colours: np.ndarray,
    kind: np.ndarray,
    segments: np.ndarray,
    nearest: np.ndarray,
    supersample: int,
    plate: np.ndarray,
    plate_cover: np.ndarray,
    surface: np.ndarray,
    coverage: np.ndarray,
) -> None:
    """Blend the segments, from back to front, over the background and over the surface.

    `xy` (V, 2) and `width` (V,) are in pixels; `nearest` (S ss, S ss) is the surface's depth.
    `plate` (S, S, 3) is the background, and `plate_cover` (S, S, 3) how much of it strands cover:
    all strands, hair, and those of the head.
    `surface` (S, S, 3) is the radiance of the surface times its coverage. At an edge of the
    surface a strand behind it must not cover the surface's share of the pixel. Therefore the two
    are kept apart, and `blend_layers` joins them. Planes of `coverage` (S, S, 5): person, face,
    hair, head, things before the face.
    """
    size = plate.shape[0]
    for a in _back_to_front(depth, segments):
        b = a + 1
        x0, y0, x1, y1 = xy[a, 0], xy[a, 1], xy[b, 0], xy[b, 1]
        dx, dy = x1 - x0, y1 - y0
        length2 = dx * dx + dy * dy
        if length2 < 1e-8:
            continue
        reach = 0.5 * max(1.0, max(width[a], width[b])) + 0.5
        ix0, ix1 = max(0, int(min(x0, x1) - reach)), min(size - 1, int(max(x0, x1) + reach))
        iy0, iy1 = max(0, int(min(y0, y1) - reach)), min(size - 1, int(max(y0, y1) + reach))
        if ix0 > ix1 or iy0 > iy1:
            continue
        inverse = 1.0 / length2
        root = math.sqrt(inverse)
        # A segment shorter than a pixel would miss the pixel centres: it may reach beyond its ends.
        slack = max(0.0, 0.5 * root - 0.5)
        fill = 1.0 / (1.0 + 2.0 * slack)
        what = kind[a]
        for iy in range(iy0, iy1 + 1):
            for ix in range(ix0, ix1 + 1):
                px, py = ix + 0.5 - x0, iy + 0.5 - y0
                t = (px * dx + py * dy) * inverse
                if t < -slack or t >= 1 + slack:
                    continue
                distance = abs(px * dy - py * dx) * root
                t = min(1.0, max(0.0, t))
                w = width[a] + (width[b] - width[a]) * t
                cover = 0.5 * max(1.0, w) + 0.5 - distance
                if cover <= 0:
                    continue
                cover = min(1.0, cover) * min(1.0, w) * fill
                z = depth[a] + (depth[b] - depth[a]) * t - DEPTH_BIAS
                bare, before, behind = _compared(nearest, supersample, ix, iy, z)
                if bare > 0:
                    for k in range(3):
                        c = colours[a, k] + (colours[b, k] - colours[a, k]) * t
                        plate[iy, ix, k] += (c - plate[iy, ix, k]) * cover
                    plate_cover[iy, ix, 0] += (1 - plate_cover[iy, ix, 0]) * cover
                    hair = 1.0 if what == HAIR else 0.0
                    head = 0.0 if what == CLOTH else 1.0
                    plate_cover[iy, ix, 1] += (hair - plate_cover[iy, ix, 1]) * cover
                    plate_cover[iy, ix, 2] += (head - plate_cover[iy, ix, 2]) * cover
                if before > 0:
                    cover *= before / (before + behind)
                    whole = coverage[iy, ix, 0]
                    for k in range(3):
                        c = colours[a, k] + (colours[b, k] - colours[a, k]) * t
                        surface[iy, ix, k] += (c * whole - surface[iy, ix, k]) * cover
                    head = 0.0 if what == CLOTH else whole
                    face = whole if what == ON_FACE else 0.0
                    hair = whole if what == HAIR else 0.0
                    coverage[iy, ix, 1] += (face - coverage[iy, ix, 1]) * cover
                    if what != ON_FACE:
                        coverage[iy, ix, 2] += (hair - coverage[iy, ix, 2]) * cover
                    coverage[iy, ix, 3] += (head - coverage[iy, ix, 3]) * cover
                    coverage[iy, ix, 4] -= coverage[iy, ix, 4] * cover


@nb.njit(cache=True, fastmath=True)
def blend_layers(
    plate: np.ndarray, plate_cover: np.ndarray, surface: np.ndarray, coverage: np.ndarray
) -> None:
    """Put the surface over `plate` (S, S, 3) in place, and add strands beside it to `coverage`."""
    for y in range(plate.shape[0]):
        for x in range(plate.shape[1]):
            rest = 1 - coverage[y, x, 0]
            for k in range(3):
                plate[y, x, k] = plate[y, x, k] * rest + surface[y, x, k]
            coverage[y, x, 0] += plate_cover[y, x, 0] * rest
            coverage[y, x, 2] += plate_cover[y, x, 1] * rest
            coverage[y, x, 3] += plate_cover[y, x, 2] * rest
