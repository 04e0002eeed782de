"""Pixel shader for skin, clothes, mouth, eyes and hair (numba, one pass, no temporaries).

Vertex attribute columns: 0-2 normal, 3-5 position on the mean head, 6-8 soft irradiance, 9-10
visibility of key and rim light, 11 ambient occlusion, 12-16 masks, 17-18 texture pixel, 19 head
weight.

All of it stays in one file: numba's cache of `shade` notices changes of its own file only, and the
helpers are inlined into it (passing the named tuples to real calls costs half the speed).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba as nb
import numpy as np

NUM_ATTRIBUTES = 20
NUM_SHARP_LIGHTS = 2
WRAP = (0.30, 0.12, 0.07)
SCLERA = (0.74, 0.66, 0.62)
SCLERA_FADE = (0.3, 1.0, 1.0)
ENAMEL = (0.88, 0.83, 0.73)
TONGUE_COLOUR = (0.42, 0.12, 0.11)


class Mesh(NamedTuple):
    """Everything drawn: body vertices, then two eyeballs, then hair."""

    triangles: np.ndarray
    material: np.ndarray
    points: np.ndarray
    attributes: np.ndarray
    num_body: int
    num_eyeball: int
    hair_offset: int
    hair_normals: np.ndarray
    hair_attributes: np.ndarray
    """(Vh, 6): strand and root-to-tip coordinate, level, tangent."""


class Scene(NamedTuple):
    """Lights (first NUM_SHARP_LIGHTS sharp, the others soft), pose and camera."""

    light_directions: np.ndarray
    light_colours: np.ndarray
    ambient: float
    exposure: float
    rotation: np.ndarray
    camera: np.ndarray
    eyes: np.ndarray
    """(5, 3): two eyeball centres, then the eye rotation matrix."""
    background: np.ndarray
    """(H, W, 3) linear colours."""
    background_from_pixel: np.ndarray
    """(2, 3) affine map from super-sampled pixel to background pixel."""


class Look(NamedTuple):
    """Colours and shapes of one person."""

    texture: np.ndarray
    """(H, W, 6): linear albedo, bump gradient x and y, gloss."""
    texture_scale: float
    iris: np.ndarray
    pupil: float
    hair_colour: np.ndarray
    hair_map: np.ndarray
    curl: float
    has_hair: bool
    hairline_angle: np.ndarray
    hairline_height: np.ndarray
    scalp_tint: float
    scalp_centre: np.ndarray
    scalp_axes: np.ndarray
    collar: float
    v_neck: float
    stripe: float
    cloth_phase: float
    cloth_colour: np.ndarray


@nb.njit(cache=True, fastmath=True)
def vertex_normals(points: np.ndarray, triangles: np.ndarray, normals: np.ndarray) -> None:
    """Write area-weighted unit normals of (V, 3) points into `normals`."""
    normals[:] = 0
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        e0 = points[b, 0] - points[a, 0]
        e1 = points[b, 1] - points[a, 1]
        e2 = points[b, 2] - points[a, 2]
        f0 = points[c, 0] - points[a, 0]
        f1 = points[c, 1] - points[a, 1]
        f2 = points[c, 2] - points[a, 2]
        x, y, z = e1 * f2 - e2 * f1, e2 * f0 - e0 * f2, e0 * f1 - e1 * f0
        for k in (a, b, c):
            normals[k, 0] += x
            normals[k, 1] += y
            normals[k, 2] += z
    for i in range(normals.shape[0]):
        x, y, z = normals[i, 0], normals[i, 1], normals[i, 2]
        length = 1.0 / (math.sqrt(x * x + y * y + z * z) + 1e-12)
        normals[i, 0] *= length
        normals[i, 1] *= length
        normals[i, 2] *= length


@nb.njit(inline="always")
def _step(low: float, high: float, x: float) -> float:
    t = min(1.0, max(0.0, (x - low) / (high - low)))
    return t * t * (3 - 2 * t)


@nb.njit(inline="always")
def _clip01(x: float) -> float:
    return min(1.0, max(0.0, x))


@nb.njit(inline="always")
def _unit(x: float, y: float, z: float) -> tuple[float, float, float]:
    length = 1.0 / math.sqrt(x * x + y * y + z * z + 1e-12)
    return x * length, y * length, z * length


@nb.njit(inline="always")
def _half_way(view: tuple, lights: np.ndarray, i: int) -> tuple[float, float, float]:
    return _unit(view[0] + lights[i, 0], view[1] + lights[i, 1], view[2] + lights[i, 2])


@nb.njit(inline="always")
def _texture(look: Look, u: float, v: float, texel: np.ndarray) -> None:
    """Bilinear texture look-up at a pixel of the full-size texture."""
    rows, columns = look.texture.shape[0], look.texture.shape[1]
    fx = min(columns - 1.001, max(0.0, u * look.texture_scale - 0.5))
    fy = min(rows - 1.001, max(0.0, v * look.texture_scale - 0.5))
    i, j = int(fx), int(fy)
    fx -= i
    fy -= j
    for k in range(6):
        top = look.texture[j, i, k] * (1 - fx) + look.texture[j, i + 1, k] * fx
        low = look.texture[j + 1, i, k] * (1 - fx) + look.texture[j + 1, i + 1, k] * fx
        texel[k] = top * (1 - fy) + low * fy


@nb.njit(inline="always")
def _bumped(normal: tuple, rotation: np.ndarray, bx: float, by: float) -> tuple:
    """Normal tilted by the bump gradient in the texture's tangent frame."""
    nx, ny, nz = normal
    r = rotation
    tx, ty, tz = _unit(
        r[1, 1] * nz - r[2, 1] * ny, r[2, 1] * nx - r[0, 1] * nz, r[0, 1] * ny - r[1, 1] * nx
    )
    ux, uy, uz = ny * tz - nz * ty, nz * tx - nx * tz, nx * ty - ny * tx
    return _unit(
        nx - 1.1 * (tx * bx - ux * by),
        ny - 1.1 * (ty * bx - uy * by),
        nz - 1.1 * (tz * bx - uz * by),
    )


