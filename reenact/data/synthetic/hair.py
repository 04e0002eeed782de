"""Scalp hair as strands: hairline, cut, parting, fringe, waves and curls."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import numpy as np
from scipy.spatial import cKDTree

from reenact.data.synthetic.head_asset import (
    EARS,
    SCALP_AXES,
    SCALP_CENTRE,
    HeadAsset,
    scalp_direction,
)
from reenact.data.synthetic.imaging import smoothstep
from reenact.data.synthetic.strands import HAIR, Strands

HAIRLINE_ANGLES = np.radians([0, 18, 36, 52, 64, 74, 82, 92, 104, 120, 150, 180])
HAIRLINE_HEIGHTS = np.array(
    [0.63, 0.63, 0.58, 0.41, 0.18, -0.05, -0.22, 0.14, 0.05, -0.35, -0.75, -0.85]
)
"""Height (dm) of the hairline over the angle from the forehead to the nape."""
STYLES = ("bald", "ring", "buzz", "short", "swept", "crop", "mid", "long", "tied", "curls", "afro")
NUM_STRANDS = 4800
STRAND_WIDTH = 0.0135
FACE_ANGLE = 1.12
"""Hair that falls below the hairline keeps this angle (radians) from the middle of the face."""


@dataclass(frozen=True, kw_only=True)
class HairTraits:
    """What hair is grown from."""

    style: str
    male: bool
    hairline: np.ndarray
    """Heights at HAIRLINE_ANGLES."""
    colour: np.ndarray
    """Linear reflectance (3,) of the coloured hairs."""
    grey: float
    """Share of grey hairs."""


def choose_style(rng: np.random.Generator, *, male: bool, oldness: float, tone: float) -> str:
    """One of STYLES, about as likely as people wear them."""
    shares: dict[str, float]
    if male:
        shares = {
            "bald": 0.05 + 0.08 * oldness,
            "ring": 0.02 + 0.18 * oldness,
            "buzz": 0.14,
            "short": 0.30,
            "swept": 0.16,
            "crop": 0.12,
            "mid": 0.07,
            "long": 0.03,
            "curls": 0.07,
            "tied": 0.02,
        }
    else:
        shares = {
            "buzz": 0.02,
            "short": 0.06 + 0.2 * oldness,
            "crop": 0.04,
            "mid": 0.22,
            "long": 0.36 * (1 - 0.6 * oldness),
            "tied": 0.16,
            "curls": 0.13,
        }
    if tone > 0.55:
        shares = {"buzz": 0.3, "afro": 0.2, "bald": 0.06, "curls": 0.15, "tied": 0.12} | (
            {"short": 0.15} if male else {"mid": 0.12, "long": 0.18, "buzz": 0.06}
        )
    names = list(shares)
    weights = np.array([shares[name] for name in names])
    return str(rng.choice(names, p=weights / weights.sum()))


def draw_hairline(rng: np.random.Generator, *, male: bool, oldness: float) -> np.ndarray:
    """Hairline heights, receding on some men."""
    recession = float(np.clip(rng.normal(0.10 + 0.22 * oldness, 0.12), 0, 0.45)) if male else 0.0
    heights = HAIRLINE_HEIGHTS + rng.normal(0, 0.03)
    heights[1:4] += recession * np.array([0.25, 0.55, 0.35]) * 0.6
    heights[0] += recession * 0.15
    return heights


def strand_colours(
    rng: np.random.Generator, colour: np.ndarray, grey: float, shape: tuple[int, int]
) -> np.ndarray:
    """Reflectance (N, P, 3): each strand has its own tone, some are grey, tips are lighter."""
    count, num_points = shape
    tone = np.exp(rng.normal(0, 0.22, (count, 1))) * np.array([1.0, 1.0, 1.0])
    tone = tone * (1 + rng.normal(0, 0.05, (count, 1)) * np.array([1.0, 0.0, -1.0]))
    strand = colour * tone
    silver = np.array([0.52, 0.51, 0.50]) * np.exp(rng.normal(0, 0.2, (count, 1)))
    faded = np.clip(1.25 * grey + rng.normal(0, 0.28, (count, 1)) * min(1.0, 4 * grey), 0, 1)
    strand = strand * (1 - faded) + silver * faded
    along = np.linspace(0.85, 1.15, num_points)[None, :, None]
    return np.clip(strand[:, None] * along, 0.004, 0.9)


class Scalp:
    """The head's shape below the hair: radius around SCALP_CENTRE in every direction."""

    def __init__(self, asset: HeadAsset, vertices: np.ndarray) -> None:
        near = (asset.head_weight > 0.9) & (asset.scalp_polar < 1.9) & (asset.masks[:, EARS] < 0.2)
        self._asset = asset
        self._moved = (vertices - asset.mean)[near]
        self._tree = cKDTree(asset.mean[near])

    def polar(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Azimuth, polar angle and distance of points (..., 3)."""
        offset = points - SCALP_CENTRE
        distance = np.linalg.norm(offset, axis=-1) + 1e-9
        up, forward, side = SCALP_AXES
        polar = np.arccos(np.clip(offset @ up / distance, -1, 1))
        return np.arctan2(offset @ side, offset @ forward), polar, distance

    def radius(self, azimuth: np.ndarray, polar: np.ndarray) -> np.ndarray:
        return self._asset.sample_scalp_radius(azimuth, polar)

    def pushed_out(self, points: np.ndarray, clearance: np.ndarray) -> np.ndarray:
        """Points (N, 3) at least `clearance` (N,) outside of the mean head."""
        azimuth, polar, distance = self.polar(points)
        least = self.radius(azimuth, polar) + clearance
        factor = np.maximum(1.0, least / distance)[:, None]
        return SCALP_CENTRE + (points - SCALP_CENTRE) * factor

    def pulled_in(self, points: np.ndarray, most: np.ndarray) -> np.ndarray:
        """Points (N, 3) at most `most` (N,) outside of the mean head; below the ears they stay."""
        azimuth, polar, distance = self.polar(points)
        factor = np.minimum(1.0, (self.radius(azimuth, polar) + most) / distance)[:, None]
        inside = SCALP_CENTRE + (points - SCALP_CENTRE) * factor
        high = smoothstep(-0.75, -0.25, points[:, 1])[:, None]
        return points * (1 - high) + inside * high

    def follow_identity(self, points: np.ndarray) -> np.ndarray:
        """How far the identity moves points (N, 3) near the mean head."""
        distance, index = self._tree.query(points, 6)
        weight = 1 / (distance + 0.05) ** 2
        weight /= weight.sum(1, keepdims=True)
        return (self._moved[index] * weight[..., None]).sum(1)


@dataclass(frozen=True, kw_only=True)
class _Cut:
    """How a style grows. Lengths in dm."""

    length: float
    side_length: float
    """Length at the sides and the back of the head."""
    lift: float
    """How far the hair stands off the head."""
    gravity: float
    stiffness: float
    """Share of the direction that each step keeps."""
    curl: float
    """Radius (dm) of the curls."""
    curl_length: float
    clumping: float
    frizz: float
    looseness: float
    """How far (dm) a strand may stand off the head beyond `lift`."""
    outwards: float
    """How much strands grow away from the skin rather than along it."""


def _draw_cut(rng: np.random.Generator, traits: HairTraits) -> _Cut:
    u = rng.uniform
    straight = {"curl": 0.0 if rng.random() < 0.5 else u(0.004, 0.025), "curl_length": u(0.35, 0.8)}
    cuts: dict[str, dict[str, float]] = {
        "ring": {"length": u(0.08, 0.2), "side_length": u(0.08, 0.2), "lift": 0.05, "gravity": 0.2},
        "buzz": {
            "length": u(0.04, 0.09),
            "side_length": u(0.03, 0.07),
            "lift": 0.0,
            "gravity": 0.0,
        },
        "short": {"length": u(0.2, 0.42), "side_length": u(0.08, 0.22), "lift": u(0.04, 0.12)},
        "swept": {"length": u(0.45, 0.8), "side_length": u(0.08, 0.3), "lift": u(0.08, 0.22)},
        "crop": {"length": u(0.35, 0.65), "side_length": u(0.15, 0.4), "lift": u(0.05, 0.12)},
        "mid": {"length": u(1.2, 1.8), "side_length": u(0.7, 1.5), "lift": u(0.08, 0.18)},
        "long": {"length": u(2.2, 3.2), "side_length": u(1.8, 2.8), "lift": u(0.07, 0.16)},
        "tied": {"length": 3.0, "side_length": 3.0, "lift": u(0.02, 0.06), "gravity": 0.0},
        "curls": {"length": u(0.6, 2.0), "side_length": u(0.5, 1.8), "lift": u(0.15, 0.3)},
        "afro": {"length": u(0.3, 0.75), "side_length": u(0.2, 0.7), "lift": 0.0, "gravity": 0.0},
    }
    base: dict[str, float] = {
        "gravity": u(0.25, 0.5),
        "stiffness": 0.82,
        "clumping": u(0.2, 0.7),
        "frizz": u(0.004, 0.016),
        "outwards": u(0.25, 0.6),
        "looseness": u(0.02, 0.08),
    }
    values = base | straight | cuts[traits.style]
    if traits.style in ("mid", "long"):
        values |= {"outwards": u(0.1, 0.3), "gravity": u(0.45, 0.8)}
    if traits.style == "curls":
        values |= {"curl": u(0.03, 0.08), "curl_length": u(0.18, 0.4), "clumping": u(0.6, 0.9)}
        values |= {"outwards": u(0.4, 0.8), "frizz": u(0.012, 0.03), "looseness": u(0.1, 0.35)}
    if traits.style == "afro":
        values |= {"curl": u(0.025, 0.045), "curl_length": u(0.09, 0.16), "outwards": 1.0}
        values |= {"clumping": u(0.1, 0.4), "frizz": u(0.02, 0.04), "looseness": 1.0}
    if traits.style in ("short", "swept", "crop"):
        values |= {"looseness": u(0.05, 0.3)}
    if traits.style in ("buzz", "ring"):
        values |= {"outwards": 0.5, "curl": 0.0}
    if traits.style == "tied":
        values |= {"outwards": 0.0, "curl": 0.0, "frizz": u(0.002, 0.008)}
    return _Cut(**values)


def _roots(scalp: Scalp, traits: HairTraits, rng: np.random.Generator, count: int) -> np.ndarray:
    """Points (N, 3) on the mean head's scalp, thinned towards the hairline."""
    kept: list[np.ndarray] = []
    total = 0
    while total < count:
        azimuth = rng.uniform(-math.pi, math.pi, 3 * count)
        polar = np.arccos(rng.uniform(-0.75, 1.0, 3 * count))
        radius = scalp.radius(azimuth, polar)
        points = SCALP_CENTRE + scalp_direction(azimuth, polar) * radius[:, None]
        above = points[:, 1] - np.interp(np.abs(azimuth), HAIRLINE_ANGLES, traits.hairline)
        likely = smoothstep(
            -0.035, 0.10, above + 0.03 * np.sin(azimuth * 37) * np.sin(azimuth * 91)
        )
        if traits.style == "ring":
            likely = likely * (1 - smoothstep(0.5, 0.75, points[:, 1] + 0.25 * points[:, 2]))
        # The crown needs more hair than the sides, where strands overlap.
        likely = likely * (0.55 + 0.45 * smoothstep(0.3, 0.9, points[:, 1]))
        points = points[rng.random(len(points)) < likely]
        kept.append(points)
        total += len(points)
    return np.concatenate(kept)[:count]


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-9)


