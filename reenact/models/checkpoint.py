"""Files of reenactor weights: ours are written and read, the published one is read.

One .safetensors holds everything that inference needs: the frozen DiffAE, E_r, the rendering U-Net
if it was tuned, and the recipe for rendering.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from diffae import (
    CheckpointError,
    ConditionalUNet,
    DiffAE,
    DiffAEConfig,
    load_checkpoint,
    save_checkpoint,
)
from diffae.errors import existing_file
from reenact.files import atomic_output
from reenact.models.adapter import apply_adapter, find_base, is_adapter, read_adapter
from reenact.models.reenactment_encoder import ReenactmentEncoder
from reenact.models.released import is_released, load_released
from reenact.models.weights import Recipe, ReenactorWeights

FORMAT = "reenactor-1"


def save_reenactor(
    path: str | Path,
    diffae: DiffAE,
    encoder: ReenactmentEncoder,
    unet: ConditionalUNet | None = None,
    metadata: Mapping[str, str] | None = None,
    dtype: torch.dtype | None = None,
    diffae_file: str | None = None,
    recipe: Recipe | None = None,
) -> None:
    """Write the weights atomically.

    Args:
        path: the .safetensors file.
        diffae, encoder: the frozen autoencoder and E_r.
        unet: the tuned U-Net; None if the autoencoder's own renders.
        metadata: texts such as stage and step for the header. The header always holds the DiffAE's
            config.
        dtype: type of the written weights; torch.float16 halves the file. None keeps their own.
        diffae_file: name of another file beside `path` that takes the DiffAE. None puts the DiffAE
            into `path` itself.
        recipe: how the weights should be rendered; it goes into the header.
    """
    path = Path(path)
    modules: dict[str, nn.Module] = {"encoder": encoder}
    if diffae_file is None:
        modules["diffae"] = diffae
    else:
        save_checkpoint(diffae, path.with_name(diffae_file), dtype)
    if unet is not None:
        modules["unet"] = unet
    tensors = {}
    for prefix, module in modules.items():
        for name, tensor in module.state_dict().items():
            tensor = tensor.detach().cpu()
            if dtype is not None and tensor.is_floating_point():
                tensor = tensor.to(dtype)
            # safetensors takes no views and no channels-last memory.
            tensors[f"{prefix}.{name}"] = tensor.contiguous().clone()
    header = {name: str(value) for name, value in (metadata or {}).items()}
    header |= {"diffae_config": diffae.config.to_json()}
    if diffae_file is not None:
        header["diffae_file"] = diffae_file
    if recipe is not None:
        header["recipe"] = recipe.to_json()
    header |= {"image_size": str(diffae.config.image_size), "prediction": diffae.config.prediction}
    with atomic_output(path) as temporary:
        # One entry holds all texts, because safetensors writes several entries in random order.
        save_file(tensors, temporary, metadata={FORMAT: json.dumps(header)})


def load_reenactor(
    path: str | Path,
    map_location: str | torch.device = "cpu",
    diffae_path: str | Path | None = None,
) -> ReenactorWeights:
    """Read weights as float32 in evaluation mode.

    Args:
        path: a .safetensors of `save_reenactor`, an adapter (see adapter.py), which is merged into
            its base, or the file that the authors of DiffusionAct published.
        map_location: device of the networks.
        diffae_path: the DiffAE file that a published one may need, see `load_released`. None takes
            `last.ckpt` beside it if it is there.

    Raises:
        CheckpointError: the file is missing, unreadable or of another kind, or its tensors do not
            fit its config one to one.
    """
    path = existing_file(path)
    if path.suffix != ".safetensors":
        beside = path.with_name("last.ckpt")
        if diffae_path is None and beside.is_file():
            diffae_path = beside
        return load_released(path, diffae_path, map_location)
    # The file is put together on the CPU, so the device holds each network only once.
    if is_adapter(path):
        adapter = read_adapter(path)
        weights = apply_adapter(path, adapter, load_base(find_base(path, adapter)))
    else:
        weights = _load_own(path)
    for network in (weights.diffae, weights.encoder, weights.unet):
        if network is not None:
            network.to(map_location)
    return weights


def _load_own(path: Path) -> ReenactorWeights:
    """Read a file of `save_reenactor` on the CPU. Raises CheckpointError."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path}: not a readable .safetensors file ({error}), copy or download it again"
        ) from error
    if FORMAT not in metadata:
        raise CheckpointError(
            f"{path}: not a reenactor ({FORMAT}), stages align and reenact export one"
        )
    header = _texts(path, metadata[FORMAT])
    try:
        config = DiffAEConfig.from_json(header["diffae_config"])
    except (KeyError, ValueError) as error:
        raise CheckpointError(
            f"{path}: its header holds no usable config ({error}), export the weights again"
        ) from error
    diffae = (
        _diffae_beside(path, header["diffae_file"], config) if "diffae_file" in header else None
    )
    has_motion_head = any(name.startswith("encoder.motion_head.") for name in tensors)
    encoder = ReenactmentEncoder(DiffAE(config).encoder, has_motion_head=has_motion_head)
    has_unet = any(name.startswith("unet.") for name in tensors)
    unet = DiffAE(config).unet if has_unet else None
    modules: dict[str, nn.Module] = {"encoder": encoder}
    if diffae is None:
        diffae = modules["diffae"] = DiffAE(config)
    if unet is not None:
        modules["unet"] = unet
    for prefix, module in modules.items():
        _load(path, module, prefix, tensors)
    unknown = [n for n in tensors if n.partition(".")[0] not in modules]
    if unknown:
        raise CheckpointError(
            f"{path}: unknown tensor {unknown[0]!r} ({len(unknown)} in all), the file is damaged"
        )
    for module in (diffae, *modules.values()):
        module.eval()
    return ReenactorWeights(
        diffae=diffae,
        encoder=encoder,
        unet=unet,
        metadata=header,
        recipe=_recipe(path, header),
    )


