"""Perceptual features of EfficientNet-lite0 (ImageNet), and the distances made of them.

Papers use LPIPS and Inception features for the same purpose. These are other networks. Their
numbers are called `efflpips` and `efffid`, and cannot be compared with published LPIPS or FID.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reenact.assets import load_tensors

POOLED_SIZE = 320
_STEM_CHANNELS = 32
# Per stage: number of blocks, kernel, stride of the first block, expansion, output channels.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_TAPPED_BLOCKS = (0, 2, 4, 10, 15)  # the last block at strides 2, 4, 8, 16, 32
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class _Conv(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding: the odd pixel goes right and down."""

    def forward(self, x: Tensor) -> Tensor:
        pads: list[int] = []
        for size, kernel, stride in zip(x.shape[:1:-1], self.kernel_size, self.stride, strict=True):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(F.pad(x, pads) if any(pads) else x)


class _Block(nn.Module):
    """Inverted residual: expand 1x1, depthwise, project 1x1; ReLU6 after the first two."""

    def __init__(self, channels: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = channels * expansion
        self.expand = _Conv(channels, inner, 1) if expansion > 1 else None
        self.depthwise = _Conv(inner, inner, kernel, stride, groups=inner)
        self.project = _Conv(inner, out, 1)
        self.residual = stride == 1 and channels == out

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if self.residual else y


def _unit(x: Tensor) -> Tensor:
    """(B, C, H, W) with the channel vector of every pixel scaled to length 1."""
    return x * torch.rsqrt(x.square().sum(1, keepdim=True) + 1e-12)


class PerceptualNet(nn.Module):
    """Frozen EfficientNet-lite0 without its head.

    Images are (B, 3, H, W) in [-1, 1] with sides of at least 32 px. Gradients flow to them.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, device: str | torch.device = "cpu") -> None:
        super().__init__()
        self.stem = _Conv(3, _STEM_CHANNELS, 3, 2)
        blocks: list[_Block] = []
        channels = _STEM_CHANNELS
        for repeats, kernel, stride, expansion, out in _STAGES:
            for i in range(repeats):
                blocks.append(_Block(channels, out, kernel, stride if i == 0 else 1, expansion))
                channels = out
        self.blocks = nn.ModuleList(blocks)
        weights = load_tensors("perceptual.safetensors")
        self.load_state_dict({k: v.float() for k, v in weights.items()})
        for name, value in (("mean", _MEAN), ("std", _STD)):
            self.register_buffer(name, torch.tensor(value)[:, None, None], persistent=False)
        self.requires_grad_(False).to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]

    def features(self, images: Tensor) -> list[Tensor]:
        """Five maps with 16, 24, 40, 112 and 320 channels at strides 2, 4, 8, 16 and 32."""
        with torch.autocast(images.device.type, enabled=False):
            x = (images.float() * 0.5 + 0.5 - self.mean) / self.std
            x = F.relu6(self.stem(x))
            maps = []
            for i, block in enumerate(self.blocks):
                x = block(x)
                if i in _TAPPED_BLOCKS:
                    maps.append(x)
        return maps

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """efflpips (B,) >= 0 of two batches of images."""
        return self.distance_of(self.features(a), self.features(b))

    def distance_of(self, a: list[Tensor], b: list[Tensor]) -> Tensor:
        """efflpips (B,) >= 0 from the `features` of two batches.

        Features have unit length. Their squared differences are averaged over pixels and summed
        over maps.
        """
        pairs = zip(a, b, strict=True)
        parts = [(_unit(x) - _unit(y)).square().sum(1).mean((1, 2)) for x, y in pairs]
        return torch.stack(parts).sum(0)

    def pooled(self, images: Tensor) -> Tensor:
        """(B, 320) means of the last map: the features of efffid."""
        return self.features(images)[-1].mean((2, 3))


def gram_distance(a: list[Tensor], b: list[Tensor]) -> Tensor:
    """Style distance (B,) >= 0 of two batches' feature maps (Gatys et al. 2016).

    It sums the squared differences of the channel correlations, which do not depend on places in
    the picture. Features have unit length. Therefore the Gram matrices have trace 1, and all maps
    have the same weight.
    """
    pairs = zip(a, b, strict=True)
    parts = [(gram_matrix(x) - gram_matrix(y)).square().sum((1, 2)) for x, y in pairs]
    return torch.stack(parts).sum(0)


def gram_matrix(x: Tensor) -> Tensor:
    """Channel correlations (B, C, C) of unit-length features (B, C, H, W), averaged over pixels."""
    flat = _unit(x).flatten(2)
    return flat @ flat.mT / flat.shape[-1]