@dataclass(frozen=True, kw_only=True)
class _Comb:
    """Where the hair is combed to."""

    part: float
    """X (dm) of the parting; None-like values beyond the head comb all hair to one side."""
    sideways: float
    back: float
    fringe: float
    """Half width (dm) of the hair that falls on the forehead; 0 for none."""
    fringe_end: float
    """Height (dm) at which the fringe ends."""
    tie: np.ndarray
    """Where tied hair meets."""


def _draw_comb(rng: np.random.Generator, traits: HairTraits) -> _Comb:
    style = traits.style
    part = float(rng.choice([0.0, 0.35, -0.35]) + rng.normal(0, 0.06))
    fringe = 0.0
    if style in ("mid", "long", "tied", "curls") and rng.random() < (0.1 if traits.male else 0.3):
        fringe = rng.uniform(0.35, 0.6)
    sideways, back = rng.uniform(0.5, 1.0), rng.uniform(0.0, 0.8)
    if style == "swept":
        sideways, back = rng.uniform(0.0, 0.5), rng.uniform(0.8, 1.3)
    if style == "crop":
        fringe, sideways, back = 0.9, rng.uniform(-0.2, 0.3), -rng.uniform(0.6, 1.0)
    if style == "short":
        part = float(rng.choice([0.45, -0.45, 3.0, -3.0]))
        sideways, back = rng.uniform(0.1, 0.8), rng.uniform(-0.7, 0.7)
    height = rng.uniform(-0.2, 1.0)
    return _Comb(
        part=part,
        sideways=sideways,
        back=back,
        fringe=fringe,
        fringe_end=rng.uniform(0.26, 0.5),
        tie=np.array([0.0, height, -1.95 + 0.3 * max(0.0, height - 0.4)]),
    )


