"""How much the sides of a head face the camera."""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor

from reenact.face.params import rotation_matrix
from reenact.face.surface.visible import rest_points

HEAD_CENTRE = (0.0, -0.1, -0.9)
"""dm: the middle of the round head."""


def facing(rotation: Tensor) -> np.ndarray:
    """How much each vertex of `surface_points` faces the camera: (B, V).

    rotation: (B, 3), see `FaceParams`. The head is taken as round: noses and lids count as the skin
    around them. 1 is frontal, 0 is at the outline, negative values are turned away.
    """
    return rotation_matrix(rotation)[:, 2].cpu().numpy() @ _directions().T


def turn_between(source: Tensor, target: Tensor) -> Tensor:
    """How far heads turn between two pictures: radians (B,), without what they roll.

    source: rotations (B, 3), or (1, 3) for all, see `FaceParams`. target: (B, 3).
    """
    before, now = (rotation_matrix(rotation)[:, 2] for rotation in (source, target))
    return torch.arccos((before * now).sum(1).clamp(-1, 1))


def roll_between(source: Tensor, target: Tensor) -> Tensor:
    """How far heads roll anticlockwise between two pictures: radians (B,)."""
    before, now = (_roll(rotation) for rotation in (source, target))
    return now - before


def _roll(rotation: Tensor) -> Tensor:
    """How far the upward direction of a head leans to the left in the picture: radians (B,)."""
    up = rotation_matrix(rotation)[:, :2, 1]
    return torch.atan2(-up[:, 0], up[:, 1])


@functools.cache
def _directions() -> np.ndarray:
    """Unit vectors (V, 3) from the middle of the unposed head to its vertices."""
    out = rest_points() - np.array(HEAD_CENTRE, np.float32)
    return out / np.linalg.norm(out, axis=1, keepdims=True)
