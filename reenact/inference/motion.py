"""The motion of a tracked target: gaps held, jitter taken out, handed to the source person."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

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
    pose_smoothing: float,
) -> TargetMotion:
    """The motion of N tracked frames, at least one of them with a face.

    params: FaceParams (N) in frame pixels; landmarks: (N, 68, 2) in frame pixels; found: (N,) bool;
    size, output_size: sides of the model's crops and of the results; pose_smoothing: seconds.
    """
    crops = crops_for_video(landmarks, found, size, fps)
    matrices = np.stack([crop.crop_from_frame for crop in crops])
    here = np.flatnonzero(found)
    # Smoothed before the gaps are filled, so that a held pose stands still.
    smooth = smooth_pose(params[here].transformed(matrices[here]), here, pose_smoothing * fps)
    held = np.searchsorted(here, hold_last(found))
    return TargetMotion(
        params=smooth[held],
        crops=crops_for_video(landmarks, found, output_size, fps),
        num_missing=len(found) - len(here),
        first_found=int(here[0]),
    )


def hold_last(found: np.ndarray) -> np.ndarray:
    """For each frame the index of the last frame with a face; before the first one, the first."""
    last = np.maximum.accumulate(np.where(found, np.arange(len(found)), -1))
    return np.where(last < 0, int(np.argmax(found)), last)


def smooth_pose(params: FaceParams, frames: np.ndarray, sigma: float) -> FaceParams:
    """Rotation, translation and scale smoothed over time; expression and gaze stay as they are.

    Lids and lips move within few frames, a head does not: what shakes it from frame to frame is
    the tracker. params: (K) of the frames with the numbers `frames` (K,), ascending; sigma: of the
    Gaussian, in frames. Frames beyond a gap have no weight.
    """
    if sigma <= 0 or len(params) == 0:
        return params
    # Laid out on the whole time line, frames in between weighing nothing.
    line = np.zeros(frames[-1] - frames[0] + 1)
    at = frames - frames[0]
    line[at] = 1
    weight = gaussian_filter1d(line, sigma, mode="constant")[at]

    def smooth(values: Tensor) -> Tensor:
        table = values.double().cpu().numpy().reshape(len(values), -1)
        spread = np.zeros((len(line), table.shape[1]))
        spread[at] = table
        mean = gaussian_filter1d(spread, sigma, axis=0, mode="constant")[at] / weight[:, None]
        return torch.from_numpy(mean.reshape(values.shape)).to(values)

    unwrapped = torch.from_numpy(np.unwrap(params.rotation.double().cpu().numpy(), axis=0))
    return replace(
        params,
        rotation=smooth(unwrapped).to(params.rotation),
        translation=smooth(params.translation),
        scale=smooth(params.scale.log()).exp(),
    )


def driving_params(source: FaceParams, target: TargetMotion, motion: Motion) -> FaceParams:
    """What to render: FaceParams (N) of the source person, source (1), in the target's motion."""
    if motion == "absolute":
        return retarget(source, target.params)
    return retarget_relative(source, target.params, target.params[target.first_found])
