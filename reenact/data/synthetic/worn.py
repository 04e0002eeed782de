"""What people wear on head and neck, as strands: glasses, hats, earrings, collars, scarves."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from reenact.data.synthetic.hair_styles import strand_colours
from reenact.data.synthetic.head_asset import EARS, SCALP_CENTRE, HeadAsset, scalp_direction
from reenact.data.synthetic.scalp import Scalp
from reenact.data.synthetic.skin import linear
from reenact.data.synthetic.strands import CLOTH, ON_FACE, ON_HEAD, Strands

NECK_AXIS = np.array([0.0, 0.0, -1.0])
"""X and Z (dm) of the middle of the neck; Y is not used."""
NECK_RADIUS = 0.60
RIMS = (0, 2)
"""Which strands of glasses are the rims. Glasses come first in what `dress` returns."""
FRAME_COLOURS = np.array(
    [
        [0.02, 0.02, 0.025],
        [0.015, 0.015, 0.015],
        [0.08, 0.04, 0.02],
        [0.16, 0.13, 0.10],
        [0.10, 0.02, 0.03],
        [0.20, 0.20, 0.21],
    ]
)


@dataclass(frozen=True, kw_only=True)
class Worn:
    """Which things a person wears."""

    glasses: bool
    hat: bool
    earrings: bool
    neck: str
    """"none", "collar", "scarf" or "turtleneck"."""


def draw_worn(rng: np.random.Generator, *, male: bool, oldness: float) -> Worn:
    """Most people wear nothing on the head."""
    return Worn(
        glasses=bool(rng.random() < 0.16 + 0.25 * oldness),
        hat=bool(rng.random() < 0.05),
        earrings=bool(rng.random() < (0.04 if male else 0.4)),
        neck=str(rng.choice(["none", "collar", "scarf", "turtleneck"], p=[0.54, 0.32, 0.05, 0.09])),
    )


def dress(
    asset: HeadAsset,
    worn: Worn,
    vertices: np.ndarray,
    cloth: np.ndarray,
    rng: np.random.Generator,
) -> list[Strands]:
    """Strands of everything worn by the identity with neutral `vertices` (V, 3).

    `cloth` (3,) is the linear colour of the shirt.
    """
    made = []
    if worn.glasses:
        made.append(_glasses(asset, vertices, rng))
    if worn.hat:
        made.append(_hat(asset, vertices, rng))
    if worn.earrings:
        made.append(_earrings(asset, vertices, rng))
    if worn.neck == "collar":
        made.append(_collar(cloth, rng))
    elif worn.neck != "none":
        colour = cloth if worn.neck == "turtleneck" else linear(rng.uniform(0.1, 0.9, 3))
        made.append(_rolled(colour, worn.neck == "scarf", rng))
    return made


def _strands(
    points: np.ndarray,
    normals: np.ndarray,
    colours: np.ndarray,
    width: np.ndarray | float,
    kind: int,
    *,
    weight: np.ndarray | float = 1.0,
    openness: np.ndarray | float = 1.0,
    gloss: float = 0.1,
    thinned: bool = True,
) -> Strands:
    count, num_points = points.shape[:2]
    none = np.zeros((count, num_points, 3))
    return Strands(
        points=points,
        colours=np.broadcast_to(colours, points.shape),
        normals=np.broadcast_to(normals, points.shape),
        openness=np.broadcast_to(openness, (count, num_points)),
        width=np.broadcast_to(width, (count, num_points)),
        weight=np.broadcast_to(weight, (count, num_points)),
        anchor=none,
        share=none,
        gloss=gloss,
        kind=kind,
        thinned=thinned,
    )


def _ear(asset: HeadAsset, vertices: np.ndarray, side: float, height: float) -> np.ndarray:
    """A point of the ear on one side, `height` in [0, 1] from the lobe to the top."""
    ear = vertices[(asset.masks[:, EARS] > 0.5) & (asset.mean[:, 0] * side > 0)]
    low, high = ear.min(0), ear.max(0)
    outer = high[0] if side > 0 else low[0]
    y = low[1] + height * (high[1] - low[1])
    near = ear[np.abs(ear[:, 1] - y) < 0.06]
    return np.array([outer * 0.97, y, near[:, 2].mean() if len(near) else ear[:, 2].mean()])


def _glasses(asset: HeadAsset, vertices: np.ndarray, rng: np.random.Generator) -> Strands:
    """Two rims, a bridge and two temples."""
    centres, _ = asset.eyeballs(vertices)
    bridge = vertices[asset.landmark_vertices[27]]
    half = np.array([rng.uniform(0.19, 0.25), rng.uniform(0.13, 0.20)])
    power = rng.uniform(2.0, 4.0)
    front = max(float(bridge[2]) + 0.02, float(centres[:, 2].mean()) + 0.24)
    num = 40
    lines = []
    for side, centre in zip((-1.0, 1.0), centres, strict=True):
        angle = np.linspace(0, 2 * np.pi, num)
        x, y = np.cos(angle), np.sin(angle)
        x, y = (np.sign(v) * np.abs(v) ** (2 / power) for v in (x, y))
        middle_x = side * max(abs(float(centre[0])) + 0.01, half[0] + 0.07)
        rim = np.stack([middle_x + half[0] * x, centre[1] - 0.02 + half[1] * y, 0 * x], 1)
        rim[:, 2] = front - 0.30 * np.maximum(0, np.abs(rim[:, 0]) - 0.12) ** 2
        lines.append(rim)
        hinge = np.array([side * (abs(middle_x) + half[0]), centre[1] + 0.5 * half[1], 0.0])
        hinge[2] = front - 0.30 * (abs(hinge[0]) - 0.12) ** 2
        ear = _ear(asset, vertices, side, 0.88)
        t = np.linspace(0, 1, num)[:, None]
        bow = np.array([side * 0.05, 0.0, 0.0]) * np.sin(np.pi * t)
        lines.append(hinge * (1 - t) + ear * t + bow)
    t = np.linspace(-1, 1, num)
    gap = max(abs(float(centres[0, 0])) + 0.01, half[0] + 0.07) - half[0]
    arch = np.stack([t * gap, bridge[1] - 0.02 + 0.03 * (1 - t * t), 0 * t + front], 1)
    lines.append(arch)
    points = np.stack(lines)
    normals = np.tile([0.0, 0.3, 0.95], (len(lines), num, 1))
    normals[[1, 3]] = [[[-0.9, 0.3, 0.2]], [[0.9, 0.3, 0.2]]]
    colour = FRAME_COLOURS[rng.integers(len(FRAME_COLOURS))] * rng.uniform(0.6, 1.4)
    width = rng.choice([0.018, 0.03, 0.05]) * rng.uniform(0.85, 1.15)
    return _strands(points, normals, colour, width, ON_FACE, gloss=0.35, thinned=False)


def _earrings(asset: HeadAsset, vertices: np.ndarray, rng: np.random.Generator) -> Strands:
    """Rings or drops at both lobes."""
    num, radius = 16, rng.uniform(0.02, 0.16)
    lines = []
    for side in (-1.0, 1.0):
        lobe = _ear(asset, vertices, side, 0.06) + np.array([side * 0.02, -radius, 0.03])
        angle = np.linspace(0, 2 * np.pi, num)
        ring = np.stack([0 * angle, np.cos(angle), np.sin(angle)], 1) * radius
        lines.append(lobe + ring)
    colour = np.array([0.8, 0.62, 0.25]) if rng.random() < 0.5 else np.array([0.7, 0.7, 0.72])
    normals = np.array([0.0, 0.3, 0.95])
    width = rng.uniform(0.015, 0.035)
    return _strands(np.stack(lines), normals, colour, width, ON_HEAD, gloss=3.0, thinned=False)


def _hat(asset: HeadAsset, vertices: np.ndarray, rng: np.random.Generator) -> Strands:
    """A knitted hat: ribs from the crown down to the forehead."""
    scalp = Scalp(asset, vertices)
    count, num = 1100, 12
    azimuth = rng.permutation(np.linspace(-math.pi, math.pi, count, endpoint=False))
    end = np.interp(np.abs(azimuth), [0, 1.2, 1.7, math.pi], [1.42, 1.50, 1.52, 1.70])
    end = end + rng.normal(0, 0.04)
    polar = np.linspace(0.02, 1, num)[None] * end[:, None]
    wide = np.broadcast_to(azimuth[:, None], polar.shape)
    rib = 0.012 * np.sign(np.sin(azimuth * rng.integers(30, 60)))[:, None]
    cuff = 0.05 * (polar > end[:, None] * 0.78)
    rise = rng.uniform(0.03, 0.14) * np.clip(1.2 - polar, 0, 1)
    radius = scalp.radius(wide, polar) + 0.13 + rib + cuff + rise
    direction = scalp_direction(wide, polar)
    points = SCALP_CENTRE + direction * radius[..., None]
    points = points + scalp.follow_identity(points[:, -1])[:, None]
    colour = linear(rng.uniform(0.05, 0.85) + rng.normal(0, 0.12, 3))
    colours = strand_colours(rng, np.maximum(colour, 0.01), 0.0, (count, num))
    openness = 0.85 + 8 * rib
    return _strands(points, direction, colours, 0.032, ON_HEAD, openness=openness)


def _neck_ring(
    around: np.ndarray, radius: np.ndarray | float, height: np.ndarray | float
) -> np.ndarray:
    """Points (..., 3) around the neck; angle 0 is in front."""
    x, z = radius * np.sin(around), radius * np.cos(around)
    y = np.broadcast_to(height, x.shape)
    return np.stack([x, y, z], -1) + NECK_AXIS


def _collar(cloth: np.ndarray, rng: np.random.Generator) -> Strands:
    """A folded shirt collar, open in front."""
    rows, num = 46, 26
    open_angle = rng.uniform(0.15, 0.5)
    depth, flare = rng.uniform(0.20, 0.32), rng.uniform(0.10, 0.18)
    lines, normals = [], []
    for side in (-1.0, 1.0):
        around = side * np.linspace(math.pi, open_angle, num)
        front = _frontness(around)
        for row in rng.permutation(np.linspace(0, 1, rows)):
            top = -1.10 - 0.22 * front
            reach = NECK_RADIUS + 0.06 + flare * row + 0.08 * front
            height = top - depth * row * (0.75 + 0.5 * front)
            lines.append(_neck_ring(around, reach, height))
            out = _neck_ring(around, 1.0, 0.0) - NECK_AXIS
            normals.append(out + np.array([0, 0.45, 0]))
    direction = np.stack(normals)
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    white = rng.random() < 0.35
    colour = linear(np.full(3, rng.uniform(0.75, 0.93))) if white else cloth
    weave = np.exp(rng.normal(0, 0.04, (len(lines), 1, 1)))
    return _strands(np.stack(lines), direction, colour * weave, 0.016, CLOTH, weight=0.12)


def _frontness(around: np.ndarray) -> np.ndarray:
    """1 in front of the neck, 0 behind it."""
    return 0.5 + 0.5 * np.cos(around)


def _rolled(cloth: np.ndarray, loose: bool, rng: np.random.Generator) -> Strands:
    """Cloth rolled around the neck: a scarf, or the collar of a turtleneck."""
    count, num = 420, 40
    height = rng.uniform(0.22, 0.36) if not loose else rng.uniform(0.4, 0.6)
    thickness = rng.uniform(0.04, 0.07) if not loose else rng.uniform(0.14, 0.24)
    row = rng.random((count, 1))
    around = np.linspace(-math.pi, math.pi, num)[None] + rng.uniform(-1, 1, (count, 1))
    front = _frontness(around)
    middle = -1.24 - 0.16 * front
    fold = np.sin(row * rng.uniform(6, 14) + (np.sin(around * 2 + row * 5) if loose else 0.0))
    bulge = np.sqrt(np.clip(1 - (2 * row - 1) ** 2, 0, 1)) * thickness
    radius = NECK_RADIUS + 0.03 + bulge + (0.35 if loose else 0.1) * thickness * fold
    points = _neck_ring(around, radius, middle + (row - 0.5) * height)
    out = _neck_ring(around, 1.0, 0.0) - NECK_AXIS + np.array([0, 1.0, 0]) * (row - 0.4)[..., None]
    out = out / np.linalg.norm(out, axis=-1, keepdims=True)
    shade = 0.75 + 0.25 * fold
    colours = strand_colours(rng, np.maximum(cloth, 0.01), 0.0, (count, num))
    return _strands(points, out, colours, 0.028, CLOTH, weight=0.3, openness=shade)
