"""Checks of the output path that run before the long work."""

import os
from pathlib import Path

from reenact.errors import UserError
from reenact.files import check_output_path
from reenact.media.images import WRITABLE_SUFFIXES, is_image_path
from reenact.media.video_writer import SUFFIXES as VIDEO_SUFFIXES


def default_output(source: Path, target: Path) -> Path:
    """results/<source>_<target>, a PNG for a picture and an MP4 for a video."""
    suffix = ".png" if is_image_path(target) else ".mp4"
    # File systems end names at 255 bytes.
    return Path("results") / f"{source.stem[:60]}_{target.stem[:60]}{suffix}"


def check_output(output: Path, source: Path, target: Path) -> None:
    """Raises UserError if the result cannot or must not be written to `output`.

    Folders that are missing are not an error: `make_folder` creates them before the writing.
    """
    suffixes = WRITABLE_SUFFIXES if is_image_path(target) else VIDEO_SUFFIXES
    try:
        for role, path in (("source", source), ("target", target)):
            if _same_file(output, path):
                raise UserError(f"{output}: would overwrite the {role}, choose another output path")
        if output.is_dir():
            raise UserError(f"{output}: is a folder, give the path of a file to write")
        folder = output.parent
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
    except OSError as error:  # names that are too long, for one
        raise UserError(f"{output}: {error.strerror}, choose another path") from error
    check_output_path(folder / output.name, suffixes)


def make_folder(output: Path) -> None:
    """Creates the folder of `output`; raises UserError where that is impossible."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{output}: cannot create the folder, choose another path") from error


def _same_file(a: Path, b: Path) -> bool:
    if a.exists() and b.exists():
        return os.path.samefile(a, b)
    return a.resolve() == b.resolve()
