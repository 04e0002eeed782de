"""FVD of whole videos, read back from the folder of predictions."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from reenact.data.clips import Clip
from reenact.evaluation.frechet import frechet_distance
from reenact.evaluation.judges import Features
from reenact.evaluation.pairs import Video
from reenact.evaluation.predictions import PredictionFolder
from reenact.media.images import image_from_frame


def frechet_video_distance(
    videos: Sequence[Video],
    clips: dict[str, Clip],
    folder: PredictionFolder,
    i3d: Features,
    num_frames: int,
    device: torch.device,
) -> float | None:
    """FVD ↓ over all whole windows of `num_frames` frames of the videos within one clip.

    None below two windows.
    """
    features: dict[str, list[Tensor]] = {"prediction": [], "reference": []}
    for video in videos:
        if len(video) < num_frames or video[0].mode == "cross":
            continue
        target = clips[video[0].target_clip]
        frames = {
            "prediction": folder.frames(video, target.num_frames),
            "reference": [target.frame(pair.reference) for pair in video],
        }
        for name, part in frames.items():
            for window in windows(part, num_frames):
                with torch.inference_mode():
                    features[name].append(i3d(window.to(device)).float().cpu())
    if len(features["reference"]) < 2:
        return None
    return frechet_distance(torch.cat(features["prediction"]), torch.cat(features["reference"]))


def windows(frames: Sequence[np.ndarray], length: int) -> Iterator[Tensor]:
    """Whole windows one after the other: (1, 3, length, S, S) in [-1, 1]."""
    for start in range(0, len(frames) - length + 1, length):
        images = image_from_frame(np.stack(frames[start : start + length]))
        yield images.permute(1, 0, 2, 3).unsqueeze(0)
