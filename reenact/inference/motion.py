"""The motion of a tracked target: gaps held, cropped, handed to the source person."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from reenact.face.crop import FaceCrop, crops_for_video
from reenact.face.params import FaceParams, retarget, retarget_relative

Motion = Literal["absolute", "relative"]


@dataclass(frozen=True, kw_only=True)
class TargetMotion:
    """What the target does: FaceParams (N) in the model's crop pixels, one per target frame.

    crops: N crops of the results' size. num_missing: frames without a face, which repeat the pose
    of the last frame with one. first_found: index of the first frame with a face.
    """

    params: FaceParams
    crops: list[FaceCrop]
    num_missing: int
    first_found: int

    def __len__(self) -> int:
        return len(self.params)


def target_motion(
    params: FaceParams,
    landmarks: np.ndarray,
    found: np.ndarray,
    fps: float,
    *,
    size: int,
    output_size: int,
) -> TargetMotion:
    """The motion of N tracked frames, at least one of them with a face.

    params: FaceParams (N) in frame pixels; landmarks: (N, 68, 2) in frame pixels; found: (N,) bool;
    size, output_size: sides of the model's crops and of the results.
    """
    crops = crops_for_video(landmarks, found, size, fps)
    matrices = np.stack([crop.crop_from_frame for crop in crops])
    here = np.flatnonzero(found)
    # Held in crop pixels: in frame pixels the crop, which goes on, would move a held face.
    held = hold_last(found)
    return TargetMotion(
        params=params[held].transformed(matrices[held]),
        crops=crops_for_video(landmarks, found, output_size, fps),
        num_missing=len(found) - len(here),
        first_found=int(here[0]),
    )


def hold_last(found: np.ndarray) -> np.ndarray:
    """For each frame the index of the last frame with a face; before the first one, the first."""
    last = np.maximum.accumulate(np.where(found, np.arange(len(found)), -1))
    return np.where(last < 0, int(np.argmax(found)), last)


def driving_params(source: FaceParams, target: TargetMotion, motion: Motion) -> FaceParams:
    """What to render: FaceParams (N) of the source person, source (1), in the target's motion."""
    if motion == "absolute":
        return retarget(source, target.params)
    return retarget_relative(source, target.params, target.params[target.first_found])
