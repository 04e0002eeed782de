"""FLAME with the published drawing: the part of the authors' face stack that reads no pictures."""

from __future__ import annotations

import torch
from torch import Tensor

from reenact.errors import UserError
from reenact.face.control import Control, Sliders
from reenact.face.crop import FaceCrop
from reenact.face.head_region import soft_ellipse
from reenact.face.released import gaze_crop, stickman
from reenact.face.released.flame import Flame
from reenact.face.released.params import FlameParams, retarget, retarget_relative
from reenact.face.surface.layer_field import LayerField
from reenact.face.surface.layer_source import LayerSource
from reenact.face.surface.motion_field import MotionField

SIZE = 256
"""Side of every aligned picture and drawing."""

HEAD_CENTRE, HEAD_RADII = (0.5, 0.5), (0.36, 0.46)
"""FFHQ alignment puts a head with its hair here. Unit: the crop's side."""


class ReleasedFaceModel:
    """`FaceModel` of `FlameParams`; see there for the methods."""

    def __init__(self, flame: Flame, device: torch.device) -> None:
        self.flame = flame.to(device)
        self.device = device

    def landmark_map(self, params: FlameParams, size: int) -> Tensor:
        """The stickman drawing. As published, its landmarks have the coordinates of the 224-pixel
        EMOCA crop, not those of the aligned picture.
        """
        check_size(size)
        params = params.to(self.device)
        with torch.no_grad():
            points = self.flame.landmarks(params.shape, params.expression, params.pose)
            landmarks = self.flame.project(points, params.cam)
            pupils = gaze_crop.pupils(landmarks, params.gaze)
        return stickman.stickman(landmarks, pupils)

    def landmarks(self, params: FlameParams) -> Tensor:
        raise AssertionError("FLAME's camera places the face in the EMOCA crop, not in the crop")

    def outline(self, params: FlameParams) -> Tensor:
        return self.landmarks(params)

    def retarget(self, source: FlameParams, target: FlameParams) -> FlameParams:
        return retarget(source, target)

    def retarget_relative(
        self, source: FlameParams, target: FlameParams, neutral: FlameParams
    ) -> FlameParams:
        return retarget_relative(source, target, neutral)

    def head_region(self, params: FlameParams, size: int) -> Tensor:
        """One ellipse for all heads, (B, 1, size, size), because alignment puts every head in the
        same place.
        """
        ones = torch.ones(len(params))
        centre = size * torch.tensor([HEAD_CENTRE]).expand(len(params), 2)
        width, height = (size * radius * ones for radius in HEAD_RADII)
        return soft_ellipse(centre, width, height, 0 * ones, size)

    def motion_field(
        self, source: FlameParams, target: FlameParams, size: int, resolution: int
    ) -> MotionField:
        raise UserError("x_T moved needs the open face stack's surface: set reenact.x_T to source")

    def layer_source(
        self, source: FlameParams, size: int, view: FaceCrop, picture: Tensor, cut: Tensor
    ) -> LayerSource:
        raise AssertionError("checked before: this stack has no surface")

    def layer_field(self, source: LayerSource, target: FlameParams) -> LayerField:
        raise AssertionError("checked before: this stack has no surface")

    def controlled(
        self,
        source: FlameParams,
        driven: FlameParams,
        control: Control,
        target: FlameParams | None = None,
    ) -> FlameParams:
        raise UserError(
            "strengths, regions and openings of the motion need the open face stack, leave them at "
            "their defaults with the authors' one"
        )

    def posed(self, source: FlameParams, sliders: Sliders) -> FlameParams:
        raise UserError("sliders need the open face stack, leave out face.released")

    def motion_vector(self, source: FlameParams, target: FlameParams, size: int) -> Tensor:
        raise UserError("E_r's motion head reads the open face stack's parameters, not FLAME's")


def check_size(size: int) -> None:
    """Raises ValueError for any size but 256 pixels."""
    if size != SIZE:
        raise ValueError(f"the released face stack works at {SIZE} pixels, not at {size}")
