"""Colours of one person's surfaces: skin, scalp, clothes and the inside of the mouth.

The shader of `surface_shader` inlines these functions. numba's cache notices changes of the
shader's own file only: remove `__pycache__` after a change here. The columns of `attr` are
described there.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numba as nb
import numpy as np

from reenact.data.synthetic.shading_math import Surroundings, clip01, step

ENAMEL = (0.84, 0.77, 0.66)
TONGUE_COLOUR = (0.42, 0.12, 0.11)


class Appearance(NamedTuple):
    """Colours and shapes of one person."""

    texture: np.ndarray
    """(H, W, 6): linear albedo, bump gradient x and y, gloss."""
    texture_scale: float
    iris: np.ndarray
    pupil: float
    sclera: np.ndarray
    hair_colour: np.ndarray
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
    jacket: float
    jacket_colour: np.ndarray


@nb.njit(inline="always")
def texture_at(look: Appearance, u: float, v: float, texel: np.ndarray) -> None:
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
def clothes(look: Appearance, attr: np.ndarray, albedo: np.ndarray) -> float:
    """Blend the shirt into `albedo`; returns its coverage."""
    x, y, z = attr[3], attr[4], attr[5]
    edge = look.collar
    if z > -0.9:
        edge -= look.v_neck * max(0.0, 0.45 - abs(x))
    if z < -1.2:
        edge += 0.10
    cover = step(-0.012, 0.012, edge - y)
    if cover > 0:
        shade = 1 + 0.05 * math.sin(x * 60 + look.cloth_phase) * math.sin(y * 60)
        # Folds hang from the shoulders.
        shade *= 1 + 0.12 * math.sin(x * 7 + look.cloth_phase + 1.5 * math.sin(y * 5 + x * 3))
        if look.stripe > 0:
            shade *= 1.25 if math.sin(y * look.stripe * 4) > 0 else 0.75
        elif look.stripe < 0:
            shade *= 1.15 if math.sin(y * look.stripe * 4) > 0 else 0.85
            shade *= 1.15 if math.sin(x * look.stripe * 4) > 0 else 0.85
        shade *= 0.75 + 0.25 * step(0.0, 0.05, edge - y)
        # A jacket leaves a wedge of the shirt free.
        lapel = abs(x) - look.jacket + 0.35 * (look.collar - y)
        outer = step(-0.01, 0.01, lapel) if look.jacket > 0 and z > -0.9 else 0.0
        outer = 1.0 if look.jacket > 0 and z <= -0.9 else outer
        fold = 0.65 + 0.35 * step(0.0, 0.05, lapel) if look.jacket > 0 else 1.0
        for k in range(3):
            cloth = look.cloth_colour[k] * shade * (1 - outer)
            cloth += look.jacket_colour[k] * fold * outer
            albedo[k] = albedo[k] * (1 - cover) + cloth * cover
    return cover


@nb.njit(inline="always")
def _above_hairline(look: Appearance, attr: np.ndarray) -> float:
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
def scalp(look: Appearance, attr: np.ndarray, albedo: np.ndarray) -> float:
    """Tint the scalp with the hair, darken below it; returns how much of the skin is tinted."""
    ear = clip01(attr[14])
    above = _above_hairline(look, attr)
    tint = step(-0.01, 0.08, above) * (1 - ear) * look.scalp_tint
    for k in range(3):
        albedo[k] = albedo[k] * (1 - tint) + look.hair_colour[k] * 0.55 * tint
    if look.has_hair:
        shadow = 1 - 0.22 * step(-0.16, 0.04, above) * (1 - 0.5 * ear)
        for k in range(6, 11):
            attr[k] *= shadow
    return tint


@nb.njit(inline="always")
def mouth_parts(
    kind: int, attr: np.ndarray, scene: Surroundings, albedo: np.ndarray, gloss: float
) -> float:
    """Albedo of teeth, tongue and the inside of the mouth, and less light there; returns gloss.

    Less light reaches what lies deep in the mouth, and less when the mouth is almost closed.
    """
    light = scene.mouth_light
    if kind == 0:
        inside = clip01(attr[15])
        albedo[0] = albedo[0] * (1 - inside) + 0.20 * inside
        albedo[1] = albedo[1] * (1 - inside) + 0.045 * inside
        albedo[2] = albedo[2] * (1 - inside) + 0.04 * inside
        for k in range(6, 11):
            attr[k] *= 1 - 0.55 * inside
        return gloss
    deep = math.exp(-((attr[3] / 0.21) ** 4)) * (0.25 + 0.75 * step(-0.30, 0.0, attr[5]))
    if kind == 2:
        phase = math.atan2(attr[3], attr[5] + 0.35) * 7.5 + 0.5
        phase = (phase - math.floor(phase) - 0.5) / 0.10
        # Each tooth is round: darker to its sides, and darkest in the gap.
        gap = 1 - 0.30 * math.exp(-phase * phase) - 0.10 * math.exp(-phase * phase * 0.12)
        for k in range(3):
            albedo[k] = ENAMEL[k] * gap * deep
            attr[6 + k] = (attr[6 + k] * 0.4 + 0.5 * scene.front[k]) * light
        attr[9] = (attr[9] * 0.7 + 0.25) * light
        attr[10] = (attr[10] * 0.7 + 0.10) * light
        return 0.45 * deep
    for k in range(3):
        albedo[k] = TONGUE_COLOUR[k] * (0.4 + 0.6 * deep)
    for k in range(6, 11):
        attr[k] *= light
    return 0.35
