"""What is computed once of the face of a source photo, for its layers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from reenact.face.crop import FaceCrop
from reenact.face.head_model import HeadModel
from reenact.face.params import FaceParams
from reenact.face.surface.eyes_and_teeth import eye_areas
from reenact.face.surface.facing import facing
from reenact.face.surface.look import Look, read_look
from reenact.face.surface.sight import Shown, shown
from reenact.face.surface.visible import (
    draw_surface,
    num_head_vertices,
    rest_points,
    surface_points,
)

FACE_DEPTH = -0.3
"""dm: the face of the head model lies in front of this depth at rest, and above `CHIN_HEIGHT`. What
the source hides of the face is invented. Elsewhere there may be hair or clothes, of which the head
model knows nothing.
"""


@dataclass(frozen=True, kw_only=True)
class LayerSource:
    """What is computed once of the face of a source photo.

    view: the square of the crop's plane that fields cover, and its side S; its `crop_from_frame`
        maps pixels of the face crop, of side `size`, to pixels of the field.
    points: (1, V, 3), `surface_points` in pixels of the view. shown: what the photo shows of them.
    facing: (V,), see `facing`.
    gaze: (1, 2) radians. rotation: (1, 3) and scale: (1,), see `FaceParams`.
    eyes: (2,), see `eye_areas`.
    front: (1, 1, S, S), 1 on the front of the face.
    cut: (1, 1, S, S), 1 on and beyond the photo's border where it cuts the person. There nothing
        moves, and nothing comes from there.
    to_cut: (1, 1, S, S) how far it is to there, in shares of the crop's side.
    look: the photo's eyes and teeth.
    """

    view: FaceCrop
    size: int
    points: np.ndarray
    shown: Shown
    facing: np.ndarray
    gaze: Tensor
    rotation: Tensor
    scale: Tensor
    eyes: np.ndarray
    front: Tensor
    cut: Tensor
    to_cut: Tensor
    look: Look

    @property
    def crop_side(self) -> float:
        """The side of the face crop in pixels of the view."""
        return self.size * self.view.zoom


def layer_source(
    model: HeadModel, face: FaceParams, size: int, view: FaceCrop, picture: Tensor, cut: Tensor
) -> LayerSource:
    """From the one face of a photo, in pixels of its crop of side `size`.

    picture: (1, 3, S, S) in [-1, 1], what the photo shows in the view. cut: see `LayerSource`.
    """
    points = in_view(surface_points(model, face), view)
    drawn, part = draw_surface(points[0], rest_points(), view.size)
    levels = (picture[0].permute(1, 2, 0).cpu().numpy() + 1) * 127.5
    return LayerSource(
        view=view,
        size=size,
        points=points,
        shown=shown(points[0], view.size, 0),
        facing=facing(face.rotation)[0],
        gaze=face.gaze,
        rotation=face.rotation,
        scale=face.scale,
        eyes=eye_areas(part, middle_column(points[0])),
        front=torch.from_numpy((part >= 0) & (drawn[..., 2] > FACE_DEPTH)).to(cut)[None, None],
        cut=cut,
        to_cut=_distance(cut) / (size * view.zoom),
        look=read_look(levels, part, drawn, middle_column(points[0])),
    )


def _distance(mask: Tensor) -> Tensor:
    """How far each pixel (1, 1, S, S) is from those that are 1; infinite where none is."""
    if not bool(mask.any()):
        return torch.full_like(mask, torch.inf)
    return torch.from_numpy(distance_transform_edt(mask.cpu().numpy() == 0)).to(mask)


def in_view(points: Tensor, view: FaceCrop) -> np.ndarray:
    """Points (B, V, 3) of `surface_points` with x and y in pixels of the view."""
    matrix = points.new_tensor(view.crop_from_frame)
    moved = points[..., :2] @ matrix[:2, :2].T + matrix[:2, 2]
    return torch.cat([moved, points[..., 2:]], -1).cpu().numpy()


def middle_column(points: np.ndarray) -> float:
    """The column half-way between the pupils of `surface_points` (V, 3)."""
    balls = points[num_head_vertices() :]
    return float((balls[0, 0] + balls[len(balls) // 2, 0]) / 2)
