"""The layers of a source photo: its person, and the background behind (ours)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from reenact.face.box import box_max, box_mean
from reenact.face.crop import FaceCrop
from reenact.face.surface.continuation import filled_in
from reenact.face.surface.layer_field import LayerSource
from reenact.inference.canvas import SourceView

MOST_GRAIN = 2.0
"""The largest grain of the plate, in units of its median."""
INSIDE_DEPTH = 1 / 50
"""The person's own colours end this far inside its outline, as a share of the crop's side."""
PERSON_ABOVE = 0.02
PERSON_MARGIN = 1 / 40
"""The plate is filled where the mask is above the one, and within a margin: a share of the side of
the face crop.
"""


@dataclass(frozen=True, kw_only=True)
class Layers:
    """What is computed once for a source photo.

    canvas: the square, of D pixels, in which pictures are composed; its `crop_from_frame` maps
        pixels of the networks' crop (S, S) to pixels of the canvas.
    person: (1, C + 1, W, W) the person's colours times its alpha, and its alpha, in a square with
        the canvas's centre and pixels and W >= D: what moves in from beside the canvas is known. C
        is 3, or 4 with a plane of opacity, which is handled as one more colour.
    inside: (1, 3, W, W) the person's colours, continued beyond its outline.
    plate: (1, C, D, D) the background, filled from around where the person hides it.
    face: the face whose motion the person follows.
    """

    canvas: FaceCrop
    person: Tensor
    inside: Tensor
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
    plate = _with_grain(filled_in(view.picture * known, known), known, margin)
    person = torch.cat([view.picture - (1 - view.mask) * plate, view.mask], 1)
    depth = max(1, round(INSIDE_DEPTH * face.size * view.canvas.zoom))
    inner = (box_max(1 - view.mask, depth) < PERSON_ABOVE).to(view.picture)
    inside = filled_in(view.picture[:, :3] * inner, inner)
    return Layers(
        canvas=view.canvas,
        inside=inside.to(face.cut.device),
        person=person.to(face.cut.device),
        plate=view.inner(plate).to(face.cut.device),
        face=face,
    )


def _with_grain(plate: Tensor, known: Tensor, radius: int) -> Tensor:
    """The plate (1, 3, W, W) with fine grain where it is not `known` (1, 1, W, W).

    Grain is what is finer than `radius` pixels. Each pixel takes that of the point on the other
    side of the known pixel that is nearest. Larger differences than usual are edges of things, not
    grain, and are cut off.
    """
    if not bool(known.any()):
        return plate
    nearest = distance_transform_edt(
        known[0, 0].numpy() == 0, return_distances=False, return_indices=True
    )
    row, column = torch.from_numpy(nearest.astype(np.int64))
    here = torch.meshgrid(*(torch.arange(n) for n in row.shape), indexing="ij")
    there = [
        (2 * near - own).clamp(0, len(near) - 1)
        for near, own in zip((row, column), here, strict=True)
    ]
    grain = (plate - box_mean(plate, radius)) * known
    usual = grain.abs().mean(1, keepdim=True)[known > 0].median()
    grain = grain.clamp(-MOST_GRAIN * usual, MOST_GRAIN * usual)
    return plate + (1 - known) * grain[..., there[0], there[1]]
