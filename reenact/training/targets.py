"""From the face parameters of a batch of pairs to the drawings, points and masks that the networks
and losses want.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from reenact.errors import UserError
from reenact.face.factory import FaceConfig, make_face_model
from reenact.face.surface.motion_field import MotionField

Batch = dict[str, Tensor]


class Drawer:
    """Drawings and places of the faces of a batch of pairs, always in float32 and without
    gradients. S is the side of the pictures; coordinates are crop pixels.
    """

    def __init__(
        self, config: FaceConfig, image_size: int, device: torch.device, *, has_motion: bool
    ) -> None:
        """Raises UserError when a file of the face model is missing, and when E_r has a motion head
        (`has_motion`) that the face stack cannot feed.
        """
        if has_motion and not config.entry.has_motion_vector:
            raise UserError(
                f"E_r's motion head cannot read the parameters of the {config.name} face stack: "
                "set align.motion_head to false, or leave out the section of that stack"
            )
        self.entry = config.entry
        self.image_size, self.device, self.has_motion = image_size, device, has_motion
        self.face = make_face_model(config, device)

    def target(self, batch: Batch) -> Tensor:
        """The landmark map (B, 3, S, S) of the source person with the target's expression, pose
        and gaze.
        """
        return self._draw(self._driven(batch))

    def source(self, batch: Batch) -> Tensor:
        """The map of the source as it is."""
        return self._draw(self._params(batch, "source"))

    def motion(self, batch: Batch, *, still: bool = False) -> Tensor | None:
        """The motion vector (B, 120) from the source to the target, or with `still` to the source
        itself; None where E_r has no motion head.
        """
        if not self.has_motion:
            return None
        source = self._params(batch, "source")
        target = source if still else self._params(batch, "target")
        with self._exact():
            return self.face.motion_vector(source, target, self.image_size)

    def head_region(self, batch: Batch) -> Tensor:
        """Where the source's head and hair are: (B, 1, S, S) in [0, 1]."""
        params = self._params(batch, "source")
        return self.face.head_region(params, self.image_size).to(self.device)

    def motion_field(self, batch: Batch) -> MotionField:
        """From the picture to be rendered back to the source, of side S."""
        source, driven, size = self._params(batch, "source"), self._driven(batch), self.image_size
        with self._exact():
            return self.face.motion_field(source, driven, size, size)

    def source_landmarks(self, batch: Batch) -> Tensor:
        """(B, 68, 2) of the source picture."""
        if not self.entry.has_places:
            return batch["source_landmarks"]
        return self._landmarks(self._params(batch, "source"))

    def target_landmarks(self, batch: Batch) -> Tensor:
        """(B, 68, 2) of the face that should be rendered. Where the face stack's parameters do not
        say where the face is, they are the target person's, as read from the target's crop:
        alignment has brought both faces into one place.
        """
        if not self.entry.has_places:
            return batch["target_landmarks"]
        return self._landmarks(self._driven(batch))

    def _params(self, batch: Batch, role: str) -> Any:
        """The parameters of `role` (`source` or `target`)."""
        kind = self.entry.params
        return kind(**{name: batch[f"{role}_{name}"] for name in kind.WIDTHS})

    def _driven(self, batch: Batch) -> Any:
        """The source person as the target moves."""
        return self.face.retarget(self._params(batch, "source"), self._params(batch, "target"))

    def _draw(self, params: Any) -> Tensor:
        with self._exact():
            return self.face.landmark_map(params, self.image_size).to(self.device)

    def _landmarks(self, params: Any) -> Tensor:
        with self._exact():
            return self.face.landmarks(params)

    @contextmanager
    def _exact(self) -> Iterator[None]:
        """Float32 as in inference, whatever the training step's number format."""
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            yield
