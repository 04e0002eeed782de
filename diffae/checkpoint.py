"""Checkpoints of the Diffusion Autoencoder: released files are read, own files read and written.

A released file is a Lightning checkpoint. Its state dict holds `model.*`, `ema_model.*` and x_T.
An own file is a .safetensors with one copy of the weights and the config in its metadata.

Both use the official names: those of the encoder start with `encoder.`, those of the U-Net have no
prefix. In the module `DiffAE` the names of the U-Net start with `unet.`.
"""

import contextlib
import json
import os
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from diffae.architecture import infer_config
from diffae.autoencoder import DiffAE
from diffae.config import DiffAEConfig
from diffae.errors import CheckpointError, existing_file, one_line
from diffae.unpickle import read_torch

FORMAT = "diffae-1"
UNET_PREFIX, ENCODER_PREFIX = "unet.", "encoder."
# A released file holds two copies of the weights: averaged over training (EMA), and the last.
PREFIXES = {"ema": "ema_model.", "model": "model."}
# Released files also hold the fixed noise of sample grids. The latent checkpoints also hold the
# prior over z_sem (an MLP) and the mean and standard deviation of the codes.
UNUSED_KEYS = frozenset({"x_T", "conds_mean", "conds_std"})
UNUSED_PREFIX = "latent_net."


def official_name(name: str) -> str:
    """A parameter name of `DiffAE` -> its key in a checkpoint."""
    return name.removeprefix(UNET_PREFIX)


def module_name(key: str) -> str:
    """A key of a checkpoint -> the parameter name of `DiffAE`."""
    return key if key.startswith(ENCODER_PREFIX) else UNET_PREFIX + key


def load_checkpoint(
    path: str | Path,
    weights: Literal["ema", "model"] = "ema",
    map_location: str | torch.device = "cpu",
) -> DiffAE:
    """Read a released Lightning file, a plain {"state_dict": ...} file, or an own .safetensors.

    Args:
        path: the file.
        weights: which copy to take from a file that holds both. If the file lacks this copy, the
            other one is taken with a warning.
        map_location: device of the returned parameters.

    Returns:
        The model in eval mode, float32. The config comes from the metadata of an own file. For
        other files it comes from the shapes of the tensors (`infer_config`), with prediction "eps".

    Raises:
        CheckpointError: missing, empty, truncated or foreign file, or keys that do not match.
    """
    if weights not in PREFIXES:
        raise CheckpointError(f"weights must be 'ema' or 'model', got {weights!r}")
    path = existing_file(path)
    if path.suffix == ".safetensors":
        state_dict, metadata = _read_safetensors(path)
    else:
        state_dict, metadata = read_state_dict(path), {}
    return from_state_dict(path, state_dict, weights, map_location, metadata)


def from_state_dict(
    path: str | Path,
    state_dict: Mapping[str, Tensor],
    weights: Literal["ema", "model"] = "ema",
    map_location: str | torch.device = "cpu",
    metadata: Mapping[str, str] | None = None,
) -> DiffAE:
    """`load_checkpoint` for tensors that were read already; errors name `path`.

    The model holds copies of the tensors. `metadata` may hold its config.
    """
    path = Path(path)
    tensors = _select(path, state_dict, weights)
    try:
        config = _config_of(state_dict, tensors, metadata or {})
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return _build(path, config, tensors, torch.device(map_location))


