"""Hoods and head scarves: sheets of cloth around the head."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from reenact.data.synthetic.covers.meshes import outward, sheet
from reenact.data.synthetic.head_asset import HeadAsset
from reenact.data.synthetic.imaging import smoothstep
from reenact.data.synthetic.person import Person
from reenact.data.synthetic.scalp import Scalp
from reenact.data.synthetic.skin import linear
from reenact.data.synthetic.solids import Solid
from reenact.data.synthetic.strands import CLOTH, HAIR, ON_FACE, Strands

LEG, LEG_DROP = 1.25, 1.45
"""How far the sides of a hood go on below its arch (arch radians), and dm per radian."""
MIDDLE = 0.15
"""Height (dm) of the middle of a hood's arch."""


@dataclass(frozen=True, kw_only=True)
class HeadCover:
    """What is worn, and what is left of the person's strands below it."""

    solid: Solid
    strands: tuple[Strands, ...]
    has_hair: bool


def hood(person: Person, asset: HeadAsset, rng: np.random.Generator) -> HeadCover:
    """The hood of a sweater or a jacket: an arch from shoulder to shoulder that closes behind."""
    u = rng.uniform
    skull = person.vertices[asset.head_weight > 0.9]
    wide = float(np.abs(skull[:, 0]).max()) + u(0.12, 0.24)
    high = float(skull[:, 1].max()) + u(0.10, 0.24) - MIDDLE
    rim, back = u(-0.05, 0.25), float(skull[:, 2].min()) - u(0.12, 0.25)
    rows, columns = 26, 61
    arc = np.linspace(-1, 1, columns)[None] * (math.pi / 2 + LEG)
    hem = np.array([0.0, 0.0, 0.006, 0.018])
    depth = np.concatenate([hem, np.linspace(0.03, 1, rows - len(hem))])[:, None]
    roll = np.interp(depth, [0.0, 0.006, 0.018, 0.03], [1.0, 1.02, 1.02, 1.0])
    roll[0] = 0.965
    narrow = u(0.88, 0.97)
    roll = roll * (narrow + (1 - narrow) * smoothstep(0.0, 0.3, depth))
    leg = np.clip(np.abs(arc) - math.pi / 2, 0, None)
    across = np.where(leg > 0, np.sign(arc) * (1 - 0.34 * leg + 0.03 * leg * leg), np.sin(arc))
    upward = np.where(leg > 0, 0.0, np.cos(arc)) * high
    closing = _closing(depth)
    waves = _waves(rng, arc + 0 * depth, 2.5 * depth + 0 * arc)
    crumpled = 1 + 0.035 * waves * (0.35 + leg + depth) * smoothstep(0.03, 0.2, depth)
    x = wide * across * closing * roll * crumpled
    y = MIDDLE + upward * closing * roll * crumpled - LEG_DROP * leg
    front = rim + 0.10 * np.cos(np.minimum(np.abs(arc), math.pi / 2)) - 0.10
    front = front - 0.25 * np.sin(np.minimum(np.abs(arc), math.pi / 2)) ** 2 + 0.18 * leg
    z = front + (back - front) * depth
    points = np.stack([x, y, z], -1)
    behind = rim - 0.1 - person.vertices[:, 2]
    shade = 1 - 0.55 * smoothstep(-0.1, 0.8, behind) * (asset.head_weight > 0.4)
    solid = _cloth(points, closed=False, shade=shade, person=person, rng=rng, own=0.6)
    kept = []
    for strands in person.strands:
        if strands.kind == HAIR:
            inside = _inside_hood(strands.points, wide, high, rim, back)
            if inside.sum() > 50:
                kept.append(strands.chosen(inside))
        elif strands.kind in (ON_FACE, CLOTH):
            kept.append(strands)
    return HeadCover(solid=solid, strands=tuple(kept), has_hair=person.has_hair)


def _inside_hood(
    points: np.ndarray, wide: float, high: float, rim: float, back: float
) -> np.ndarray:
    """Which strands (N, P, 3) a hood holds: all their points are inside."""
    x, y, z = np.moveaxis(points, -1, 0)
    up = np.clip(y - MIDDLE, 0, None) / high
    inside = (x / wide) ** 2 + up**2 < 0.86 * _closing((rim - z) / (rim - back)) ** 2
    return (inside & (y > -1.1) & (z < rim + 0.25)).all(1)


def _closing(depth: np.ndarray) -> np.ndarray:
    """How wide a hood is, from 1 at its opening (depth 0) to 0 at its back (depth 1)."""
    return (1 - np.clip(depth, 0, 1) ** 2.6) ** (1 / 2.6)


