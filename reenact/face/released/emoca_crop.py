"""The input picture of EMOCA: 224 x 224 pixels around the landmarks, upright, not normalised.

Coordinates are those of the published pipeline, where the centre of the first pixel is (0, 0).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

SIZE = 224
MARGINS = (1.1, 1.25)
"""The published code enlarges the landmarks' box by both factors, then truncates its side to whole
pixels."""
_LAST_PIXEL = 255.0
# The published detector maps [-1, 1] to [0, 255 * 2 / (2 + 1e-5)].
_RANGE = 2 + 1e-5


def crop(images: Tensor, landmarks: Tensor) -> Tensor:
    """images (B, 3, 256, 256) in [-1, 1], landmarks (B, 68, 2) px -> (B, 3, 224, 224) in [0, 1].

    Sampling is bilinear without antialiasing. Pixels outside the picture are black. Differentiable
    in the images. Raises ValueError when the landmarks of a face span less than a pixel.
    """
    unit = (images.clamp(-1, 1) + 1) / _RANGE
    matrix = crop_matrices(landmarks)
    zoom = matrix[:, 0, 0, None]
    ticks = torch.arange(SIZE, dtype=torch.float64)
    # For grid_sample -1 and 1 are the centres of the first and the last pixel.
    last = torch.tensor([images.shape[-1], images.shape[-2]]) - 1
    x = (ticks - matrix[:, 0, 2, None]) / zoom * (2 / last[0]) - 1
    y = (ticks - matrix[:, 1, 2, None]) / zoom * (2 / last[1]) - 1
    shape = (len(landmarks), SIZE, SIZE)
    grid = torch.stack([x[:, None, :].expand(shape), y[:, :, None].expand(shape)], -1)
    return F.grid_sample(unit, grid.to(unit), padding_mode="zeros", align_corners=True)


def crop_matrices(landmarks: Tensor) -> Tensor:
    """landmarks (B, 68, 2) px -> (B, 3, 3) float64 on the CPU, from picture to crop pixels.

    A face with a coordinate that is not finite gets the whole picture, as published. Raises
    ValueError when the landmarks of a face span less than a pixel.
    """
    # Some devices have no float64, so these few numbers are computed on the CPU.
    points = landmarks.detach().cpu().double()
    low, high = points.amin(1), points.amax(1)
    lost = ~points.flatten(1).isfinite().all(1, keepdim=True)
    low, high = low.masked_fill(lost, 0.0), high.masked_fill(lost, _LAST_PIXEL)
    width, height = (high - low).unbind(1)
    size = ((width + height) / 2 * MARGINS[0] * MARGINS[1]).trunc()
    if not (size > 0).all():
        raise ValueError("landmarks: a face smaller than a pixel cannot be cropped")
    centre = high - (high - low) / 2
    zoom = (SIZE - 1) / size
    matrix = torch.eye(3, dtype=torch.float64).repeat(len(points), 1, 1)
    matrix[:, 0, 0] = matrix[:, 1, 1] = zoom
    matrix[:, :2, 2] = -zoom[:, None] * (centre - size[:, None] / 2)
    return matrix
