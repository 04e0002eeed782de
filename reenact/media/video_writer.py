"""Videos written frame by frame, each frame at its own time, with the sound of another file."""

import contextlib
import math
import os
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast

import numpy as np
from numpy.typing import NDArray

from reenact.errors import UserError, warn
from reenact.files import check_input_file, check_output_path, create_temporary
from reenact.media.audio import AudioTrack, open_audio
from reenact.media.formats import FORMATS
from reenact.media.picture_encoder import make_encoder
from reenact.media.pictures import BT709, LIMITED_RANGE
from reenact.media.provenance import video_tags
from reenact.media.timeline import Timeline

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

MAX_SIDE = 16384  # of pictures in all formats

# A frame of an MP4 lasts at most 2^31 ticks, at this rate more than half an hour.
MAX_CLOCK_RATE = 1_000_000
# Used if only a faster clock could hold all times. The times are rounded to it.
COMMON_CLOCK_RATE = 90_000


class VideoWriter:
    """Writes a video, with the sound of another file.

    path: its end says the format. MP4 and MOV are H.264 with the index first, WebM is VP9, all
        three with yuv420p pixels in BT.709. GIF and WebP are animations without sound. The file
        appears, whole, when the `with` block ends well. An error or Ctrl-C leaves nothing behind,
        and an older file of that name stays as it was.
    width, height: of the frames. In MP4, MOV and WebM an odd side grows by one pixel, the last one
        repeated.
    fps: frame i is shown at exactly i / fps.
    timeline: instead of `fps`; frame i is shown at exactly `timeline.times[i]`. The clocks of
        WebM and WebP have milliseconds, that of GIF hundredths of a second.
    audio_from: file whose sound is taken over. Packets are copied where the format can hold the
        codec, else encoded as AAC or Opus. Sound beyond the last frame's end is kept for the
        duration of one frame more, then cut.
    audio_origin: seconds of time 0 by the clock of `audio_from`; None = its first picture.
    crf: constant quality, 0 (lossless) to 51; 17 is visually lossless.
    synthetic: note in the file that the video is synthetic and which tool made it.
    alpha: frames are (H, W, 4) RGBA. MOV is then ProRes 4444, WebM is VP9 with alpha. Other formats
        than these and WebP cannot hold it (ValueError).

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
        alpha: bool = False,
    ) -> None:
        self.path = check_output_path(path, tuple(FORMATS))
        kind = FORMATS[self.path.suffix.lower()]
        if alpha and kind.with_alpha is None:
            raise ValueError(f"{self.path}: this format holds no transparency")
        self._format = kind.with_alpha if alpha and kind.with_alpha else kind
        self._planes = 4 if alpha else 3
        if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
            raise UserError(
                f"{self.path}: a video cannot be {width}x{height} pixels large, its sides "
                f"must be from 1 to {MAX_SIDE}"
            )
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
        self._clock = _Clock(self.fps, timeline, self._format.clock)
        self._last_time = -self._format.shortest  # of the last frame that was not left out
        self._synthetic = synthetic
        self._audio_from = None if audio_from is None else check_input_file(audio_from)
        self._audio_origin = audio_origin
        self._temporary: Path | None = None
        self._output: OutputContainer | None = None
        self._audio: AudioTrack | None = None

    def __enter__(self) -> Self:
        import av

        try:
            with self._writing():
                self._temporary = create_temporary(self.path)
                self._output = av.open(
                    str(self._temporary.absolute()),
                    "w",
                    format=self._format.container,
                    container_options=dict(self._format.container_options),
                )
            if self._synthetic and self._format.add_note is None:
                self._output.metadata.update(video_tags())
            self._stream = self._add_stream(self._output)
            sound = self._format.sound
            if self._audio_from is not None and sound is not None:
                self._audio = open_audio(self._audio_from, self._output, sound, self._audio_origin)
            elif self._audio_from is not None:
                warn(f"{self.path}: this format holds no sound, the sound is left out")
            self._encoder = make_encoder(self._stream, self._format.pixels)
        except BaseException:
            self._discard()
            raise
        return self

    def write(self, frame: NDArray[np.uint8]) -> None:
        """Append a frame (height, width, 3) uint8 RGB, or (height, width, 4) RGBA with `alpha`."""
        expected = (self.height, self.width, self._planes)
        if frame.shape != expected or frame.dtype != np.uint8:
            raise ValueError(f"expected a frame {expected} uint8, got {frame.shape} {frame.dtype}")
        if self._output is None:
            raise ValueError("frames are written inside the `with` block of a VideoWriter")
        if self._timeline is not None and self.num_frames == len(self._timeline):
            raise ValueError(f"the timeline has only {len(self._timeline)} frames")
        time = self._time(self.num_frames)
        with self._writing():
            if time - self._last_time >= self._format.shortest:
                self._mux(self._encoder.encode(frame, self._clock.ticks(self.num_frames)))
                self._last_time = time
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
        """When a frame appears. Frame N of a timeline of N frames would follow the last one."""
        if self._timeline is None:
            return number / self.fps
        if number < len(self._timeline):
            return self._timeline.times[number]
        return self._timeline.end + (number - len(self._timeline)) / self.fps

    def _mux(self, packets: "Iterable[Packet]") -> None:
        assert self._output is not None
        last = 0 if self._timeline is None else len(self._timeline) - 1
        for packet in packets:
            # The encoder does not know how long the last frame is shown.
            if self._timeline is not None and packet.pts == self._clock.ticks(last):
                packet.duration = self._clock.ticks(last + 1) - packet.pts
            self._output.mux(packet)

    def _finish(self) -> None:
        assert self._output is not None
        self._mux(self._encoder.flush())
        if self._audio is not None:
            self._audio.copy_until(self._time(self.num_frames + 1))
        self._output.close()
        self._output = None
        assert self._temporary is not None
        if self._synthetic and self._format.add_note is not None:
            self._format.add_note(self._temporary)
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
            raise UserError(
                f"{self.path}: cannot write the video ({reason}), make room or choose another place"
            ) from error

    def _add_stream(self, output: "OutputContainer") -> "VideoStream":
        options = self._format.options(self.crf)
        stream = cast(
            "VideoStream", output.add_stream(self._format.codec, rate=self.fps, options=options)
        )
        context = stream.codec_context
        context.pix_fmt = self._format.pixels
        context.width, context.height = self.width, self.height
        context.time_base = self._clock.tick
        if self._format.pixels.startswith("yuv"):
            context.width, context.height = _even(self.width), _even(self.height)
            context.color_range = LIMITED_RANGE
            context.colorspace = context.color_primaries = context.color_trc = BT709
        return stream


class _Clock:
    """The time of every frame, counted in ticks.

    rate: ticks per second; None = one that makes every time a whole number of ticks, if possible.
    tick: the length of a tick in seconds.
    """

    def __init__(self, fps: Fraction, timeline: Timeline | None, rate: int | None) -> None:
        times = () if timeline is None else (*timeline.times, timeline.end)
        if rate is None and times:
            rate = math.lcm(*(time.denominator for time in times))
            rate = rate if rate <= MAX_CLOCK_RATE else COMMON_CLOCK_RATE
        self.tick = 1 / fps if rate is None else Fraction(1, rate)
        self._fps = fps
        self._ticks: list[int] = []
        for time in times:
            after = self._ticks[-1] + 1 if self._ticks else 0
            self._ticks.append(max(round(time / self.tick), after))

    def ticks(self, number: int) -> int:
        """When frame `number` appears. Frame N of a timeline of N frames is the end of the last."""
        if not self._ticks:
            return round(number / self._fps / self.tick)
        return self._ticks[number]


def _even(side: int) -> int:
    return side + side % 2