def scarf(person: Person, asset: HeadAsset, rng: np.random.Generator) -> HeadCover:
    """A scarf that leaves the face free, from the forehead to below the chin, and falls on the
    chest.
    """
    u = rng.uniform
    rows, columns = 34, 72
    around = np.linspace(0, 2 * math.pi, columns, endpoint=False)[None]
    low = (1 - np.cos(around)) / 2
    forehead, chin = u(0.42, 0.62), -1.20 - u(0.02, 0.12)
    width = u(0.60, 0.68)
    # Rings from the opening to the back and the chest: half width at the sides, then height and
    # depth above and below.
    rings = (
        (width, forehead, chin, -0.02, -0.12, -0.34),
        (width + 0.10, forehead + 0.14, chin - 0.10, 0.0, 0.0, -0.40),
        (0.94, 1.16, chin - 0.45, -0.70, 0.12, -0.75),
        (1.08, 1.05, -2.05, -1.60, 0.02, -1.30),
        (1.20, -0.10, -2.60, -2.25, 0.08, -1.60),
        (1.35, -1.70, -2.90, -1.95, 0.12, -1.80),
    )
    v = np.linspace(0, 1, rows)
    knots = np.array([0.0, 0.08, 0.34, 0.58, 0.80, 1.0])
    levels = [np.interp(v, knots, column) for column in np.array(rings).T]
    half, up, down, z_up, z_down, z_side = (_smooth(level)[:, None] for level in levels)
    side = np.sin(around) ** 2
    x = half * np.sin(around) * (1 + 0.35 * low * v[:, None] ** 2)
    y = up + (down - up) * low
    z = (z_up + (z_down - z_up) * low) * (1 - side) + z_side * side
    v = v[:, None]
    folds = _waves(rng, around + 0 * v, 4 * v + 0 * around)
    fall = smoothstep(0.06, 0.4, v) * (0.25 + 0.75 * low)
    points = np.stack([x, y, z], -1)
    points += folds[..., None] * (0.05 * fall)[..., None] * np.array([0.6, 0.3, 1.0])
    scalp = Scalp(asset, person.vertices)
    flat = points.reshape(-1, 3)
    high = smoothstep(-1.5, -1.1, flat[:, 1])[:, None]
    clear = 0.035 + 0.12 * smoothstep(0.0, 0.3, np.broadcast_to(v, x.shape).reshape(-1))
    pushed = scalp.pushed_out(flat, clear) + scalp.follow_identity(flat)
    points = (flat * (1 - high) + pushed * high).reshape(points.shape)
    near, _ = cKDTree(points[0]).query(person.vertices)
    shade = 1 - 0.35 * np.exp(-((near / 0.10) ** 2))
    solid = _cloth(points, closed=True, shade=shade, person=person, rng=rng, own=0.1)
    kept = tuple(s for s in person.strands if s.kind == ON_FACE)
    return HeadCover(solid=solid, strands=kept, has_hair=False)


def _smooth(level: np.ndarray) -> np.ndarray:
    padded = np.pad(level, 2, mode="edge")
    smooth: np.ndarray = np.convolve(padded, [0.1, 0.2, 0.4, 0.2, 0.1], mode="valid")
    smooth[0] = level[0]
    return smooth


def _waves(rng: np.random.Generator, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Folds: a sum of waves over two coordinates, about between -1 and 1."""
    total = np.zeros(a.shape)
    for strength in (1.0, 0.7, 0.5, 0.35):
        # Whole numbers, so that a ring closes.
        along, across = int(rng.integers(2, 9)), rng.normal(0, 2.0)
        total += strength * np.sin(along * a + across * b + rng.uniform(0, 6.28))
    return total / 1.6


def _cloth(
    points: np.ndarray,
    *,
    closed: bool,
    shade: np.ndarray,
    person: Person,
    rng: np.random.Generator,
    own: float,
) -> Solid:
    """Cloth on a grid of points (R, C, 3), from the opening on. `own` is how often it has the
    colour of the person's clothes.
    """
    rows, columns = points.shape[:2]
    flat = points.reshape(-1, 3)
    if rng.random() < own:
        jacket = person.clothes.jacket > 0
        colour = person.clothes.jacket_colour if jacket else person.clothes.colour
    else:
        grey = rng.uniform(0.08, 0.9)
        colour = np.maximum(linear(grey + rng.normal(0, 0.14, 3)), 0.008)
    row, column = np.divmod(np.arange(len(flat)), columns)
    fine = rng.uniform(25, 60)
    grain = np.stack([flat[:, 0] * fine, (flat[:, 1] + flat[:, 2]) * fine, 0 * flat[:, 0]], 1)
    grain[:, 2] = rng.uniform(0.02, 0.10)
    stitched = 1 - 0.25 * (row == 3)
    uneven = 1 + 0.05 * np.sin(column * 0.9 + row * 0.7)
    height = flat[:, 1]
    return Solid(
        points=flat,
        triangles=outward(flat, sheet(rows, columns, closed=closed)),
        colours=colour * (stitched * uneven)[:, None],
        openness=np.where(row == 0, 0.6, 1.0),
        gloss=np.full(len(flat), rng.choice([0.02, 0.05, 0.25], p=[0.5, 0.35, 0.15])),
        cloth=np.ones(len(flat)),
        weight=0.15 + 0.85 * smoothstep(-1.95, -1.15, height),
        head=smoothstep(-1.55, -1.35, height),
        before=False,
        grain=grain,
        spheres=np.zeros((0, 4)),
        shade=shade,
    )
