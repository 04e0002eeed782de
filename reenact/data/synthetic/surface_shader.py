"""Shader for skin, clothes, teeth, tongue and the inside of the mouth (numba, one pass).

Vertex attribute columns: 0-2 normal, 3-5 position on the mean head, 6-8 soft irradiance, 9-10
visibility of the sharp lights, 11 ambient occlusion, 12-16 masks, 17-18 texture pixel, 19 head
weight.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba as nb
import numpy as np

from reenact.data.synthetic.light import NUM_SHARP_LIGHTS
from reenact.data.synthetic.materials import Appearance, clothes, mouth_parts, scalp, texture_at
from reenact.data.synthetic.shading_math import (
    Surroundings,
    blurred_radiance,
    clip01,
    drawn_point,
    half_way,
    mirrored,
    unit,
    weighted,
)
from reenact.face.surface.raster import EYE, PLAIN

NUM_ATTRIBUTES = 20
SAME_SURFACE = 0.004
"""Depths of one pixel that differ by less belong to one surface (0.08 dm)."""
WRAP = (0.30, 0.12, 0.07)


class Mesh(NamedTuple):
    """Everything that is rasterised: body vertices, then two eyeballs, then the solids."""

    triangles: np.ndarray
    material: np.ndarray
    points: np.ndarray
    attributes: np.ndarray
    num_body: int
    num_eyeball: int


@nb.njit(inline="always")
def _bumped(normal: tuple, rotation: np.ndarray, bx: float, by: float) -> tuple:
    """Normal tilted by the bump gradient in the texture's tangent frame."""
    nx, ny, nz = normal
    r = rotation
    tx, ty, tz = unit(
        r[1, 1] * nz - r[2, 1] * ny, r[2, 1] * nx - r[0, 1] * nz, r[0, 1] * ny - r[1, 1] * nx
    )
    ux, uy, uz = ny * tz - nz * ty, nz * tx - nx * tz, nx * ty - ny * tx
    return unit(
        nx - 1.1 * (tx * bx - ux * by),
        ny - 1.1 * (ty * bx - uy * by),
        nz - 1.1 * (tz * bx - uz * by),
    )


@nb.njit(inline="always")
def surface_light(
    scene: Surroundings,
    attr: np.ndarray,
    normal: tuple,
    view: tuple,
    albedo: np.ndarray,
    gloss: float,
    cloth: float,
    colour: np.ndarray,
) -> None:
    """Soft light, coloured wrap diffuse and two specular lobes."""
    nx, ny, nz = normal
    lights, colours = scene.light_directions, scene.light_colours
    for k in range(3):
        colour[k] = albedo[k] * attr[6 + k]
    facing = clip01(nx * view[0] + ny * view[1] + nz * view[2])
    for i in range(NUM_SHARP_LIGHTS):
        seen = attr[9 + i]
        if seen <= 0:
            continue
        nl = nx * lights[i, 0] + ny * lights[i, 1] + nz * lights[i, 2]
        specular = 0.0
        if nl > 0 and gloss > 0:
            hx, hy, hz = half_way(view, lights, i)
            nh = clip01(nx * hx + ny * hy + nz * hz)
            vh = clip01(view[0] * hx + view[1] * hy + view[2] * hz)
            fresnel = 0.04 + 0.5 * (1 - vh) ** 5
            lobes = nh**18 * 0.35 + nh**70 * 0.8
            specular = lobes * gloss * fresnel * 9 * seen * math.sqrt(nl) * 0.55
        for k in range(3):
            wrap = WRAP[k] * (1 - cloth)
            diffuse = (nl + wrap) / (1 + wrap)
            if diffuse > 0:
                # Red light leaks into the shadow's edge, as below skin.
                shadow = math.sqrt(seen * math.sqrt(seen)) if k == 0 else seen
                colour[k] += albedo[k] * diffuse * shadow * colours[i, k]
            colour[k] += specular * colours[i, k]
    # The surroundings mirrored in the skin's oil, at grazing angles above all.
    rx, ry, rz = mirrored(normal, view)
    rim = (0.02 + 0.55 * (1 - facing) ** 5) * gloss * attr[11] * attr[11]
    for k in range(3):
        colour[k] += rim * blurred_radiance(scene.soft, rx, ry, rz, k)


