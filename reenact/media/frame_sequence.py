"""A video written as numbered PNG pictures, with a list of their times."""

import os
import re
import shutil
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from reenact.errors import UserError, warn
from reenact.files import check_output_path, create_temporary_folder
from reenact.media.formats import NUMBER, is_sequence
from reenact.media.images import write_frame
from reenact.media.timeline import Timeline

TIMES_NAME = "times.txt"


class FrameSequenceWriter:
    """Writes frames as PNG pictures, and times.txt beside them: seconds, a line for each frame.

    path: a name with a number in it, such as frames/%06d.png; numbers start at 0. The files
        appear when the `with` block ends well, replacing older ones of the same names.
    timeline: when each frame is shown.
    synthetic: note in every picture that it is synthetic and which tool made it.

    Raises UserError if the pictures cannot be written.
    """

    def __init__(
        self, path: str | Path, *, timeline: Timeline, has_audio: bool, synthetic: bool = False
    ) -> None:
        self.path = check_output_path(path, (".png",))
        self._timeline, self._has_audio, self._synthetic = timeline, has_audio, synthetic
        self.num_frames = 0
        self._folder: Path | None = None

    def __enter__(self) -> Self:
        self._folder = create_temporary_folder(self.path)
        if self._has_audio:
            warn(f"{self.path}: pictures hold no sound, the sound is left out")
        return self

    def write(self, frame: NDArray[np.uint8]) -> None:
        """Append a frame (height, width, 3) uint8 RGB or (height, width, 4) RGBA."""
        assert self._folder is not None
        name = self.path.name % self.num_frames
        write_frame(self._folder / name, frame, synthetic=self._synthetic)
        self.num_frames += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._folder is not None
        try:
            if error is None:
                self._finish(self._folder)
        except OSError as failed:
            reason = (failed.strerror or str(failed)).lower()
            raise UserError(f"{self.path}: cannot write the pictures ({reason})") from failed
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _finish(self, folder: Path) -> None:
        if self.num_frames == 0:
            raise UserError(f"{self.path}: no frame was written, so there are no pictures")
        times = self._timeline.times[: self.num_frames]
        (folder / TIMES_NAME).write_text("".join(f"{_seconds(time)}\n" for time in times))
        for name in os.listdir(folder):
            os.replace(folder / name, self.path.parent / name)


def is_part(path: Path, sequence: Path) -> bool:
    """Whether a picture of the sequence could have this path."""
    if not is_sequence(sequence) or path.resolve().parent != sequence.resolve().parent:
        return False
    before, after = (re.escape(part) for part in NUMBER.split(sequence.name))
    return re.fullmatch(rf"{before}\d+{after}", path.name) is not None


def _seconds(time: Fraction) -> str:
    return f"{float(time):.6f}"