@nb.njit(inline="always")
def _clothes(look: Look, attr: np.ndarray, albedo: np.ndarray) -> float:
    """Blend the shirt into `albedo`; returns its coverage."""
    x, y, z = attr[3], attr[4], attr[5]
    edge = look.collar
    if z > -0.9:
        edge -= look.v_neck * max(0.0, 0.45 - abs(x))
    if z < -1.2:
        edge += 0.10
    cover = _step(-0.012, 0.012, edge - y)
    if cover > 0:
        shade = 1 + 0.06 * math.sin(x * 60 + look.cloth_phase) * math.sin(y * 60)
        if look.stripe > 0:
            shade = 1.25 if math.sin(y * look.stripe * 4) > 0 else 0.75
        shade *= 0.75 + 0.25 * _step(0.0, 0.05, edge - y)
        for k in range(3):
            albedo[k] = albedo[k] * (1 - cover) + look.cloth_colour[k] * shade * cover
    return cover


@nb.njit(inline="always")
def _above_hairline(look: Look, attr: np.ndarray) -> float:
    """Height above the hairline (dm)."""
    qx = attr[3] - look.scalp_centre[0]
    qy = attr[4] - look.scalp_centre[1]
    qz = attr[5] - look.scalp_centre[2]
    axes = look.scalp_axes
    side = qx * axes[2, 0] + qy * axes[2, 1] + qz * axes[2, 2]
    forward = qx * axes[1, 0] + qy * axes[1, 1] + qz * axes[1, 2]
    angle = abs(math.atan2(side, forward))
    knots, heights = look.hairline_angle, look.hairline_height
    i = 0
    while i < knots.shape[0] - 2 and angle > knots[i + 1]:
        i += 1
    part = (angle - knots[i]) / (knots[i + 1] - knots[i])
    return attr[4] - (heights[i] + (heights[i + 1] - heights[i]) * part)


@nb.njit(inline="always")
def _scalp(look: Look, attr: np.ndarray, albedo: np.ndarray) -> float:
    """Tint the scalp, darken below the hair; returns the gloss factor."""
    ear = _clip01(attr[14])
    above = _above_hairline(look, attr)
    tint = _step(-0.07, 0.06, above) * (1 - ear) * look.scalp_tint
    for k in range(3):
        albedo[k] = albedo[k] * (1 - tint) + look.hair_colour[k] * 0.5 * tint
    if look.has_hair:
        shadow = 1 - 0.30 * _step(-0.22, 0.0, above) * (1 - 0.5 * ear)
        for k in range(6, 11):
            attr[k] *= shadow
    return 1 - 0.7 * min(1.0, tint * 1.2)


