"""Animated WebP and AVIF files, which FFmpeg does not read. Pillow reads them."""

import warnings
from collections.abc import Generator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reenact.errors import UserError, warn
from reenact.files import check_input_file
from reenact.media.clip import MediaClip
from reenact.media.images import (
    ANIMATED_FORMATS,
    MAX_FRAME_PIXELS,
    is_image_path,
    is_transparent,
    over_white,
)
from reenact.media.timeline import Timeline, timeline_from_stamps
from reenact.media.video_reader import VideoReader

# Animations in other formats (GIF, PNG) are videos for FFmpeg.
PILLOW_FORMATS = ("WEBP", "AVIF")

# Browsers show a picture that asks for less for as long as this, and files rely on it.
SHORTEST, DEFAULT_DURATION = 11, 100  # milliseconds


class AnimationReader(MediaClip):
    """The frames of an animated WebP or AVIF, played once; see `MediaClip`."""

    def _read(self) -> tuple[Fraction, Timeline]:
        self.has_audio = False
        stamps: list[Fraction] = []
        length, duration = 0, DEFAULT_DURATION
        for picture in self._decoded():
            if not stamps:
                self.width, self.height = picture.size
                if self.width * self.height > MAX_FRAME_PIXELS:
                    raise UserError(
                        f"{self.path}: {self.width}x{self.height} pixels are too many for a video, "
                        f"resize it below {MAX_FRAME_PIXELS // 10**6} megapixels"
                    )
                if is_transparent(picture):
                    warn(f"{self.path}: its transparent parts are shown as white")
            duration = round(picture.info.get("duration", 0))
            duration = duration if duration >= SHORTEST else DEFAULT_DURATION
            stamps.append(Fraction(length, 1000))
            length += duration
        if not stamps:
            raise UserError(f"{self.path}: the animation is damaged, save it again")
        return Fraction(0), timeline_from_stamps(
            stamps, last_duration=Fraction(duration, 1000), tick=Fraction(1, 1000), rates=()
        )

    def _decoded(self) -> Generator[Image.Image, None, None]:
        with Image.open(self.path) as picture:
            for number in range(getattr(picture, "n_frames", 1)):
                try:
                    picture.seek(number)
                    picture.load()
                except Exception:  # a damaged end of the file ends the animation there
                    return
                yield picture

    def _frame(self, picture: Image.Image) -> NDArray[np.uint8]:
        return np.array(over_white(picture).convert("RGB"), dtype=np.uint8)


def is_still(path: Path) -> bool:
    """Whether the file is a picture that does not move. Anything else is taken for a video."""
    return is_image_path(path) and _animated_format(path) is None


def is_photo(path: Path) -> bool:
    """Whether the file is a picture that does not move, whatever its name says."""
    if is_image_path(path):
        return is_still(path)
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as picture:
            is_clip = picture.format == "MPEG" or getattr(picture, "is_animated", False)
            return not is_clip
    except Exception:  # a video, or a damaged file
        return False


def open_clip(path: str | Path, **options: Any) -> MediaClip:
    """A video or an animation. options: those of `MediaClip`. Raises UserError."""
    path = check_input_file(path)
    return (
        AnimationReader(path, **options)
        if _animated_format(path) in PILLOW_FORMATS
        else VideoReader(path, **options)
    )


def _animated_format(path: Path) -> str | None:
    """Pillow's name of the format if the file is an animation, else None."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as picture:
            animated = picture.format in ANIMATED_FORMATS and getattr(picture, "is_animated", False)
            return picture.format if animated else None
    except Exception:  # no picture, or a damaged one
        return None
