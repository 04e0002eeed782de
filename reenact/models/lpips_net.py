"""LPIPS (Zhang et al. 2018), by the lpips package of its authors.

The weights of AlexNet ship with this package. Those of VGG-16 are a file of torchvision, which the
user gives by path or which torch downloads.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffae.checkpoint import read_state_dict
from reenact.assets import load_tensors
from reenact.errors import UserError

Trunk = Literal["alex", "vgg"]
URLS = {
    "alex": "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    "vgg": "https://download.pytorch.org/models/vgg16-397923af.pth",
}


class LpipsNet(nn.Module):
    """Frozen LPIPS 0.1 with the same calls as `PerceptualNet`. Images are (B, 3, H, W) in [-1, 1];
    gradients flow to them.
    """

    def __init__(self, trunk: Trunk, weights: Path | None = None) -> None:
        """weights: torchvision's file of the trunk. None takes the shipped AlexNet; for VGG-16 it
        takes the file in torch's hub folder, and downloads it there if it is missing. Raises
        UserError if there are no weights, and if the lpips package is not installed.
        """
        super().__init__()
        try:
            import lpips
        except ImportError as error:
            raise UserError(f"lpips is not usable ({error}), pip install lpips") from error
        if trunk == "alex" and weights is None:
            tensors = load_tensors("lpips_alex.safetensors")
        else:
            tensors = read_state_dict(_trunk_file(trunk, weights))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # lpips uses deprecated arguments of torchvision
            # pnet_rand, because lpips itself would download the trunk without telling the user.
            self.net = lpips.LPIPS(net=trunk, pnet_rand=True, verbose=False)
        self.unit = lpips.normalize_tensor
        self.net.net.load_state_dict(_trunk_tensors(self.net.net, tensors, trunk))
        self.eval().requires_grad_(False)

    def features(self, images: Tensor) -> list[Tensor]:
        """The trunk's five maps."""
        with torch.autocast(images.device.type, enabled=False):
            return list(self.net.net(self.net.scaling_layer(images.float())))

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """LPIPS (B,) >= 0 of two batches of images."""
        return self.distance_of(self.features(a), self.features(b))

    def distances_in(self, a: Tensor, b: Tensor, regions: Tensor) -> Tensor:
        """LPIPS (B, K) in each of K regions: the mean of each map over the region alone.

        regions: (B, K, H, W) in [0, 1], how much of each pixel of the images is of each region.
        """
        total = regions.new_zeros(regions.shape[:2])
        with torch.autocast(a.device.type, enabled=False):
            maps = zip(self.features(a), self.features(b), self.net.lins, strict=True)
            for x, y, weigh in maps:
                difference = weigh((self.unit(x) - self.unit(y)) ** 2)
                share = F.adaptive_avg_pool2d(regions, difference.shape[-2:])
                sums = (difference * share).sum((2, 3))
                total = total + sums / share.sum((2, 3)).clamp(min=1e-6)
        return total

    def distance_of(self, a: list[Tensor], b: list[Tensor]) -> Tensor:
        """LPIPS (B,) >= 0 of two batches' `features` (Zhang et al. 2018, Eq. 1)."""
        total = a[0].new_zeros(len(a[0]))
        with torch.autocast(a[0].device.type, enabled=False):
            for x, y, weigh in zip(a, b, self.net.lins, strict=True):
                difference = (self.unit(x) - self.unit(y)) ** 2
                total = total + weigh(difference).mean((1, 2, 3))
        return total


def _trunk_file(trunk: Trunk, weights: Path | None) -> Path:
    """Where the trunk's weights lie. Raises UserError with the file's name and origin."""
    url = URLS[trunk]
    if weights is not None:
        if not weights.is_file():
            raise UserError(f"{weights}: no such file; lpips_{trunk} needs {url}")
        return weights
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    path = folder / url.rpartition("/")[2]
    if not path.is_file():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), hash_prefix=_hash_of(url))
        except (OSError, RuntimeError) as error:
            raise UserError(
                f"lpips_{trunk}: cannot download {url} ({error}); "
                f"put the file at {path}, or its path into perceptual_weights"
            ) from error
    return path


def _hash_of(url: str) -> str:
    match = re.search(r"-([0-9a-f]{8})\.pth$", url)
    assert match is not None
    return match[1]


def _trunk_tensors(trunk: nn.Module, tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """torchvision's `features.N.*` under the names of the lpips package, which has slices."""
    found = {}
    for own in trunk.state_dict():
        key = re.sub(r"^slice\d+\.", "features.", own)
        if key not in tensors:
            raise UserError(f"lpips_{name}: the weights lack {key!r}; expected {URLS[name]}")
        found[own] = tensors[key].float()
    return found
