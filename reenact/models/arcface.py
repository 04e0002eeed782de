"""ArcFace with an iresnet50, the identity network that most papers use.

Its weights do not ship with the project: the user gives the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffae.checkpoint import describe_difference, read_state_dict
from reenact.errors import UserError
from reenact.face.identity import SIDE, align_transform
from reenact.face.sampling import sample_patches

EMBEDDING_SIZE = 512
ORIGIN = (
    "backbone.pth of an iresnet50 (ms1mv3_arcface_r50 or glint360k_cosface_r50) from the "
    "InsightFace model zoo (https://github.com/deepinsight/insightface), for non-commercial use"
)
_DEPTHS = (3, 4, 14, 3)
_WIDTHS = (64, 128, 256, 512)


class _Block(nn.Module):
    """Residual unit of ArcFace (Deng et al. 2019, "improved residual unit").

    BN, 3x3, BN, PReLU, 3x3 with stride, BN. The sum with the skip has no activation.
    """

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.prelu = nn.PReLU(out)
        self.conv2 = nn.Conv2d(out, out, 3, stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.downsample: nn.Module | None = None
        if stride > 1 or channels != out:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        y = self.bn3(self.conv2(y))
        return y + (x if self.downsample is None else self.downsample(x))


def _layer(channels: int, out: int, depth: int) -> nn.Sequential:
    """`depth` units, the first of which halves the side."""
    return nn.Sequential(_Block(channels, out, 2), *(_Block(out, out, 1) for _ in range(depth - 1)))


class IResNet50(nn.Module):
    """Aligned faces (B, 3, 112, 112) in [-1, 1] -> (B, 512), not normalised. The parameters have
    the published names.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, _WIDTHS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(_WIDTHS[0])
        self.prelu = nn.PReLU(_WIDTHS[0])
        inputs = (_WIDTHS[0], *_WIDTHS[:-1])
        layers = [_layer(*sizes) for sizes in zip(inputs, _WIDTHS, _DEPTHS, strict=True)]
        self.layer1, self.layer2, self.layer3, self.layer4 = layers
        self.bn2 = nn.BatchNorm2d(_WIDTHS[-1])
        self.fc = nn.Linear(_WIDTHS[-1] * (SIDE // 16) ** 2, EMBEDDING_SIZE)
        self.features = nn.BatchNorm1d(EMBEDDING_SIZE)

    def forward(self, faces: Tensor) -> Tensor:
        """(B, 3, 112, 112) -> (B, 512)."""
        x = self.prelu(self.bn1(self.conv1(faces)))
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
        return self.features(self.fc(self.bn2(x).flatten(1)))


class ArcFace(nn.Module):
    """Frozen iresnet50 behind the same call as `IdentityNet`."""

    def __init__(self, net: IResNet50) -> None:
        super().__init__()
        self.net = net
        self.eval().requires_grad_(False)

    @classmethod
    def from_file(cls, path: Path | None) -> ArcFace:
        """Read the weights.

        Raises:
            UserError: there is no file, or it holds another network.
            CheckpointError: the file cannot be read.
        """
        if path is None or not path.is_file():
            where = "identity_weights is not set" if path is None else f"{path}: no such file"
            raise UserError(f"{where}; arcface needs {ORIGIN}; or take sface, which is shipped")
        return cls.from_tensors(read_state_dict(path), path)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], where: str | Path = "arcface") -> ArcFace:
        """`where` names the tensors' origin in errors."""
        net = IResNet50()
        # How many batches a norm has seen is not a weight, and some files leave it out.
        wanted = {n: t for n, t in net.state_dict().items() if not n.endswith("batches_tracked")}
        given = {n: t for n, t in tensors.items() if not n.endswith("batches_tracked")}
        if difference := describe_difference(
            {name: tuple(t.shape) for name, t in wanted.items()},
            {name: tuple(t.shape) for name, t in given.items()},
        ):
            raise UserError(f"{where}: not an iresnet50 ({difference}); expected {ORIGIN}")
        net.load_state_dict({n: t.float() for n, t in given.items()}, strict=False)
        return cls(net)

    def forward(self, images: Tensor, five_points: Tensor) -> Tensor:
        """images (B, 3, H, W) in [-1, 1], five_points (B, 5, 2) px -> (B, 512) of unit norm.

        Differentiable in the images; the alignment itself counts as fixed.
        """
        with torch.autocast(images.device.type, enabled=False):
            transform = align_transform(five_points.detach().float())
            patches = sample_patches(images.float(), transform, SIDE)
            return F.normalize(self.net(patches), dim=-1)
