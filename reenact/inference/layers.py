"""Layers: the moved person of the source photo over the photo's own background (ours)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from reenact.face.box import box_max, box_mean
from reenact.face.crop import FaceCrop
from reenact.face.surface.continuation import filled_in
from reenact.face.surface.layer_field import LayerField, LayerSource
from reenact.face.surface.motion_field import resampled
from reenact.inference.canvas import SourceView
from reenact.inference.smoothing import smooth

FEATURE_REACH = 1 / 32
"""Mirrored features are finer than about this share of the side of the face crop."""
NEIGHBOUR_REACH = 1 / 16
"""Where the networks draw what the source hides, light and colour are fitted to the surroundings
within about this share of the side of the face crop.
"""
PERSON_ABOVE = 0.02
PERSON_MARGIN = 1 / 64
"""The plate is filled where the mask is above the one, and within a margin: a share of the side of
the face crop.
"""


@dataclass(frozen=True, kw_only=True)
class Layers:
    """What is computed once for a source photo.

    canvas: the square, of D pixels, in which pictures are composed; its `crop_from_frame` maps
        pixels of the networks' crop (S, S) to pixels of the canvas.
    person: (1, 4, W, W) the person's colours times its alpha, and its alpha, in a square with the
        canvas's centre and pixels and W >= D: what moves in from beside the canvas is known.
    plate: (1, 3, D, D) the background, filled from around where the person hides it.
    face: the face whose motion the person follows.
    """

    canvas: FaceCrop
    person: Tensor
    plate: Tensor
    face: LayerSource

    @property
    def reach(self) -> float:
        """W / D."""
        return self.person.shape[-1] / self.canvas.size


def make_layers(view: SourceView, face: LayerSource) -> Layers:
    """The layers of a photo from its view and the face in it."""
    margin = max(1, round(PERSON_MARGIN * face.size * view.canvas.zoom))
    known = (box_max(view.mask, margin) < PERSON_ABOVE).to(view.picture)
    plate = filled_in(view.picture * known, known)
    person = torch.cat([view.picture - (1 - view.mask) * plate, view.mask], 1)
    return Layers(
        canvas=view.canvas,
        person=person.to(face.body.device),
        plate=view.inner(plate).to(face.body.device),
        face=face,
    )


def layered(images: Tensor, layers: Layers, field: LayerField) -> Tensor:
    """Pictures (B, 3, D, D) of the canvas from the networks' pictures (B, 3, S, S).

    field: of the canvas, of any side R. Layers from back to front:

    1. The plate.
    2. The person of the source, moved by the field, with the usual teeth and eyes where the source
       hides its own.
    3. Parts of the face that the source hides: fine features of the other half of the face where
       the source shows that, on the networks' picture in the light and colour of the surroundings.

    A grey photo stays grey. Without any motion the result is the photo itself, whatever the
    networks draw.
    """
    side = layers.canvas.size
    if layers.face.look.is_grey:
        images = images.mean(1, keepdim=True).expand_as(images)
    person = field.resized_grid(side).warp(layers.person, layers.reach)
    hidden = _soft_edge(field.hidden)
    fitted = _fitted(images, layers, field, person, hidden) if bool(hidden.any()) else None
    if bool(field.fill.any()):
        fill = resampled(field.fill, side)
        person = person.mul_(1 - fill[:, 3:]).add_(fill)
    if fitted is not None:
        fitted = torch.cat([fitted, torch.ones_like(hidden)], 1)
        person = person.lerp_(resampled(fitted, side), resampled(hidden, side))
    return torch.addcmul(person[:, :3], 1 - person[:, 3:], layers.plate)


def draft(layers: Layers, field: LayerField) -> Tensor:
    """The layers (B, 3, R, R) without the networks, in the pixels of the field."""
    size = field.grid.shape[1]
    person = resampled(layers.person, round(size * layers.reach))
    person = field.warp(person, layers.reach)
    person = person * (1 - field.fill[:, 3:]) + field.fill
    return person[:, :3] + (1 - person[:, 3:]) * resampled(layers.plate, size)


def _fitted(
    images: Tensor, layers: Layers, field: LayerField, person: Tensor, hidden: Tensor
) -> Tensor:
    """What is drawn where the source hides the face: (B, 3, R, R)."""
    size = field.grid.shape[1]
    unit = images.shape[-1] * layers.canvas.zoom / layers.canvas.size
    small = resampled(person[:, :3], size)
    drawn = onto_canvas(images, layers.canvas, size)
    drawn = drawn + smooth(small - drawn, field.sure * (1 - hidden), NEIGHBOUR_REACH * unit)
    mirrored = field.hidden * field.seen
    return drawn + mirrored * (small - smooth(small, mirrored, FEATURE_REACH * unit))


def onto_canvas(images: Tensor, canvas: FaceCrop, size: int) -> Tensor:
    """Pictures of the face crop (B, C, S, S) as the canvas shows them in `size` pixels. Bicubic;
    beyond the crop its outermost pixels are repeated.
    """
    crop = images.shape[-1]
    view = canvas.resized(size)
    matrix = images.new_tensor(view.frame_from_crop)
    ticks = torch.arange(size, device=images.device) + 0.5
    y, x = torch.meshgrid(ticks, ticks, indexing="ij")
    places = torch.stack([x, y], -1) @ matrix[:2, :2].T + matrix[:2, 2]
    grid = (places * (2 / crop) - 1)[None].expand(len(images), -1, -1, -1)
    return F.grid_sample(images, grid, mode="bicubic", padding_mode="border", align_corners=False)


def _soft_edge(mask: Tensor) -> Tensor:
    """`mask` (B, 1, S, S) grown by two pixels, its edge softened over two more."""
    return box_mean(box_max(mask, 2), 2)
