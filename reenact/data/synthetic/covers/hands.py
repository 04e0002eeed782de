"""Hands before the face: at the cheek, below the chin, before the mouth, waving, around a stick."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reenact.data.synthetic.colouring import skin_colour
from reenact.data.synthetic.covers.hand_shape import (
    FIST,
    OPEN,
    RELAXED,
    HandShape,
    hand_bones,
    hand_shape,
)
from reenact.data.synthetic.head_asset import HeadAsset
from reenact.data.synthetic.imaging import smoothstep
from reenact.data.synthetic.person import Person
from reenact.data.synthetic.skin import SKIN_DEPTH, linear
from reenact.data.synthetic.solids import Solid

CHIN, MOUTH, CHEEK = 8, (62, 66), {-1.0: (3, 4), 1.0: (13, 12)}
"""Landmarks; those of the cheeks by side: -1 is the picture's left."""
SKIN_GLOSS, NAIL_GLOSS = 0.30, 0.9
OWN_SKIN_SHARE = 0.92
SLEEVE_SHARE = 0.6


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Where a hand is, on the unposed head. Directions need not have length 1."""

    side: float
    """-1: the person's right hand, at the picture's left. 1: the left hand."""
    fingers: np.ndarray
    """(3,) direction from the wrist to the fingers."""
    palm: np.ndarray
    """(3,) direction out of the palm."""
    elbow: np.ndarray
    """(3,) direction from the wrist to the elbow."""
    held: np.ndarray
    """(3,) point in the hand's own axes that is placed at `place`."""
    place: np.ndarray
    flex: np.ndarray
    thumb_across: float
    weight: float
    """How much the hand follows the head's turns, in [0, 1]."""


def draw_pose(kind: str, person: Person, asset: HeadAsset, rng: np.random.Generator) -> Pose:
    """A pose of one kind: "cheek", "chin", "mouth" or "wave"."""
    side = float(rng.choice([-1.0, 1.0]))
    landmarks = person.vertices[asset.landmark_vertices]
    u = rng.uniform
    elbow = np.array([side * u(0.1, 0.7), -1.0, u(0.0, 0.3)])
    mouth = landmarks[list(MOUTH)].mean(0)
    if kind == "cheek":
        return Pose(
            side=side,
            fingers=np.array([side * u(-0.05, 0.25), 1.0, u(-0.35, 0.05)]),
            palm=np.array([-side, u(0.0, 0.2), u(-0.7, -0.3)]),
            elbow=elbow,
            held=np.array([0.05, u(0.7, 1.1), 0.14]),
            place=landmarks[list(CHEEK[side])].mean(0) + np.array([-side * 0.03, 0, 0.10]),
            flex=_flex(rng, OPEN, RELAXED, u(0.2, 1.0)),
            thumb_across=0.0,
            weight=1.0,
        )
    if kind == "chin":
        closed = u(0.55, 1.0)
        return Pose(
            side=side,
            fingers=np.array([-side * u(0.1, 0.7), 1.0, u(0.0, 0.3)]),
            palm=np.array([-side * u(0.0, 0.5), u(0.0, 0.3), -1.0]),
            elbow=elbow,
            held=np.array([0.05, 1.02, u(0.2, 0.4)]),
            place=landmarks[CHIN] + np.array([side * u(-0.1, 0.25), u(-0.08, 0.10), 0.12]),
            flex=_flex(rng, RELAXED, FIST, closed),
            thumb_across=closed * u(0.4, 0.8),
            weight=1.0,
        )
    if kind == "mouth":
        return Pose(
            side=side,
            fingers=np.array([-side * 0.9, u(0.2, 0.9), u(-0.1, 0.1)]),
            palm=np.array([-side * u(0.0, 0.35), 0.0, -1.0]),
            elbow=np.array([side * u(0.5, 1.0), -1.0, u(0.0, 0.3)]),
            held=np.array([0.0, u(0.9, 1.3), 0.22]),
            place=mouth + np.array([side * u(-0.15, 0.2), u(-0.15, 0.1), 0.10]),
            flex=_flex(rng, OPEN, FIST, u(0.1, 0.6)),
            thumb_across=u(0.0, 0.4),
            weight=1.0,
        )
    return Pose(
        side=side,
        fingers=np.array([-side * u(-0.3, 0.6), 1.0, u(-0.2, 0.2)]),
        palm=np.array([u(-0.5, 0.5), u(-0.2, 0.2), rng.choice([-1.0, 1.0])]),
        elbow=elbow,
        held=np.array([0.0, 0.8, 0.0]),
        place=np.array([side * u(0.1, 0.9), u(-0.9, 0.1), u(1.0, 1.8)]),
        flex=_flex(rng, OPEN, RELAXED, u(0.0, 1.2)),
        thumb_across=0.0,
        weight=0.0,
    )