@nb.njit(inline="always")
def _shade_point(
    kind: int,
    attr: np.ndarray,
    texel: np.ndarray,
    view: tuple,
    scene: Surroundings,
    look: Appearance,
    albedo: np.ndarray,
    colour: np.ndarray,
) -> tuple[float, float]:
    """Radiance of one point of skin, clothes, teeth or tongue.

    Returns how much of it is cloth, and how much is hair close to the scalp.
    """
    normal = unit(attr[0], attr[1], attr[2])
    texture_at(look, attr[17], attr[18], texel)
    for k in range(3):
        albedo[k] = texel[k]
    gloss, cloth, hair, weight = texel[5], 0.0, 0.0, attr[19]
    if kind == 0:
        if weight > 0.4:
            normal = _bumped(normal, scene.rotation, texel[3], texel[4])
        if weight < 0.45:
            cloth = clothes(look, attr, albedo)
            gloss = gloss * (1 - cloth) + 0.04 * cloth
        if weight > 0.6:
            hair = scalp(look, attr, albedo)
            gloss *= 1 - 0.7 * min(1.0, hair * 1.2)
    gloss = mouth_parts(kind, attr, scene, albedo, gloss)
    surface_light(scene, attr, normal, view, albedo, gloss, cloth, colour)
    return cloth, hair


@nb.njit(inline="always")
def _is_plain(
    triangle_id: np.ndarray, nearest: np.ndarray, material: np.ndarray, x: int, y: int, n: int
) -> bool:
    """Whether all n x n samples from (x, y) on lie on one surface of one material."""
    first = triangle_id[y, x]
    if first < 0:
        return False
    kind, low, high = material[first], nearest[y, x], nearest[y, x]
    for j in range(y, y + n):
        for i in range(x, x + n):
            t = triangle_id[j, i]
            if t < 0 or material[t] != kind:
                return False
            low, high = min(low, nearest[j, i]), max(high, nearest[j, i])
    return high - low < SAME_SURFACE


@nb.njit(cache=True, fastmath=True)
def shade_surface(
    triangle_id: np.ndarray,
    barycentric: np.ndarray,
    nearest: np.ndarray,
    mesh: Mesh,
    scene: Surroundings,
    look: Appearance,
    supersample: int,
    image: np.ndarray,
    coverage: np.ndarray,
) -> None:
    """Add the pixels of the head and the clothes into `image` (S, S, 3) and `coverage`.

    `image` gets linear radiance times coverage. Coverage planes (S, S, 5): person, face region,
    hair, head, things before the face. The hair here is that close to the scalp; strands come
    later. A pixel within one surface is shaded once; at edges each sample is shaded.
    """
    attr, texel = np.zeros(NUM_ATTRIBUTES), np.zeros(6)
    colour, albedo = np.zeros(3), np.zeros(3)
    points, table = mesh.points, mesh.attributes
    size = image.shape[0]
    for oy in range(size):
        for ox in range(size):
            x0, y0 = ox * supersample, oy * supersample
            plain = _is_plain(triangle_id, nearest, mesh.material, x0, y0, supersample)
            num = 1 if plain else supersample * supersample
            share = 1.0 / num
            for n in range(num):
                iy, ix = y0 + n // supersample, x0 + n % supersample
                t = triangle_id[iy, ix]
                if t < 0 or mesh.material[t] == EYE or mesh.material[t] == PLAIN:
                    continue
                kind = mesh.material[t]
                corners = mesh.triangles[t, 0], mesh.triangles[t, 1], mesh.triangles[t, 2]
                weights = barycentric[iy, ix, 0], barycentric[iy, ix, 1], barycentric[iy, ix, 2]
                _, view = drawn_point(points, corners, weights, scene.camera)
                for k in range(NUM_ATTRIBUTES):
                    attr[k] = weighted(table, corners, weights, k)
                cloth, hair = _shade_point(kind, attr, texel, view, scene, look, albedo, colour)
                coverage[oy, ox, 0] += share
                coverage[oy, ox, 3] += share * (1 - cloth)
                coverage[oy, ox, 2] += share * hair
                if kind != 0 or max(attr[16], attr[15]) > 0.3:
                    coverage[oy, ox, 1] += share * (1 - hair)
                for k in range(3):
                    image[oy, ox, k] += colour[k] * share
