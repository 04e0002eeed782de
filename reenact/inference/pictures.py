"""Pictures that a program hands over: numpy arrays and PIL images become frames."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from reenact.errors import UserError, warn
from reenact.face.stack import Frame
from reenact.media.clip import MediaClip
from reenact.media.images import frame_from_pil, is_transparent, over_white, read_frame
from reenact.threads import read_ahead

Picture = np.ndarray | Image.Image | str | Path
"""uint8 (H, W, 3) RGB, (H, W, 4) RGBA or (H, W) grey; an image of PIL in any mode; or the path of a
picture."""

WANTED = "give a numpy array (H, W, 3) uint8 RGB, a PIL image or the path of a picture"


def frame_of(picture: Picture, where: str, *, quiet: bool = False) -> Frame:
    """The picture as a frame (H, W, 3) uint8 RGB.

    where: names the picture in the error line. quiet: no warnings, see `read_frame`. Raises
    UserError for anything else than `Picture`.
    """
    if isinstance(picture, str | Path):
        return read_frame(picture, quiet=quiet)
    if isinstance(picture, np.ndarray) and picture.dtype == np.uint8 and _is_grey_or_rgba(picture):
        picture = Image.fromarray(picture)
    if isinstance(picture, Image.Image):
        try:
            frame: Frame = frame_from_pil(
                picture.copy(), where, lambda text: None if quiet else warn(f"{where}: {text}")
            )
        except UserError:
            raise
        except (OSError, SyntaxError, ValueError) as error:  # PIL reads files late
            raise UserError(f"{where}: PIL cannot read it ({error})") from error
    elif not isinstance(picture, np.ndarray):
        raise UserError(f"{where}: got {type(picture).__name__}, {WANTED}")
    elif picture.dtype != np.uint8:
        raise UserError(
            f"{where}: its values are {picture.dtype}, {WANTED} (for values from 0 to 1: "
            "(255 * picture).round().astype('uint8'))"
        )
    elif picture.ndim == 3 and picture.shape[2] == 3:
        frame = picture
    else:
        raise UserError(f"{where}: its shape is {picture.shape}, {WANTED}")
    if 0 in frame.shape:
        raise UserError(f"{where}: it has no pixels (shape {frame.shape})")
    return frame


def _is_grey_or_rgba(array: np.ndarray) -> bool:
    return array.size > 0 and (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 4))


def frame_and_alpha(picture: Picture, where: str) -> tuple[Frame, np.ndarray | None]:
    """As `frame_of`, without a warning of transparency, and its alpha (H, W) uint8.

    None where the picture has no transparent parts.
    """
    if isinstance(picture, str | Path):
        picture = read_frame(picture, keep_alpha=True)
    if isinstance(picture, np.ndarray) and picture.dtype == np.uint8 and _is_grey_or_rgba(picture):
        picture = Image.fromarray(picture)
    if not isinstance(picture, Image.Image) or not is_transparent(picture):
        return frame_of(picture, where), None
    whole = frame_from_pil(
        picture.copy(), where, lambda text: warn(f"{where}: {text}"), keep_alpha=True
    )
    frame = np.array(over_white(Image.fromarray(whole)).convert("RGB"), dtype=np.uint8)
    return frame, np.ascontiguousarray(whole[..., 3])


READ_AHEAD_BYTES = 64_000_000
"""About so many bytes of decoded frames wait for their use, but 8 to 128 frames."""


@dataclass
class Frames:
    """Pictures of one size as frames. They can be read as often as the pictures can.

    `count` is the number of frames that were read the last time. The iteration raises UserError for
    a wrong picture, for another size, and if there is none.
    """

    pictures: Iterable[Picture]
    where: str
    count: int = 0

    def __iter__(self) -> Iterator[Frame]:
        size: tuple[int, ...] | None = None
        self.count = 0
        pictures: Generator[Picture, None, None] = (p for p in self.pictures)
        # A file is decoded by another thread. A program's own generator stays in its own one.
        if isinstance(self.pictures, MediaClip):
            fitting = READ_AHEAD_BYTES // (3 * self.pictures.width * self.pictures.height)
            pictures = read_ahead(self.pictures, min(max(fitting, 8), 128))
        with closing(pictures):
            for i, picture in enumerate(pictures):
                frame = frame_of(picture, f"{self.where}, frame {i}", quiet=i > 0)
                size = size or frame.shape[:2]
                if frame.shape[:2] != size:
                    raise UserError(
                        f"{self.where}, frame {i}: it has {_shown(frame.shape)} pixels, the first "
                        f"one has {_shown(size)}; bring all frames to one size"
                    )
                self.count += 1
                yield frame
        if size is None:
            raise UserError(f"{self.where}: it has no frames")


def _shown(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"
