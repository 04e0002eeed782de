"""The frozen networks that judge rendered pictures, and the losses they give."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reenact import losses
from reenact.face.identity import IdentityNet
from reenact.face.points import (
    five_points_from_landmarks68,
    landmarks_from_points,
    rois_from_landmarks68,
)
from reenact.face.pose import gaze_from_points, pose_from_points
from reenact.losses import LossNets, LossWeights
from reenact.models.arcface import ArcFace
from reenact.models.lpips_net import LpipsNet
from reenact.models.perceptual import PerceptualNet
from reenact.training.gradient_guard import GradientGuard
from reenact.training.targets import Drawer

NEEDS_PERCEPTUAL = {"perceptual", "style"}
NEEDS_TRACKER = {"shape", "gaze", "head_pose"}


class Judged(NamedTuple):
    """One loss: its value for every sample (B,), and which samples (B,) bool have it."""

    values: Tensor
    chosen: Tensor

    @property
    def terms(self) -> Tensor:
        """The values (B,), 0 where a sample lacks it; what is not chosen may even be infinite."""
        return torch.where(self.chosen, self.values, 0)


class Critics(nn.Module):
    """Holds only the networks that losses of non-zero weight need."""

    def __init__(self, weights: LossWeights, nets: LossNets, device: torch.device) -> None:
        """Raises UserError when the weights of a chosen network are not to be had."""
        super().__init__()
        self.names = set(weights.active())
        self.guard = GradientGuard()
        # each net is a sizeable file: load what is used, and only then
        if self.names & NEEDS_PERCEPTUAL:
            self.perceptual = perceptual_net(nets)
        if "identity" in self.names:
            self.identity = identity_net(nets)
        if self.names & NEEDS_TRACKER:
            from reenact.face.open.tracker import FaceTracker

            self.tracker = FaceTracker()
        self.to(device).eval().requires_grad_(False)

    def losses(
        self, prediction: Tensor, batch: dict[str, Tensor], draw: Drawer, has_reference: Tensor
    ) -> dict[str, Judged]:
        """Each active loss, unweighted, by name.

        `prediction` (B, 3, S, S) float32 with gradients. Samples without a reference take part in
        identity, background (against the source) and the pose losses (against the retargeted
        parameters) only.
        """
        reference = batch["reference"]
        everyone = torch.ones_like(has_reference)
        values: dict[str, Tensor] = {}
        if "pixel" in self.names:
            values["pixel"] = losses.pixel(prediction, reference)
        if "perceptual" in self.names:
            values["perceptual"] = self.perceptual.distance(prediction, reference)
        if "features" in self.names:
            mask = losses.feature_mask(draw.target_landmarks(batch), prediction.shape[-1])
            values["features"] = losses.masked_pixel(prediction, reference, mask)
        if "style" in self.names:
            values["style"] = self.perceptual.gram_distance(prediction, reference)
        judged = {name: Judged(value, has_reference) for name, value in values.items()}
        if "background" in self.names:
            value = self._background(prediction, batch, has_reference)
            judged["background"] = Judged(value, everyone)
        if "identity" in self.names:
            judged["identity"] = Judged(self._identity(prediction, batch, draw), everyone)
        if self.names & NEEDS_TRACKER:
            judged |= self._pose(prediction, batch, draw, has_reference)
        return judged

    def _background(
        self, prediction: Tensor, batch: dict[str, Tensor], has_reference: Tensor
    ) -> Tensor:
        with_reference = has_reference[:, None, None, None]
        truth = torch.where(with_reference, batch["reference"], batch["source"])
        both = soft_mask(torch.maximum(batch["source_mask"], batch["reference_mask"]))
        face = torch.where(with_reference, batch["reference_mask"], both)
        return losses.background(prediction, truth, face)

    def _identity(self, prediction: Tensor, batch: dict[str, Tensor], draw: Drawer) -> Tensor:
        with torch.no_grad():
            own = self.identity(
                batch["source"], five_points_from_landmarks68(draw.source_landmarks(batch))
            )
        # the face should stand at the target's landmarks, so the crop is taken there without
        # tracking
        rendered = self.identity(
            prediction, five_points_from_landmarks68(draw.target_landmarks(batch))
        )
        return losses.identity(rendered, own)

    def _pose(
        self, prediction: Tensor, batch: dict[str, Tensor], draw: Drawer, has_reference: Tensor
    ) -> dict[str, Judged]:
        """Shape, gaze and head pose, read off prediction and reference by the same tracker in the
        same square.
        """
        landmarks = draw.target_landmarks(batch)
        rois = rois_from_landmarks68(landmarks)
        tracked = self.tracker.mesh_from_rois(self.guard(prediction), rois).points
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
        return {name: Judged(value, usable) for name, value in values.items()}


def perceptual_net(nets: LossNets) -> PerceptualNet | LpipsNet:
    """The net of the losses `perceptual` and `style`."""
    if nets.perceptual_net == "efficientnet":
        return PerceptualNet()
    return LpipsNet(
        "alex" if nets.perceptual_net == "lpips_alex" else "vgg", nets.perceptual_weights
    )


def identity_net(nets: LossNets) -> IdentityNet | ArcFace:
    """The net of the loss `identity`."""
    return (
        IdentityNet() if nets.identity_net == "sface" else ArcFace.from_file(nets.identity_weights)
    )


def soft_mask(mask: Tensor, *, grow: float = 0.06, soften: float = 0.04) -> Tensor:
    """Grow and soften a coverage mask (B, 1, S, S) in [0, 1] by shares of the picture's side."""
    size = mask.shape[-1]
    grow_px, soften_px = max(round(grow * size), 1), max(round(soften * size), 1)
    grown = F.max_pool2d(mask, 2 * grow_px + 1, stride=1, padding=grow_px)
    padded = F.pad(grown, (soften_px,) * 4, mode="replicate")
    return F.avg_pool2d(padded, 2 * soften_px + 1, stride=1)
