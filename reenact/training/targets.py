"""From the face parameters of a batch of pairs to what the networks and losses want: maps, points,
masks.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from reenact.errors import UserError
from reenact.face.head_model import HeadModel
from reenact.face.head_region import head_region
from reenact.face.open.landmark_map import landmark_map
from reenact.face.params import FaceParams, retarget
from reenact.face.released.config import ReleasedConfig
from reenact.face.released.params import FlameParams
from reenact.face.surface.motion_field import MotionField, motion_field
from reenact.models.reenactment_encoder import motion_vector

Batch = dict[str, Tensor]


class Drawer(Protocol):
    """Drawings and places of the faces of a batch of pairs, without gradients. S is the pictures'
    side, coordinates are crop pixels.
    """

    def target(self, batch: Batch) -> Tensor:
        """The landmark map (B, 3, S, S) of the source person with the target's expression, pose
        and gaze.
        """
        ...

    def source(self, batch: Batch) -> Tensor:
        """The map of the source as it is."""
        ...

    def motion(self, batch: Batch, *, still: bool = False) -> Tensor | None:
        """The motion vector (B, 120) from the source to the target, or `still` at the source; None
        where the face stack has none.
        """
        ...

    def head_region(self, batch: Batch) -> Tensor:
        """Where the source's head and hair are: (B, 1, S, S) in [0, 1]."""
        ...

    def motion_field(self, batch: Batch) -> MotionField:
        """From the picture to be rendered back to the source, of side S; see `motion_field`."""
        ...

    def source_landmarks(self, batch: Batch) -> Tensor:
        """(B, 68, 2) of the source picture."""
        ...

    def target_landmarks(self, batch: Batch) -> Tensor:
        """(B, 68, 2) of the face that should be rendered."""
        ...


class BatchDrawings:
    """A drawer and a batch of pairs together; implements `reenact.inference.networks.Drawings`."""

    def __init__(self, draw: Drawer, batch: Batch) -> None:
        self.draw, self.batch = draw, batch

    def landmark_map(self, *, of_source: bool = False) -> Tensor:
        return self.draw.source(self.batch) if of_source else self.draw.target(self.batch)

    def motion(self, *, of_source: bool = False) -> Tensor | None:
        return self.draw.motion(self.batch, still=of_source)

    def head_region(self) -> Tensor:
        return self.draw.head_region(self.batch)

    def motion_field(self) -> MotionField:
        return self.draw.motion_field(self.batch)


def make_drawer(
    released: ReleasedConfig | None, image_size: int, device: torch.device, *, has_motion: bool
) -> Drawer:
    """The drawer of a run; `released` is null for the open face stack. Raises UserError when a file
    of the released one is missing, and when E_r's motion head (`has_motion`) is wanted with it.
    """
    if released is None:
        return OpenDrawer(image_size, device)
    if has_motion:
        raise UserError(
            "E_r's motion head reads the open stack's parameters: leave `released` out of the "
            "config, or set align.motion_head to false"
        )
    return ReleasedDrawer(released, image_size, device)


class OpenDrawer:
    """Draws with the open head model."""

    def __init__(self, image_size: int, device: torch.device) -> None:
        self.image_size = image_size
        self.head_model = HeadModel().to(device)

    def target(self, batch: Batch) -> Tensor:
        return self.draw(self.driven(batch))

    def source(self, batch: Batch) -> Tensor:
        return self.draw(open_params(batch, "source"))

    def motion(self, batch: Batch, *, still: bool = False) -> Tensor:
        source = open_params(batch, "source")
        target = source if still else open_params(batch, "target")
        return motion_vector(source, target, self.image_size)

    def head_region(self, batch: Batch) -> Tensor:
        return head_region(open_params(batch, "source"), self.image_size)

    def motion_field(self, batch: Batch) -> MotionField:
        source, driven = open_params(batch, "source"), self.driven(batch)
        with torch.autocast(driven.scale.device.type, enabled=False):
            return motion_field(self.head_model, source, driven, self.image_size)

    def source_landmarks(self, batch: Batch) -> Tensor:
        return self.landmarks(open_params(batch, "source"))

    def target_landmarks(self, batch: Batch) -> Tensor:
        return self.landmarks(self.driven(batch))

    def driven(self, batch: Batch) -> FaceParams:
        """The source person as the target moves."""
        return retarget(open_params(batch, "source"), open_params(batch, "target"))

    @torch.no_grad()
    def draw(self, params: FaceParams) -> Tensor:
        """Landmark maps (B, 3, S, S) in [-1, 1]."""
        with torch.autocast(params.scale.device.type, enabled=False):
            pupils = self.head_model.pupils(params)
        return landmark_map(self.landmarks(params), pupils, self.image_size)

    @torch.no_grad()
    def landmarks(self, params: FaceParams) -> Tensor:
        """(B, 68, 2), always computed in float32."""
        with torch.autocast(params.scale.device.type, enabled=False):
            return self.head_model.landmarks(params)


class ReleasedDrawer:
    """Draws as published. FLAME's camera lives in EMOCA's crop, so that the places in crop pixels
    are what the landmark net saw: on cross pairs the target person's, where alignment has brought
    both faces into one place.
    """

    def __init__(self, config: ReleasedConfig, image_size: int, device: torch.device) -> None:
        # Imported late: these networks need torchvision and the face-alignment package.
        from reenact.face.released.files import locate
        from reenact.face.released.stack import ReleasedFaceStack

        self.image_size = image_size
        self.device = device
        self.face = ReleasedFaceStack.from_files(locate(config.files), config, device)

    def target(self, batch: Batch) -> Tensor:
        driven = self.face.retarget(flame_params(batch, "source"), flame_params(batch, "target"))
        return self._draw(driven)

    def source(self, batch: Batch) -> Tensor:
        return self._draw(flame_params(batch, "source"))

    def motion(self, batch: Batch, *, still: bool = False) -> None:
        return None

    def head_region(self, batch: Batch) -> Tensor:
        params = flame_params(batch, "source")
        return self.face.head_region(params, self.image_size).to(self.device)

    def motion_field(self, batch: Batch) -> MotionField:
        return self.face.motion_field(
            flame_params(batch, "source"),
            flame_params(batch, "target"),
            self.image_size,
            self.image_size,
        )

    def source_landmarks(self, batch: Batch) -> Tensor:
        return batch["source_landmarks"]

    def target_landmarks(self, batch: Batch) -> Tensor:
        return batch["target_landmarks"]

    def _draw(self, params: FlameParams) -> Tensor:
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            return self.face.landmark_map(params, self.image_size).to(self.device)


def open_params(batch: Batch, role: str) -> FaceParams:
    """The face parameters of `role` (`source` or `target`) of a batch of pairs, in crop pixels."""
    names = FaceParams.WIDTHS
    return FaceParams(**{name: batch[f"{role}_{name}"] for name in names})


def flame_params(batch: Batch, role: str) -> FlameParams:
    """The same of clips that the released face stack read."""
    names = FlameParams.WIDTHS
    return FlameParams(**{name: batch[f"{role}_{name}"] for name in names})