def save_checkpoint(ae: DiffAE, path: str | Path, dtype: torch.dtype | None = None) -> None:
    """Write a .safetensors that `load_checkpoint` reads; an existing file is replaced atomically.

    Equal weights give equal bytes.

    Args:
        ae: the model.
        path: target, conventionally *.safetensors; its folder is created.
        dtype: e.g. torch.float16 for a smaller file; None keeps the parameters' own.
    """
    path = Path(path)
    tensors = {
        official_name(name): tensor.detach().to("cpu", dtype or tensor.dtype).contiguous()
        for name, tensor in ae.state_dict().items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    try:
        save_file(tensors, temporary, {"format": FORMAT, "config": ae.config.to_json()})
        _sort_metadata(Path(temporary))
        # mkstemp makes files private; a checkpoint gets the usual permissions instead.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _sort_metadata(path: Path) -> None:
    """Put the metadata of a .safetensors in order, because safetensors writes it in random order.

    The file begins with the length of its header, which is JSON and may end in spaces.
    """
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        assert len(text) <= length
        file.seek(8)
        file.write(text.ljust(length))


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path}: not a readable .safetensors file ({one_line(error)}), copy or download it "
            "again"
        ) from error


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a torch file, bare or under "state_dict"; see `read_torch`.

    Raises CheckpointError when the file is unreadable or holds something else.
    """
    content = read_torch(path)
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items()
    ):
        raise CheckpointError(f"{path}: holds no state dict, give a checkpoint of a network")
    return content


def _select(path: Path, state_dict: Mapping[str, Tensor], weights: str) -> dict[str, Tensor]:
    """The wanted copy of the autoencoder's tensors, under official names, without the extras."""
    names = list(PREFIXES) if weights == "ema" else list(reversed(PREFIXES))
    chosen = [w for w in names if any(key.startswith(PREFIXES[w]) for key in state_dict)]
    if not chosen:
        bare = {official_name(key): tensor for key, tensor in state_dict.items()}
    else:
        if chosen[0] != weights:
            warnings.warn(
                f"{path}: holds no {PREFIXES[weights]}* weights, using {PREFIXES[chosen[0]]}*",
                stacklevel=4,
            )
        foreign = tuple(PREFIXES.values())
        bare = {
            key.removeprefix(PREFIXES[chosen[0]]): tensor
            for key, tensor in state_dict.items()
            if key.startswith(PREFIXES[chosen[0]]) or not key.startswith(foreign)
        }
    return {
        key: tensor
        for key, tensor in bare.items()
        if key not in UNUSED_KEYS and not key.startswith(UNUSED_PREFIX)
    }


def _config_of(
    state_dict: Mapping[str, Tensor], tensors: Mapping[str, Tensor], metadata: Mapping[str, str]
) -> DiffAEConfig:
    if "config" in metadata:
        return DiffAEConfig.from_json(metadata["config"])
    noise = state_dict.get("x_T")
    image_size = int(noise.shape[-1]) if noise is not None and noise.ndim == 4 else None
    return infer_config({key: tuple(t.shape) for key, t in tensors.items()}, image_size)


def _build(
    path: Path, config: DiffAEConfig, tensors: Mapping[str, Tensor], device: torch.device
) -> DiffAE:
    with torch.device("meta"):
        ae = DiffAE(config)
    expected = {official_name(name): tensor for name, tensor in ae.state_dict().items()}
    if difference := describe_difference(
        {key: tuple(t.shape) for key, t in expected.items()},
        {key: tuple(t.shape) for key, t in tensors.items()},
    ):
        raise CheckpointError(f"{path}: {difference}")
    if broken := [key for key, tensor in tensors.items() if not tensor.isfinite().all()]:
        raise CheckpointError(f"{path}: {broken[0]} is not finite, the file is damaged")
    state_dict = {
        module_name(key): tensor.to(device, torch.float32, copy=True)
        for key, tensor in tensors.items()
    }
    ae.load_state_dict(state_dict, assign=True)
    return ae.eval()


def describe_difference(
    expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]
) -> str:
    """One line naming the first missing, unexpected and mis-shaped keys; "" if there are none."""
    missing = [key for key in expected if key not in found]
    unexpected = [key for key in found if key not in expected]
    misshaped = [
        f"{key} is {list(found[key])}, not {list(shape)}"
        for key, shape in expected.items()
        if key in found and found[key] != shape
    ]
    parts = [
        f"{len(keys)} {kind} ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})"
        for kind, keys in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("mis-shaped", misshaped),
        )
        if keys
    ]
    return "keys do not match: " + "; ".join(parts) if parts else ""
