"""The region of a head with its hair in a picture, computed from the pose alone."""

from __future__ import annotations

import torch
from torch import Tensor

from reenact.face.params import NECK_PIVOT, FaceParams, rotation_matrix

HEAD_CENTRE = (0.0, 0.0, -0.7)
"""Middle of the unposed head in dm. In height it is the eyes, half-way from chin to crown."""
HEAD_RADII = (1.05, 1.35)
"""Half width and half height of the region in dm. Those of a head are about 0.8 and 1.15."""
SOFT_EDGE = 0.2
"""The region fades out between the ellipse and an ellipse that is larger by this share."""


def head_region(params: FaceParams, size: int) -> Tensor:
    """A soft ellipse over the head and its hair, so large that a turned head stays inside.

    params: FaceParams (B) in pixels of the crop. Returns (B, 1, size, size) in [0, 1].
    """
    pivot = params.rotation.new_tensor(NECK_PIVOT)
    arm = params.rotation.new_tensor(HEAD_CENTRE) - pivot
    posed = rotation_matrix(params.rotation) @ arm + pivot
    # In the picture y points down. The magnification at the middle of the head is about 1.
    centre = params.translation + params.scale[:, None] * posed[:, :2] * posed.new_tensor([1, -1])
    width, height = (params.scale * radius for radius in HEAD_RADII)
    return soft_ellipse(centre, width, height, params.rotation[:, 2], size)


def soft_ellipse(centre: Tensor, width: Tensor, height: Tensor, roll: Tensor, size: int) -> Tensor:
    """Ellipses (B, 1, size, size): 1 inside, fading out to 0 over SOFT_EDGE.

    centre (B, 2), half width and half height (B,) in pixels, roll (B,) anticlockwise in radians.
    """
    ticks = torch.arange(size, device=centre.device, dtype=centre.dtype) + 0.5
    y, x = torch.meshgrid(ticks, ticks, indexing="ij")
    x, y = x - centre[:, 0, None, None], centre[:, 1, None, None] - y
    cos, sin = roll.cos()[:, None, None], roll.sin()[:, None, None]
    across = (cos * x + sin * y) / width[:, None, None]
    along = (cos * y - sin * x) / height[:, None, None]
    edge = ((1 + SOFT_EDGE - torch.hypot(across, along)) / SOFT_EDGE).clamp(0, 1)
    return (edge * edge * (3 - 2 * edge))[:, None]
