"""Grows the hair of the scalp as strands: roots, growth around the head, clumps, waves, curls."""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial import cKDTree

from reenact.data.synthetic.geometry import unit_vectors
from reenact.data.synthetic.hair_styles import (
    HAIRLINE_ANGLES,
    Comb,
    Cut,
    HairTraits,
    draw_comb,
    draw_cut,
    strand_colours,
)
from reenact.data.synthetic.head_asset import SCALP_CENTRE, HeadAsset, scalp_direction
from reenact.data.synthetic.imaging import smoothstep
from reenact.data.synthetic.scalp import Scalp
from reenact.data.synthetic.strands import HAIR, Strands

NUM_STRANDS = 4800
STRAND_WIDTH = 0.0135
"""Width (dm) of a strand, which stands for many real hairs."""
FACE_ANGLE = 1.12
"""Hair that falls below the hairline keeps this angle (radians) from the middle of the face."""


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


def _combed(roots: np.ndarray, normals: np.ndarray, cut: Cut, comb: Comb, style: str) -> np.ndarray:
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
    along = unit_vectors(flow - (flow * normals).sum(-1, keepdims=True) * normals)
    return unit_vectors(along * (1 - cut.outwards) + normals * cut.outwards)


def _is_fringe(roots: np.ndarray, comb: Comb) -> np.ndarray:
    """How much each strand belongs to the fringe, (N,) in [0, 1]."""
    if comb.fringe <= 0:
        return np.zeros(len(roots))
    narrow = 1 - smoothstep(comb.fringe - 0.1, comb.fringe + 0.1, np.abs(roots[:, 0]))
    return narrow * smoothstep(-0.75, -0.45, roots[:, 2]) * (roots[:, 1] > 0.4)


def _grow(
    scalp: Scalp,
    roots: np.ndarray,
    cut: Cut,
    comb: Comb,
    style: str,
    num_points: int,
    hairline: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Strands (N, P, 3) on the mean head, and their layer (N,) from 0 inside to 1 outside."""
    count = len(roots)
    normals = unit_vectors(roots - SCALP_CENTRE)
    direction = _combed(roots, normals, cut, comb, style)
    direction = unit_vectors(direction + rng.normal(0, 0.12, direction.shape))
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
            pull = unit_vectors(comb.tie - at) * 0.8
            pull = np.where((front > 0.5)[:, None], np.array([0, -0.5, 0.1]), pull)
        heading = direction * cut.stiffness + pull * (step * 7).clip(0.2, 1.2)
        direction = unit_vectors(heading)
        at = at + direction * step
        travelled += step[:, 0]
        clearance = clearance_end * np.clip(travelled / 0.25, 0.1, 1) + 0.012
        pushed = scalp.pushed_out(at, clearance)
        pushed = _off_the_face(scalp, pushed, hairline, front, comb)
        pushed = scalp.pulled_in(pushed, clearance + cut.looseness)
        hanging = (at[:, 1] < -0.75)[:, None]
        at = np.where(hanging, _beside_neck(at, clearance), pushed)
        # Hair that is pushed out slides along the head.
        direction = unit_vectors(at - points[:, n - 1])
        if style == "tied":
            there = (np.linalg.norm(at - comb.tie, axis=1) < 0.22) & (front <= 0.5)
            at = np.where(there[:, None], points[:, n - 1], at)
        points[:, n] = at
    return points, layer


def _off_the_face(
    scalp: Scalp, points: np.ndarray, hairline: np.ndarray, fringe: np.ndarray, comb: Comb
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


def _styled(points: np.ndarray, cut: Cut, rng: np.random.Generator) -> np.ndarray:
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
        tangent = unit_vectors(np.gradient(points, axis=1))
        outward = unit_vectors(points - SCALP_CENTRE)
        beside = unit_vectors(np.cross(tangent, outward))
        grown = np.clip(arc / 0.25, 0, 1)[..., None] * cut.curl
        points = points + grown * (
            np.cos(angle)[..., None] * beside + 0.7 * np.sin(angle)[..., None] * outward
        )
    wild = np.minimum(np.exp(rng.normal(0, 0.7, (count, 1, 1))), 3.0)
    noise = np.cumsum(rng.normal(0, 1, points.shape), axis=1) / math.sqrt(num_points)
    return points + cut.frizz * wild * noise * np.clip(arc / 0.2, 0, 1)[..., None]


def _bun(comb: Comb, rng: np.random.Generator, count: int, num_points: int) -> np.ndarray:
    """A bun or a tail (N, P, 3) where tied hair meets."""
    if rng.random() < 0.5:
        radius = rng.uniform(0.22, 0.36)
        axis = unit_vectors(comb.tie - SCALP_CENTRE)
        middle = comb.tie + axis * radius * 0.5
        around = rng.uniform(0, 2 * np.pi, (count, 1)) + np.linspace(0, 2.5, num_points)
        tilt = rng.normal(0, 0.7, (count, 1)) + np.linspace(0, 0.5, num_points)
        a = unit_vectors(np.cross(axis, np.array([0.0, 0.3, 1.0])))
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
    cut, comb = draw_cut(rng, traits), draw_comb(rng, traits)
    num_points = _num_points(traits.style, cut)
    count = int(NUM_STRANDS * {"buzz": 1.3, "ring": 0.7, "afro": 1.25}.get(traits.style, 1.0))
    roots = _roots(scalp, traits, rng, count)
    points, layer = _grow(scalp, roots, cut, comb, traits.style, num_points, traits.hairline, rng)
    if traits.style == "tied":
        extra = _bun(comb, rng, count // 4, num_points)
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


def _num_points(style: str, cut: Cut) -> int:
    """Points of a strand: long and curled ones need more."""
    if style in ("buzz", "ring"):
        return 3
    if style == "afro":
        return 12
    if style == "curls":
        return int(np.clip(cut.length / cut.curl_length * 6, 12, 24))
    return {"short": 6, "crop": 7, "swept": 8, "mid": 11}.get(style, 13)


def _outward(points: np.ndarray) -> np.ndarray:
    """Outward directions (..., 3): away from the skull, and below it away from the neck."""
    centre = np.broadcast_to(SCALP_CENTRE, points.shape).copy()
    centre[..., 1] = np.minimum(SCALP_CENTRE[1], points[..., 1] + 0.25)
    return unit_vectors(points - centre)


def under_hat(hair: Strands) -> Strands | None:
    """The strands that reach below a hat; None when there are too few."""
    lowest = hair.points[:, :, 1].min(1)
    shown = (lowest < 0.1) & (hair.points[:, 0, 1] < 0.55)
    return hair.chosen(shown) if shown.sum() >= 50 else None
