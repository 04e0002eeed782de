"""What networks and losses get of the faces of a batch of pairs: drawings, points and masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from reenact.errors import UserError
from reenact.face.crop import FaceCrop
from reenact.face.factory import FaceConfig, make_face_model
from reenact.face.params import FaceParams
from reenact.face.person_mask import KnownPerson
from reenact.inference.canvas import SourceView, wide_view
from reenact.inference.drawings import Drawings
from reenact.inference.layers import Layers
from reenact.inference.moved_layers import photo_layers
from reenact.media.images import frame_from_image

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
        """All drawings of these pairs, made by the code that inference uses.

        They have the photos' layers where the batch has photos, see `ClipDataset.pair`.
        """
        source, target = self._params(batch, "source"), self._params(batch, "target")
        layers = self._layers(batch, source) if "photo" in batch else None
        return Drawings(
            self.face, source, target, size=self.image_size, device=self.device, layers=layers
        )

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

    @torch.no_grad()
    def _layers(self, batch: Batch, source: FaceParams) -> tuple[Layers, ...]:
        """The layers of the photos, as the squares of the true pictures show them."""
        size, matrices = self.image_size, batch["reference_from_source"].double().cpu().numpy()
        with torch.autocast(self.device.type, enabled=False):
            photos, alphas = (batch[name].float().cpu() for name in ("photo", "photo_alpha"))
            margin = (photos.shape[-1] - size) / 2
            shift = np.array([[1.0, 0, -margin], [0, 1, -margin], [0, 0, 1]])
            views = [
                wide_view(
                    frame_from_image(photos[i : i + 1])[0],
                    FaceCrop(crop_from_frame=matrix @ shift, size=size),
                    KnownPerson(alphas[i : i + 1]),
                )
                for i, matrix in enumerate(matrices)
            ]
            faces = source.transformed(matrices)
            return photo_layers(self.face, SourceView.cat(views), faces, size, self.device)

    def _driven(self, batch: Batch) -> Any:
        """The source person as the target moves."""
        return self.face.retarget(self._params(batch, "source"), self._params(batch, "target"))

    def _landmarks(self, params: Any) -> Tensor:
        """Float32, whatever the number format of the training step."""
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            return self.face.landmarks(params)
