"""The losses of stage `reenact`: one record a loss, and the frozen networks that losses need.

To add a loss, write its formula in reenact/losses.py, a function here that gives it its inputs,
and one line in `LossWeights`.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reenact import losses
from reenact.face.identity import IdentityNet
from reenact.face.open.tracker import FaceTracker, TrackedFaces
from reenact.face.points import (
    five_points_from_landmarks68,
    landmarks_from_points,
    rois_from_landmarks68,
)
from reenact.face.pose import gaze_from_points, pose_from_points
from reenact.models.arcface import ArcFace
from reenact.models.lpips_net import LpipsNet
from reenact.models.perceptual import PerceptualNet, gram_distance
from reenact.ranges import Checked, NonNegative
from reenact.training.drawer import Batch, Drawer
from reenact.training.gradient_guard import GradientGuard


@dataclass(frozen=True, kw_only=True)
class LossNets(Checked):
    """Which frozen networks the losses use.

    perceptual_net: network of the losses `perceptual` and `style`. `efficientnet` is shipped.
    perceptual_weights: torchvision's file of the trunk of LPIPS. Null takes it from torch's hub
        folder, or downloads it there.
    identity_net: network of the loss `identity`. `sface` is shipped.
    identity_weights: an iresnet50 for `arcface`. Those of the InsightFace model zoo are for
        non-commercial research only.
    """

    perceptual_net: Literal["efficientnet", "lpips_alex", "lpips_vgg"] = "efficientnet"
    perceptual_weights: Path | None = None
    identity_net: Literal["sface", "arcface"] = "sface"
    identity_weights: Path | None = None


class LossNetworks(nn.Module):
    """The frozen networks that the losses of these names need, and no others."""

    perceptual: PerceptualNet | LpipsNet
    identity: IdentityNet | ArcFace
    tracker: FaceTracker

    def __init__(self, names: Iterable[str], nets: LossNets, device: torch.device) -> None:
        """Raises UserError when the weights of a network are not to be had."""
        super().__init__()
        needed = {LOSSES[name].needs for name in names}
        if "perceptual" in needed:
            self.perceptual = perceptual_net(nets)
        if "identity" in needed:
            self.identity = identity_net(nets)
        if "tracker" in needed:
            self.tracker = FaceTracker()
        self.to(device).eval().requires_grad_(False)


@dataclass(frozen=True, kw_only=True)
class LossInputs:
    """A batch of rendered pictures and everything that losses compare them with.

    prediction: the rendered pictures (B, 3, S, S) float32, with gradients.
    has_reference: (B,) bool. A sample without a reference takes part in identity, background
        (against the source) and the losses of pose (against the retargeted parameters) only.
    guard: bounds the gradients that come through the tracker.
    composed: the finished pictures (B, 3, S, S), composed of the photos' layers, with gradients;
        None where the batch has no photos.
    decided: (B, 1, S, S) in [0, 1], how much of their pixels the prediction decides.

    What several losses need is computed once.
    """

    prediction: Tensor
    batch: Batch
    draw: Drawer
    has_reference: Tensor
    nets: LossNetworks
    guard: GradientGuard
    composed: Tensor | None = None
    decided: Tensor | None = None

    @property
    def reference(self) -> Tensor:
        return self.batch["reference"]

    @cached_property
    def target_landmarks(self) -> Tensor:
        """(B, 68, 2): where the face should be."""
        return self.draw.target_landmarks(self.batch)

    @cached_property
    def feature_maps(self) -> tuple[list[Tensor], list[Tensor]]:
        """The perceptual network's maps of prediction and reference."""
        net = self.nets.perceptual
        return net.features(self.prediction), net.features(self.reference)

    @cached_property
    def source_identity(self) -> Tensor:
        """The identity embeddings of the sources, without gradients."""
        points = five_points_from_landmarks68(self.draw.source_landmarks(self.batch))
        with torch.no_grad():
            return self.nets.identity(self.batch["source"], points)

    @cached_property
    def meshes(self) -> tuple[Tensor, TrackedFaces]:
        """The tracker's points (B, 478, 3) on the prediction, and what it sees in the reference.

        Both are read from the same square.
        """
        rois = rois_from_landmarks68(self.target_landmarks)
        points = self.nets.tracker.mesh_from_rois(self.guard(self.prediction), rois).points
        with torch.no_grad():
            return points, self.nets.tracker.mesh_from_rois(self.reference, rois)


