"""The face parameters of the open head model: identity, expression, pose, place and gaze."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from reenact.face.batch import FaceBatch

NUM_IDENTITY = 80
NUM_EXPRESSION = 52

NECK_PIVOT = (0.0, -0.95, -1.12)
"""The head turns about this point. Coordinates of the unposed head: dm, eye midpoint at 0."""

CAMERA_DISTANCE = 11.0
CAMERA_PLANE = -0.6
"""Perspective: a point at depth Z is magnified by 11 / (11 - (Z + 0.6)). At Z = -0.6 this is 1."""

MAX_GAZE = 0.6
"""Largest angle of the eyes to the head, in radians: farther no iris is seen."""

FACE_CENTRE = (0.0, -0.36, 0.15)
"""Middle of the mean head's 68 landmarks. Its depth is used as the depth of the face."""


def rotation_matrix(rotation: Tensor) -> Tensor:
    """Rz(roll) @ Ry(yaw) @ Rx(pitch) for `rotation` (..., 3) = yaw, pitch, roll in radians.

    X points to the picture's right, Y up, Z to the camera. Positive yaw turns the nose to the
    picture's right, positive pitch turns it down, positive roll turns the head anticlockwise
    as seen in the picture. Returns (..., 3, 3).
    """
    yaw, pitch, roll = rotation.unbind(-1)
    cy, sy, cp, sp = yaw.cos(), yaw.sin(), pitch.cos(), pitch.sin()
    cr, sr = roll.cos(), roll.sin()
    rows = [
        torch.stack([cr * cy, cr * sy * sp - sr * cp, cr * sy * cp + sr * sp], -1),
        torch.stack([sr * cy, sr * sy * sp + cr * cp, sr * sy * cp - cr * sp], -1),
        torch.stack([-sy, cy * sp, cy * cp], -1),
    ]
    return torch.stack(rows, -2)


@dataclass(frozen=True, kw_only=True, eq=False)
class FaceParams(FaceBatch):
    """A batch of faces. Every field is a float tensor, and its first axis is the batch.

    identity: (B, 80) shape coefficients, about N(0, 1).
    expression: (B, 52) in [0, 1], in the order of `EXPRESSION_NAMES`.
    rotation: (B, 3) yaw, pitch, roll in radians.
    translation: (B, 2) pixel x, y of the head point (0, 0, -0.6).
    scale: (B,) pixels per dm at the depth of that point.
    gaze: (B, 2) yaw, pitch in radians, relative to the head.
    """

    identity: Tensor
    expression: Tensor
    rotation: Tensor
    translation: Tensor
    scale: Tensor
    gaze: Tensor

    WIDTHS: ClassVar[dict[str, tuple[int, ...]]] = {
        "identity": (NUM_IDENTITY,),
        "expression": (NUM_EXPRESSION,),
        "rotation": (3,),
        "translation": (2,),
        "scale": (),
        "gaze": (2,),
    }

    @classmethod
    def neutral(cls, num_faces: int = 1) -> FaceParams:
        """The mean head looking into the camera, 1 pixel per dm, at pixel (0, 0)."""
        arrays = {n: torch.zeros(num_faces, *width) for n, width in cls.WIDTHS.items()}
        return cls(**(arrays | {"scale": torch.ones(num_faces)}))

    def head_angles_deg(self) -> Tensor:
        return torch.rad2deg(self.rotation)

    def transformed(self, matrix: np.ndarray | Tensor) -> FaceParams:
        """The same faces after a similarity (shift, scale, rotation) of the picture.

        `matrix` (3, 3) or (B, 3, 3) maps old to new pixel coordinates, for example
        `crop_from_frame`. Shifts and scaling are exact.

        A rotation of the picture becomes a roll about the neck. The neck itself moves sideways;
        `translation` makes up for this at the depth of the face's centre. A rotation of 20 degrees
        leaves an error on the landmarks, because the perspective differs over the depth of the
        face: 0.5 % of the distance between the eyes on the inner landmarks, 1.8 % on the jaw line.
        Neck and shoulders do not rotate, because the model always keeps the shoulders upright.

        Raises ValueError when the matrix is not a similarity or mirrors the picture.
        """
        # In float64 on the CPU, because some devices have no float64.
        m = torch.as_tensor(matrix).detach().cpu().double()
        m = m.expand(len(self), 3, 3)
        zoom = torch.hypot(m[:, 0, 0], m[:, 1, 0])
        skew = (m[:, 0, 0] - m[:, 1, 1]).abs() + (m[:, 0, 1] + m[:, 1, 0]).abs()
        if len(self) and (bool((skew > 1e-4 * zoom).any()) or not bool((zoom > 0).all())):
            raise ValueError("matrix: not a similarity (rotation, one scale, shift)")
        # Pixel y points down, so a positive angle of the matrix is clockwise, a negative roll.
        turn = -torch.atan2(m[:, 1, 0], m[:, 0, 0])
        rotation, translation = self.rotation.cpu().double(), self.translation.cpu().double()
        depth = _face_depth(rotation)
        magnification = CAMERA_DISTANCE / (CAMERA_DISTANCE - (depth - CAMERA_PLANE))
        pivot_y = NECK_PIVOT[1]
        neck = torch.stack([-turn.sin() * pivot_y, -(turn.cos() - 1) * pivot_y], -1)
        moved = torch.einsum("bij,bj->bi", m[:, :2, :2], translation) + m[:, :2, 2]
        scale = self.scale.cpu().double() * zoom
        roll = torch.remainder(rotation[:, 2] + turn + math.pi, 2 * math.pi) - math.pi
        return replace(
            self,
            rotation=torch.stack([rotation[:, 0], rotation[:, 1], roll], -1).to(self.rotation),
            translation=(moved + (scale * magnification)[:, None] * neck).to(self.translation),
            scale=scale.to(self.scale),
        )