def _flex(
    rng: np.random.Generator, first: np.ndarray, last: np.ndarray, share: float
) -> np.ndarray:
    """Angles (4, 3) of the fingers between two poses; each finger is a little different."""
    shares = np.clip(share + rng.normal(0, 0.08, (4, 1)), 0, 1.1)
    return first * (1 - shares) + last * shares


def own_axes(pose: Pose) -> np.ndarray:
    """Rows: the hand's own X, Y and Z axes on the head. X of a left hand is mirrored."""
    y = pose.fingers / np.linalg.norm(pose.fingers)
    z = pose.palm - y * (pose.palm @ y)
    z /= np.linalg.norm(z)
    return np.stack([np.cross(y, z) * -pose.side, y, z])


def make_hand(pose: Pose, person: Person, rng: np.random.Generator) -> Solid:
    """The hand of a pose, of the person's skin or, seldom, of other skin."""
    axes = own_axes(pose)
    size = (0.98 if person.identity.maleness > 0.5 else 0.89) * rng.uniform(0.94, 1.06)
    elbow = axes @ (pose.elbow / np.linalg.norm(pose.elbow))
    # No wrist bends to the back or the side by more than about 70 degrees.
    elbow[1] = min(elbow[1], -0.35)
    elbow /= np.linalg.norm(elbow)
    sleeve = float(rng.uniform(0.15, 1.0)) if rng.random() < SLEEVE_SHARE else None
    shape = hand_shape(hand_bones(pose.flex, pose.thumb_across, elbow, sleeve))
    points = (shape.points - pose.held) @ axes * size + pose.place
    triangles = shape.triangles if np.linalg.det(axes) > 0 else shape.triangles[:, ::-1]
    middles = (shape.spheres[:, :3] - pose.held) @ axes * size + pose.place
    fallen = smoothstep(0.0, 2.2, np.linalg.norm(points - pose.place, axis=1))
    count = len(points)
    pattern = np.zeros((count, 3))
    pattern[:, :2], pattern[:, 2] = points[:, :2] * 90, 0.06 * shape.sleeve
    return Solid(
        points=points,
        triangles=triangles,
        colours=_colours(shape, person, rng),
        openness=shape.openness,
        gloss=np.where(
            shape.sleeve > 0, 0.04, SKIN_GLOSS * (1 - shape.nail) + NAIL_GLOSS * shape.nail
        ),
        cloth=shape.sleeve,
        weight=pose.weight * (1 - 0.6 * fallen),
        head=np.zeros(count),
        before=True,
        grain=pattern,
        spheres=np.column_stack([middles, shape.spheres[:, 3] * size]),
    )


def _colours(shape: HandShape, person: Person, rng: np.random.Generator) -> np.ndarray:
    """Reflectance (V, 3): redder joints and palms, pale nails, a mottled skin, the sleeve."""
    skin = np.median(person.texture[260:360, 180:330, :3].reshape(-1, 3), 0)
    if rng.random() > OWN_SKIN_SHARE:
        skin = linear(skin_colour(rng.random())) * SKIN_DEPTH
    ruddy = np.array([1.05, 0.80, 0.78])
    pale = np.array([0.50, 0.30, 0.25])
    colours = np.tile(skin, (len(shape.points), 1))
    colours *= 1 + (ruddy - 1) * (0.7 * shape.crease)[:, None]
    # Palms are pale on dark skin, and redder on fair skin.
    light = np.maximum(skin, 0.55 * skin + 0.45 * pale)
    palm = shape.palm[:, None] * 0.8
    colours = colours * (1 - palm) + (light * np.array([1.03, 0.9, 0.88])) * palm
    painted = linear(rng.uniform(0.1, 0.9, 3)) if rng.random() < 0.15 else None
    nail = skin * 0.6 + np.array([0.62, 0.42, 0.38]) * 0.4 if painted is None else painted
    colours = colours * (1 - shape.nail[:, None]) + nail * shape.nail[:, None]
    waves = rng.normal(0, 6.0, (3, 6))
    mottled = np.sin(shape.points @ waves + rng.uniform(0, 6.28, 6)).mean(1)
    colours *= 1 + mottled[:, None] * np.array([0.05, 0.09, 0.09])
    cloth = person.clothes.jacket_colour if person.clothes.jacket > 0 else person.clothes.colour
    return np.where(shape.sleeve[:, None] > 0, cloth, np.clip(colours, 0.005, 0.95))
