"""The frames of a raw clip. Where the clip has face boxes, the frames are cut to their region."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reenact.data.prepare.layouts import ClipSource, SourceConfig
from reenact.errors import UserError
from reenact.face.stack import Frame
from reenact.media.images import is_image_path, read_frame
from reenact.media.video_reader import VideoReader

BOX_MARGIN = 0.75
"""Room around the boxes, in box sides. A face crop with hair is twice as wide as a face box."""
BOX_HEIGHT = 360
"""The boxes of VoxCeleb1 are in pixels of a picture of this height."""


@dataclass(frozen=True, kw_only=True)
class RawFrames:
    """Frames (H, W, 3) of one size. `fps` counts the frames that are kept, not those skipped."""

    frames: list[Frame]
    fps: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Boxes:
    """The rows of a txt file.

    numbers: (M,) frame numbers in the video.
    boxes: (M, 4) x, y, width, height: fractions of the picture, or pixels of a picture that is 360
        pixels high.
    """

    numbers: np.ndarray
    boxes: np.ndarray

    @property
    def fractions(self) -> bool:
        return bool(self.boxes.max() <= 2)

    def region(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Left, top, right and bottom pixel of the part of the picture that holds all boxes, with
        room for hair and movement. Boxes outside the picture give the whole picture.
        """
        unit = np.array([width, height] * 2) if self.fractions else height / BOX_HEIGHT
        x, y, w, h = (self.boxes * unit).T
        reach = BOX_MARGIN * float(np.median(np.maximum(w, h)))
        left, top = max(int(x.min() - reach), 0), max(int(y.min() - reach), 0)
        right = min(int((x + w).max() + reach) + 1, width)
        bottom = min(int((y + h).max() + reach) + 1, height)
        if right - left < 16 or bottom - top < 16:
            return 0, 0, width, height
        return left, top, right, bottom


def read_boxes(path: Path) -> Boxes:
    """Read a txt file of the release.

    It has some lines about the clip, a line `FRAME X Y W H`, and then a row of five numbers for
    each frame. Raises UserError when it has no such rows.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot read the face boxes ({error})") from error
    heads = [i for i, line in enumerate(lines) if re.match(r"\s*FRAME\b", line)]
    try:
        # Tabs separate the columns, and there are blanks at their ends.
        rows = [
            [float(v) for v in line.split()[:5]] for line in lines[heads[0] + 1 :] if line.strip()
        ]
        table = np.array(rows, dtype=np.float64).reshape(-1, 5)
        if not len(table) or not np.isfinite(table).all():
            raise ValueError("no rows")
    except (IndexError, ValueError) as error:
        raise UserError(f"{path}: no rows FRAME X Y W H of numbers in it ({error})") from error
    return Boxes(numbers=table[:, 0].astype(int), boxes=table[:, 1:])


def read_frames(
    source: ClipSource, config: SourceConfig, *, stride: int, max_frames: int
) -> RawFrames:
    """Decode every `stride`-th frame into memory, at most `max_frames` of them.

    Raises UserError when the clip cannot be read, has no frame, or has frames of different sizes.
    """
    if source.path.is_dir():
        frames, fps = _pictures(source.path, stride), config.picture_fps
    else:
        frames, fps = _video(source, config, stride)
    read = list(itertools.islice(frames, max_frames))
    if not read:
        raise UserError(f"{source.path}: no frames in it")
    if len({frame.shape for frame in read}) > 1:
        raise UserError(f"{source.path}: its pictures have different sizes")
    return RawFrames(frames=read, fps=fps / stride)


def _pictures(folder: Path, stride: int) -> Iterator[Frame]:
    paths = sorted(path for path in folder.iterdir() if is_image_path(path))
    return (read_frame(path, quiet=True) for path in paths[::stride])


def _video(source: ClipSource, config: SourceConfig, stride: int) -> tuple[Iterator[Frame], float]:
    reader = VideoReader(source.path)
    fps = float(reader.fps)
    square = reader.width == reader.height
    if source.boxes is None or config.boxes == "ignore" or (config.boxes == "auto" and square):
        return reader.every(stride), fps
    boxes = read_boxes(source.boxes)
    # The rows count the frames of the whole video. A file with more frames than the last row counts
    # is that video. A shorter file is already cut to the frames of the rows.
    first, last = int(boxes.numbers.min()), int(boxes.numbers.max())
    start, count = (first, last - first + 1) if reader.num_frames > last else (0, reader.num_frames)
    left, top, right, bottom = boxes.region(reader.width, reader.height)
    frames = itertools.islice(reader.every(stride, start), -(-count // stride))
    return (np.ascontiguousarray(f[top:bottom, left:right]) for f in frames), fps
