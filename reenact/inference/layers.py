"""The layers of a source photo: its person, and the background behind (ours)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from reenact.face.box import box_max
from reenact.face.crop import FaceCrop
from reenact.face.surface.continuation import filled_in
from reenact.face.surface.layer_source import LayerSource
from reenact.inference.back_of_head import back_of_head
from reenact.inference.canvas import SourceView
from reenact.inference.plate import PERSON_ABOVE, background_plate

INSIDE_DEPTH = 1 / 50
"""The person's own colours end this far inside its outline, as a share of the crop's side."""
PERSON_MARGIN = 1 / 40
"""The plate is filled within this margin around the person: a share of the crop's side."""


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
    view: the photo.
    """

    canvas: FaceCrop
    person: Tensor
    inside: Tensor
    plate: Tensor
    face: LayerSource
    view: SourceView

    @property
    def reach(self) -> float:
        """W / D."""
        return self.person.shape[-1] / self.canvas.size

    @cached_property
    def back(self) -> Tensor:
        """(1, C + 1, W, W) as `person`, the hair around the head. It goes on behind the face, above
        the eyes and farther down between what hair is seen beside the head.

        It is made when a head first turns. The frames of a source video seldom need it.
        """
        margin, depth = _pixels(self.face, self.view)
        colours = self.person[:, :-1].cpu()
        return back_of_head(self.view, colours, self.face, margin, depth).to(self.person.device)


def make_layers(view: SourceView, face: LayerSource) -> Layers:
    """The layers of a photo from its view and the face in it."""
    margin, depth = _pixels(face, view)
    plate = background_plate(view, margin)
    colours = view.picture - (1 - view.mask) * plate
    inner = (box_max(1 - view.mask, depth) < PERSON_ABOVE).to(view.picture)
    inside = filled_in(view.picture[:, :3] * inner, inner)
    device = face.cut.device
    return Layers(
        canvas=view.canvas,
        person=torch.cat([colours, view.mask], 1).to(device),
        inside=inside.to(device),
        plate=view.inner(plate).to(device),
        face=face,
        view=view,
    )


def _pixels(face: LayerSource, view: SourceView) -> tuple[int, int]:
    """`PERSON_MARGIN` and `INSIDE_DEPTH` in pixels."""
    side = face.size * view.canvas.zoom
    return max(1, round(PERSON_MARGIN * side)), max(1, round(INSIDE_DEPTH * side))
