"""Shader for hoods, scarves, hands and microphones (numba), lit as the skin is.

numba's cache notices changes of this file only: remove `__pycache__` after a change of the
functions that are inlined here.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

from reenact.data.synthetic.frame_light import BANDS
from reenact.data.synthetic.light import spherical_harmonics
from reenact.data.synthetic.shading_math import (
    SURFACE_DARK,
    Surroundings,
    drawn_point,
    unit,
    weighted,
)
from reenact.data.synthetic.shadows import ShadowMap, light_seen
from reenact.data.synthetic.solids import SolidArrays
from reenact.data.synthetic.surface_shader import Mesh, surface_light
from reenact.face.surface.raster import PLAIN

LIFT, SOFTNESS = 0.04, 1.2
"""How far (dm) before a point its shadow is looked up, and the shadow's soft edge in map pixels."""
INSIDE_SOFT, INSIDE_SHARP = 0.45, 0.2
"""Share of the light that reaches the inner side of a hood."""
NUM_COLUMNS = 19


def solid_attributes(
    solids: SolidArrays,
    points: np.ndarray,
    normals: np.ndarray,
    scene: Surroundings,
    shadows: list[ShadowMap | None],
) -> np.ndarray:
    """Vertex attributes (V, 19) float32 of posed solids.

    Columns: 0-2 normal, 3-5 colour, 6-8 soft irradiance, 9-10 visibility of the sharp lights, 11
    openness, 12 gloss, 13 cloth, 14 head, 15 before the face, 16-18 grain.
    """
    table = np.empty((len(points), NUM_COLUMNS), np.float32)
    table[:, :3] = normals
    table[:, 3:6] = solids.constants[:, :3]
    openness = solids.constants[:, 3]
    soft = (spherical_harmonics(normals) * BANDS) @ scene.soft * math.pi
    table[:, 6:9] = np.maximum(soft, SURFACE_DARK) * openness[:, None]
    lifted = (points + normals * np.float32(LIFT)).astype(np.float32)
    for k, shadow in enumerate(shadows):
        table[:, 9 + k] = openness if shadow is None else light_seen(shadow, lifted, SOFTNESS)
    table[:, 11:16] = solids.constants[:, 3:]
    table[:, 16:] = solids.grain
    return table


@nb.njit(cache=True, fastmath=True)
def shade_solids(
    triangle_id: np.ndarray,
    barycentric: np.ndarray,
    mesh: Mesh,
    table: np.ndarray,
    scene: Surroundings,
    supersample: int,
    image: np.ndarray,
    coverage: np.ndarray,
) -> None:
    """Add the solids' pixels into `image` (S, S, 3) and `coverage` (S, S, 5).

    `table` are the attributes of the mesh's last vertices. See `shade_surface` for the planes.
    """
    share = 1.0 / (supersample * supersample)
    attr, albedo, colour = np.zeros(NUM_COLUMNS), np.zeros(3), np.zeros(3)
    points = mesh.points
    first = points.shape[0] - table.shape[0]
    for iy in range(triangle_id.shape[0]):
        for ix in range(triangle_id.shape[1]):
            t = triangle_id[iy, ix]
            if t < 0 or mesh.material[t] != PLAIN:
                continue
            oy, ox = iy // supersample, ix // supersample
            corners = mesh.triangles[t, 0], mesh.triangles[t, 1], mesh.triangles[t, 2]
            weights = barycentric[iy, ix, 0], barycentric[iy, ix, 1], barycentric[iy, ix, 2]
            _, view = drawn_point(points, corners, weights, scene.camera)
            corners = corners[0] - first, corners[1] - first, corners[2] - first
            for k in range(NUM_COLUMNS):
                attr[k] = weighted(table, corners, weights, k)
            nx, ny, nz = unit(attr[0], attr[1], attr[2])
            if nx * view[0] + ny * view[1] + nz * view[2] < -0.1:
                nx, ny, nz = -nx, -ny, -nz
                for k in range(6, 9):
                    attr[k] *= INSIDE_SOFT
                for k in range(9, 11):
                    attr[k] *= INSIDE_SHARP
            grain = 1 + attr[18] * math.sin(attr[16]) * math.sin(attr[17])
            for k in range(3):
                albedo[k] = attr[3 + k] * grain
            surface_light(scene, attr, (nx, ny, nz), view, albedo, attr[12], attr[13], colour)
            for k in range(3):
                image[oy, ox, k] += colour[k] * share
            coverage[oy, ox, 0] += share
            coverage[oy, ox, 3] += share * attr[14]
            coverage[oy, ox, 4] += share * attr[15]
