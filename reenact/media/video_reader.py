"""Videos read frame by frame. Only the current frame is held in memory."""

import contextlib
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from reenact.errors import UserError
from reenact.files import check_input_file
from reenact.media.audio import PRIMING
from reenact.media.container import (
    decoded,
    duration,
    first_picture_time,
    open_container,
    seconds,
    sound_stream,
    video_stream,
    why_no_pictures,
)
from reenact.media.pictures import frame_from_picture, read_orientation, square_pixel_size
from reenact.media.timeline import Timeline, timeline_from_stamps

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

# Numbers such as 0.52 are not exact in binary. Seconds are rounded to this denominator.
MICROSECONDS = 1_000_000


class VideoReader:
    """The frames of a video in the order they are shown; can be iterated again and again.

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

    Damaged packets are passed over. Raises UserError if not one frame can be decoded, or none
    lies between `start` and `end`.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        start: float | Fraction | None = None,
        end: float | Fraction | None = None,
        fps: Fraction | None = None,
        max_frames: int | None = None,
    ) -> None:
        from av.video.reformatter import VideoReformatter

        self.path = check_input_file(path)
        self._reformatter = VideoReformatter()  # kept: high dynamic range is slow to prepare
        with self._opened() as (container, stream):
            self.has_audio = sound_stream(container) is not None
            first = next(decoded(container, stream), None)
            if first is None:
                raise UserError(
                    f"{self.path}: no picture can be decoded, the video is damaged, save it again"
                )
            self._orientation = read_orientation(first)
            self._stored_size = square_pixel_size(first, stream.sample_aspect_ratio)
        columns, rows = self._stored_size
        self.width, self.height = (
            (rows, columns) if self._orientation.transpose else (columns, rows)
        )
        self.origin, self.timeline = self._read_timeline()
        self._numbers: Sequence[int] = range(len(self.timeline))
        self._select(start, end, fps, max_frames)
        self.num_frames, self.fps = len(self.timeline), self.timeline.fps

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing to free: a file is open only while it is iterated."""

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """Frames (height, width, 3) uint8 RGB."""
        return self.every(1)

    def every(self, step: int, first: int = 0) -> Iterator[NDArray[np.uint8]]:
        """Every `step`-th frame from number `first` on. The others are decoded, not converted."""
        wanted = iter(self._numbers[first::step])
        number = next(wanted, None)
        if number is None:
            return
        with self._opened() as (container, stream):
            for index, picture in enumerate(decoded(container, stream)):
                if index < number:
                    continue
                frame = frame_from_picture(picture, self._stored_size, self._reformatter)
                frame = self._orientation.apply(frame)
                while number == index:
                    yield frame
                    number = next(wanted, None)
                if number is None:
                    return

    @contextlib.contextmanager
    def _opened(self) -> Iterator[tuple["InputContainer", "VideoStream"]]:
        import av

        try:
            container = open_container(self.path)
        except av.error.FFmpegError as error:
            raise UserError(
                f"{self.path}: is not a video that can be read, convert it to mp4"
            ) from error
        with container:
            stream = video_stream(container)
            if stream is None:
                raise UserError(f"{self.path}: {why_no_pictures(container)}")
            stream.thread_type = "AUTO"
            yield container, stream

    def _read_timeline(self) -> tuple[Fraction, Timeline]:
        """The origin and the timeline of the whole file."""
        with self._opened() as (container, stream):
            sound = sound_stream(container)
            sound_start = None
            if sound is not None and sound.start_time is not None and sound.time_base is not None:
                sound_start = Fraction(sound.start_time * sound.time_base)
            promised, tick = stream.frames, Fraction(stream.time_base or Fraction(1, 90_000))
            rates = (stream.average_rate, stream.guessed_rate, stream.base_rate)
            shown = _shown_packets(container, stream)
        with self._opened() as (container, stream):
            if shown is None or len(shown) != promised:
                # The container does not know its frames, or it is damaged: only decoding tells.
                shown = [
                    _Shown(seconds(picture, stream), duration(picture, stream))
                    for picture in decoded(container, stream)
                ]
            first = first_picture_time(self.path, stream, shown[0].time)
        origin = first
        if sound_start is not None and first - sound_start > PRIMING:
            origin = sound_start
        return origin, timeline_from_stamps(
            [item.time for item in shown],
            last_duration=shown[-1].duration,
            tick=tick,
            rates=rates,
            start=first - origin,
        )

    def _select(
        self,
        start: float | Fraction | None,
        end: float | Fraction | None,
        fps: Fraction | None,
        max_frames: int | None,
    ) -> None:
        """Keep the frames that the options ask for."""
        if start is not None or end is not None:
            lower = Fraction(start or 0).limit_denominator(MICROSECONDS)
            upper = None if end is None else Fraction(end).limit_denominator(MICROSECONDS)
            chosen = self.timeline.between(lower, upper)
            if not chosen:
                raise UserError(
                    f"{self.path}: no frame from {float(lower):g} s to "
                    f"{'the end' if upper is None else f'{float(upper):g} s'}, "
                    f"the video has {float(self.timeline.end):.2f} s"
                )
            self._keep(chosen, moves_origin=start is not None)
        if fps is not None:
            self.timeline, numbers = self.timeline.resampled(Fraction(fps))
            self._numbers = [self._numbers[i] for i in numbers]
        if max_frames is not None and max_frames < len(self.timeline):
            self._keep(range(max_frames), moves_origin=False)

    def _keep(self, chosen: range, *, moves_origin: bool) -> None:
        first = self.timeline.times[chosen.start]
        self.timeline = self.timeline.part(chosen, zero=first if moves_origin else Fraction(0))
        self._numbers = self._numbers[chosen.start : chosen.stop]
        if moves_origin:
            self.origin += first


class _Shown(NamedTuple):
    """A picture that will be shown: when and how long, in seconds, None = unknown."""

    time: Fraction | None
    duration: Fraction | None


def _shown_packets(container: "InputContainer", stream: "VideoStream") -> list[_Shown] | None:
    """Every packet that will be shown, in that order, or None if only decoding can tell."""
    import av

    shown: list[tuple[Fraction, _Shown]] = []
    try:
        for packet in container.demux(stream):
            if packet.is_corrupt:
                return None
            if packet.size > 0 and not packet.is_discard:
                time = seconds(packet, stream)
                if time is None:
                    return None
                shown.append((time, _Shown(time, duration(packet, stream))))
    except av.error.FFmpegError:
        return None
    return [item for _, item in sorted(shown, key=lambda pair: pair[0])]
