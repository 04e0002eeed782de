"""Where and how a result is written, and the checks that run before the long work."""

import os
from pathlib import Path

from reenact.errors import UserError
from reenact.files import check_output_path, shortened
from reenact.inference.background import TRANSPARENT
from reenact.inference.motion_file import is_motion_path
from reenact.inference.run_config import InferRun
from reenact.inference.shipped_motions import SUFFIX
from reenact.media.clip import MediaClip
from reenact.media.formats import check_written_kind, is_sequence
from reenact.media.frame_sequence import FrameSequenceWriter, is_part
from reenact.media.timeline import Timeline
from reenact.media.video_writer import VideoWriter

# Of each of the two names in the default name. Both together stay below 255 bytes.
MAX_STEM_BYTES = 100


def default_output(source: Path, target: Path, run: InferRun, *, is_picture: bool) -> Path:
    """results/<source>_<target>: a PNG for a picture, else an MP4, or a WebM if it is transparent.

    Long names are cut.
    """
    stems = [shortened(_stem(path), MAX_STEM_BYTES) for path in (source, target)]
    video = ".webm" if run.background == TRANSPARENT else ".mp4"
    return Path("results") / f"{'_'.join(stems)}{'.png' if is_picture else video}"


def check_output(output: Path, source: Path, target: Path, *, is_picture: bool) -> None:
    """Raises UserError if the result cannot or must not be written to `output`.

    is_picture: whether the result is a picture or a video. Missing folders are no error: they are
    made before the writing.
    """
    check_output_path(output, makes_folders=True)
    check_written_kind(output, is_picture=is_picture)
    for role, path in (("source", source), ("target", target)):
        if _same_file(output, path) or is_part(path, output):
            raise UserError(f"{output}: would overwrite the {role}, choose another output path")


def open_result(
    output: Path,
    *,
    width: int,
    height: int,
    timeline: Timeline,
    clip: MediaClip | None,
    alpha: bool = False,
) -> VideoWriter | FrameSequenceWriter:
    """A writer of result frames in the format that the name says.

    clip: gives its sound; None for no sound. alpha: frames are (H, W, 4) RGBA.
    """
    if is_sequence(output):
        return FrameSequenceWriter(
            output, timeline=timeline, has_audio=clip is not None, synthetic=True
        )
    return VideoWriter(
        output,
        width=width,
        height=height,
        timeline=timeline,
        audio_from=None if clip is None else clip.path,
        audio_origin=None if clip is None else clip.origin,
        synthetic=True,
        alpha=alpha,
    )


def _stem(path: Path) -> str:
    """The name without its suffix, or without both suffixes of a motion file."""
    return path.name[: -len(SUFFIX)] if is_motion_path(path) else path.stem


def _same_file(a: Path, b: Path) -> bool:
    if a.exists() and b.exists():
        return os.path.samefile(a, b)
    return a.resolve() == b.resolve()