@nb.njit(inline="always")
def _mouth_parts(
    kind: int, attr: np.ndarray, scene: Scene, albedo: np.ndarray, gloss: float
) -> float:
    """Albedo of teeth, tongue, lashes and the mouth's inside; returns the gloss."""
    if kind == 0:
        inside = _clip01(attr[15])
        albedo[0] = albedo[0] * (1 - inside) + 0.22 * inside
        albedo[1] = albedo[1] * (1 - inside) + 0.045 * inside
        albedo[2] = albedo[2] * (1 - inside) + 0.04 * inside
        return gloss
    if kind == 2:
        phase = math.atan2(attr[3], attr[5] + 0.35) * 7.5 + 0.5
        phase = (phase - math.floor(phase) - 0.5) / 0.10
        gap = (1 - 0.30 * math.exp(-phase * phase)) * math.exp(-((attr[3] / 0.19) ** 4))
        for k in range(3):
            albedo[k] = ENAMEL[k] * gap
            attr[6 + k] = attr[6 + k] * 0.5 + 0.45 * scene.ambient + 0.06
        attr[9] += 0.3
        attr[10] += 0.12
        return 0.5
    if kind == 3:
        for k in range(3):
            albedo[k] = TONGUE_COLOUR[k]
        return 0.4
    albedo[0], albedo[1], albedo[2] = 0.01, 0.008, 0.008
    return 0.0


