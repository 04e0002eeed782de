"""Microphones before the face: on a stand, held in a hand, and on the boom of a headset."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from reenact.data.synthetic.covers.hand_shape import FIST
from reenact.data.synthetic.covers.hands import MOUTH, Pose, make_hand
from reenact.data.synthetic.covers.meshes import tube
from reenact.data.synthetic.head_asset import EARS, HeadAsset
from reenact.data.synthetic.person import Person
from reenact.data.synthetic.skin import linear
from reenact.data.synthetic.solids import Solid

BALL_STEPS = 14


class Part(NamedTuple):
    """One tube of a microphone."""

    points: np.ndarray
    triangles: np.ndarray
    sides: int
    """Points of each ring of the tube."""
    colour: np.ndarray
    gloss: float
    grain: float = 0.0
    """Strength of the grain."""


def _tube(
    path: np.ndarray,
    radius: np.ndarray,
    sides: int,
    colour: np.ndarray,
    gloss: float,
    grain: float = 0.0,
) -> Part:
    points, triangles = tube(path, radius, sides)
    return Part(points, triangles, sides, colour, gloss, grain)


def stand(person: Person, asset: HeadAsset, rng: np.random.Generator) -> list[Solid]:
    """A studio microphone with a foam ball or a metal basket, on an arm from below."""
    u = rng.uniform
    mouth = _mouth(person, asset)
    middle = mouth + np.array([rng.normal(0, 0.22), u(-0.55, -0.12), u(0.7, 1.4)])
    lean = np.array([u(-0.5, 0.5), -1.0, u(-0.2, 0.5)])
    lean /= np.linalg.norm(lean)
    foam = rng.random() < 0.55
    radius, length = (u(0.26, 0.40), u(0.3, 0.8)) if foam else (u(0.22, 0.30), u(0.2, 0.5))
    colour = _foam_colour(rng) if foam else np.full(3, u(0.06, 0.3))
    head = _capsule(middle, lean, radius, length, colour, rng, foam=foam)
    body = _rod(middle + lean * length * 0.5, lean, (radius * 0.85, radius * 0.8), 1.0, 0.02, 0.5)
    start = middle + lean * (0.5 * length + 0.9)
    arm_way = np.array([rng.choice([-1.0, 1.0]) * u(0.3, 1.0), -1.0, u(-0.2, 0.4)])
    arm_way /= np.linalg.norm(arm_way)
    arm = _rod(start, arm_way, (0.07, 0.07), 3.5, 0.015, 0.3)
    return [_solid(part, weight=0.0) for part in (head, body, arm)]


def held(person: Person, asset: HeadAsset, rng: np.random.Generator) -> list[Solid]:
    """A microphone that a hand holds close to the mouth."""
    u = rng.uniform
    side = float(rng.choice([-1.0, 1.0]))
    radius = u(0.22, 0.29)
    # The stick comes from below, from the side of the hand and from the front.
    stick = np.array([side * u(0.15, 0.8), -1.0, u(0.2, 0.7)])
    stick /= np.linalg.norm(stick)
    ball = _mouth(person, asset) + np.array([0, u(-0.28, -0.12), 0.06 + radius])
    foam = rng.random() < 0.3
    colour = _foam_colour(rng) if foam else np.full(3, u(0.06, 0.35))
    head = _capsule(ball, stick, radius, 0.08, colour, rng, foam=foam)
    tint = 0.02 if rng.random() < 0.7 else 0.4
    body = _rod(ball + stick * radius * 0.8, stick, (radius * 0.62, radius * 0.45), 1.7, tint, 0.5)
    out = np.array([side * 0.9, 0.1, 0.45])
    out -= stick * (out @ stick)
    pose = Pose(
        side=side,
        # The thumb's side of a fist points along the stick to the ball.
        fingers=np.cross(-stick, -out) * -side,
        palm=-out,
        elbow=np.array([side * u(0.4, 0.9), -1.0, u(0.1, 0.4)]),
        held=np.array([0.0, 1.02, 0.26]),
        place=ball + stick * u(0.75, 1.15),
        flex=np.tile(FIST * [0.85, 0.9, 0.9], (4, 1)),
        thumb_across=0.75,
        weight=1.0,
    )
    return [_solid(head), _solid(body), make_hand(pose, person, rng)]


def headset(person: Person, asset: HeadAsset, rng: np.random.Generator) -> list[Solid]:
    """A headset: a pad on one ear, a band over the head, and a boom to the mouth."""
    u = rng.uniform
    side = float(rng.choice([-1.0, 1.0]))
    inside = asset.masks[:, EARS] > 0.5
    parts = []
    tint = np.full(3, u(0.01, 0.06)) if rng.random() < 0.8 else np.full(3, u(0.4, 0.7))
    for k in (-1.0, 1.0):
        ear = person.vertices[inside & (asset.mean[:, 0] * k > 0)]
        middle = (ear.max(0) + ear.min(0)) / 2
        outer = max(abs(ear[:, 0]))
        pad = np.array([k * outer, middle[1], middle[2]])
        path = pad + np.array([k, 0, 0]) * np.array([-0.18, -0.16, 0.0, 0.10, 0.12])[:, None]
        radius = u(0.30, 0.38) * np.array([0, 1, 1, 0.85, 0])
        parts.append(_tube(path, radius, 24, tint, 0.15))
        if k == side:
            tip = _mouth(person, asset) + np.array([k * u(0.2, 0.4), u(-0.18, -0.02), u(0.1, 0.2)])
            t = np.linspace(0, 1, 14)[:, None]
            bow = np.array([k * 0.30, -0.16, 0.18]) * np.sin(np.pi * t)
            start = pad + np.array([k * 0.05, -0.15, 0.1])
            boom = start * (1 - t) + tip * t + bow
            parts.append(_tube(boom, np.full(14, 0.028), 8, tint, 0.2))
            towards = (boom[-1] - boom[-2]) / np.linalg.norm(boom[-1] - boom[-2])
            parts.append(_capsule(tip, towards, u(0.07, 0.11), 0.12, tint, rng, foam=True))
    angle = np.linspace(-math.pi / 2, math.pi / 2, 28)
    wide = max(abs(person.vertices[inside][:, 0])) + 0.06
    top = person.vertices[asset.head_weight > 0.9][:, 1].max() + u(0.10, 0.2)
    low = pad[1]
    x, y = wide * np.sin(angle), low + (top - low) * np.cos(angle)
    band = np.stack([x, y, np.full(28, pad[2])], 1)
    parts.append(_tube(band, np.full(28, 0.07), 8, tint, 0.15))
    return [_solid(part) for part in parts]


def _mouth(person: Person, asset: HeadAsset) -> np.ndarray:
    """Middle (3,) of the lips."""
    mouth: np.ndarray = person.vertices[asset.landmark_vertices][list(MOUTH)].mean(0)
    return mouth


def _foam_colour(rng: np.random.Generator) -> np.ndarray:
    if rng.random() < 0.75:
        return np.full(3, rng.uniform(0.008, 0.03))
    return linear(rng.uniform(0.15, 0.9, 3))


def _capsule(
    middle: np.ndarray,
    way: np.ndarray,
    radius: float,
    length: float,
    colour: np.ndarray,
    rng: np.random.Generator,
    *,
    foam: bool,
) -> Part:
    """A ball that is drawn out by `length` along `way`: foam, or a metal basket."""
    angle = np.linspace(0, math.pi, BALL_STEPS)
    along = -radius * np.cos(angle) + np.where(angle < math.pi / 2, -0.5, 0.5) * length
    around = radius * np.sin(angle)
    around[[0, -1]] = 0
    if foam:
        around[1:-1] *= 1 + rng.normal(0, 0.015, BALL_STEPS - 2)
    gloss, grain = (0.02, 0.10) if foam else (0.9, 0.3)
    return _tube(middle + along[:, None] * way, around, 28, colour, gloss, grain)


def _rod(
    start: np.ndarray,
    way: np.ndarray,
    radii: tuple[float, float],
    length: float,
    colour: float,
    gloss: float,
) -> Part:
    """A closed rod that narrows from the first radius to the second one."""
    t = np.array([0, 0, 0.02, 0.25, 0.5, 0.75, 1.0, 1.0])
    radius = radii[0] + (radii[1] - radii[0]) * t
    radius[[0, -1]] = 0
    path = start + (t + np.array([0, 1e-3, 0, 0, 0, 0, 0, 1e-3]))[:, None] * length * way
    return _tube(path, radius, 20, np.full(3, colour), gloss)


def _solid(part: Part, weight: float = 1.0) -> Solid:
    points, sides = part.points, part.sides
    count = len(points)
    rings = points.reshape(-1, sides, 3).mean(1)
    along = np.cumsum(np.linalg.norm(np.diff(rings, axis=0, prepend=rings[:1]), axis=1))
    around = np.arange(count) % sides / sides * 2 * math.pi
    middle = (points.max(0) + points.min(0)) / 2
    radius = np.linalg.norm(points - middle, axis=1).max()
    spheres = np.zeros((0, 4)) if radius > 0.6 else np.array([[*middle, radius * 0.8]])
    pattern = np.stack([around * 25, np.repeat(along, sides) * 95, np.full(count, part.grain)], 1)
    return Solid(
        points=points,
        triangles=part.triangles,
        colours=np.tile(part.colour, (count, 1)),
        openness=np.full(count, 0.9),
        gloss=np.full(count, part.gloss),
        cloth=np.ones(count),
        weight=np.full(count, weight),
        head=np.zeros(count),
        before=True,
        grain=pattern,
        spheres=spheres,
    )