def is_reenactor(path: str | Path) -> bool:
    """Whether `load_reenactor` reads this file. False for a DiffAE and for unreadable files."""
    if Path(path).suffix != ".safetensors":
        return is_released(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            return FORMAT in metadata or is_adapter(Path(path))
    except (SafetensorError, OSError):
        return False


def load_base(path: str | Path, map_location: str | torch.device = "cpu") -> ReenactorWeights:
    """What a training starts from: a reenactor, or a DiffAE with the E_r that it gives.

    Raises CheckpointError, as `load_reenactor` and `load_checkpoint` do.
    """
    if is_reenactor(path):
        return load_reenactor(path, map_location)
    diffae = load_checkpoint(path, map_location=map_location)
    encoder = ReenactmentEncoder(copy.deepcopy(diffae.encoder)).to(map_location).eval()
    return ReenactorWeights(diffae=diffae, encoder=encoder, unet=None, metadata={})


def _texts(path: Path, text: str) -> dict[str, str]:
    """The header's texts by their names. Raises CheckpointError."""
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: its header is not valid JSON ({error}), the file is damaged"
        ) from error
    if not isinstance(header, dict) or not all(isinstance(v, str) for v in header.values()):
        raise CheckpointError(f"{path}: its header must hold texts only, the file is damaged")
    return header


def _recipe(path: Path, header: Mapping[str, str]) -> Recipe | None:
    """From the header, else from the file `<name>.recipe.json` beside `path`, else None."""
    if "recipe" in header:
        return Recipe.from_json(header["recipe"], path)
    beside = path.with_suffix(".recipe.json")
    if not beside.is_file():
        return None
    try:
        return Recipe.from_json(beside.read_text(encoding="utf-8"), beside)
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{beside}: not a readable text file ({error})") from error


def _diffae_beside(path: Path, name: str, config: DiffAEConfig) -> DiffAE:
    if name in ("", "..") or Path(name).name != name:
        raise CheckpointError(
            f"{path}: its header names the DiffAE file {name!r}, expected a file beside it"
        )
    diffae = load_checkpoint(path.with_name(name))
    if diffae.config != config:
        raise CheckpointError(
            f"{path}: its DiffAE {name} has another architecture, put the one beside it with which "
            "it was saved"
        )
    return diffae


def _load(path: Path, module: nn.Module, prefix: str, tensors: dict[str, Tensor]) -> None:
    """Load the tensors `prefix.*` into a network. Raises CheckpointError if they do not fit it."""
    own = {
        name.removeprefix(f"{prefix}."): tensor.float()
        for name, tensor in tensors.items()
        if name.startswith(f"{prefix}.")
    }
    wanted = module.state_dict()
    missing, extra = sorted(wanted.keys() - own.keys()), sorted(own.keys() - wanted.keys())
    if missing or extra:
        what = f"lacks {missing[0]!r}" if missing else f"has the extra tensor {extra[0]!r}"
        raise CheckpointError(f"{path}: {prefix} {what}, the file does not fit its config")
    for name, tensor in wanted.items():
        if own[name].shape != tensor.shape:
            raise CheckpointError(
                f"{path}: {prefix}.{name} is {tuple(own[name].shape)}, "
                f"its config asks for {tuple(tensor.shape)}"
            )
        if not own[name].isfinite().all():
            raise CheckpointError(f"{path}: {prefix}.{name} is not finite, the file is damaged")
    module.load_state_dict(own)
