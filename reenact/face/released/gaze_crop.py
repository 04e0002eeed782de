"""The input picture of the gaze network, and the pupils for its output.

Coordinates are those of the published pipeline, where the centre of the first pixel is (0, 0).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from reenact.face.points import fit_similarity, five_points_from_landmarks68

SIZE = 224
TEMPLATE_SIZE = 112
TEMPLATE = (
    (35.343697, 51.6963),
    (76.453766, 51.5014),
    (56.029396, 71.7366),
    (39.14085, 92.3655),
    (73.18488, 92.2041),
)
"""Eye centres, nose tip and mouth corners in an upright face of 112 x 112 pixels."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def crop(images: Tensor, landmarks: Tensor) -> Tensor:
    """images (B, 3, 256, 256) in [-1, 1], landmarks (B, 68, 2) px -> (B, 3, 224, 224).

    The face is upright, by its five points. The picture is normalised with the mean and deviation
    of ImageNet; outside it is mid grey, 0 before the normalisation. Differentiable in the images.
    Raises ValueError when a landmark is not finite.
    """
    height, width = images.shape[-2:]
    affine = crop_affines(landmarks, width=width, height=height).to(images)
    grid = F.affine_grid(affine, [len(images), 3, SIZE, SIZE], align_corners=False)
    sampled = F.grid_sample(images, grid, padding_mode="zeros", align_corners=False)
    mean = images.new_tensor(IMAGENET_MEAN)[:, None, None]
    std = images.new_tensor(IMAGENET_STD)[:, None, None]
    return ((sampled.clamp(-1, 1) + 1) / 2 - mean) / std


def crop_affines(landmarks: Tensor, *, width: int = 256, height: int = 256) -> Tensor:
    """landmarks (B, 68, 2) px -> (B, 2, 3) float64 on the CPU, from the crop's [-1, 1]² to the
    picture's.

    Raises ValueError when a landmark is not finite.
    """
    points = five_points_from_landmarks68(landmarks.detach().cpu().float()).double()
    if not points.isfinite().all():
        raise ValueError("landmarks: not finite")
    picture = fit_similarity(torch.tensor(TEMPLATE, dtype=torch.float64), points)
    sides = torch.tensor([width, height], dtype=torch.float64)
    turn = picture[:, :, :2] * TEMPLATE_SIZE / sides[:, None]
    shift = picture[:, :, 2] * 2 / sides + turn.sum(2) - 1
    return torch.cat([turn, shift[..., None]], 2)


def pupils(landmarks: Tensor, gaze: Tensor) -> Tensor:
    """landmarks (B, 68, 2) px, gaze (B, 2) pitch and yaw in radians -> pupils (B, 2, 2) px.

    pupils[:, 0] belongs to the image-left eye (points 36-41). The pupil moves from the eye's centre
    by shares of the eye's width and height. Differentiable in both inputs.
    """
    eyes = landmarks[:, 36:48].unflatten(1, (2, 6))
    span = eyes.amax(2) - eyes.amin(2)
    pitch, yaw = gaze.to(landmarks).unbind(1)
    offset = -torch.stack([yaw.sin() * pitch.cos(), pitch.sin()], 1)
    return eyes.mean(2) + span / 2 * offset[:, None]
