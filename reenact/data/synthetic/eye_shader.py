"""Shader for the eyeballs: sclera, iris, limbal ring, pupil, caustic, mirrored surroundings."""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from reenact.data.synthetic.light import NUM_SHARP_LIGHTS
from reenact.data.synthetic.materials import Appearance
from reenact.data.synthetic.shading_math import (
    Surroundings,
    blurred_radiance,
    clip01,
    drawn_point,
    half_way,
    mirrored,
    step,
    unit,
)
from reenact.data.synthetic.surface_shader import Mesh
from reenact.face.surface.raster import EYE

IRIS_ANGLE = 0.50
"""Radians from the middle of the pupil to the limbus, seen from the eyeball's centre."""
CORNEA_BULGE = 0.35


@nb.njit(inline="always")
def _environment(picture: np.ndarray, x: float, y: float, z: float, k: int) -> float:
    """Nearest colour of the surroundings in a direction."""
    height, width = picture.shape[0], picture.shape[1]
    column = int((0.5 - math.atan2(x, z) / (2 * math.pi)) * width) % width
    row = int((0.5 - math.asin(min(1.0, max(-1.0, y))) / math.pi) * height)
    return picture[min(height - 1, max(0, row)), column, k]


@nb.njit(inline="always")
def _shade_eye(
    point: tuple, which: int, view: tuple, scene: Surroundings, look: Appearance, colour: np.ndarray
) -> None:
    """Radiance of one point of eyeball `which`, in the shadow of the lids."""
    r, eyes = scene.rotation, scene.eyes
    ox, oy, oz = point[0] - eyes[which, 0], point[1] - eyes[which, 1], point[2] - eyes[which, 2]
    up = ox * r[0, 1] + oy * r[1, 1] + oz * r[2, 1]
    side = abs(ox * r[0, 0] + oy * r[1, 0] + oz * r[2, 0])
    nx, ny, nz = unit(ox, oy, oz)
    lx = nx * eyes[2, 0] + ny * eyes[3, 0] + nz * eyes[4, 0]
    ly = nx * eyes[2, 1] + ny * eyes[3, 1] + nz * eyes[4, 1]
    lz = nx * eyes[2, 2] + ny * eyes[3, 2] + nz * eyes[4, 2]
    angle, around = math.acos(min(1.0, max(-1.0, lz))), math.atan2(ly, lx)
    ring = angle / IRIS_ANGLE
    iris = 1 - step(0.90, 1.06, ring)
    pupil = 1 - step(look.pupil - 0.04, look.pupil + 0.04, angle)
    fibre = 0.80 + 0.22 * math.sin(around * 23 + 3 * math.sin(around * 7)) * math.sin(
        around * 41 + 1.3
    )
    fibre += 0.35 * math.exp(-(((ring - 0.55) / 0.16) ** 2))
    limbus = 1 - 0.72 * step(0.72, 1.0, ring)
    lids = 1 - 0.55 * step(0.015, 0.095, up) - 0.15 * step(0.0, 0.06, -up - 0.03)
    lids *= 1 - 0.30 * step(0.07, 0.14, side)
    vein = step(0.8, 1.4, angle) * 0.12
    # Light that enters the cornea is gathered on the side away from it.
    bx, by, bz = unit(
        nx + CORNEA_BULGE * iris * (nx - eyes[2, 2]),
        ny + CORNEA_BULGE * iris * (ny - eyes[3, 2]),
        nz + CORNEA_BULGE * iris * (nz - eyes[4, 2]),
    )
    facing = clip01(bx * view[0] + by * view[1] + bz * view[2])
    for k in range(3):
        white = look.sclera[k] * (1 - vein * (0.3 if k == 0 else 1.0))
        base = white * (1 - iris) + look.iris[k] * limbus * 2.3 * fibre * iris
        albedo = base * (1 - pupil) + 0.004 * pupil
        received = 0.55 * scene.front[k] + 0.45 * blurred_radiance(scene.soft, nx, ny, nz, k)
        for i in range(NUM_SHARP_LIGHTS):
            direction = scene.light_directions
            nl = nx * direction[i, 0] + ny * direction[i, 1] + nz * direction[i, 2]
            across = lx * (
                direction[i, 0] * eyes[2, 0]
                + direction[i, 1] * eyes[3, 0]
                + direction[i, 2] * eyes[4, 0]
            ) + ly * (
                direction[i, 0] * eyes[2, 1]
                + direction[i, 1] * eyes[3, 1]
                + direction[i, 2] * eyes[4, 1]
            )
            caustic = 1 - 1.6 * iris * across
            wrap = max(0.0, (nl + 0.25) / 1.25) * max(0.2, caustic)
            received += wrap * 0.8 * scene.eyes_seen[which, i] * scene.light_colours[i, k]
        colour[k] = albedo * received * lids
    rx, ry, rz = mirrored((bx, by, bz), view)
    fresnel = (0.03 + 0.5 * (1 - facing) ** 5) * (0.35 + 0.65 * lids)
    for k in range(3):
        seen = min(12.0, _environment(scene.environment, rx, ry, rz, k))
        colour[k] += fresnel * seen * (0.5 + 0.5 * iris)
    for i in range(NUM_SHARP_LIGHTS):
        hx, hy, hz = half_way(view, scene.light_directions, i)
        nh = clip01(bx * hx + by * hy + bz * hz)
        glint = (nh**420 * 1.3 + nh**60 * 0.05) * (0.3 + 0.7 * lids) * scene.eyes_seen[which, i]
        for k in range(3):
            colour[k] += glint * scene.light_colours[i, k]


@nb.njit(cache=True, fastmath=True)
def shade_eyes(
    triangle_id: np.ndarray,
    barycentric: np.ndarray,
    mesh: Mesh,
    scene: Surroundings,
    look: Appearance,
    supersample: int,
    image: np.ndarray,
    coverage: np.ndarray,
) -> None:
    """Add the eyeballs' pixels into `image` (S, S, 3) and `coverage` (S, S, 5).

    See `shade_surface` for the planes.
    """
    share = 1.0 / (supersample * supersample)
    colour = np.zeros(3)
    points = mesh.points
    for iy in range(triangle_id.shape[0]):
        for ix in range(triangle_id.shape[1]):
            t = triangle_id[iy, ix]
            if t < 0 or mesh.material[t] != EYE:
                continue
            oy, ox = iy // supersample, ix // supersample
            corners = mesh.triangles[t, 0], mesh.triangles[t, 1], mesh.triangles[t, 2]
            weights = barycentric[iy, ix, 0], barycentric[iy, ix, 1], barycentric[iy, ix, 2]
            point, view = drawn_point(points, corners, weights, scene.camera)
            which = 0 if (corners[0] - mesh.num_body) < mesh.num_eyeball else 1
            _shade_eye(point, which, view, scene, look, colour)
            for k in range(3):
                image[oy, ox, k] += colour[k] * share
            coverage[oy, ox, 0] += share
            coverage[oy, ox, 1] += share
            coverage[oy, ox, 3] += share
