"""Where hair or a hat may be around the head of a source photo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from reenact.face.box import box_max
from reenact.face.surface.layer_source import FACE_DEPTH, LayerSource
from reenact.face.surface.motion_field import resampled
from reenact.face.surface.skull import (
    CHIN_HEIGHT,
    FOREHEAD_HEIGHT,
    above_chin,
    above_eyes,
    inside_outline,
)
from reenact.face.surface.visible import draw_surface, rest_points

FACE_BEYOND = 1 / 50
"""The face lies beside the round head where it is this much outside of its outline: a share of the
crop's side.
"""
EAR_WIDTH = 1 / 28
"""Below the forehead, what is so near to the head model may be an ear: a share of the crop's side.
"""


@dataclass(frozen=True, kw_only=True)
class HairAreas:
    """Areas of a square with the centre and the pixels of a `LayerSource`, whose side is R.

    All are (1, 1, R, R), from 0 to 1. What they say is from the head model alone; whether a pixel
    shows a person at all is not known here.

    beside: beside the head model, but nearer to the round head than to the face.
    crown: on the upper part of the head model, behind the face. There may be hair or skin.
    skull: inside the outline of the round head, above the eyes. If the head turns, hair may be
        there that the face hides in the photo.
    face: on the front of the face.
    """

    beside: Tensor
    crown: Tensor
    skull: Tensor
    face: Tensor

    def resized(self, size: int) -> HairAreas:
        """The same areas in `size` pixels."""
        planes = torch.cat([self.beside, self.crown, self.skull, self.face], 1)
        beside, crown, skull, face = resampled(planes, size).clamp(0, 1).split(1, 1)
        return HairAreas(beside=beside, crown=crown, skull=skull, face=face)


def hair_areas(source: LayerSource, side: int) -> HairAreas:
    """The areas in a square of `side` pixels around the view of the source."""
    border = (side - source.view.size) / 2
    points = source.points + np.array([border, border, 0.0], np.float32)
    drawn, part = draw_surface(points[0], rest_points(), side)
    is_head, height = part >= 0, drawn[..., 1]
    is_face = is_head & (drawn[..., 2] > FACE_DEPTH)
    away, (row, column) = distance_transform_edt(~is_head, return_indices=True)
    skull = inside_outline(points, side)
    around = box_max(skull, max(1, round(FACE_BEYOND * source.crop_side)))[0, 0].numpy() > 0
    is_beside_face = (is_face & ~around)[row, column]
    may_be_ear = (away < EAR_WIDTH * source.crop_side) & (height[row, column] < FOREHEAD_HEIGHT)
    is_beside_neck = height[row, column] < CHIN_HEIGHT
    beside = ~(is_head | is_beside_face | may_be_ear | is_beside_neck)
    crown = is_head & ~is_face & (height > FOREHEAD_HEIGHT)
    above = above_chin(points, side)
    return HairAreas(
        beside=_plane(beside) * above,
        crown=_plane(crown) * above,
        skull=skull * above_eyes(points, side),
        face=_plane(is_face),
    )


def _plane(mask: np.ndarray) -> Tensor:
    return torch.from_numpy(mask).float()[None, None]
