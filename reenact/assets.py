"""The weights and models shipped inside the package."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from reenact.errors import UserError

ASSETS_DIR = Path(__file__).resolve().parent / "assets"
EMBEDDED_WEIGHTS = "embedded.safetensors"
"""The reenactor that ships with the package; it refers to the DiffAE beside it."""


def asset_path(name: str) -> Path:
    """The path of a shipped file, for example `head_model.npz`. UserError if it is missing."""
    path = ASSETS_DIR / name
    if not path.is_file():
        raise UserError(f"{path}: a shipped asset is missing, install the package again")
    return path


def load_tensors(name: str) -> dict[str, Tensor]:
    """All tensors of a shipped .safetensors or .npz file, on the CPU, with the dtypes as stored.

    Arrays of an .npz that are not numbers (names, licence text) are left out. UserError if the
    file is missing or damaged.
    """
    path = asset_path(name)
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                return {
                    key: torch.from_numpy(arrays[key])
                    for key in arrays.files
                    if arrays[key].dtype.kind in "biuf"
                }
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except SafetensorError as error:
            raise ValueError(str(error)) from error
    except Exception as error:  # zipfile, numpy and safetensors each have errors of their own
        raise UserError(
            f"{path}: a shipped asset is damaged ({error}), install the package again"
        ) from error