class Loss(NamedTuple):
    """How one loss is computed.

    values: the loss of each sample (B,), unweighted.
    chosen: which samples (B,) bool have the loss. The values of the others count for nothing.
    needs: the network of `LossNetworks` that it uses, if any.
    """

    values: Callable[[LossInputs], Tensor]
    chosen: Callable[[LossInputs], Tensor]
    needs: Literal["perceptual", "identity", "tracker"] | None = None


def with_reference(x: LossInputs) -> Tensor:
    return x.has_reference


def everyone(x: LossInputs) -> Tensor:
    return torch.ones_like(x.has_reference)


def tracked(x: LossInputs) -> Tensor:
    """A reference in which the tracker sees no face teaches nothing."""
    return x.meshes[1].found | ~x.has_reference


def _pixel(x: LossInputs) -> Tensor:
    return losses.pixel(x.prediction, x.reference)


def _perceptual(x: LossInputs) -> Tensor:
    return x.nets.perceptual.distance_of(*x.feature_maps)


def _style(x: LossInputs) -> Tensor:
    return gram_distance(*x.feature_maps)


def _features(x: LossInputs) -> Tensor:
    mask = losses.feature_mask(x.target_landmarks, x.prediction.shape[-1])
    return losses.masked_pixel(x.prediction, x.reference, mask)


def _background(x: LossInputs) -> Tensor:
    with_reference = x.has_reference[:, None, None, None]
    truth = torch.where(with_reference, x.reference, x.batch["source"])
    source_mask, reference_mask = x.batch["source_mask"], x.batch["reference_mask"]
    both = soft_mask(torch.maximum(source_mask, reference_mask))
    return losses.background(x.prediction, truth, torch.where(with_reference, reference_mask, both))


def _identity(x: LossInputs) -> Tensor:
    return _identity_of(x, x.prediction)


def _identity_of(x: LossInputs, pictures: Tensor) -> Tensor:
    """The loss (B,) of pictures (B, 3, S, S) against the sources."""
    # The face should stand at the target's landmarks, so its crop is taken there untracked.
    rendered = x.nets.identity(pictures, five_points_from_landmarks68(x.target_landmarks))
    return losses.identity(rendered, x.source_identity)


def _shape(x: LossInputs) -> Tensor:
    points, truth = x.meshes
    to_picture = losses.shape(points, truth.points)
    to_params = losses.landmark_shape(landmarks_from_points(points), x.target_landmarks)
    return torch.where(x.has_reference, to_picture, to_params)


def _gaze(x: LossInputs) -> Tensor:
    points, truth = x.meshes
    of_picture = gaze_from_points(truth.points)
    wanted = torch.where(x.has_reference[:, None], of_picture, x.batch["target_gaze"])
    return losses.gaze(gaze_from_points(points), wanted)


def _head_pose(x: LossInputs) -> Tensor:
    points, truth = x.meshes
    of_picture = pose_from_points(truth.points)
    wanted = torch.where(x.has_reference[:, None], of_picture, x.batch["target_rotation"])
    return losses.head_pose(pose_from_points(points), wanted)


LEAST_DECIDED = 0.05
"""A picture in which the networks have no larger share of any pixel is not theirs."""


def decides(x: LossInputs) -> Tensor:
    """A picture in which the networks decide nothing teaches nothing."""
    assert x.decided is not None
    return x.has_reference & (x.decided.flatten(1).amax(1) > LEAST_DECIDED)


def _composed(x: LossInputs) -> Tensor:
    assert x.composed is not None
    assert x.decided is not None
    return losses.masked_pixel(x.composed, x.reference, x.decided)


def _composed_perceptual(x: LossInputs) -> Tensor:
    assert x.composed is not None
    net = x.nets.perceptual
    return net.distance_of(net.features(x.composed), x.feature_maps[1])


def _composed_identity(x: LossInputs) -> Tensor:
    assert x.composed is not None
    return _identity_of(x, x.composed)


