"""The open head model with its drawing: the part of the open face stack that reads no pictures."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from reenact.face.head_model import HeadModel
from reenact.face.head_region import head_region
from reenact.face.open.landmark_map import landmark_map
from reenact.face.params import FaceParams, motion_vector, retarget, retarget_relative
from reenact.face.surface.motion_field import MotionField, motion_field


class OpenFaceModel:
    """`FaceModel` of `FaceParams`; see there for the methods."""

    def __init__(self, device: str | torch.device = "cpu") -> None:
        self.device = torch.device(device)
        self.head_model = HeadModel().to(self.device)

    def landmark_map(self, params: FaceParams, size: int) -> Tensor:
        """(B, 3, size, size) in [-1, 1] on the model's device; `params` in pixels of that map."""
        params = params.to(self.device)
        return landmark_map(self.head_model.landmarks(params), self.head_model.pupils(params), size)

    def landmarks(self, params: FaceParams) -> Tensor:
        """(B, 68, 2) on the model's device."""
        return self.head_model.landmarks(params.to(self.device))

    def retarget(self, source: FaceParams, target: FaceParams) -> FaceParams:
        return retarget(source, target)

    def retarget_relative(
        self, source: FaceParams, target: FaceParams, neutral: FaceParams
    ) -> FaceParams:
        return retarget_relative(source, target, neutral)

    def head_region(self, params: FaceParams, size: int) -> Tensor:
        return head_region(params, size)

    def motion_field(
        self, source: FaceParams, target: FaceParams, size: int, resolution: int
    ) -> MotionField:
        source, target = source.to(self.device), target.to(self.device)
        if resolution != size:
            zoom = np.diag([resolution / size, resolution / size, 1.0])
            source, target = source.transformed(zoom), target.transformed(zoom)
        return motion_field(self.head_model, source, target, resolution)

    def motion_vector(self, source: FaceParams, target: FaceParams, size: int) -> Tensor:
        return motion_vector(source, target, size)
