"""From the face parameters of a batch of pairs to what the networks and losses want: maps, points,
masks.
"""

from __future__ import annotations

import torch
from torch import Tensor

from reenact.data.dataset import PARAM_NAMES
from reenact.face.head_model import HeadModel
from reenact.face.landmark_map import landmark_map
from reenact.face.params import FaceParams, retarget
from reenact.models.reenactment_encoder import motion_vector


def params_of(batch: dict[str, Tensor], role: str) -> FaceParams:
    """The face parameters of `role` (`source` or `target`) of a batch of pairs, in crop pixels."""
    return FaceParams(**{name: batch[f"{role}_{name}"] for name in PARAM_NAMES})


class LandmarkDrawer:
    """Draws landmark maps with the open head model."""

    def __init__(self, image_size: int, device: torch.device) -> None:
        self.image_size = image_size
        self.head_model = HeadModel().to(device)

    @torch.no_grad()
    def draw(self, params: FaceParams) -> Tensor:
        """Landmark maps (B, 3, S, S) in [-1, 1]."""
        return landmark_map(*self.points(params), self.image_size)

    def target(self, batch: dict[str, Tensor]) -> Tensor:
        """The map of the source person with the target's expression, pose and gaze."""
        return self.draw(retarget(params_of(batch, "source"), params_of(batch, "target")))

    def source(self, batch: dict[str, Tensor]) -> Tensor:
        """The map of the source as it is."""
        return self.draw(params_of(batch, "source"))

    def motion(self, batch: dict[str, Tensor], *, still: bool = False) -> Tensor:
        """The motion vector (B, 120) from the source to the target, or `still` at the source."""
        source = params_of(batch, "source")
        target = source if still else params_of(batch, "target")
        return motion_vector(source, target, self.image_size)

    def source_landmarks(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Landmarks (B, 68, 2) and pupils (B, 2, 2) of the source picture, in crop pixels."""
        return self.points(params_of(batch, "source"))

    def target_landmarks(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The same of the face that should be rendered."""
        return self.points(retarget(params_of(batch, "source"), params_of(batch, "target")))

    @torch.no_grad()
    def points(self, params: FaceParams) -> tuple[Tensor, Tensor]:
        """Landmarks and pupils of faces in pixels, always computed in float32."""
        with torch.autocast(params.scale.device.type, enabled=False):
            return self.head_model.landmarks(params), self.head_model.pupils(params)
