"""Adapter files: the changes that a LoRA training made to a base, another file of weights."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from diffae import CheckpointError
from reenact.assets import ASSETS_DIR
from reenact.files import atomic_output
from reenact.models.lora import updated
from reenact.models.weights import Recipe, ReenactorWeights, networks_sha256

ADAPTER_FORMAT = "reenactor-lora-1"
KEYS = ("base", "base_sha256", "scale")


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """One adapter file.

    base: name of the weights file that the adapter changes.
    base_sha256: `networks_sha256` of that file's networks.
    scale: factor of each update, alpha / rank.
    metadata: texts such as stage and step.
    tensors: `encoder.*` and `unet.*`. `LAYER.lora_up` and `LAYER.lora_down` are the update of a
        layer. Every other tensor replaces one of the base, or belongs to a part that the base
        lacks.
    """

    base: str
    base_sha256: str
    scale: float
    metadata: Mapping[str, str]
    tensors: Mapping[str, Tensor]
    recipe: Recipe | None = None


def adapter_path(weights: Path) -> Path:
    """Where the adapter of exported weights lies: `x.lora.safetensors` beside `x.safetensors`."""
    return weights.with_suffix(".lora.safetensors")


def save_adapter(path: Path, adapter: Adapter) -> None:
    """Write an adapter file atomically."""
    header = dict(adapter.metadata) | {name: str(getattr(adapter, name)) for name in KEYS}
    if adapter.recipe is not None:
        header["recipe"] = adapter.recipe.to_json()
    tensors = {name: tensor.contiguous().clone() for name, tensor in adapter.tensors.items()}
    with atomic_output(path) as temporary:
        save_file(tensors, temporary, metadata={ADAPTER_FORMAT: json.dumps(header)})


def is_adapter(path: Path) -> bool:
    """Whether this is an adapter file (False for anything unreadable)."""
    try:
        with safe_open(path, framework="pt") as file:
            return ADAPTER_FORMAT in (file.metadata() or {})
    except (SafetensorError, OSError):
        return False


def read_adapter(path: Path) -> Adapter:
    """Read an adapter file. Its tensors are on the CPU. Raises CheckpointError if it is damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {})[ADAPTER_FORMAT]
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        header = json.loads(text)
        recipe = header.pop("recipe", None)
        base, base_sha256, scale = (str(header.pop(name)) for name in KEYS)
        metadata = {str(name): str(value) for name, value in header.items()}
        number = float(scale)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path}: not a readable .safetensors file ({error}), copy or download it again"
        ) from error
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"{path}: the header of this adapter is damaged") from error
    if not base or Path(base).name != base:
        raise CheckpointError(f"{path}: its header names the base {base!r}, expected a file name")
    if damaged := [n for n, tensor in tensors.items() if not tensor.isfinite().all()]:
        raise CheckpointError(f"{path}: {damaged[0]} is not finite, the file is damaged")
    return Adapter(
        base=base,
        base_sha256=base_sha256,
        scale=number,
        metadata=metadata,
        tensors=tensors,
        recipe=None if recipe is None else Recipe.from_json(recipe, path),
    )


def find_base(path: Path, adapter: Adapter) -> Path:
    """The base of the adapter at `path`: beside it, or one of the shipped weights.

    Raises CheckpointError if it is in neither place, and if it is an adapter itself.
    """
    for place in (path.with_name(adapter.base), ASSETS_DIR / adapter.base):
        if is_adapter(place):
            raise CheckpointError(f"{path}: its base {place} is an adapter, not whole weights")
        if place.is_file():
            return place
    raise CheckpointError(
        f"{path}: this adapter changes the weights {adapter.base}; put that file beside it"
    )


@torch.no_grad()
def apply_adapter(path: Path, adapter: Adapter, base: ReenactorWeights) -> ReenactorWeights:
    """The networks of the base with the adapter's changes in their weights.

    The networks of `base` are on the CPU and are changed in place. The result has a tuned U-Net
    only if the adapter changes one.

    Raises:
        CheckpointError: the adapter was trained on other weights, or a tensor does not fit.
    """
    found = networks_sha256(base.diffae, base.encoder, base.unet)
    if found != adapter.base_sha256:
        raise CheckpointError(
            f"{path}: trained on other weights than this {adapter.base}: their networks have the "
            f"sha256 {adapter.base_sha256[:12]}, these {found[:12]}; find the right file"
        )
    encoder, unet = base.encoder, None
    adds_head = encoder.motion_head is None and _has(adapter, "encoder.motion_head.")
    if adds_head:
        encoder.add_motion_head()
    if _has(adapter, "unet."):
        unet = copy.deepcopy(base.diffae.unet) if base.unet is None else base.unet
    modules: dict[str, nn.Module] = {"encoder": encoder}
    if unet is not None:
        modules["unet"] = unet
    weights = dict(nn.ModuleDict(modules).named_parameters())
    for name in weights.keys() - adapter.tensors.keys():
        if adds_head and name.startswith("encoder.motion_head."):
            raise CheckpointError(f"{path}: lacks {name!r}, the file is damaged")
    for name, tensor in adapter.tensors.items():
        layer, is_update, _ = name.partition(".lora_")
        target = weights.get(f"{layer}.weight" if is_update else name)
        if target is None:
            raise CheckpointError(f"{path}: unknown tensor {name!r}, the file is damaged")
        if name.endswith(".lora_down"):
            continue  # it is read with its `lora_up`
        try:
            if is_update:
                down = adapter.tensors[f"{layer}.lora_down"]
                tensor = updated(target, tensor, down, adapter.scale)
            if tensor.shape != target.shape:
                raise ValueError
        except (KeyError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"{path}: {name} does not fit the base {adapter.base}, the file is damaged"
            ) from error
        target.copy_(tensor)
    return ReenactorWeights(
        diffae=base.diffae,
        encoder=encoder.eval(),
        unet=unet if unet is None else unet.eval(),
        metadata={**adapter.metadata, "base": adapter.base},
        recipe=adapter.recipe,
    )


def _has(adapter: Adapter, prefix: str) -> bool:
    return any(name.startswith(prefix) for name in adapter.tensors)
