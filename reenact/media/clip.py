"""What videos and animations have in common: frames with times, of which a part can be chosen."""

import math
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reenact.errors import UserError
from reenact.files import check_input_file
from reenact.media.timeline import Timeline

# Numbers such as 0.52 are not exact in binary. Seconds are rounded to this denominator.
MICROSECONDS = 1_000_000


class MediaClip(ABC):
    """The frames of a file in the order they are shown; can be iterated again and again.

    start, end: seconds. Only frames that appear at `start` or later and before `end` are read.
        Seconds count from the start of the file, as a player shows them.
    fps: None = every frame at its own time. Else frames are repeated or left out so that the
        result has this constant rate and the same duration.
    max_frames: at most so many frames are read, counted after `fps`.

    Attributes:
    width, height: pixels as shown, after the rotation metadata, with square pixels.
    timeline: when each frame is shown. Time 0 is the first frame; it is the start of the sound
        if the file starts with sound only, and `start` is not given.
    origin: seconds of time 0 by the clock of the file.
    fps: frames per second, exact (30000/1001). If the rate is variable, the average.
    num_frames: how many frames the iteration gives. Damage inside a file may cost some more.
    has_audio: whether the file carries sound.

    Raises UserError if not one frame can be decoded, or none lies between `start` and `end`.
    """

    width: int
    height: int
    has_audio: bool

    def __init__(
        self,
        path: str | Path,
        *,
        start: float | Fraction | None = None,
        end: float | Fraction | None = None,
        fps: Fraction | None = None,
        max_frames: int | None = None,
    ) -> None:
        self.path = check_input_file(path)
        self.origin, timeline = self._read()
        self.timeline, self._numbers, moved = chosen_frames(
            timeline, str(self.path), start=start, end=end, fps=fps, max_frames=max_frames
        )
        self.origin += moved
        self.num_frames, self.fps = len(self.timeline), self.timeline.fps

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """Frames (height, width, 3) uint8 RGB."""
        return self.every(1)

    def every(self, step: int, first: int = 0) -> Iterator[NDArray[np.uint8]]:
        """Every `step`-th frame from number `first` on. The others are decoded, not converted."""
        wanted = iter(self._numbers[first::step])
        number = next(wanted, None)
        if number is None:
            return
        with closing(self._decoded()) as pictures:
            for index, picture in enumerate(pictures):
                if index < number:
                    continue
                frame = self._frame(picture)
                while number == index:
                    yield frame
                    number = next(wanted, None)
                if number is None:
                    return

    @abstractmethod
    def _read(self) -> tuple[Fraction, Timeline]:
        """Sets width, height and has_audio; the origin and the timeline of the whole file."""

    @abstractmethod
    def _decoded(self) -> Generator[Any, None, None]:
        """All pictures of the file, in the form that `_frame` takes."""

    @abstractmethod
    def _frame(self, picture: Any) -> NDArray[np.uint8]:
        """A decoded picture as frame (height, width, 3)."""


def chosen_frames(
    timeline: Timeline,
    where: str,
    *,
    start: float | Fraction | None = None,
    end: float | Fraction | None = None,
    fps: Fraction | None = None,
    max_frames: int | None = None,
) -> tuple[Timeline, Sequence[int], Fraction]:
    """The frames that the options of `MediaClip` ask for: their timeline, the number that each has
    in the given timeline, and the seconds by which time 0 has moved.

    where: names the file in errors. Raises UserError.
    """
    for name, value in (("start", start), ("end", end)):
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise UserError(f"{name}: must be at least 0 seconds, got {value}")
    if max_frames is not None and max_frames < 1:
        raise UserError(f"max_frames: must be at least 1, got {max_frames}")
    numbers: Sequence[int] = range(len(timeline))
    moved = Fraction(0)
    if start is not None or end is not None:
        lower = Fraction(start or 0).limit_denominator(MICROSECONDS)
        upper = None if end is None else Fraction(end).limit_denominator(MICROSECONDS)
        chosen = timeline.between(lower, upper)
        if not chosen:
            raise UserError(
                f"{where}: no frame from {float(lower):g} s to "
                f"{'the end' if upper is None else f'{float(upper):g} s'}, "
                f"it has {float(timeline.end):.2f} s"
            )
        moved = timeline.times[chosen.start] if start is not None else moved
        timeline, numbers = timeline.part(chosen, zero=moved), chosen
    if fps is not None:
        timeline, resampled = timeline.resampled(Fraction(fps))
        numbers = [numbers[i] for i in resampled]
    if max_frames is not None and max_frames < len(timeline):
        timeline = timeline.part(range(max_frames), zero=Fraction(0))
        numbers = numbers[:max_frames]
    return timeline, numbers, moved
