"""Where the authors' weights lie, and where a missing file can be downloaded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from reenact.errors import UserError

EMOCA_MODEL = Path("EMOCA/models/EMOCA_v2_lr_mse_20")
CHECKPOINTS = Path("detail/checkpoints")
_LOSS = re.compile(r"=([-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?)[^=]*$")


@dataclass(frozen=True, kw_only=True)
class Origin:
    """A file's place below the folder, its content, its page and its licence."""

    place: Path
    what: str
    page: str
    licence: str


ORIGINS = {
    "diffusionact": Origin(
        place=Path("diffusionact_model.pt"),
        what="the DiffusionAct weights",
        page="https://github.com/StelaBou/DiffusionAct",
        licence="licence on that page",
    ),
    "emoca": Origin(
        place=EMOCA_MODEL / CHECKPOINTS / "**/*.ckpt",
        what="EMOCA v2 with the FLAME head model in it",
        page="https://emoca.is.tue.mpg.de",
        licence="for non-commercial research, after registration there",
    ),
    "gaze": Origin(
        place=Path("gaze_estimation_model.tar"),
        what="the ETH-XGaze network",
        page="https://ait.ethz.ch/xgaze",
        licence="CC BY-NC-SA 4.0",
    ),
    "s3fd": Origin(
        place=Path("s3fd-619a316812.pth"),
        what="the face detector of face-alignment",
        page="https://www.adrianbulat.com/downloads/python-fan/s3fd-619a316812.pth",
        licence="BSD 3-Clause",
    ),
    "fan": Origin(
        place=Path("2DFAN4-11f355bf06.pth.tar"),
        what="the landmark network of face-alignment",
        page="https://www.adrianbulat.com/downloads/python-fan/2DFAN4-11f355bf06.pth.tar",
        licence="BSD 3-Clause",
    ),
    "diffae": Origin(
        place=Path("last.ckpt"),
        what="the Diffusion Autoencoder ffhq256_autoenc",
        page="https://github.com/phizaz/diffae",
        licence="MIT",
    ),
}


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
    """Find all files. Raises one UserError that names every missing one, its place and origin."""
    found = {name: _find(name, files.folder, getattr(files, name)) for name in ORIGINS}
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
    """The error line that says what is missing, where it should lie and where to get it."""
    lines = []
    for name in names:
        origin = ORIGINS[name]
        wanted = getattr(files, name) or files.folder / origin.place
        lines.append(f"{wanted} ({origin.what}, {origin.page}, {origin.licence})")
    count = "1 file is" if len(names) == 1 else f"{len(names)} files are"
    return UserError(
        f"{files.folder}: {count} missing or empty, download and put in place: " + "; ".join(lines)
    )


def _find(name: str, folder: Path, given: Path | None) -> Path | None:
    if name == "emoca":
        path = folder / EMOCA_MODEL if given is None else given
        return best_checkpoint(path) if path.is_dir() else _usable(path)
    return _usable(folder / ORIGINS[name].place if given is None else given)


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
