"""The frozen networks that judge rendered pictures, and the losses they give."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from reenact import losses
from reenact.losses import LossWeights
from reenact.training.noise import soft_mask
from reenact.training.targets import LandmarkDrawer

NEEDS_PERCEPTUAL = {"perceptual", "style"}
NEEDS_TRACKER = {"shape", "gaze", "head_pose"}


class Critics(nn.Module):
    """Holds only the networks that losses of non-zero weight need."""

    def __init__(self, weights: LossWeights, device: torch.device) -> None:
        super().__init__()
        self.names = set(weights.active())
        # each net is a sizeable file: load what is used, and only then
        if self.names & NEEDS_PERCEPTUAL:
            from reenact.models.perceptual import PerceptualNet

            self.perceptual = PerceptualNet()
        if "identity" in self.names:
            from reenact.face.identity import IdentityNet

            self.identity = IdentityNet()
        if self.names & NEEDS_TRACKER:
            from reenact.face.tracker import FaceTracker

            self.tracker = FaceTracker()
        self.to(device).eval().requires_grad_(False)

    def losses(
        self,
        prediction: Tensor,
        batch: dict[str, Tensor],
        draw: LandmarkDrawer,
        has_reference: Tensor,
    ) -> dict[str, Tensor]:
        """Mean over the batch of each active loss, unweighted, by name.

        `prediction` (B, 3, S, S) float32 with gradients. Samples without a reference take part in identity,
        background (against the source) and the pose losses (against the retargeted parameters) only.
        """
        reference = batch["reference"]
        values: dict[str, Tensor] = {}
        if "pixel" in self.names:
            values["pixel"] = losses.pixel(prediction, reference)
        if "perceptual" in self.names:
            values["perceptual"] = self.perceptual.distance(prediction, reference)
        if "style" in self.names:
            values["style"] = self.perceptual.gram_distance(prediction, reference)
        values = {name: _mean(value, has_reference) for name, value in values.items()}
        if "background" in self.names:
            truth = torch.where(has_reference[:, None, None, None], reference, batch["source"])
            face = torch.maximum(batch["source_mask"], batch["reference_mask"])
            face = torch.where(
                has_reference[:, None, None, None], batch["reference_mask"], soft_mask(face)
            )
            values["background"] = losses.background(prediction, truth, face).mean()
        if "identity" in self.names:
            values["identity"] = self._identity(prediction, batch, draw).mean()
        if self.names & NEEDS_TRACKER:
            values |= self._pose(prediction, batch, draw, has_reference)
        return values

    def _identity(
        self, prediction: Tensor, batch: dict[str, Tensor], draw: LandmarkDrawer
    ) -> Tensor:
        with torch.no_grad():
            own = self.identity(batch["source"], five_points(draw.source_landmarks(batch)))
        # the face should stand at the target's landmarks, so the crop is taken there without tracking
        rendered = self.identity(prediction, five_points(draw.target_landmarks(batch)))
        return losses.identity(rendered, own)


def five_points(landmarks: Tensor) -> Tensor:
    """Landmarks (B, 68, 2) to eye centres, nose tip and mouth corners (B, 5, 2), image-left eye first."""
    eyes = [landmarks[:, 36:42].mean(dim=1), landmarks[:, 42:48].mean(dim=1)]
    return torch.stack([*eyes, landmarks[:, 30], landmarks[:, 48], landmarks[:, 54]], dim=1)


def _mean(value: Tensor, chosen: Tensor) -> Tensor:
    weight = chosen.to(value)
    return (value * weight).sum() / weight.sum().clamp(min=1)
