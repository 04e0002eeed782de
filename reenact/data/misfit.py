"""Errors of a face tracker, added to true face parameters."""

from __future__ import annotations

import numpy as np

from reenact.face.batch import FaceBatch
from reenact.face.params import FaceParams

# Standard deviations of the errors. Rotation is in radians (yaw, pitch, roll), PLACE in shares of
# the crop's side, SCALE relative. The angles are half of the mean errors that docs/log.md measured
# for the open tracker. The others are estimates.
ROTATION = (0.01, 0.025, 0.005)
PLACE = 0.004
SCALE = 0.005
EXPRESSION = 0.03
GAZE = 0.05
IDENTITY = 0.5
"""In units of the spread between people. This error is the same in all pictures of a person."""


def can_misread(params: type[FaceBatch]) -> bool:
    """Whether the typical errors of such parameters are known."""
    return issubclass(params, FaceParams)


def misread(
    faces: list[dict[str, np.ndarray]], size: int, strength: float, rng: np.random.Generator
) -> list[dict[str, np.ndarray]]:
    """Add errors to the parameters of faces of one person.

    faces: the fields of one face each, without a batch axis, in pixels of a crop of side `size`.
    strength: size of the errors, in units of the typical ones. The random numbers that are drawn
    do not depend on it.
    """
    identity = IDENTITY * rng.standard_normal(faces[0]["identity"].shape)
    return [
        {
            "identity": face["identity"] + strength * identity,
            "expression": (
                face["expression"] + strength * EXPRESSION * rng.standard_normal(52)
            ).clip(0, 1),
            "rotation": face["rotation"] + strength * np.array(ROTATION) * rng.standard_normal(3),
            "translation": face["translation"] + strength * PLACE * size * rng.standard_normal(2),
            "scale": face["scale"] * np.exp(strength * SCALE * rng.standard_normal()),
            "gaze": face["gaze"] + strength * GAZE * rng.standard_normal(2),
        }
        for face in faces
    ]
