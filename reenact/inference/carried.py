"""What the head model's motion carries from the source picture into the result (ours)."""

import torch.nn.functional as F
from torch import Tensor

from reenact.face.motion_field import MotionField, warp


def blend_noise(x_T: Tensor, noise: Tensor, mask: Tensor) -> Tensor:
    """Variance-preserving mix: `noise` where mask is 1, `x_T` unchanged where mask is 0."""
    return (1 - mask).sqrt() * x_T + mask.sqrt() * noise


def lost_detail(source: Tensor, autoencoded: Tensor) -> Tensor:
    """What the autoencoder loses of a picture: source (B, 3, D, D) minus its own rendering
    (B, 3, S, S), with S <= D.
    """
    return source - enlarged(autoencoded, source.shape[-1])


def moved_detail(detail: Tensor, field: MotionField) -> Tensor:
    """The source's lost detail (B, 3, D, D) as far as it is sure where a result shows it; the field
    is of side D.
    """
    return warp(detail, field) * field.sure


def enlarged(images: Tensor, size: int) -> Tensor:
    """Bicubic, to (B, C, size, size)."""
    if images.shape[-1] == size:
        return images
    return F.interpolate(images, (size, size), mode="bicubic", align_corners=False)
