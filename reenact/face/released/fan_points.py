"""Crops and points for the landmark network 2D-FAN-4 (Bulat and Tzimiropoulos, ICCV 2017).

The centre of the first pixel is (0, 0). The published pipeline truncates coordinates to integers in
several places. This file does the same.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 256  # px of a crop
_UP = 0.12  # of a box's height, from its centre to the crop's
_BOX_SIDE = 195.0  # mean side of a box at scale 1
_CROP_SIDE = 200.0  # px of the picture that a crop spans at scale 1


def centres_and_scales(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Centres (N, 2) and scales (N,), float64, of the crops around boxes (N, 4) x1, y1, x2, y2."""
    x1, y1, x2, y2 = boxes.unbind(1)
    # The published pipeline computes in float32 and in this order. Only then is a coordinate close
    # to an integer truncated to the same value.
    centres = torch.stack([(x1 + x2) / 2, (y1 + y2) / 2 - _UP * (y2 - y1)], 1)
    return centres.double(), (x2 - x1 + y2 - y1).double() / _BOX_SIDE


def to_picture(points: Tensor, centres: Tensor, scales: Tensor, resolution: int) -> Tensor:
    """Points (N, K, 2) of crops with `resolution` px a side -> pixels of the picture, long."""
    zoom = _CROP_SIDE * scales[:, None, None] / resolution
    return ((points.double() - resolution / 2) * zoom + centres[:, None]).long()


def corners(centres: Tensor, scales: Tensor) -> Tensor:
    """(N, 2, 2) long: x, y of the first pixel of each crop, and of the pixel after its last."""
    ends = torch.tensor([[1.0, 1.0], [SIDE, SIDE]], dtype=torch.float64)
    return to_picture(ends.expand(len(centres), 2, 2), centres, scales, SIDE)


def crop(image: Tensor, corners: Tensor, antialias: bool) -> Tensor:
    """Cut the rectangle `corners` (2, 2) out of a picture (C, H, W) and resize it -> (C, 256, 256).
    Pixels outside the picture are zero.
    """
    height, width = image.shape[-2:]
    (left, top), (right, bottom) = corners.tolist()
    canvas = image.new_zeros(len(image), bottom - top, right - left)
    x1, x2, y1, y2 = max(left, 0), min(right, width), max(top, 0), min(bottom, height)
    if x1 < x2 and y1 < y2:
        canvas[:, y1 - top : y2 - top, x1 - left : x2 - left] = image[:, y1:y2, x1:x2]
    return F.interpolate(
        canvas[None], (SIDE, SIDE), mode="bilinear", align_corners=False, antialias=antialias
    )[0]


def peaks(heatmaps: Tensor) -> Tensor:
    """The points (N, K, 2) of heatmaps (N, K, R, R), in pixels of the heatmap.

    The first pixel spans 0 to 1. A point is the centre of the highest cell, the first one where
    several are equal. It moves by a quarter of a cell towards the higher neighbour along x and
    along y, except at the border.
    """
    side = heatmaps.shape[-1]
    flat = heatmaps.flatten(2)
    cell = flat.argmax(-1)
    x, y = cell % side, cell // side
    inner = (x > 0) & (x < side - 1) & (y > 0) & (y < side - 1)
    # At the border a step of 0 keeps the index inside the heatmap.
    steps = torch.where(inner, 1, 0)

    def rise(step: Tensor) -> Tensor:
        ahead, behind = (cell + step)[..., None], (cell - step)[..., None]
        return (flat.gather(-1, ahead) - flat.gather(-1, behind))[..., 0].sign()

    towards = torch.stack([rise(steps), rise(steps * side)], -1)
    return torch.stack([x, y], -1) + 0.5 + 0.25 * towards
