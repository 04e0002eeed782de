"""The judges: the networks behind the metrics, and which ones a run takes."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from reenact.errors import UserError
from reenact.evaluation.measuring.comparison import LocalDistance, PerceptualDistance
from reenact.evaluation.measuring.metrics import METRICS
from reenact.evaluation.mediapipe_tracker import MediaPipeTracker
from reenact.evaluation.readers import FaceReader, TrackerReader
from reenact.models.arcface import ArcFace
from reenact.models.lpips_net import LpipsNet
from reenact.models.perceptual import PerceptualNet
from reenact.ranges import Checked, Range

Features = Callable[[Tensor], Tensor]
"""Images (B, 3, H, W) in [-1, 1] to features (B, D)."""

ORIGINS = {
    "inception": (
        "inception-2015-12-05.pt, the TorchScript Inception of StyleGAN and clean-fid, "
        "https://github.com/GaParmar/clean-fid"
    ),
    "i3d": (
        "i3d_torchscript.pt, the TorchScript I3D (Kinetics-400) of StyleGAN-V, "
        "https://github.com/universome/stylegan-v"
    ),
}


@dataclass(frozen=True, kw_only=True)
class JudgeConfig(Checked):
    """Which networks measure. The open ones are always there. The others need files of yours.

    identity: the network of csim. "arcface" needs `identity_weights`.
    identity_weights: an iresnet50.
    lpips: the trunk of lpips; null = no lpips.
    perceptual_weights: torchvision's file of the trunk. null = the shipped AlexNet; for "vgg" the
        file in torch's hub folder, which is downloaded if it is missing.
    mediapipe: face_landmarker_v2.task. The MediaPipe runtime then finds the faces, instead of the
        open tracker. null = the open tracker.
    inception: TorchScript file; null = no fid.
    i3d: TorchScript file; null = no fvd.
    fvd_frames: length of the windows that the I3D sees; it needs at least 10 frames. Videos are
        cut into such windows.
    """

    identity: Literal["sface", "arcface"] = "sface"
    identity_weights: Path | None = None
    lpips: Literal["alex", "vgg"] | None = "alex"
    perceptual_weights: Path | None = None
    mediapipe: Path | None = None
    inception: Path | None = None
    i3d: Path | None = None
    fvd_frames: Annotated[int, Range(at_least=10)] = 16

    @property
    def networks(self) -> dict[str, str]:
        """The networks of this run: the key that metrics use, and the name for the report."""
        names = {
            "identity": {"sface": "SFace", "arcface": "ArcFace iresnet50"}[self.identity],
            "effnet": "EfficientNet-lite0 (ImageNet)",
            "tracker": "this project's tracker and head model",
        }
        if self.mediapipe is not None:
            names["tracker"] = f"MediaPipe runtime ({self.mediapipe.name}) and the head model"
        if self.lpips is not None:
            names["lpips"] = {"alex": "LPIPS 0.1, AlexNet", "vgg": "LPIPS 0.1, VGG-16"}[self.lpips]
        if self.inception is not None:
            names["inception"] = f"Inception ({self.inception.name})"
        if self.i3d is not None:
            names["i3d"] = f"I3D ({self.i3d.name}), windows of {self.fvd_frames} frames"
        return names

    @property
    def backbones(self) -> dict[str, str]:
        """The metrics of each network of this run, and the network's name."""
        metrics = {
            key: ", ".join(metric.name for metric in METRICS if metric.network == key)
            for key in self.networks
        }
        return {metrics[key]: name for key, name in self.networks.items()}


class OpenPerceptual(PerceptualDistance, Protocol):
    """The part of `reenact.models.perceptual.PerceptualNet` that is used here."""

    def pooled(self, images: Tensor) -> Tensor: ...


@dataclass(frozen=True, kw_only=True)
class Judges:
    """The loaded networks.

    reader: reads faces. effnet, lpips: distances of pictures. inception: features of pictures.
    i3d: features of videos (B, 3, T, H, W) in [-1, 1]. widths: number of features of each network.
    """

    reader: FaceReader
    effnet: OpenPerceptual
    lpips: LocalDistance | None = None
    inception: Features | None = None
    i3d: Features | None = None
    widths: dict[str, int] = field(default_factory=lambda: {"effnet": 320})

    @property
    def extractors(self) -> dict[str, Features]:
        """The networks that give features of pictures, in the order of the stored columns."""
        chosen: dict[str, Features] = {"effnet": self.effnet.pooled}
        if self.inception is not None:
            chosen["inception"] = self.inception
        return chosen


def load_judges(config: JudgeConfig, device: torch.device) -> Judges:
    """Load the networks. Raises UserError or CheckpointError for a missing or foreign file."""
    identity = lpips = inception = i3d = tracker = None
    if config.identity == "arcface":
        identity = ArcFace.from_file(config.identity_weights).to(device)
    if config.lpips is not None:
        lpips = LpipsNet(config.lpips, config.perceptual_weights).to(device)
    if config.mediapipe is not None:
        tracker = MediaPipeTracker(config.mediapipe, device)
    if config.inception is not None:
        inception = scripted_inception(config.inception, device)
    if config.i3d is not None:
        i3d = scripted_i3d(config.i3d, device)
    widths = {"effnet": 320}
    if inception is not None:
        widths["inception"] = int(inception(torch.zeros(1, 3, 64, 64, device=device)).shape[1])
    return Judges(
        reader=TrackerReader(device, identity, tracker),
        effnet=PerceptualNet().to(device),
        lpips=lpips,
        inception=inception,
        i3d=i3d,
        widths=widths,
    )


def scripted_inception(path: Path, device: torch.device) -> Features:
    """The features of FID. The network resizes by itself, as the original TensorFlow graph does."""
    net = _scripted(path, "inception", device)

    def features(images: Tensor) -> Tensor:
        levels = ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
        return net(levels, return_features=True).float()

    return features


def scripted_i3d(path: Path, device: torch.device) -> Features:
    """The features of FVD. Videos (B, 3, T, H, W) in [-1, 1] are resized to 224 pixels."""
    net = _scripted(path, "i3d", device)

    def features(videos: Tensor) -> Tensor:
        levels = ((videos.clamp(-1, 1) + 1) * 127.5).round()
        if levels.shape[-1] != 224:
            size = (levels.shape[2], 224, 224)
            levels = F.interpolate(levels, size=size, mode="trilinear", align_corners=False)
        return net(levels, rescale=True, resize=False, return_features=True).float()

    return features


def _scripted(path: Path, name: str, device: torch.device) -> torch.jit.ScriptModule:
    if not path.is_file():
        raise UserError(f"{path}: no such file; {name} takes {ORIGINS[name]}")
    try:
        with warnings.catch_warnings():
            # torch calls the format deprecated, but these two networks are published in it.
            warnings.simplefilter("ignore", FutureWarning)
            return torch.jit.load(str(path), map_location=device).eval()
    except RuntimeError as error:
        raise UserError(
            f"{path}: is not a TorchScript network ({str(error).splitlines()[0]}); "
            f"{name} takes {ORIGINS[name]}"
        ) from error
