"""Videos written frame by frame, each frame at its own time, with the sound of another file."""

import contextlib
import math
import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from reenact.errors import UserError
from reenact.files import check_input_file, check_output_path, create_temporary
from reenact.media.audio import AudioTrack, open_audio
from reenact.media.pictures import BT709, LIMITED_RANGE, picture_from_frame
from reenact.media.provenance import video_tags
from reenact.media.timeline import Timeline

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

SUFFIXES = (".mp4", ".m4v")
MAX_SIDE = 16384  # the largest picture H.264 can hold

# The clock of an MP4 counts up to 2^32. At this rate the count lasts for more than an hour.
MAX_CLOCK_RATE = 1_000_000
# The clock that is used if no common clock of all times is slow enough; the times are rounded.
COMMON_CLOCK_RATE = 90_000


class VideoWriter:
    """Writes an H.264 video (yuv420p, BT.709, moov first) with the sound of another file.

    path: .mp4 or .m4v. It appears, whole, when the `with` block ends well. An error or
        Ctrl-C leaves nothing behind, and an older file of that name stays as it was.
    width, height: of the frames. An odd side grows by one pixel (H.264), the last one repeated.
    fps: frame i is shown at exactly i / fps.
    timeline: instead of `fps`; frame i is shown at exactly `timeline.times[i]`.
    audio_from: file whose sound is taken over. Packets are copied where mp4 can hold the codec,
        else encoded as AAC. Sound beyond the last frame's end is kept for the duration of one
        frame more, then cut.
    audio_origin: seconds of time 0 by the clock of `audio_from`; None = its first picture.
    crf: constant quality, 0 (lossless) to 51; 17 is visually lossless.
    synthetic: note in the file that the video is synthetic and which tool made it.

    Raises UserError, already when constructed, if the path cannot be written.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        width: int,
        height: int,
        fps: Fraction | None = None,
        timeline: Timeline | None = None,
        audio_from: str | Path | None = None,
        audio_origin: Fraction | None = None,
        crf: int = 17,
        synthetic: bool = False,
    ) -> None:
        self.path = check_output_path(path, SUFFIXES)
        if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
            raise UserError(f"{self.path}: a video cannot be {width}x{height} pixels large")
        if (fps is None) == (timeline is None):
            raise ValueError("give either fps or timeline")
        if timeline is not None:
            fps = timeline.fps
            if timeline.is_constant and timeline.times[0] == 0:
                timeline = None
        assert fps is not None
        if fps <= 0:
            raise UserError(f"{self.path}: frames per second must be positive, got {fps}")
        self.width, self.height, self.fps, self.crf = width, height, Fraction(fps), crf
        self.num_frames = 0
        self._timeline = timeline
        self._tick = 1 / self.fps
        self._ticks: list[int] | None = None  # of every frame and of the end
        if timeline is not None:
            self._tick, self._ticks = _clock(timeline)
        self._tags = video_tags() if synthetic else {}
        self._audio_from = None if audio_from is None else check_input_file(audio_from)
        self._audio_origin = audio_origin
        self._temporary: Path | None = None
        self._output: OutputContainer | None = None
        self._audio: AudioTrack | None = None

    def __enter__(self) -> Self:
        import av
        from av.video.reformatter import VideoReformatter

        try:
            with self._writing():
                self._temporary = create_temporary(self.path)
                self._output = av.open(
                    str(self._temporary.absolute()),
                    "w",
                    format="mp4",
                    container_options={"movflags": "+faststart"},
                )
            self._output.metadata.update(self._tags)
            self._stream = self._add_h264_stream(self._output)
            if self._audio_from is not None:
                self._audio = open_audio(self._audio_from, self._output, self._audio_origin)
        except BaseException:
            self._discard()
            raise
        self._reformatter = VideoReformatter()
        return self

    def write(self, frame: NDArray[np.uint8]) -> None:
        """Append a frame (height, width, 3) uint8 RGB."""
        if frame.shape != (self.height, self.width, 3) or frame.dtype != np.uint8:
            expected = (self.height, self.width, 3)
            raise ValueError(f"expected a frame {expected} uint8, got {frame.shape} {frame.dtype}")
        if self._output is None:
            raise ValueError("frames are written inside the `with` block of a VideoWriter")
        if self._timeline is not None and self.num_frames == len(self._timeline):
            raise ValueError(f"the timeline has only {len(self._timeline)} frames")
        picture = picture_from_frame(frame, self._reformatter)
        picture.pts = self.num_frames if self._ticks is None else self._ticks[self.num_frames]
        picture.time_base = self._tick
        with self._writing():
            self._mux(self._stream.encode(picture))
            self.num_frames += 1
            if self._audio:
                self._audio.copy_until(self._time(self.num_frames))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._discard()
            return
        try:
            if self.num_frames == 0:
                raise UserError(f"{self.path}: no frame was written, so there is no video")
            with self._writing():
                self._finish()
        finally:
            self._discard()

    def _time(self, number: int) -> Fraction:
        """When a frame appears. Frame N is what would follow the last frame, N + 1 the next."""
        if self._timeline is None:
            return number / self.fps
        if number < len(self._timeline):
            return self._timeline.times[number]
        return self._timeline.end + (number - len(self._timeline)) / self.fps

    def _mux(self, packets: "Iterable[Packet]") -> None:
        assert self._output is not None
        for packet in packets:
            # The encoder does not know how long the last frame is shown.
            if self._ticks is not None and packet.pts == self._ticks[-2]:
                packet.duration = self._ticks[-1] - packet.pts
            self._output.mux(packet)

    def _finish(self) -> None:
        assert self._output is not None
        self._mux(self._stream.encode(None))
        if self._audio is not None:
            self._audio.copy_until(self._time(self.num_frames + 1))
        self._output.close()
        self._output = None
        assert self._temporary is not None
        os.replace(self._temporary, self.path)

    def _discard(self) -> None:
        """Close what is open and remove the temporary file, whatever the state."""
        if self._audio is not None:
            self._audio.close()
        self._audio = None
        if self._output is not None:
            with contextlib.suppress(Exception):  # an unfinished file may not close cleanly
                self._output.close()
            self._output = None
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """A full disk and the like become a UserError."""
        try:
            yield
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise UserError(f"{self.path}: cannot write the video ({reason})") from error

    def _add_h264_stream(self, output: "OutputContainer") -> "VideoStream":
        stream: VideoStream = output.add_stream(
            "libx264", rate=self.fps, options={"crf": str(self.crf)}
        )
        context = stream.codec_context
        context.width, context.height = self.width + self.width % 2, self.height + self.height % 2
        context.pix_fmt = "yuv420p"
        context.time_base = self._tick
        context.color_range = LIMITED_RANGE
        context.colorspace = context.color_primaries = context.color_trc = BT709
        return stream


def _clock(timeline: Timeline) -> tuple[Fraction, list[int]]:
    """A clock tick in seconds, and the time of every frame and of the end in ticks, increasing.

    The tick is one that every time is a multiple of, or COMMON_CLOCK_RATE if that is too short.
    """
    times = (*timeline.times, timeline.end)
    rate = math.lcm(*(time.denominator for time in times))
    if rate > MAX_CLOCK_RATE:
        rate = COMMON_CLOCK_RATE
    ticks: list[int] = []
    for time in times:
        ticks.append(max(round(time * rate), ticks[-1] + 1 if ticks else 0))
    return Fraction(1, rate), ticks
