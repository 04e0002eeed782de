"""Reads the published DiffusionAct file as our weights, and writes such a file.

It is a torch file with three parts: `best_val_loss`, `state_dict_net` (E_r) and `state_dict_diff`.
The last part holds the fine-tuned autoencoder (`model.*`), the pretrained average (`ema_model.*`)
and a fixed noise x_T. The average inverts the source. The fine-tuned U-Net renders. The semantic
encoders in this part are not used.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffae import CheckpointError, DiffAE, DiffAEConfig, load_checkpoint
from diffae.checkpoint import (
    ENCODER_PREFIX,
    PREFIXES,
    describe_difference,
    from_state_dict,
)
from diffae.semantic_encoder import SemanticEncoder
from diffae.unpickle import read_torch
from reenact.errors import UserError
from reenact.files import atomic_output
from reenact.models.reenactment_encoder import ReenactmentEncoder
from reenact.models.weights import Recipe, ReenactorWeights

PUBLISHED_CONFIG = DiffAEConfig(
    image_size=256,
    base_channels=128,
    channel_mults=(1, 1, 2, 2, 4, 4),
    encoder_channel_mults=(1, 1, 2, 2, 4, 4, 4),
)
"""ffhq256_autoenc, the only architecture that the authors' code builds."""

PUBLISHED_RECIPE = Recipe(num_steps=20, encode_steps=50, sampler="ddim", x_T="source")
"""What the authors' inference script does."""

NET, DIFFUSION = "state_dict_net", "state_dict_diff"
NUM_STORED_NOISES = 32
# Our name of a part of E_r -> the published one.
PARTS = {"encoder.": "controlnet.", "zero_conv.": "zero_conv_1."}


def is_released(path: str | Path) -> bool:
    """Whether this is a published DiffusionAct file (False for anything unreadable)."""
    try:
        content = read_torch(path)
    except CheckpointError:
        return False
    return isinstance(content, dict) and NET in content


def load_released(
    path: str | Path,
    diffae_path: str | Path | None = None,
    map_location: str | torch.device = "cpu",
) -> ReenactorWeights:
    """Read a published file, as float32 in evaluation mode.

    Args:
        path: `diffusionact_model.pt`.
        diffae_path: DiffAE's `last.ckpt`. Its averaged weights are taken, with a warning, if the
            file holds none. Otherwise it is not read.
        map_location: device of the parameters.

    Returns:
        `diffae` is the averaged autoencoder, which inverts. `unet` is the fine-tuned renderer.

    Raises:
        CheckpointError: unreadable or foreign file, missing parts, or keys that do not match.
    """
    path = Path(path)
    content = read_torch(path)
    if not isinstance(content, dict) or not {NET, DIFFUSION} <= content.keys():
        raise CheckpointError(
            f"{path}: not a DiffusionAct file, lacks {NET} or {DIFFUSION}; give the authors' "
            "diffusionact_model.pt"
        )
    diffusion = _tensors(content[DIFFUSION])
    if not any(key.startswith(PREFIXES["model"]) for key in diffusion):
        raise CheckpointError(
            f"{path}: {DIFFUSION} holds no {PREFIXES['model']}*, the fine-tuned weights that "
            "render; download the file again"
        )
    tuned = from_state_dict(path, diffusion, "model", map_location)
    if any(key.startswith(PREFIXES["ema"]) for key in diffusion):
        diffae = from_state_dict(path, diffusion, "ema", map_location)
    else:
        diffae = _pretrained(path, diffae_path, map_location)
    if diffae.config != tuned.config:
        raise CheckpointError(
            f"{path}: its model.* and ema_model.* differ in architecture, download the file again"
        )
    encoder = _encoder(path, _tensors(content[NET]), diffae.config, torch.device(map_location))
    return ReenactorWeights(
        diffae=diffae,
        encoder=encoder,
        unet=tuned.unet,
        metadata={"stage": "reenact", "origin": path.name},
        recipe=PUBLISHED_RECIPE,
    )


def export_released(weights: ReenactorWeights, path: str | Path) -> None:
    """Write the weights as a published file, atomically, under the same keys.

    `best_val_loss` is 0, and x_T is seeded noise. The authors' inference uses neither.

    Raises:
        UserError: the weights have a motion head, or a `prediction`, `conditioning`, `patch_size`
            or `z_grid` other than DiffAE's own. The published format cannot hold them.
    """
    config = weights.diffae.config
    for name in ("prediction", "conditioning", "patch_size", "z_grid"):
        own, published = getattr(config, name), getattr(PUBLISHED_CONFIG, name)
        if own != published:
            raise UserError(
                f"{path}: the published format has {name} {published!r}, these weights {own!r}"
            )
    if weights.encoder.motion_head is not None:
        raise UserError(
            f"{path}: the published format has no motion head, train with align.motion_head false"
        )
    with atomic_output(path) as temporary:
        torch.save(published_content(weights), temporary)


def published_content(weights: ReenactorWeights) -> dict[str, Any]:
    """What `export_released` writes: {"best_val_loss", "state_dict_net", "state_dict_diff"}."""
    diffae, size = weights.diffae, weights.diffae.config.image_size
    net = {
        _published(name): tensor.detach().contiguous()
        for name, tensor in weights.encoder.state_dict().items()
    }
    noise = torch.randn(
        NUM_STORED_NOISES, 3, size, size, generator=torch.Generator().manual_seed(0)
    )
    diffusion = {"x_T": noise}
    for which, unet in (("model", weights.unet or diffae.unet), ("ema", diffae.unet)):
        for part, module in (("", unet), (ENCODER_PREFIX, diffae.encoder)):
            for name, tensor in module.state_dict().items():
                diffusion[PREFIXES[which] + part + name] = tensor.detach().contiguous()
    return {"best_val_loss": 0.0, NET: net, DIFFUSION: diffusion}


def _published(name: str) -> str:
    """A parameter name of `ReenactmentEncoder` -> its key in `state_dict_net`."""
    for own, published in PARTS.items():
        if name.startswith(own):
            return published + name.removeprefix(own)
    raise AssertionError(f"E_r has no part for {name}")


def _tensors(state: object) -> dict[str, Tensor]:
    items = state.items() if isinstance(state, Mapping) else ()
    return {str(key): tensor for key, tensor in items if isinstance(tensor, Tensor)}


def _pretrained(
    path: Path, diffae_path: str | Path | None, map_location: str | torch.device
) -> DiffAE:
    if diffae_path is None:
        raise CheckpointError(
            f"{path}: {DIFFUSION} holds no {PREFIXES['ema']}*, put DiffAE's last.ckpt "
            "(ffhq256_autoenc) beside it"
        )
    warnings.warn(
        f"{path}: holds no {PREFIXES['ema']}* weights, using those of {diffae_path}", stacklevel=3
    )
    return load_checkpoint(diffae_path, "ema", map_location)


def _encoder(
    path: Path, tensors: Mapping[str, Tensor], config: DiffAEConfig, device: torch.device
) -> ReenactmentEncoder:
    with torch.device("meta"):
        encoder = ReenactmentEncoder(SemanticEncoder(config))
    names = {_published(name): name for name in encoder.state_dict()}
    expected = {key: tuple(encoder.state_dict()[name].shape) for key, name in names.items()}
    found = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    if difference := describe_difference(expected, found):
        raise CheckpointError(f"{path}: {NET}: {difference}")
    own = {
        names[key]: tensor.to(device, torch.float32, copy=True) for key, tensor in tensors.items()
    }
    encoder.load_state_dict(own, assign=True)
    return encoder.eval()
