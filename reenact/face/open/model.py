"""The open head model with its drawing: the part of the open face stack that reads no pictures."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from reenact.assets import load_tensors
from reenact.face.control import Control, Sliders, controlled, posed
from reenact.face.crop import FaceCrop
from reenact.face.head_model import HeadModel
from reenact.face.head_region import head_region
from reenact.face.open.landmark_map import landmark_map
from reenact.face.openings import with_own_openings
from reenact.face.params import FaceParams, motion_vector, retarget, retarget_relative
from reenact.face.points import FACE_OVAL, LANDMARKS_68
from reenact.face.pose import fit_rotation
from reenact.face.surface.layer_field import LayerField, layer_field
from reenact.face.surface.layer_source import LayerSource, layer_source
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

    def outline(self, params: FaceParams) -> Tensor:
        """(B, 36, 2) on the model's device."""
        return self.head_model.points(params.to(self.device), _outline_vertices().to(self.device))

    def retarget(self, source: FaceParams, target: FaceParams) -> FaceParams:
        return retarget(source, target)

    def retarget_relative(
        self, source: FaceParams, target: FaceParams, neutral: FaceParams
    ) -> FaceParams:
        return retarget_relative(source, target, neutral)

    def controlled(
        self,
        source: FaceParams,
        driven: FaceParams,
        control: Control,
        target: FaceParams | None = None,
    ) -> FaceParams:
        if control.eye_retargeting or control.lip_retargeting:
            assert target is not None
            driven = with_own_openings(
                self.head_model,
                source,
                driven.to(self.device),
                target,
                eyes=control.eye_retargeting,
                lips=control.lip_retargeting,
            ).to(driven.scale.device)
        return controlled(source, driven, control)

    def posed(self, source: FaceParams, sliders: Sliders) -> FaceParams:
        return posed(source, sliders)

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

    def layer_source(
        self, source: FaceParams, size: int, view: FaceCrop, picture: Tensor, cut: Tensor
    ) -> LayerSource:
        return layer_source(self.head_model, source.to(self.device), size, view, picture, cut)

    def layer_field(self, source: LayerSource, target: FaceParams) -> LayerField:
        return layer_field(self.head_model, source, target.to(self.device))

    def motion_vector(self, source: FaceParams, target: FaceParams, size: int) -> Tensor:
        return motion_vector(source, target, size)


@lru_cache(maxsize=1)
def _outline_vertices() -> Tensor:
    """(36,) the head model's vertices nearest to the tracker's canonical face oval."""
    head = HeadModel()
    canonical = load_tensors("tracker.safetensors")["canonical_points"].float()
    own = canonical[[i for i in LANDMARKS_68 if i < len(canonical)]]
    model = head.landmark_mean
    weights = torch.ones(len(model))
    turn = fit_rotation(model[None], own, weights)[0]
    a, b = own - own.mean(0), model - model.mean(0)
    scale = (b * (a @ turn.T)).sum() / a.square().sum()
    oval = (canonical[list(FACE_OVAL)] - own.mean(0)) @ turn.T * scale + model.mean(0)
    return torch.cdist(oval, head.mean).argmin(1)
