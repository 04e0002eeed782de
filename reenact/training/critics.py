"""The frozen networks that judge rendered pictures, and the losses they give."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reenact import losses
from reenact.face.points import (
    five_points_from_landmarks68,
    landmarks_from_points,
    rois_from_landmarks68,
)
from reenact.face.pose import gaze_from_points, pose_from_points
from reenact.losses import LossWeights
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

        `prediction` (B, 3, S, S) float32 with gradients. Samples without a reference take part in
        identity, background (against the source) and the pose losses (against the retargeted
        parameters) only.
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
            own = self.identity(
                batch["source"], five_points_from_landmarks68(draw.source_landmarks(batch)[0])
            )
        # the face should stand at the target's landmarks, so the crop is taken there without
        # tracking
        rendered = self.identity(
            prediction, five_points_from_landmarks68(draw.target_landmarks(batch)[0])
        )
        return losses.identity(rendered, own)

    def _pose(
        self,
        prediction: Tensor,
        batch: dict[str, Tensor],
        draw: LandmarkDrawer,
        has_reference: Tensor,
    ) -> dict[str, Tensor]:
        """Shape, gaze and head pose, read off prediction and reference by the same tracker in the
        same square.
        """
        landmarks, _ = draw.target_landmarks(batch)
        rois = rois_from_landmarks68(landmarks)
        tracked = self.tracker.mesh_from_rois(tame_gradient(prediction), rois).points
        with torch.no_grad():
            truth = self.tracker.mesh_from_rois(batch["reference"], rois)
        tracked_landmarks = landmarks_from_points(tracked)
        values = {}
        if "shape" in self.names:
            with_truth = losses.shape(tracked, truth.points)
            without = losses.landmark_shape(tracked_landmarks, landmarks)
            values["shape"] = torch.where(has_reference, with_truth, without)
        if "gaze" in self.names:
            wanted = torch.where(
                has_reference[:, None], gaze_from_points(truth.points), batch["target_gaze"]
            )
            values["gaze"] = losses.gaze(gaze_from_points(tracked), wanted)
        if "head_pose" in self.names:
            wanted = torch.where(
                has_reference[:, None], pose_from_points(truth.points), batch["target_rotation"]
            )
            values["head_pose"] = losses.head_pose(pose_from_points(tracked), wanted)
        # a reference in which the tracker sees no face teaches nothing
        usable = truth.found | ~has_reference
        return {name: _mean(value, usable) for name, value in values.items()}


def _mean(value: Tensor, chosen: Tensor) -> Tensor:
    """Mean over the chosen samples, 0 without any; what is not chosen may be anything, even
    infinite.
    """
    return torch.where(chosen, value, 0).sum() / chosen.sum().clamp(min=1)


def soft_mask(mask: Tensor, *, grow: float = 0.06, soften: float = 0.04) -> Tensor:
    """Grow and soften a coverage mask (B, 1, S, S) in [0, 1] by shares of the picture's side."""
    size = mask.shape[-1]
    grow_px, soften_px = max(round(grow * size), 1), max(round(soften * size), 1)
    grown = F.max_pool2d(mask, 2 * grow_px + 1, stride=1, padding=grow_px)
    padded = F.pad(grown, (soften_px,) * 4, mode="replicate")
    return F.avg_pool2d(padded, 2 * soften_px + 1, stride=1)


def tame_gradient(image: Tensor, factor: float = 2.0) -> Tensor:
    """The image itself; in the backward pass no sample's gradient exceeds `factor` medians.

    Through the tracker a blurred face can have a gradient a thousand times the others', which would
    leave the whole step, clipped as one, to that sample. A gradient that is not finite becomes 0.
    """
    tamed: Tensor = _TameGradient.apply(image, factor)
    return tamed


class _TameGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return image.view_as(image)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        norms = gradient.flatten(1).norm(dim=1)
        usable = torch.isfinite(norms)
        if not usable.any():
            return torch.zeros_like(gradient), None
        limit = ctx.factor * norms[usable].median()
        scale = (limit / norms.clamp(min=1e-12)).clamp(max=1)[:, None, None, None]
        return torch.where(usable[:, None, None, None], gradient * scale, 0), None
