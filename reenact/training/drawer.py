"""What networks and losses get of the faces of a batch of pairs: drawings, points and masks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from reenact.errors import UserError
from reenact.face.factory import FaceConfig, make_face_model
from reenact.inference.drawings import Drawings

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

    def drawings(self, batch: Batch) -> Drawings:
        """All drawings of these pairs, made by the code that inference uses."""
        source, target = self._params(batch, "source"), self._params(batch, "target")
        return Drawings(self.face, source, target, size=self.image_size, device=self.device)

    def target(self, batch: Batch) -> Tensor:
        """The landmark map (B, 3, S, S) of the source person with the target's expression, pose
        and gaze.
        """
        return self.drawings(batch).landmark_map()

    def motion(self, batch: Batch) -> Tensor | None:
        """The motion vector (B, 120) from the source to the target; None where E_r has no motion
        head.
        """
        return self.drawings(batch).motion() if self.has_motion else None

    def head_region(self, batch: Batch) -> Tensor:
        """Where the source's head and hair are: (B, 1, S, S) in [0, 1]."""
        return self.drawings(batch).head_region()

    def source_landmarks(self, batch: Batch) -> Tensor:
        """(B, 68, 2) of the source picture."""
        if not self.entry.has_places:
            return batch["source_landmarks"]
        return self._landmarks(self._params(batch, "source"))

    def target_landmarks(self, batch: Batch) -> Tensor:
        """(B, 68, 2) of the face that should be rendered.

        Parameters of some face stacks do not say where the face is. Then the landmarks are the
        target person's, as read from the target's crop. Alignment has brought both faces into one
        place.
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

    def _landmarks(self, params: Any) -> Tensor:
        """Float32, whatever the number format of the training step."""
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            return self.face.landmarks(params)
