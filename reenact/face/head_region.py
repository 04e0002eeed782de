"""Where a head and its hair are in a picture, by the pose alone."""

from __future__ import annotations

import torch
from torch import Tensor

from reenact.face.params import NECK_PIVOT, FaceParams, rotation_matrix

HEAD_CENTRE = (0.0, 0.0, -0.7)
"""Middle of the unposed head in dm: the eyes lie half-way between chin and crown."""
HEAD_RADII = (1.05, 1.35)
"""Half width and half height of the head's region in dm; a head measures about 0.8 and 1.15."""
SOFT_EDGE = 0.2
"""The region fades out between the ellipse and the one larger by this part."""


def head_region(params: FaceParams, size: int) -> Tensor:
    """A soft ellipse over the head and its hair, grown so that a turned head stays inside.

    params: FaceParams (B) in pixels of the crop. Returns (B, 1, size, size) in [0, 1].
    """
    pivot = params.rotation.new_tensor(NECK_PIVOT)
    arm = params.rotation.new_tensor(HEAD_CENTRE) - pivot
    posed = rotation_matrix(params.rotation) @ arm + pivot
    # Picture coordinates have y pointing down; the perspective at the head's middle is about 1.
    centre = params.translation + params.scale[:, None] * posed[:, :2] * posed.new_tensor([1, -1])
    width, height = (params.scale * radius for radius in HEAD_RADII)
    return soft_ellipse(centre, width, height, params.rotation[:, 2], size)


def soft_ellipse(centre: Tensor, width: Tensor, height: Tensor, roll: Tensor, size: int) -> Tensor:
    """1 inside, fading out over SOFT_EDGE: (B, 1, size, size).

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
