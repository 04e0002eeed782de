"""The shape of a hand with its forearm: rounded cones along the bones, joined smoothly.

A hand's own axes: the wrist at the origin, +Y to the fingers, +Z out of the palm, +X to the thumb
of a right hand. Units are dm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba as nb
import numpy as np

from reenact.data.synthetic.covers.meshes import gradient, polygonised

CELL = 0.045
PALM_BLEND, FINGER_BLEND, JOINT_BLEND = 0.10, 0.05, 0.02
FOREARM_LENGTH = 2.8
KNUCKLES = np.array(
    [[0.32, 0.92, 0.0], [0.105, 0.98, -0.03], [-0.11, 0.94, -0.02], [-0.31, 0.83, 0.02]]
)
CARPALS = np.array([[0.15, 0.12, 0.02], [0.05, 0.12, 0], [-0.05, 0.12, 0], [-0.15, 0.12, 0.02]])
PHALANGES = np.array(
    [[0.43, 0.25, 0.18], [0.49, 0.29, 0.19], [0.45, 0.27, 0.19], [0.35, 0.20, 0.17]]
)
FINGER_RADII = np.array([[0.116, 0.104, 0.094, 0.079]] * 3 + [[0.101, 0.091, 0.083, 0.069]])
SPREAD = np.array([0.12, 0.02, -0.08, -0.20])
THUMB = np.array([[0.20, 0.14, 0.08], [0.44, 0.48, 0.17], [0.60, 0.78, 0.22], [0.66, 1.04, 0.24]])
THUMB_ACROSS = np.array(
    [[0.20, 0.14, 0.08], [0.40, 0.44, 0.24], [0.34, 0.70, 0.42], [0.14, 0.80, 0.50]]
)
"""The joints of a thumb that lies beside the palm, and of one that lies over a fist."""
THUMB_RADII = np.array([0.17, 0.135, 0.120, 0.095])
THUMB_BACK = np.array([0.35, 0, -0.94])
NAIL_SIZE = (0.085, 0.052)
"""Half length and half width of a nail."""
CREASE_REACH = 0.10
"""How far from a joint the skin is creased."""
SPHERE_SIZE, FOREARM_SHADE = 1.15, 2.0
"""Spheres that stand for the cones, in radii of these, up to this distance from the wrist."""
OPEN, RELAXED, FIST = (
    np.array([0.10, 0.15, 0.10]),
    np.array([0.35, 0.50, 0.30]),
    np.array([1.40, 1.65, 0.95]),
)
"""Angles (radians) of the three joints of a finger."""


@dataclass(frozen=True, kw_only=True)
class Bones:
    """Groups of rounded cones (M, 8): start, radius, end, radius."""

    palm: np.ndarray
    fingers: np.ndarray
    """(5, 3, 8), the thumb last."""
    sleeve: np.ndarray
    """None or one cone (0 or 1, 8)."""


@dataclass(frozen=True, kw_only=True)
class HandShape:
    """V vertices of a hand in its own axes."""

    points: np.ndarray
    triangles: np.ndarray
    openness: np.ndarray
    sleeve: np.ndarray
    """(V,) 1 on the sleeve, 0 on the skin."""
    nail: np.ndarray
    """(V,) 1 on the nails."""
    crease: np.ndarray
    """(V,) 1 around the joints of the fingers."""
    palm: np.ndarray
    """(V,) 1 on the palm's side."""
    spheres: np.ndarray
    """(K, 4), see `Solid`."""


def _cones(joints: np.ndarray, radii: np.ndarray) -> np.ndarray:
    return np.column_stack([joints[:-1], radii[:-1], joints[1:], radii[1:]])


def hand_bones(
    flex: np.ndarray, thumb_across: float, forearm: np.ndarray, sleeve: float | None
) -> Bones:
    """Bones of a pose.

    flex: (4, 3) angles of the finger joints. thumb_across: 0 = beside the palm, 1 = over the fist.
    forearm: (3,) unit direction from the wrist to the elbow. sleeve: where on the forearm (dm from
    the wrist) it begins; None for a bare arm.
    """
    fingers = []
    for n in range(4):
        open_direction = np.array([np.sin(SPREAD[n]), np.cos(SPREAD[n]), 0.0])
        joints, bend = [KNUCKLES[n]], 0.0
        for length, angle in zip(PHALANGES[n], flex[n], strict=True):
            bend += angle
            # The more a finger bends, the less it spreads.
            straight = open_direction * np.cos(bend) + np.array([0, 0, np.sin(bend)])
            joints.append(joints[-1] + length * straight)
        fingers.append(_cones(np.array(joints), FINGER_RADII[n]))
    thumb = THUMB * (1 - thumb_across) + THUMB_ACROSS * thumb_across
    fingers.append(_cones(thumb, THUMB_RADII))
    palm = [np.concatenate([CARPALS[n], [0.155], KNUCKLES[n], [0.12]]) for n in range(4)]
    palm.append(np.array([0.20, 0.20, 0.08, 0.16, 0.36, 0.50, 0.10, 0.12]))
    side = np.cross(forearm, [0, 0, 1.0])
    side /= np.linalg.norm(side) + 1e-9
    for k in (-1.0, 1.0):
        start, end = k * 0.09 * side, FOREARM_LENGTH * forearm + k * 0.12 * side
        palm.append(np.concatenate([start, [0.17], end, [0.33]]))
    cloth = np.zeros((0, 8))
    if sleeve is not None:
        share = sleeve / FOREARM_LENGTH
        radius = 0.24 + 0.16 * share
        ends = (sleeve * forearm, FOREARM_LENGTH * 1.02 * forearm)
        cloth = np.concatenate([ends[0], [radius + 0.07], ends[1], [0.52]])[None]
    return Bones(palm=np.array(palm), fingers=np.array(fingers), sleeve=cloth)


