"""Face parameters as a tracker would read them: a little wrong."""

from __future__ import annotations

import numpy as np

from reenact.face.batch import FaceBatch
from reenact.face.params import FaceParams

# Standard deviations, drawn anew for every picture: radians (yaw, pitch, roll), shares of the
# crop's side and of the scale. The angles are half of the mean errors that docs/log.md measured for
# the open tracker; the rest are estimates.
ROTATION = (0.01, 0.025, 0.005)
PLACE = 0.004
SCALE = 0.005
EXPRESSION = 0.03
GAZE = 0.05
IDENTITY = 0.5
"""The same in all pictures of a person, in units of the spread between people."""


def can_misread(params: type[FaceBatch]) -> bool:
    """Whether the typical errors of such parameters are known."""
    return issubclass(params, FaceParams)


def misread(
    faces: list[dict[str, np.ndarray]], size: int, strength: float, rng: np.random.Generator
) -> list[dict[str, np.ndarray]]:
    """Face parameters (one face, no batch axis) of pictures of side `size` with errors of
    `strength` times the typical ones. The draws do not depend on `strength`.
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
