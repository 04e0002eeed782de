"""Where the authors' weights lie."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from reenact.errors import UserError, counted

EMOCA_MODEL = Path("EMOCA/models/EMOCA_v2_lr_mse_20")
CHECKPOINTS = Path("detail/checkpoints")
_LOSS = re.compile(r"=([-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?)[^=]*$")


PLACES = {
    "diffusionact": Path("diffusionact_model.pt"),
    "emoca": EMOCA_MODEL / CHECKPOINTS / "**/*.ckpt",
    "gaze": Path("gaze_estimation_model.tar"),
    "s3fd": Path("s3fd-619a316812.pth"),
    "fan": Path("2DFAN4-11f355bf06.pth.tar"),
    "diffae": Path("last.ckpt"),
}
"""The place of each file below the folder. `python -m reenact weights` knows their origins."""


@dataclass(frozen=True, kw_only=True)
class ReleasedFiles:
    """The authors' weight files. Each is below `folder` in the published layout, or anywhere else.

    folder: the folder of all files that are not named one by one.
    diffusionact: the DiffusionAct weights.
    emoca: the EMOCA checkpoint, or a folder in which to choose it.
    gaze: the ETH-XGaze network.
    s3fd: the face detector.
    fan: the landmark network.
    diffae: the Diffusion Autoencoder. It is needed only when `diffusionact` lacks the averaged
        weights. Without this key it is used if it is in the folder.
    """

    folder: Path = Path("weights")
    diffusionact: Path | None = None
    emoca: Path | None = None
    gaze: Path | None = None
    s3fd: Path | None = None
    fan: Path | None = None
    diffae: Path | None = None


@dataclass(frozen=True, kw_only=True)
class FoundFiles:
    """Files that exist and are not empty. Nothing has read them yet."""

    diffusionact: Path
    emoca: Path
    gaze: Path
    s3fd: Path
    fan: Path
    diffae: Path | None


def locate(files: ReleasedFiles) -> FoundFiles:
    """Find all files. Raises one UserError that names every missing one."""
    found = {name: _find(name, files.folder, getattr(files, name)) for name in PLACES}
    missing = [
        name
        for name, path in found.items()
        if path is None and (name != "diffae" or files.diffae is not None)
    ]
    if missing:
        raise _missing(files, missing)
    return FoundFiles(**found)  # type: ignore[arg-type]


def locate_emoca(files: ReleasedFiles) -> Path:
    """The EMOCA checkpoint alone, which is all that drawing needs. Raises UserError."""
    path = _find("emoca", files.folder, files.emoca)
    if path is None:
        raise _missing(files, ["emoca"])
    return path


def _missing(files: ReleasedFiles, names: list[str]) -> UserError:
    """The error line that names what is missing, and the command that says where to get it."""
    wanted = [str(getattr(files, name) or PLACES[name]) for name in names]
    count = counted(len(names), "file is", "files are")
    folder = shlex.quote(str(files.folder))
    return UserError(
        f"{files.folder}: {count} missing or empty: {', '.join(wanted)} "
        f"(`python -m reenact weights --folder {folder}` says where each can be downloaded)"
    )


def _find(name: str, folder: Path, given: Path | None) -> Path | None:
    if name == "emoca":
        path = folder / EMOCA_MODEL if given is None else given
        return best_checkpoint(path) if path.is_dir() else _usable(path)
    return _usable(folder / PLACES[name] if given is None else given)


def _usable(path: Path) -> Path | None:
    return path if path.is_file() and path.stat().st_size > 0 else None


def best_checkpoint(folder: Path) -> Path | None:
    """The .ckpt with the smallest validation loss, which is the number after the last "=" of its
    name. `last.ckpt` is left out. None if there is no other file.

    Looks in `detail/checkpoints` below `folder` if there is such a folder, else in `folder`.
    """
    inside = folder / CHECKPOINTS
    candidates = [
        path
        for path in sorted((inside if inside.is_dir() else folder).rglob("*.ckpt"))
        if path.stem != "last" and _usable(path) is not None
    ]
    return min(candidates, key=_loss_in_name, default=None)


def _loss_in_name(path: Path) -> float:
    match = _LOSS.search(path.stem)
    return float(match[1]) if match else float("inf")