@dataclass(frozen=True, kw_only=True)
class LossWeights(Checked):
    """The weight of each loss. A loss of weight 0 is not computed.

    The paper publishes no weights. Those of pixel, perceptual, identity, shape and gaze are
    HyperReenact's, the rest are ours. A step minimises the mean over the batch of each sample's
    weighted sum. A sample without a reference has fewer terms.

    pixel: L1 over the whole picture.
    perceptual: distance of perceptual features, see `nets`.
    identity: 1 - cosine of identity embeddings of result and source.
    background: L1 outside of the face.
    style: distance of the Gram matrices of perceptual features.
    gaze: difference of gaze angles, as the face tracker reads them.
    shape: difference of mesh points, lid and lip openings, as the face tracker reads them.
    head_pose: difference of yaw, pitch and roll, as the face tracker reads them.
    features: L1 over eyes and mouth (ours).
    composed: L1 of the finished picture, composed of the photo's layers, where the networks decide
        it (ours). The clips need photos for it, as for the next two.
    composed_perceptual: distance of perceptual features of the finished picture (ours).
    composed_identity: 1 - cosine of identity embeddings of finished picture and source (ours).
    """

    pixel: Annotated[NonNegative, Loss(_pixel, with_reference)] = 10.0
    perceptual: Annotated[NonNegative, Loss(_perceptual, with_reference, "perceptual")] = 5.0
    identity: Annotated[NonNegative, Loss(_identity, everyone, "identity")] = 10.0
    background: Annotated[NonNegative, Loss(_background, everyone)] = 10.0
    style: Annotated[NonNegative, Loss(_style, with_reference, "perceptual")] = 1.0
    gaze: Annotated[NonNegative, Loss(_gaze, tracked, "tracker")] = 2.0
    shape: Annotated[NonNegative, Loss(_shape, tracked, "tracker")] = 0.5
    head_pose: Annotated[NonNegative, Loss(_head_pose, tracked, "tracker")] = 1.0
    features: Annotated[NonNegative, Loss(_features, with_reference)] = 0.0
    composed: Annotated[NonNegative, Loss(_composed, decides)] = 0.0
    composed_perceptual: Annotated[
        NonNegative, Loss(_composed_perceptual, decides, "perceptual")
    ] = 0.0
    composed_identity: Annotated[NonNegative, Loss(_composed_identity, decides, "identity")] = 0.0

    def active(self) -> dict[str, float]:
        """The weights that are not 0, by the name of the loss."""
        values = {f.name: float(getattr(self, f.name)) for f in fields(self)}
        return {name: value for name, value in values.items() if value != 0}


COMPOSED = ("composed", "composed_perceptual", "composed_identity")
"""The losses of the finished picture."""

LOSSES: dict[str, Loss] = {
    name: next(note for note in typing.get_args(kind) if isinstance(note, Loss))
    for name, kind in typing.get_type_hints(LossWeights, include_extras=True).items()
}


class Term(NamedTuple):
    """One computed loss: its value for every sample (B,), and which samples (B,) bool have it."""

    values: Tensor
    chosen: Tensor

    @property
    def filled(self) -> Tensor:
        """The values (B,), 0 where a sample lacks the loss. Its value there may be infinite."""
        return torch.where(self.chosen, self.values, 0)


def compute_losses(names: Iterable[str], inputs: LossInputs) -> dict[str, Term]:
    """The unweighted losses of these names."""
    return {name: Term(LOSSES[name].values(inputs), LOSSES[name].chosen(inputs)) for name in names}


def perceptual_net(nets: LossNets) -> PerceptualNet | LpipsNet:
    """The network of the losses `perceptual` and `style`."""
    if nets.perceptual_net == "efficientnet":
        return PerceptualNet()
    trunk: Literal["alex", "vgg"] = "alex" if nets.perceptual_net == "lpips_alex" else "vgg"
    return LpipsNet(trunk, nets.perceptual_weights)


def identity_net(nets: LossNets) -> IdentityNet | ArcFace:
    """The network of the loss `identity`."""
    if nets.identity_net == "sface":
        return IdentityNet()
    return ArcFace.from_file(nets.identity_weights)


def soft_mask(mask: Tensor, *, grow: float = 0.06, soften: float = 0.04) -> Tensor:
    """Grow and soften a coverage mask (B, 1, S, S) in [0, 1], by shares of the picture's side."""
    size = mask.shape[-1]
    grow_px, soften_px = max(round(grow * size), 1), max(round(soften * size), 1)
    grown = F.max_pool2d(mask, 2 * grow_px + 1, stride=1, padding=grow_px)
    padded = F.pad(grown, (soften_px,) * 4, mode="replicate")
    return F.avg_pool2d(padded, 2 * soften_px + 1, stride=1)
