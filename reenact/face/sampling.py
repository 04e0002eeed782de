"""Samples square, rotated patches of pictures, with antialiasing and gradients."""

import torch
import torch.nn.functional as F
from torch import Tensor


def roi_transform(rois: Tensor) -> Tensor:
    """rois (B, 4) = centre x, centre y, side length, angle -> (B, 2, 3).

    The affine map takes the patch coordinates [0, 1]² (x right, y down) to picture pixels. A
    positive angle turns the patch's x axis towards the picture's y axis (clockwise on the screen).
    """
    cx, cy, size, angle = rois.unbind(-1)
    cos, sin = size * torch.cos(angle), size * torch.sin(angle)
    row_x = torch.stack([cos, -sin, cx - 0.5 * (cos - sin)], -1)
    row_y = torch.stack([sin, cos, cy - 0.5 * (sin + cos)], -1)
    return torch.stack([row_x, row_y], -2)


def sample_patches(images: Tensor, transform: Tensor, size: int) -> Tensor:
    """images (B, C, H, W), transform (B, 2, 3) from patch [0, 1]² to pixels -> (B, C, size, size).

    Outside the picture its edge is repeated. A patch that shrinks the picture by 2^k or more is
    read from means over 2^k × 2^k pixels. k is chosen for each item, so the result does not depend
    on the other items of the batch.
    """
    # The levels are needed as numbers. Some devices have no float64, so the CPU computes them.
    scale = torch.linalg.det(transform[..., :2].detach().cpu().double()).abs().sqrt() / size
    levels = scale.clamp_min(1.0).log2().floor().long().clamp_max(6).tolist()
    if len(set(levels)) == 1:
        return _sample_level(images, transform, size, levels[0])
    patches = [
        _sample_level(images[i : i + 1], transform[i : i + 1], size, level)
        for i, level in enumerate(levels)
    ]
    return torch.cat(patches)


def _sample_level(images: Tensor, transform: Tensor, size: int, level: int) -> Tensor:
    factor = 1 << min(level, min(images.shape[-2:]).bit_length() - 1)
    if factor > 1:
        images = F.avg_pool2d(images, factor)
    height, width = images.shape[-2] * factor, images.shape[-1] * factor
    ticks = (torch.arange(size, device=images.device, dtype=torch.float32) + 0.5) / size
    # For grid_sample -1 and 1 are the outer edges of the first and the last pixel.
    to_grid = 2 / ticks.new_tensor([width, height])
    along_x, along_y, start = (transform.float() * to_grid[:, None]).unbind(-1)
    row = along_x[:, None] * ticks[:, None] + start[:, None] - 1
    grid = row[:, None] + (along_y[:, None] * ticks[:, None])[:, :, None]
    return F.grid_sample(images, grid.to(images), padding_mode="border", align_corners=False)