@nb.njit(cache=True, inline="always")
def _blend(a: float, b: float, reach: float) -> float:
    """Smooth minimum: the corner between two surfaces is rounded by `reach`."""
    h = max(0.0, reach - abs(a - b)) / reach
    return min(a, b) - h * h * reach / 4


@nb.njit(cache=True)
def _group(x: float, y: float, z: float, cones: np.ndarray, reach: float) -> float:
    """Distance of one point from cones (M, 8) that blend into each other."""
    out = 1e9
    for m in range(cones.shape[0]):
        c = cones[m]
        ax, ay, az = c[4] - c[0], c[5] - c[1], c[6] - c[2]
        px, py, pz = x - c[0], y - c[1], z - c[2]
        t = (px * ax + py * ay + pz * az) / (ax * ax + ay * ay + az * az)
        t = min(1.0, max(0.0, t))
        px, py, pz = px - t * ax, py - t * ay, pz - t * az
        distance = math.sqrt(px * px + py * py + pz * pz) - c[3] - t * (c[7] - c[3])
        out = distance if m == 0 else _blend(out, distance, reach)
    return out


@nb.njit(cache=True)
def _distances(points: np.ndarray, palm: np.ndarray, fingers: np.ndarray) -> np.ndarray:
    """Signed distances (N,) from palm (M, 8) and fingers (F, 3, 8)."""
    out = np.empty(points.shape[0])
    for n in range(points.shape[0]):
        x, y, z = points[n, 0], points[n, 1], points[n, 2]
        base = _group(x, y, z, palm, PALM_BLEND)
        nearest = base
        for f in range(fingers.shape[0]):
            # Fingers blend into the palm, and not into each other.
            finger = _group(x, y, z, fingers[f], JOINT_BLEND)
            nearest = min(nearest, _blend(base, finger, FINGER_BLEND))
        out[n] = nearest
    return out


def hand_shape(bones: Bones) -> HandShape:
    """The hand's surface."""
    no_fingers = np.zeros((0, 3, 8))

    def distance(points: np.ndarray) -> np.ndarray:
        skin = _distances(points, bones.palm, bones.fingers)
        if not len(bones.sleeve):
            return skin
        return np.minimum(skin, _distances(points, bones.sleeve, no_fingers))

    cones = np.concatenate([bones.palm, *bones.fingers])
    every = np.concatenate([cones, bones.sleeve])
    ends, radii = np.concatenate([every[:, :3], every[:, 4:7]]), every[:, [3, 7]].T.reshape(-1, 1)
    low, high = (ends - radii).min(0) - 3 * CELL, (ends + radii).max(0) + 3 * CELL
    points, triangles = polygonised(distance, low, high, CELL)
    normals = gradient(distance, points)
    open_near = distance(points + normals * 0.07) / 0.07
    open_far = distance(points + normals * 0.22) / 0.22
    openness = np.clip(0.25 + 0.4 * open_near + 0.35 * open_far, 0.2, 1)
    sleeve: np.ndarray = np.zeros(len(points))
    if len(bones.sleeve):
        cloth = _distances(points, bones.sleeve, no_fingers)
        sleeve = 1.0 * (cloth < _distances(points, bones.palm, bones.fingers))
    nails = [_nail(points, finger, is_thumb=n == 4) for n, finger in enumerate(bones.fingers)]
    joints = bones.fingers[:, 1:, :3].reshape(-1, 1, 3)
    to_joint = np.linalg.norm(points - joints, axis=2).min(0)
    middles, mean_radii = (cones[:, :3] + cones[:, 4:7]) / 2, (cones[:, 3] + cones[:, 7]) / 2
    spheres = np.column_stack([middles, mean_radii * SPHERE_SIZE])
    return HandShape(
        points=points,
        triangles=triangles,
        openness=openness,
        sleeve=sleeve,
        nail=np.max(nails, axis=0),
        crease=np.clip(1.5 - to_joint / CREASE_REACH, 0, 1),
        palm=np.clip(normals[:, 2] * 1.5, 0, 1),
        spheres=spheres[np.linalg.norm(middles, axis=1) < FOREARM_SHADE],
    )


def _nail(points: np.ndarray, finger: np.ndarray, *, is_thumb: bool) -> np.ndarray:
    """(V,) 1 on the nail of a finger (3, 8), with a soft edge."""
    tip, before = finger[-1, 4:7], finger[-1, :3]
    along = (tip - before) / np.linalg.norm(tip - before)
    # Fingers bend about X, so the back of one is at a right angle to X.
    back = THUMB_BACK if is_thumb else np.cross(along, [1.0, 0, 0])
    back = back - along * (back @ along)
    back = back / np.linalg.norm(back)
    offset = points - (tip - 0.015 * along + back * finger[-1, 7])
    lengthwise = offset @ along
    across = np.linalg.norm(offset - lengthwise[:, None] * along, axis=1)
    inside = (lengthwise / NAIL_SIZE[0]) ** 2 + (across / NAIL_SIZE[1]) ** 2
    nail: np.ndarray = np.clip(1.6 - inside, 0, 1)
    return nail
