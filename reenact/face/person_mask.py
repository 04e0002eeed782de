"""Which part of a photo is the person: a mask with soft edges that follow the strands of hair."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reenact.assets import asset_path
from reenact.face.box import box_mean
from reenact.face.crop import FaceCrop
from reenact.face.graph import load_graphs

SIDE = 256
WIDE, CLOSE = 3.0, 1.5
"""The network looks twice: at a wide square around the face, and at a closer one in which it sees
the outline of the hair more exactly. Sides in units of the side of the face crop.
"""
WINDOW_EDGE = 0.15
"""The closer view fades out over this share of its side."""
GUIDE_RADIUS, GUIDE_EPS = 1 / 40, 2e-4
"""Guided filter: radius as a share of the side of the face crop; least variance of the colours
(values in [0, 1]) that counts as an edge.
"""
CROP_EDGE = 0.3
"""In small pictures probabilities up to this one become 0, and those up to this one below 1 become
1: the network is unsure in a wide band around the outline.
"""
FAINT = 0.08
"""Mask values up to this one become 0, and those up to this one below 1 become 1."""


class PersonFinder(Protocol):
    """What finds a person in a photo: `PersonMask`, or a part of its mask."""

    @property
    def device(self) -> torch.device: ...

    def of_photo(self, photo: Tensor, crop: FaceCrop) -> Tensor:
        """See `PersonMask.of_photo`."""
        ...


class KnownPerson:
    """A person whose mask (1, 1, H, W) in [0, 1] is known already."""

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask

    @property
    def device(self) -> torch.device:
        return self.mask.device

    def of_photo(self, photo: Tensor, crop: FaceCrop) -> Tensor:
        """The mask of the one photo that it belongs to."""
        assert photo.shape[-2:] == self.mask.shape[-2:]
        return self.mask


class PersonMask(nn.Module):
    """Frozen MediaPipe selfie segmentation."""

    def __init__(self, device: str | torch.device = "cpu") -> None:
        super().__init__()
        graphs, _ = load_graphs(asset_path("person_mask.safetensors"))
        self.net = graphs["person"]
        self.to(device).eval()

    @property
    def device(self) -> torch.device:
        return next(self.net.buffers()).device

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, 3, 256, 256) in [-1, 1] -> probability of a person (B, 1, 256, 256)."""
        (person,) = self.net(images.float() / 2 + 0.5)
        return person

    @torch.no_grad()
    def of_photo(self, photo: Tensor, crop: FaceCrop) -> Tensor:
        """Person mask (1, 1, H, W) in [0, 1] of a photo (1, 3, H, W) in [-1, 1] with a face.

        crop: the face crop, in pixels of that photo. The edges follow the colours of the photo.
        People who stand far beside the face, more than 1.5 sides of the crop, are not found.
        """
        side = crop.size / crop.zoom
        centre = crop.points_to_frame(np.full(2, crop.size / 2))
        wide, _ = self._in_window(photo, centre, WIDE * side)
        close, weight = self._in_window(photo, centre, CLOSE * side)
        mask = wide.lerp(close, weight)
        radius = max(1, round(GUIDE_RADIUS * side))
        fine = guided_filter(photo / 2 + 0.5, mask, radius, GUIDE_EPS)
        return ((fine - FAINT) / (1 - 2 * FAINT)).clamp(0, 1)

    @torch.no_grad()
    def of_crops(self, images: Tensor) -> Tensor:
        """Person masks (B, 1, S, S) in [0, 1] of pictures of face crops (B, 3, S, S) in [-1, 1].

        They have the narrow edges of such small pictures.
        """
        size = images.shape[-1]
        person = self(F.interpolate(images, (SIDE, SIDE), mode="bilinear", antialias=size > SIDE))
        share = ((person - CROP_EDGE) / (1 - 2 * CROP_EDGE)).clamp(0, 1)
        share = share * share * (3 - 2 * share)
        return F.interpolate(share, (size, size), mode="bilinear", antialias=size < SIDE)

    def _in_window(self, photo: Tensor, centre: np.ndarray, side: float) -> tuple[Tensor, Tensor]:
        """The mask of one square window, and its weight, in pixels of the photo (1, 1, H, W)."""
        height, width = photo.shape[-2:]
        corner = torch.as_tensor(centre - side / 2, dtype=photo.dtype, device=photo.device)
        ticks = (torch.arange(SIDE, device=photo.device) + 0.5) * (side / SIDE)
        x, y = (corner[k] + ticks for k in (0, 1))
        fine = _reduced(photo, side / SIDE)
        window = _sampled(fine, x / width * 2 - 1, y / height * 2 - 1)
        person = self(window)
        x, y = (
            (torch.arange(n, device=photo.device) + 0.5 - corner[k]) / side * 2 - 1
            for k, n in ((0, width), (1, height))
        )
        ramp = [((1 - v.abs()) / (2 * WINDOW_EDGE)).clamp(0, 1) for v in (x, y)]
        return _sampled(person, x, y), ramp[1][:, None] * ramp[0][None, :]


def guided_filter(guide: Tensor, mask: Tensor, radius: int, eps: float) -> Tensor:
    """Guided filter with a colour guide (He, Sun and Tang 2013).

    guide (B, 3, H, W), mask (B, 1, H, W), both in [0, 1] -> (B, 1, H, W): in every window of side
    2 * radius + 1 the best linear function of the guide's colours.
    """
    mean = box_mean(torch.cat([guide, mask], 1), radius)
    mean_guide, mean_mask = mean.split([3, 1], 1)
    products = torch.cat([guide * mask, *(guide * guide[:, k : k + 1] for k in range(3))], 1)
    products = box_mean(products, radius)
    covariance = products[:, :3] - mean_guide * mean_mask
    variance = products[:, 3:].unflatten(1, (3, 3)) - mean_guide[:, :, None] * mean_guide[:, None]
    variance = variance.movedim((1, 2), (-2, -1)) + eps * torch.eye(3, device=guide.device)
    slope = torch.linalg.solve(variance, covariance.movedim(1, -1)).movedim(-1, 1)
    offset = mean_mask - (slope * mean_guide).sum(1, keepdim=True)
    smooth = box_mean(torch.cat([slope, offset], 1), radius)
    return (smooth[:, :3] * guide).sum(1, keepdim=True) + smooth[:, 3:]


def _reduced(image: Tensor, factor: float) -> Tensor:
    """The image with its sides divided by `factor` if that is more than 1, antialiased."""
    if factor <= 1:
        return image
    size = [max(1, round(n / factor)) for n in image.shape[-2:]]
    return F.interpolate(image, size, mode="bilinear", antialias=True)


def _sampled(image: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Bilinear (1, C, len(y), len(x)) at columns x and rows y in [-1, 1], border to border. Beyond
    the border the outermost pixels are repeated.
    """
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)[None]
    return F.grid_sample(image, grid, padding_mode="border", align_corners=False)
