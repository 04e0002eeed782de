"""Videos read frame by frame. Only the current frame is held in memory."""

import contextlib
from collections.abc import Generator, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reenact.errors import UserError, warn
from reenact.media.audio import PRIMING
from reenact.media.clip import MediaClip
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
from reenact.media.pictures import (
    exact,
    frame_from_picture,
    is_high_dynamic_range,
    is_transparent,
    read_orientation,
    square_pixel_size,
)
from reenact.media.timeline import Timeline, timeline_from_stamps

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream


class VideoReader(MediaClip):
    """The frames of a video; see `MediaClip` for the options and attributes.

    Damaged packets are skipped. Transparent parts and a high dynamic range give a warning.
    """

    def _read(self) -> tuple[Fraction, Timeline]:
        from av.video.reformatter import VideoReformatter

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
        if is_transparent(first):
            warn(f"{self.path}: its transparent parts are shown as white")
        if is_high_dynamic_range(first):
            warn(f"{self.path}: has a high dynamic range, it is read in the standard range")
        return self._read_timeline()

    def _decoded(self) -> Generator["VideoFrame", None, None]:
        with self._opened() as (container, stream):
            yield from decoded(container, stream)

    def _frame(self, picture: "VideoFrame") -> NDArray[np.uint8]:
        frame = frame_from_picture(picture, self._stored_size, self._reformatter)
        return self._orientation.apply(frame)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[tuple["InputContainer", "VideoStream"]]:
        import av

        try:
            container = open_container(self.path)
        except av.error.FFmpegError as error:
            raise UserError(
                f"{self.path}: is not a video that can be read, or it is incomplete: copy it "
                "again, or convert it to mp4"
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
            promised, tick = stream.frames, exact(stream.time_base) or Fraction(1, 90_000)
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
            rates=map(exact, rates),
            start=first - origin,
        )


class _Shown(NamedTuple):
    """When a picture will be shown and how long, in seconds; None = unknown."""

    time: Fraction | None
    duration: Fraction | None


def _shown_packets(container: "InputContainer", stream: "VideoStream") -> list[_Shown] | None:
    """All packets that will be shown, in the order of their times; None if only decoding tells."""
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