def _combed(
    roots: np.ndarray, normals: np.ndarray, cut: _Cut, comb: _Comb, style: str
) -> np.ndarray:
    """First direction (N, 3) of every strand."""
    side = np.sign(roots[:, 0] - comb.part)[:, None]
    flow = side * np.array([1.0, 0, 0]) * comb.sideways - np.array([0, 0, 1.0]) * comb.back
    # Hair at the sides and at the back falls down.
    low = smoothstep(0.75, 0.2, roots[:, 1])[:, None]
    flow = flow * (1 - low) + np.array([0, -1.0, -0.15]) * low
    if comb.fringe > 0:
        front = _is_fringe(roots, comb)[:, None]
        flow = flow * (1 - front) + np.array([0, -0.35, 1.0]) * front
    if style == "tied":
        flow = np.where(_is_fringe(roots, comb)[:, None] > 0.5, flow, comb.tie - roots)
    along = _unit(flow - (flow * normals).sum(-1, keepdims=True) * normals)
    return _unit(along * (1 - cut.outwards) + normals * cut.outwards)


def _is_fringe(roots: np.ndarray, comb: _Comb) -> np.ndarray:
    """How much a strand belongs to the fringe (N,)."""
    if comb.fringe <= 0:
        return np.zeros(len(roots))
    narrow = 1 - smoothstep(comb.fringe - 0.1, comb.fringe + 0.1, np.abs(roots[:, 0]))
    return narrow * smoothstep(-0.75, -0.45, roots[:, 2]) * (roots[:, 1] > 0.4)


