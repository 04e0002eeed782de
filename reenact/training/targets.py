"""From the face parameters of a batch of pairs to what the networks and losses want: maps, points, masks."""

from __future__ import annotations

import torch
from torch import Tensor

from reenact.data.dataset import PARAM_NAMES
from reenact.face.head_model import HeadModel
from reenact.face.landmark_map import landmark_map
from reenact.face.params import FaceParams, retarget


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
        """Landmark maps (B, 3, S, S) in [-1, 1], always computed in float32."""
        device_type = params.scale.device.type
        with torch.autocast(device_type, enabled=False):
            return landmark_map(
                self.head_model.landmarks(params), self.head_model.pupils(params), self.image_size
            )

    def target(self, batch: dict[str, Tensor]) -> Tensor:
        """The map of the source person with the target's expression, pose and gaze."""
        return self.draw(retarget(params_of(batch, "source"), params_of(batch, "target")))

    def source(self, batch: dict[str, Tensor]) -> Tensor:
        """The map of the source as it is."""
        return self.draw(params_of(batch, "source"))

    @torch.no_grad()
    def source_landmarks(self, batch: dict[str, Tensor]) -> Tensor:
        """Landmarks (B, 68, 2) of the source picture in crop pixels."""
        return self.head_model.landmarks(params_of(batch, "source"))

    @torch.no_grad()
    def target_landmarks(self, batch: dict[str, Tensor]) -> Tensor:
        """Landmarks (B, 68, 2) that the reenacted face should have, in crop pixels."""
        params = retarget(params_of(batch, "source"), params_of(batch, "target"))
        return self.head_model.landmarks(params)
