"""Where each pixel of a reenacted picture was in the source, by the motion of the head model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from reenact.face.head_model import HeadModel
from reenact.face.params import FaceParams
from reenact.face.surface.continuation import filled_in
from reenact.face.surface.sight import Shown, is_seen, pixel_of, shown
from reenact.face.surface.usual_look import USUAL_PARTS, usual_colours
from reenact.face.surface.visible import (
    draw_surface,
    mirrored,
    rest_points,
    surface_points,
)
from reenact.threads import in_order

OUTLINE = 0.025
"""So near to the head's outline in the source, in shares of its side, a pixel's detail is that of
the outline, not of the surface that turns away there.
"""


@dataclass(frozen=True, kw_only=True)
class MotionField:
    """From the pixels of a picture to be made back to the source picture, both (S, S).

    grid: (B, S, S, 2) the source pixel x, y of each pixel (centres at 0.5). For a part of the head
        that the source hides it is that of its mirror image on the other half of the head.
    seen: (B, 1, S, S), 0 where the source hides both.
    sure: (B, 1, S, S), 1 on what the source shows of the head, up to its outline, and where `fill`
        is: there the picture surely looks like that, but for the light. Beside the head the field
        cannot tell hair, which moves, from a wall, which does not.
    fill: (B, 4, S, S), usual colours in [-1, 1] of teeth, tongue, the mouth's inside and eyeballs
        where the source hides them, times how much of the pixel these cover, and this share.
    """

    grid: Tensor
    seen: Tensor
    sure: Tensor
    fill: Tensor

    @property
    def unknown(self) -> Tensor:
        """(B, 1, S, S), 1 where neither the source shows anything nor `fill`."""
        return (1 - self.seen - self.fill[:, 3:]).clamp(0, 1)

    @property
    def untorn(self) -> Tensor:
        """(B, 1, S, S), 0 in and next to pixels whose neighbours lie three pixels or more apart in
        the source, as where a visible part meets a mirrored one; 1 up to two.
        """
        grid = F.pad(self.grid.permute(0, 3, 1, 2), (1, 1, 1, 1), mode="replicate")
        across = (grid[:, :, 1:-1, 1:] - grid[:, :, 1:-1, :-1]).norm(dim=1, keepdim=True)
        down = (grid[:, :, 1:, 1:-1] - grid[:, :, :-1, 1:-1]).norm(dim=1, keepdim=True)
        widest = torch.maximum(
            F.max_pool2d(across, (3, 4), 1, (1, 1)), F.max_pool2d(down, (4, 3), 1, (1, 1))
        )
        return (3 - widest).clamp(0, 1)

    def resized(self, size: int) -> MotionField:
        """The field between pictures of side `size`."""
        if size == self.grid.shape[1]:
            return self
        return MotionField(
            grid=resized_grid(self.grid, size),
            seen=resampled(self.seen, size).clamp(0, 1),
            sure=resampled(self.sure, size).clamp(0, 1),
            fill=resampled(self.fill, size),
        )


@torch.no_grad()
def motion_field(
    model: HeadModel, source: FaceParams, target: FaceParams, size: int
) -> MotionField:
    """The field from the faces of a source picture (B, or 1 for all) and of the picture to be made
    (B): the source person, see `retarget`. Both in pixels of pictures of side `size`.

    On the head model's surface (neck, shoulders, eyeballs and teeth included) it is exact: the same
    point of the surface in both pictures. Around it the motion fades out smoothly towards the left,
    right and upper border.
    """
    start = surface_points(model, source).cpu().numpy()
    end = surface_points(model, target).cpu().numpy()
    opposite = mirrored(start)

    def one(i: int) -> _LookedUp:
        k = i if len(start) > 1 else 0
        places = np.concatenate([start[k], opposite[k], rest_points()], 1)
        return _looked_up(*draw_surface(end[i], places, size), shown_by[k])

    outline = round(OUTLINE * size)
    shown_by = list(in_order(lambda points: shown(points, size, outline), list(start)))
    pictures = list(in_order(one, range(len(end))))
    found = _LookedUp(*map(np.stack, zip(*pictures, strict=True)))

    def on_device(planes: np.ndarray) -> Tensor:
        return torch.from_numpy(planes).float().to(target.scale.device)

    place, fill = on_device(found.place), on_device(found.fill)
    head, seen, inner = map(on_device, (found.is_head, found.is_seen, found.is_inner))
    here = pixel_centres(size, place.device)
    # Hidden parts say nothing about what is beside the head. Their motion is not continued there.
    anchor = on_device(found.is_anchor)
    around = _continued((place - here) * anchor, anchor)
    offset = torch.where(head > 0, place - here, around)
    sure = anchor * inner + fill[:, 3:]
    return MotionField(
        grid=(here + offset).permute(0, 2, 3, 1),
        seen=seen,
        sure=F.avg_pool2d(F.pad(sure, (1, 1, 1, 1), mode="replicate"), 3, stride=1),
        fill=fill,
    )


def draft(image: Tensor, field: MotionField) -> Tensor:
    """`image` moved, see `warp`, with the usual teeth and eyes where it hides them."""
    return filled(warp(image, field), field)


def filled(moved: Tensor, field: MotionField) -> Tensor:
    """A moved image (B, 3, S, S) with the usual teeth and eyes where its source hides them."""
    return moved * (1 - field.fill[:, 3:]) + field.fill[:, :3]


def warp(image: Tensor, field: MotionField) -> Tensor:
    """`image` (B, C, S, S), or (1, C, S, S) for all, moved: (B, C, S, S). Bilinear; beyond the
    border its mirror image. A field without motion returns the image itself, up to rounding.
    """
    grid = field.grid * (2 / image.shape[-1]) - 1
    image = image.expand(len(grid), -1, -1, -1)
    return F.grid_sample(image, grid, padding_mode="reflection", align_corners=False)


def resampled(image: Tensor, size: int) -> Tensor:
    """Bilinear (B, C, size, size) of an image (B, C, S, S), antialiased where it shrinks."""
    old = image.shape[-1]
    if size == old:
        return image
    return F.interpolate(image, (size, size), mode="bilinear", antialias=size < old)


def resized_grid(grid: Tensor, size: int) -> Tensor:
    """A grid (B, S, S, 2) of source pixels for squares of `size` pixels: (B, size, size, 2)."""
    old = grid.shape[1]
    offset = grid.permute(0, 3, 1, 2) - pixel_centres(old, grid.device)
    places = pixel_centres(size, grid.device) + resampled(offset, size) * (size / old)
    return places.permute(0, 2, 3, 1)


def pixel_centres(size: int, device: torch.device) -> Tensor:
    """x, y of the pixels of a picture: (1, 2, size, size)."""
    ticks = torch.arange(size, device=device) + 0.5
    y, x = torch.meshgrid(ticks, ticks, indexing="ij")
    return torch.stack([x, y])[None]


class _LookedUp(NamedTuple):
    """What the pixels of a picture show, each (K, S, S). K is 1 if nothing else is said.

    place: K = 2, x and y in the source. is_head: whether a head is there. is_anchor: whether the
    source shows the same point of the head. is_seen: whether it shows this point or its mirror
    image, or no head is there. is_inner: whether it shows it well inside the outline. fill: K = 4,
    see `MotionField`.
    """

    place: np.ndarray
    is_head: np.ndarray
    is_anchor: np.ndarray
    is_seen: np.ndarray
    is_inner: np.ndarray
    fill: np.ndarray


def _looked_up(drawn: np.ndarray, part: np.ndarray, source: Shown) -> _LookedUp:
    """What a drawn head (S, S, 9) shows: each point's place in the source, that of its mirror image
    there, and its place at rest.
    """
    own, opposite, rest = drawn[..., :3], drawn[..., 3:6], drawn[..., 6:]
    is_head = part >= 0
    is_own = is_seen(own, part, source) | ~is_head
    is_other = is_seen(opposite, part, source)
    row, column, _ = pixel_of(own, len(source.depth))
    is_filled = ~(is_own | is_other) & np.isin(part, USUAL_PARTS)
    fill = np.zeros((*part.shape, 4), np.float32)
    fill[is_filled, :3] = usual_colours(part[is_filled], rest[is_filled])
    fill[is_filled, 3] = 1
    place = np.where((~is_own & is_other)[..., None], opposite, own)[..., :2]
    return _LookedUp(
        place=place.transpose(2, 0, 1),
        is_head=is_head[None],
        is_anchor=(is_head & is_own)[None],
        is_seen=(is_own | is_other)[None],
        is_inner=source.is_inner[row, column][None],
        fill=fill.transpose(2, 0, 1),
    )


def _continued(offset: Tensor, known: Tensor) -> Tensor:
    """`offset` (B, 2, S, S), where `known` (B, 1, S, S) is 1, continued to everywhere."""
    known = known.clone()
    known[..., 0, :] = known[..., :, 0] = known[..., :, -1] = 1  # still at these borders
    return torch.where(known > 0, offset, filled_in(offset, known))