def _grow(
    scalp: Scalp,
    roots: np.ndarray,
    cut: _Cut,
    comb: _Comb,
    style: str,
    num_points: int,
    hairline: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Strands (N, P, 3) on the mean head, and their layer (N,) from 0 inside to 1 outside."""
    count = len(roots)
    normals = _unit(roots - SCALP_CENTRE)
    direction = _combed(roots, normals, cut, comb, style)
    direction = _unit(direction + rng.normal(0, 0.12, direction.shape))
    low = smoothstep(0.75, 0.1, roots[:, 1])
    length = cut.length * (1 - low) + cut.side_length * low
    length = length * rng.uniform(0.82, 1.05, count)
    front = _is_fringe(roots, comb)
    to_brow = np.abs(roots[:, 1] - comb.fringe_end) + np.abs(0.15 - roots[:, 2]) * 0.8
    length = np.where(
        front > 0.5, np.minimum(to_brow * rng.uniform(0.9, 1.08, count), length), length
    )
    layer = rng.random(count)
    step = (length / (num_points - 1))[:, None]
    clearance_end = cut.lift * (0.25 + 0.75 * layer)
    points = np.empty((count, num_points, 3))
    points[:, 0] = at = roots
    travelled = np.zeros(count)
    for n in range(1, num_points):
        # The longer a strand already is, the more its weight bends it down.
        heavy = np.clip(travelled / 0.9, 0.25, 1.6)[:, None]
        pull = np.array([0, -1.0, 0]) * cut.gravity * heavy
        if style == "tied":
            pull = _unit(comb.tie - at) * 0.8
            pull = np.where((front > 0.5)[:, None], np.array([0, -0.5, 0.1]), pull)
        heading = direction * cut.stiffness + pull * (step * 7).clip(0.2, 1.2)
        direction = _unit(heading)
        at = at + direction * step
        travelled += step[:, 0]
        clearance = clearance_end * np.clip(travelled / 0.25, 0.1, 1) + 0.012
        pushed = scalp.pushed_out(at, clearance)
        pushed = _off_the_face(scalp, pushed, hairline, front, comb)
        pushed = scalp.pulled_in(pushed, clearance + cut.looseness)
        hanging = (at[:, 1] < -0.75)[:, None]
        at = np.where(hanging, _beside_neck(at, clearance), pushed)
        # Hair that is pushed out slides along the head.
        direction = _unit(at - points[:, n - 1])
        if style == "tied":
            there = (np.linalg.norm(at - comb.tie, axis=1) < 0.22) & (front <= 0.5)
            at = np.where(there[:, None], points[:, n - 1], at)
        points[:, n] = at
    return points, layer


def _off_the_face(
    scalp: Scalp, points: np.ndarray, hairline: np.ndarray, fringe: np.ndarray, comb: _Comb
) -> np.ndarray:
    """Turn points (N, 3) that hang before the face to its side; the fringe stays."""
    azimuth, _, _ = scalp.polar(points)
    turn = np.abs(azimuth)
    below = np.interp(turn, HAIRLINE_ANGLES, hairline) + 0.03 - points[:, 1]
    free = FACE_ANGLE - turn
    needed = np.clip(below / 0.12, 0, 1) * np.clip(free, 0, 0.4) * (fringe < 0.5)
    side = np.where(turn > 0.25, np.sign(azimuth), np.sign(points[:, 0] - comb.part))
    angle = np.arctan2(points[:, 0], points[:, 2] + 0.95) + side * needed
    reach = np.hypot(points[:, 0], points[:, 2] + 0.95)
    return np.stack([reach * np.sin(angle), points[:, 1], reach * np.cos(angle) - 0.95], 1)


def _beside_neck(points: np.ndarray, clearance: np.ndarray) -> np.ndarray:
    """Keep hanging hair (N, 3) out of the neck and above the shoulders."""
    x, z = points[:, 0], points[:, 2] + 1.0
    reach = np.hypot(x, z) + 1e-9
    least = 0.62 + clearance
    factor = np.maximum(1, least / reach)
    return np.stack([x * factor, points[:, 1], z * factor - 1.0], 1)


def _styled(points: np.ndarray, cut: _Cut, rng: np.random.Generator) -> np.ndarray:
    """Clumps, waves, curls and frizz on strands (N, P, 3)."""
    count, num_points = points.shape[:2]
    along = np.linspace(0, 1, num_points)[None, :, None]
    guides = rng.choice(count, max(2, count // 14), replace=False)
    nearest = guides[cKDTree(points[guides, 0]).query(points[:, 0])[1]]
    gathered = cut.clumping * along**1.3
    points = (
        points * (1 - gathered)
        + (points[nearest] + (points[:, :1] - points[nearest, :1]) * 0.3) * gathered
    )
    step = np.linalg.norm(np.diff(points, axis=1), axis=-1)
    arc = np.concatenate([np.zeros((count, 1)), np.cumsum(step, 1)], 1)
    if cut.curl > 0:
        # Strands of one clump wave together.
        turns = rng.random((count,)) * (2 * np.pi)
        phase = turns[nearest] + 0.35 * rng.standard_normal(count)
        lengths = np.exp(rng.standard_normal((count,)) * 0.15) * cut.curl_length
        pitch = lengths[nearest]
        angle = arc / pitch[:, None] * 2 * np.pi + phase[:, None]
        tangent = _unit(np.gradient(points, axis=1))
        outward = _unit(points - SCALP_CENTRE)
        beside = _unit(np.cross(tangent, outward))
        grown = np.clip(arc / 0.25, 0, 1)[..., None] * cut.curl
        points = points + grown * (
            np.cos(angle)[..., None] * beside + 0.7 * np.sin(angle)[..., None] * outward
        )
    wild = np.exp(rng.normal(0, 0.8, (count, 1, 1)))
    noise = np.cumsum(rng.normal(0, 1, points.shape), axis=1) / math.sqrt(num_points)
    return points + cut.frizz * wild * noise * np.clip(arc / 0.2, 0, 1)[..., None]


def _bun(
    comb: _Comb, cut: _Cut, rng: np.random.Generator, count: int, num_points: int
) -> np.ndarray:
    """A bun or a tail (N, P, 3) where tied hair meets."""
    if rng.random() < 0.5:
        radius = rng.uniform(0.22, 0.36)
        axis = _unit(comb.tie - SCALP_CENTRE)
        middle = comb.tie + axis * radius * 0.5
        around = rng.uniform(0, 2 * np.pi, (count, 1)) + np.linspace(0, 2.5, num_points)
        tilt = rng.normal(0, 0.7, (count, 1)) + np.linspace(0, 0.5, num_points)
        a = _unit(np.cross(axis, np.array([0.0, 0.3, 1.0])))
        b = np.cross(axis, a)
        ring = np.cos(around)[..., None] * a + np.sin(around)[..., None] * b
        shell = radius * rng.uniform(0.85, 1.0, (count, 1, 1))
        return middle + shell * (np.cos(tilt)[..., None] * ring + np.sin(tilt)[..., None] * axis)
    length = rng.uniform(0.8, 2.2)
    start = comb.tie + rng.normal(0, 0.06, (count, 3))
    t = np.linspace(0, 1, num_points)[None, :, None]
    spread = rng.normal(0, 0.16, (count, 1, 3)) * np.array([1.0, 0.3, 0.5]) * (0.4 + t)
    fall = np.array([0.0, -length, 0.0]) * t + np.array([0, 0.1, -0.35]) * np.sqrt(t)
    return start[:, None] + fall + spread


def grow_hair(
    asset: HeadAsset, traits: HairTraits, vertices: np.ndarray, rng: np.random.Generator
) -> Strands | None:
    """Hair for the identity with neutral `vertices` (V, 3); None when bald."""
    if traits.style == "bald":
        return None
    scalp = Scalp(asset, vertices)
    cut, comb = _draw_cut(rng, traits), _draw_comb(rng, traits)
    num_points = _num_points(traits.style, cut)
    count = int(NUM_STRANDS * {"buzz": 1.3, "ring": 0.7, "afro": 1.25}.get(traits.style, 1.0))
    roots = _roots(scalp, traits, rng, count)
    points, layer = _grow(scalp, roots, cut, comb, traits.style, num_points, traits.hairline, rng)
    if traits.style == "tied":
        extra = _bun(comb, cut, rng, count // 4, num_points)
        points = np.concatenate([points, extra])
        layer = np.concatenate([layer, rng.random(len(extra))])
        mixed = rng.permutation(len(points))
        points, layer = points[mixed], layer[mixed]
    points = _styled(points, cut, rng)
    count = len(points)
    # A strand keeps its form: all of it moves with its root.
    moved = scalp.follow_identity(points[:, 0])[:, None]
    along = np.linspace(0, 1, num_points)[None]
    openness = (0.30 + 0.70 * layer[:, None]) * (0.55 + 0.45 * np.clip(along * 3, 0, 1))
    taper = np.where(along < 0.7, 1.0, 1.0 - 0.75 * (along - 0.7) / 0.3)
    width = STRAND_WIDTH * taper * np.exp(rng.normal(0, 0.25, (count, 1)))
    if traits.style == "buzz":
        width = width * 0.8
    hanging = np.clip((-0.5 - points[..., 1]) / 1.2, 0, 1)
    outward = _outward(points)
    return Strands(
        points=(points + moved).astype(np.float32),
        colours=strand_colours(rng, traits.colour, traits.grey, (count, num_points)),
        normals=outward,
        openness=openness,
        width=width,
        weight=1 - 0.45 * hanging,
        anchor=np.zeros((count, num_points, 3)),
        share=np.zeros((count, num_points, 3)),
        gloss=float(rng.uniform(0.5, 1.1)) * {"afro": 0.3, "curls": 0.6}.get(traits.style, 1.0),
        kind=HAIR,
    )


def _num_points(style: str, cut: _Cut) -> int:
    if style in ("buzz", "ring"):
        return 3
    if style == "afro":
        return 12
    if style == "curls":
        return int(np.clip(cut.length / cut.curl_length * 5, 10, 22))
    return {"short": 6, "crop": 7, "swept": 8, "mid": 11}.get(style, 13)


def _outward(points: np.ndarray) -> np.ndarray:
    """Outward directions (..., 3): away from the skull, and below it away from the neck."""
    centre = np.broadcast_to(SCALP_CENTRE, points.shape).copy()
    centre[..., 1] = np.minimum(SCALP_CENTRE[1], points[..., 1] + 0.25)
    return _unit(points - centre)


def under_hat(hair: Strands) -> Strands | None:
    """The strands that reach below a hat; None when there are none."""
    lowest = hair.points[:, :, 1].min(1)
    shown = (lowest < 0.1) & (hair.points[:, 0, 1] < 0.55)
    if shown.sum() < 50:
        return None
    arrays = {f.name: getattr(hair, f.name) for f in fields(hair)}
    cut = {k: v[shown] if isinstance(v, np.ndarray) else v for k, v in arrays.items()}
    return Strands(**cut)