def _face_depth(rotation: Tensor) -> Tensor:
    """The depth Z (B,) of the posed face centre."""
    pivot = rotation.new_tensor(NECK_PIVOT)
    arm = rotation.new_tensor(FACE_CENTRE) - pivot
    return (rotation_matrix(rotation) @ arm + pivot)[:, 2]


def retarget(source: FaceParams, target: FaceParams) -> FaceParams:
    """The source person with the target's expression, pose, place and gaze.

    `source` holds one face, or as many as `target`. Only its identity is used, so `retarget(a, a)`
    equals `a`.
    """
    return replace(target, identity=source.identity.to(target.identity).expand(len(target), -1))


def retarget_relative(source: FaceParams, target: FaceParams, neutral: FaceParams) -> FaceParams:
    """The source face, moved in the way the target moved away from its own `neutral` frame.

    `source` and `neutral` hold one face, or as many as `target`. A target equal to `neutral` gives
    the source itself. Translations are measured in head sizes, not in pixels.
    """
    count = len(target)
    source, neutral = source.to(target.scale.device), neutral.to(target.scale.device)
    ratio = source.scale / neutral.scale
    moved = (target.translation - neutral.translation) * ratio[:, None]
    expression = source.expression + target.expression - neutral.expression
    return FaceParams(
        identity=source.identity.expand(count, -1),
        expression=expression.clamp(0, 1),
        rotation=source.rotation + target.rotation - neutral.rotation,
        translation=source.translation + moved,
        scale=target.scale * ratio,
        gaze=source.gaze + target.gaze - neutral.gaze,
    )


NUM_MOTION_VALUES = 2 * (NUM_EXPRESSION + 3 + 2 + 1 + 2)
MEAN_SCALE = 0.38
"""Pixels per dm of the average head in a face crop, in units of the crop's side."""


def motion_vector(source: FaceParams, target: FaceParams, size: int) -> Tensor:
    """Expression, pose, place, size and gaze of the source and of the targets.

    Args:
        source: FaceParams (B), or (1) for all targets, in pixels of a crop of side `size`.
        target: FaceParams (B) likewise. Identities are ignored.

    Returns:
        (B, 120) float32, every value of order one.
    """
    start, end = _motion_values(source, size), _motion_values(target, size)
    return torch.cat([start.expand_as(end), end], dim=1)


def _motion_values(params: FaceParams, size: int) -> Tensor:
    place = 4 * (params.translation / size - 0.5)
    zoom = 4 * torch.log(params.scale[:, None] / (MEAN_SCALE * size))
    values = [2 * params.expression, 3 * params.rotation, place, zoom, 3 * params.gaze]
    return torch.cat(values, dim=1)
