"""Inverted sources, kept on disk by their content, so that a photo is inverted only once."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from reenact.errors import warn
from reenact.files import atomic_output
from reenact.inference.networks import Networks
from reenact.models.weights import networks_sha256

MIN_STEPS = 20
"""An inversion of fewer steps is quick and is not kept."""
MAX_BYTES = 256 * 2**20
"""When the files are larger in all, those that were not used for the longest time are removed."""
VERSION = 1
"""Part of every key. Raise it when inversion itself changes."""


def cache_folder(setting: str) -> Path | None:
    """The folder of inversions: "auto" takes the user's cache folder, "off" none at all.

    Any other setting is the folder itself. The user's cache folder is $XDG_CACHE_HOME or ~/.cache.
    """
    if setting == "off":
        return None
    if setting != "auto":
        return Path(setting)
    root = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not root.is_absolute():
        try:
            root = Path.home() / ".cache"
        except RuntimeError:  # there is no home folder
            return None
    return root / "diffusionact" / "inversions"


def cached_inversion(
    networks: Networks, images: Tensor, z_sem: Tensor, folder: Path | None
) -> Tensor:
    """`networks.invert`, from a file if the same inversion was computed before.

    images: (B, 3, S, S) in [-1, 1]. z_sem: their codes (B, z_channels). Returns x_T (B, 3, S, S).

    A file that cannot be read is computed again. A folder that cannot be written gives a warning.
    """
    if folder is None or networks.recipe.encode_steps < MIN_STEPS:
        return networks.invert(images, z_sem)
    path = folder / f"{_key(networks, images, z_sem)}.safetensors"
    x_T = _read(path, images)
    if x_T is None:
        x_T = networks.invert(images, z_sem)
        _write(path, x_T)
    return x_T


def _key(networks: Networks, images: Tensor, z_sem: Tensor) -> str:
    """The content on which x_T depends: weights, steps, number format, pictures and codes."""
    settings = (VERSION, networks.recipe.encode_steps, networks.dtype, images.device.type)
    digest = hashlib.sha256(f"{settings} {tuple(images.shape)}".encode())
    unet = networks.unet if networks.shares_unet else None
    digest.update(networks_sha256(unet or networks.diffae.unet).encode())
    for tensor in (images, z_sem):
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _read(path: Path, images: Tensor) -> Tensor | None:
    """x_T of a file, on the device of the images; None if there is no usable file."""
    try:
        x_T = load_file(path)["x_T"]
        os.utime(path)
    except (OSError, SafetensorError, KeyError):
        return None
    if x_T.shape != images.shape or x_T.dtype != torch.float32 or not bool(x_T.isfinite().all()):
        return None
    return x_T.to(images.device)


def _write(path: Path, x_T: Tensor) -> None:
    try:
        # The photo can be recognised in x_T, so a new folder is private.
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with atomic_output(path) as temporary:
            save_file({"x_T": x_T.detach().cpu().contiguous()}, temporary)
    except (OSError, ValueError) as error:
        warn(f"{path.parent}: the inversion was not kept for the next run ({error})")
        return
    _remove_oldest(path.parent)


def _remove_oldest(folder: Path) -> None:
    """Keep the files that were used last, up to MAX_BYTES."""
    files = []
    for path in folder.glob("*.safetensors"):
        with contextlib.suppress(OSError):  # another process removed it
            status = path.stat()
            files.append((status.st_mtime, status.st_size, path))
    total = 0
    for _, size, path in sorted(files, reverse=True):
        total += size
        if total > MAX_BYTES:
            with contextlib.suppress(OSError):
                path.unlink()
