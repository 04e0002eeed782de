"""Where a result is written, and the checks of that path that run before the long work."""

import os
from pathlib import Path

from reenact.errors import UserError
from reenact.files import check_output_path, shortened
from reenact.inference.motion_file import SUFFIX, is_motion_path
from reenact.media.images import WRITABLE_SUFFIXES
from reenact.media.video_writer import SUFFIXES as VIDEO_SUFFIXES

# Of each of the two names in the default name. Both together stay below 255 bytes.
MAX_STEM_BYTES = 100


def default_output(source: Path, target: Path, *, is_picture: bool) -> Path:
    """results/<source>_<target>: a PNG for a picture, an MP4 for a video. Long names are cut."""
    stems = [shortened(_stem(path), MAX_STEM_BYTES) for path in (source, target)]
    return Path("results") / f"{'_'.join(stems)}{'.png' if is_picture else '.mp4'}"


def check_output(output: Path, source: Path, target: Path, *, is_picture: bool) -> None:
    """Raises UserError if the result cannot or must not be written to `output`.

    is_picture: whether the result is a picture or a video. Missing folders are no error: they are
    made before the writing.
    """
    suffixes = WRITABLE_SUFFIXES if is_picture else VIDEO_SUFFIXES
    check_output_path(output, suffixes, makes_folders=True)
    for role, path in (("source", source), ("target", target)):
        if _same_file(output, path):
            raise UserError(f"{output}: would overwrite the {role}, choose another output path")


def _stem(path: Path) -> str:
    """The name without its suffix, or without both suffixes of a motion file."""
    return path.name[: -len(SUFFIX)] if is_motion_path(path) else path.stem


def _same_file(a: Path, b: Path) -> bool:
    if a.exists() and b.exists():
        return os.path.samefile(a, b)
    return a.resolve() == b.resolve()
