"""Golden numbers of the released pipeline, and the rule that fills its networks with weights."""

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from diffae import DiffAE, DiffAEConfig
from diffae.semantic_encoder import SemanticEncoder
from reenact.models.reenactment_encoder import ReenactmentEncoder
from reenact.models.weights import ReenactorWeights

IN_REPO = Path(__file__).resolve().parents[0] / "golden" / "diffusionact"
SHARED = Path(__file__).resolve().parents[1] / ".." / "shared" / "golden" / "diffusionact"

Shapes = Mapping[str, tuple[int, ...] | list[int]]


def noise(key: str, shape: tuple[int, ...]) -> Tensor:
    """Standard normal numbers of `shape`, seeded by the name alone."""
    digest = hashlib.sha256(key.encode()).digest()
    seed = int.from_bytes(digest[:8], "little") % 2**63
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(math.prod(shape), generator=generator).reshape(shape)


def fill(key: str, shape: tuple[int, ...] | list[int]) -> Tensor:
    """The value of parameter `key` (prefix included) under the rule of the golden numbers."""
    shape = tuple(shape)
    if key.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.long)
    z = noise(key, shape)
    if key.endswith("running_mean"):
        return 0.1 * z
    if key.endswith("running_var"):
        return 1 + 0.1 * z.abs()
    if len(shape) >= 2:
        return z / math.sqrt(math.prod(shape[1:]))
    return 1 + 0.1 * z if key.endswith("weight") else 0.05 * z


def fill_state(
    module_or_shapes: nn.Module | Shapes | Mapping[str, Tensor], prefix: str = ""
) -> dict[str, Tensor]:
    """A state dict by the rule. The keys stay as they are, and `prefix` + key seeds each tensor.

    The module or the tensors give keys and shapes only.
    """
    if isinstance(module_or_shapes, nn.Module):
        module_or_shapes = module_or_shapes.state_dict()
    shapes = {
        key: value.shape if isinstance(value, Tensor) else value
        for key, value in module_or_shapes.items()
    }
    return {key: fill(prefix + key, tuple(shape)) for key, shape in shapes.items()}


def picture(path: Path) -> Tensor:
    with Image.open(path) as image:
        return torch.from_numpy(np.array(image.convert("RGB")))


def golden(name: str, *, whole: bool = False) -> Any:
    """The content of `name.safetensors`, a dict of tensors, or of `name.json`.

    The repository holds the files with fewer numbers. A file that is not there comes from
    ../shared, and so does every file with `whole`. Pictures are uint8 (H, W, 3).
    """
    for folder in (SHARED,) if whole else (IN_REPO, SHARED):
        path = folder / (name if name.endswith(".json") else f"{name}.safetensors")
        if path.is_file():
            if path.suffix == ".json":
                return json.loads(path.read_text())
            # Cut pictures lie beside the numbers: name.key.png.
            pictures = {file.stem.split(".")[1]: file for file in folder.glob(f"{name}.*.png")}
            return load_file(path) | {key: picture(file) for key, file in pictures.items()}
    pytest.skip(f"{name} is only in the folder ../shared beside the repository")


SMALL_DIFFAE = DiffAEConfig(
    image_size=16,
    base_channels=16,
    channel_mults=(1, 1),
    encoder_channel_mults=(1, 1),
    attention_resolutions=(8,),
    num_res_blocks=1,
    z_channels=24,
    time_channels=16,
)


def make_weights(config: DiffAEConfig, *, tuned: bool = True) -> ReenactorWeights:
    """Fresh networks; without `tuned` the autoencoder's own U-Net renders."""
    diffae = DiffAE(config).eval()
    encoder = ReenactmentEncoder(SemanticEncoder(config)).eval()
    unet = DiffAE(config).unet.eval() if tuned else None
    return ReenactorWeights(diffae=diffae, encoder=encoder, unet=unet, metadata={})