@nb.njit(inline="always")
def _surface_light(
    scene: Scene,
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
    facing = _clip01(nx * view[0] + ny * view[1] + nz * view[2])
    for i in range(NUM_SHARP_LIGHTS):
        seen = attr[9 + i]
        if seen <= 0:
            continue
        nl = nx * lights[i, 0] + ny * lights[i, 1] + nz * lights[i, 2]
        specular = 0.0
        if nl > 0 and gloss > 0:
            hx, hy, hz = _half_way(view, lights, i)
            nh = _clip01(nx * hx + ny * hy + nz * hz)
            vh = _clip01(view[0] * hx + view[1] * hy + view[2] * hz)
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
    rim = (1 - facing) ** 4 * gloss * 0.25 * attr[11]
    for k in range(3):
        colour[k] += rim * attr[6 + k]


@nb.njit(inline="always")
def _shade_surface(
    kind: int,
    attr: np.ndarray,
    texel: np.ndarray,
    view: tuple,
    scene: Scene,
    look: Look,
    albedo: np.ndarray,
    colour: np.ndarray,
) -> None:
    """Skin, clothes, teeth, tongue, lashes."""
    normal = _unit(attr[0], attr[1], attr[2])
    _texture(look, attr[17], attr[18], texel)
    for k in range(3):
        albedo[k] = texel[k]
    gloss, cloth, weight = texel[5], 0.0, attr[19]
    if kind == 0:
        if weight > 0.4:
            normal = _bumped(normal, scene.rotation, texel[3], texel[4])
        if weight < 0.45:
            cloth = _clothes(look, attr, albedo)
            gloss = gloss * (1 - cloth) + 0.04 * cloth
        if weight > 0.6:
            gloss *= _scalp(look, attr, albedo)
    gloss = _mouth_parts(kind, attr, scene, albedo, gloss)
    _surface_light(scene, attr, normal, view, albedo, gloss, cloth, colour)


@nb.njit(inline="always")
def _shade_eye(
    point: tuple,
    which: int,
    view: tuple,
    scene: Scene,
    look: Look,
    albedo: np.ndarray,
    colour: np.ndarray,
) -> None:
    """Sclera, iris, limbus, pupil and highlight, shaded by the lids."""
    r, eyes, lights, colours = (
        scene.rotation,
        scene.eyes,
        scene.light_directions,
        scene.light_colours,
    )
    ox, oy, oz = point[0] - eyes[which, 0], point[1] - eyes[which, 1], point[2] - eyes[which, 2]
    up = ox * r[0, 1] + oy * r[1, 1] + oz * r[2, 1]
    side = abs(ox * r[0, 0] + oy * r[1, 0] + oz * r[2, 0])
    nx, ny, nz = _unit(ox, oy, oz)
    lx = nx * eyes[2, 0] + ny * eyes[3, 0] + nz * eyes[4, 0]
    ly = nx * eyes[2, 1] + ny * eyes[3, 1] + nz * eyes[4, 1]
    lz = nx * eyes[2, 2] + ny * eyes[3, 2] + nz * eyes[4, 2]
    angle, around = math.acos(min(1.0, max(-1.0, lz))), math.atan2(ly, lx)
    ring = angle / 0.50
    fibre = 0.75 + 0.28 * math.sin(around * 23 + 3 * math.sin(around * 7)) * math.sin(
        around * 41 + 1.3
    )
    fibre += 0.25 * math.exp(-(((ring - 0.55) / 0.15) ** 2))
    limbus = (1 - 0.75 * _step(0.80, 1.02, ring)) * (0.75 + 0.5 * min(1.0, max(-1.0, -ly / 0.45)))
    iris = 1 - _step(0.94, 1.06, ring)
    pupil = 1 - _step(look.pupil - 0.03, look.pupil + 0.03, angle)
    fade = _step(0.5, 1.2, angle) * 0.10
    lids = 1 - 0.62 * _step(0.0, 0.085, up + 0.01) - 0.15 * _step(0.0, 0.06, -up - 0.02)
    lids *= 1 - 0.35 * _step(0.07, 0.14, side)
    for k in range(3):
        white = SCLERA[k] * (1 - fade * SCLERA_FADE[k])
        base = white * (1 - iris) + look.iris[k] * limbus * 2.1 * fibre * iris
        albedo[k] = base * (1 - pupil) + 0.004 * pupil
        colour[k] = albedo[k] * scene.ambient * 1.32
    bulge = 0.35 * iris
    bx, by, bz = _unit(
        nx + bulge * (nx - eyes[2, 2]),
        ny + bulge * (ny - eyes[3, 2]),
        nz + bulge * (nz - eyes[4, 2]),
    )
    for i in range(NUM_SHARP_LIGHTS):
        nl = nx * lights[i, 0] + ny * lights[i, 1] + nz * lights[i, 2]
        nl = max(0.0, (nl + 0.25) / 1.25) * 0.75
        hx, hy, hz = _half_way(view, lights, i)
        nh = _clip01(bx * hx + by * hy + bz * hz)
        glint = (nh**350 * 1.6 + nh**60 * 0.10) * max(lids, 0.4) / max(lids, 0.15)
        for k in range(3):
            colour[k] += (albedo[k] * nl + glint) * colours[i, k]
    for k in range(3):
        colour[k] *= lids


@nb.njit(inline="always")
def _shade_hair(
    corner: tuple,
    bary: tuple,
    view: tuple,
    mesh: Mesh,
    scene: Scene,
    look: Look,
    albedo: np.ndarray,
    colour: np.ndarray,
) -> None:
    """Strand-wise diffuse and two shifted highlights (Kajiya and Kay)."""
    lights, colours, table = scene.light_directions, scene.light_colours, mesh.hair_attributes
    nx, ny, nz, u, v, tx, ty, tz = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for n in range(3):
        h, w = corner[n] - mesh.hair_offset, bary[n]
        nx += w * mesh.hair_normals[h, 0]
        ny += w * mesh.hair_normals[h, 1]
        nz += w * mesh.hair_normals[h, 2]
        u += w * table[h, 0]
        v += w * table[h, 1]
        tx += w * table[h, 3]
        ty += w * table[h, 4]
        tz += w * table[h, 5]
    level = table[corner[0] - mesh.hair_offset, 2]
    nx, ny, nz = _unit(nx, ny, nz)
    if nx * view[0] + ny * view[1] + nz * view[2] < 0:
        nx, ny, nz = -nx, -ny, -nz
    rows, columns = look.hair_map.shape[1], look.hair_map.shape[2]
    i = min(columns - 1, max(0, int(u * (columns - 1) + 0.5)))
    j = min(rows - 1, max(0, int(v * (rows - 1) + 0.5)))
    strand, clump = look.hair_map[0, j, i], look.hair_map[1, j, i]
    tilt = (strand - 0.5) * 0.5
    tx, ty, tz = _unit(tx + nx * tilt, ty + ny * tilt, tz + nz * tilt)
    depth = (0.35 + 0.65 * level) * (0.72 + 0.28 * _step(0.0, 0.25, v))
    bright = (0.45 + 1.1 * strand) * (0.75 + 0.5 * clump)
    mean = (look.hair_colour[0] + look.hair_colour[1] + look.hair_colour[2]) / 3
    for k in range(3):
        albedo[k] = look.hair_colour[k] * bright
        colour[k] = 0.0
    for i in range(NUM_SHARP_LIGHTS, lights.shape[0]):
        nl = nx * lights[i, 0] + ny * lights[i, 1] + nz * lights[i, 2]
        soft = max(0.0, nl * 0.5 + 0.5) * 0.55 * depth
        for k in range(3):
            colour[k] += albedo[k] * soft * colours[i, k]
    for i in range(NUM_SHARP_LIGHTS):
        nl = nx * lights[i, 0] + ny * lights[i, 1] + nz * lights[i, 2]
        nl = max(0.0, nl + 0.3) / 1.3
        tl = tx * lights[i, 0] + ty * lights[i, 1] + tz * lights[i, 2]
        hx, hy, hz = _half_way(view, lights, i)
        th = tx * hx + ty * hy + tz * hz + 0.10 * (strand - 0.5)
        across = math.sqrt(max(0.0, 1 - th * th))
        gleam = across**70 * 0.045 * nl * depth * (1 - 0.8 * look.curl) * (0.25 + mean)
        gleam *= 0.4 + 1.2 * strand
        tinted = across**14 * 0.28 * nl * depth
        diffuse = nl * (0.45 + 0.55 * math.sqrt(max(0.0, 1 - tl * tl))) * depth
        for k in range(3):
            colour[k] += (albedo[k] * (diffuse + tinted) + gleam) * colours[i, k]


@nb.njit(inline="always")
def _sample_background(scene: Scene, x: float, y: float, colour: np.ndarray) -> None:
    """Bilinear background colour at a super-sampled pixel position."""
    m, picture = scene.background_from_pixel, scene.background
    fx = m[0, 0] * x + m[0, 1] * y + m[0, 2] - 0.5
    fy = m[1, 0] * x + m[1, 1] * y + m[1, 2] - 0.5
    fx = min(picture.shape[1] - 1.001, max(0.0, fx))
    fy = min(picture.shape[0] - 1.001, max(0.0, fy))
    i, j = int(fx), int(fy)
    fx -= i
    fy -= j
    for k in range(3):
        top = picture[j, i, k] * (1 - fx) + picture[j, i + 1, k] * fx
        low = picture[j + 1, i, k] * (1 - fx) + picture[j + 1, i + 1, k] * fx
        colour[k] = top * (1 - fy) + low * fy


@nb.njit(cache=True, fastmath=True)
def _tone_map(image: np.ndarray, exposure: float) -> None:
    """Filmic curve and display gamma in place."""
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            for k in range(3):
                value = image[y, x, k] * exposure
                value = value * (1 + value / 4) / (1 + value) * 1.25
                image[y, x, k] = _clip01(value) ** (1 / 2.2)


@nb.njit(cache=True, fastmath=True)
def shade(
    triangle_id: np.ndarray,
    barycentric: np.ndarray,
    mesh: Mesh,
    scene: Scene,
    look: Look,
    supersample: int,
    image: np.ndarray,
    coverage: np.ndarray,
) -> None:
    """Add the shaded pixels into `image` (S, S, 3) and `coverage` (S, S, 3), both zero before.

    Coverage planes: foreground (head, hair, clothes), face region, hair. The image is display
    colour in [0, 1].
    """
    share = 1.0 / (supersample * supersample)
    attr, texel = np.zeros(NUM_ATTRIBUTES), np.zeros(6)
    colour, albedo = np.zeros(3), np.zeros(3)
    points = mesh.points
    for iy in range(triangle_id.shape[0]):
        for ix in range(triangle_id.shape[1]):
            t = triangle_id[iy, ix]
            oy, ox = iy // supersample, ix // supersample
            if t < 0:
                _sample_background(scene, ix + 0.5, iy + 0.5, colour)
                for k in range(3):
                    image[oy, ox, k] += colour[k] * share
                continue
            kind = mesh.material[t]
            a, b, c = mesh.triangles[t, 0], mesh.triangles[t, 1], mesh.triangles[t, 2]
            w0, w1, w2 = barycentric[iy, ix, 0], barycentric[iy, ix, 1], barycentric[iy, ix, 2]
            px = w0 * points[a, 0] + w1 * points[b, 0] + w2 * points[c, 0]
            py = w0 * points[a, 1] + w1 * points[b, 1] + w2 * points[c, 1]
            pz = w0 * points[a, 2] + w1 * points[b, 2] + w2 * points[c, 2]
            view = _unit(scene.camera[0] - px, scene.camera[1] - py, scene.camera[2] - pz)
            coverage[oy, ox, 0] += share
            if kind == 5:
                coverage[oy, ox, 2] += share
                _shade_hair((a, b, c), (w0, w1, w2), view, mesh, scene, look, albedo, colour)
            elif kind == 1:
                coverage[oy, ox, 1] += share
                which = 0 if (a - mesh.num_body) < mesh.num_eyeball else 1
                _shade_eye((px, py, pz), which, view, scene, look, albedo, colour)
            else:
                for k in range(NUM_ATTRIBUTES):
                    table = mesh.attributes
                    attr[k] = w0 * table[a, k] + w1 * table[b, k] + w2 * table[c, k]
                if kind != 0 or max(attr[16], attr[15]) > 0.3:
                    coverage[oy, ox, 1] += share
                _shade_surface(kind, attr, texel, view, scene, look, albedo, colour)
            for k in range(3):
                image[oy, ox, k] += colour[k] * share
    _tone_map(image, scene.exposure)
