"""Videos read and written frame by frame; nothing is held in memory but the frame at hand."""

import contextlib
import itertools
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from reenact.errors import UserError
from reenact.files import check_input_file, check_output_path, temporary_path
from reenact.media.audio import AudioTrack, open_audio, sound_stream
from reenact.media.pictures import (
    BT709,
    LIMITED_RANGE,
    frame_from_picture,
    picture_from_frame,
    read_orientation,
    square_pixel_size,
)

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream
SUFFIXES = (".mp4", ".m4v")
MAX_SIDE = 16384  # the largest picture H.264 can hold

REFUSED_FORMATS = ("tty",)  # FFmpeg plays text files as pictures of a terminal


class VideoReader:
    """The frames of a video in the order they are shown; can be iterated again and again.

    width, height: pixels as shown, after the rotation metadata, with square pixels.
    fps: frames per second, exact (30000/1001); for a variable rate the average, so that
        `num_frames / fps` is the duration.
    num_frames: how many frames the iteration gives. Damage inside a file may cost some more.
    has_audio: whether the file carries sound.

    Damaged packets are passed over. Raises UserError if not one frame can be decoded.
    """

    def __init__(self, path: str | Path) -> None:
        from av.video.reformatter import VideoReformatter

        self.path = check_input_file(path)
        self._reformatter = VideoReformatter()  # kept: high dynamic range is slow to prepare
        with self._opened() as (container, stream):
            self.has_audio = sound_stream(container) is not None
            first = next(_decoded(container, stream), None)
            if first is None:
                raise UserError(f"{self.path}: no picture can be decoded, save the video again")
            self._orientation = read_orientation(first)
            self._stored_size = square_pixel_size(first, stream.sample_aspect_ratio)
        columns, rows = self._stored_size
        self.width, self.height = (
            (rows, columns) if self._orientation.transpose else (columns, rows)
        )
        self.num_frames, self.fps = self._count()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing to free: a file is open only while it is iterated."""

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """Frames (height, width, 3) uint8 RGB."""
        return self.every(1)

    def every(self, step: int, start: int = 0) -> Iterator[NDArray[np.uint8]]:
        """Every `step`-th frame from number `start` on; the others are decoded, not converted."""
        with self._opened() as (container, stream):
            for picture in itertools.islice(_decoded(container, stream), start, None, step):
                frame = frame_from_picture(picture, self._stored_size, self._reformatter)
                yield self._orientation.apply(frame)

    @contextlib.contextmanager
    def _opened(self) -> Iterator[tuple["InputContainer", "VideoStream"]]:
        import av

        try:
            container = av.open(str(self.path.absolute()), metadata_errors="replace")
        except av.error.FFmpegError as error:
            raise UserError(
                f"{self.path}: is not a video that can be read, convert it to mp4"
            ) from error
        with container:
            streams = [s for s in container.streams.video if not _is_cover(s)]
            if not streams or container.format.name in REFUSED_FORMATS:
                raise UserError(f"{self.path}: has no pictures, give a video file")
            streams[0].thread_type = "AUTO"
            yield container, streams[0]

    def _count(self) -> tuple[int, Fraction]:
        """Exact number of frames and frames per second."""
        with self._opened() as (container, stream):
            promised, rate = stream.frames, stream.average_rate or stream.guessed_rate
            times = _packet_times(container, stream)
        if times is None or len(times) != promised:
            # The container does not know, or the file is damaged: only decoding tells.
            with self._opened() as (container, stream):
                times = [_seconds(picture, stream) for picture in _decoded(container, stream)]
        known = [time for time in times if time is not None]
        return len(times), _average_rate(len(times), known, rate)


class VideoWriter:
    """Writes an H.264 video (yuv420p, BT.709, moov first) with the sound of another file.

    path: .mp4 or .m4v. It appears, whole, when the `with` block ends well; an error or
        Ctrl-C leaves nothing behind and an older file of that name untouched.
    width, height: of the frames. An odd one grows by one pixel (H.264), the last one repeated.
    fps: frame i is shown at exactly i / fps.
    audio_from: file whose sound is taken over, in step with its pictures; packets are copied
        where mp4 can hold the codec, else encoded as AAC. Sound beyond the last frame's end is
        kept for one frame more, then cut.
    crf: constant quality, 0 (lossless) to 51; 17 is visually lossless.

    Raises UserError, already when constructed, if the path cannot be written.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        width: int,
        height: int,
        fps: Fraction,
        audio_from: str | Path | None = None,
        crf: int = 17,
    ) -> None:
        self.path = check_output_path(path, SUFFIXES)
        if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
            raise UserError(f"{self.path}: a video cannot be {width}x{height} pixels large")
        if fps <= 0:
            raise UserError(f"{self.path}: frames per second must be positive, got {fps}")
        self.width, self.height, self.fps, self.crf = width, height, Fraction(fps), crf
        self.num_frames = 0
        self._audio_from = None if audio_from is None else check_input_file(audio_from)
        self._temporary = temporary_path(self.path)
        self._output: OutputContainer | None = None
        self._audio: AudioTrack | None = None

    def __enter__(self) -> Self:
        import av
        from av.video.reformatter import VideoReformatter

        try:
            with self._writing():
                self._output = av.open(
                    str(self._temporary.absolute()),
                    "w",
                    format="mp4",
                    container_options={"movflags": "+faststart"},
                )
            self._stream = _add_h264_stream(
                self._output, self.width, self.height, self.fps, self.crf
            )
            if self._audio_from is not None:
                self._audio = open_audio(self._audio_from, self._output)
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
        picture = picture_from_frame(frame, self._reformatter)
        picture.pts, picture.time_base = self.num_frames, 1 / self.fps
        with self._writing():
            self._output.mux(self._stream.encode(picture))
            self.num_frames += 1
            if self._audio:
                self._audio.copy_until(self.num_frames / self.fps)

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
                os.replace(self._temporary, self.path)
        finally:
            self._discard()

    def _finish(self) -> None:
        assert self._output is not None
        self._output.mux(self._stream.encode(None))
        if self._audio is not None:
            self._audio.copy_until((self.num_frames + 1) / self.fps)
        self._output.close()
        self._output = None

    def _discard(self) -> None:
        """Close what is open and remove the temporary file, whatever the state."""
        if self._audio is not None:
            self._audio.close()
        self._audio = None
        if self._output is not None:
            with contextlib.suppress(Exception):  # an unfinished file may not close cleanly
                self._output.close()
            self._output = None
        self._temporary.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """A full disk and the like become a UserError."""
        try:
            yield
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise UserError(f"{self.path}: cannot write the video ({reason})") from error


def _is_cover(stream: "VideoStream") -> bool:
    """Whether the stream is a cover picture of a sound file, or cannot be decoded at all."""
    from av.stream import Disposition

    cover = Disposition.attached_pic | Disposition.timed_thumbnails
    return stream.codec_context is None or bool(stream.disposition & cover)


def _decoded(container: "InputContainer", stream: "VideoStream") -> Iterator["VideoFrame"]:
    """Every picture that can be decoded, in the order of presentation."""
    import av

    # A broken end of the file ends the loop; what the decoder still holds comes after it.
    with contextlib.suppress(av.error.FFmpegError):
        for packet in container.demux(stream):
            if packet.size == 0:  # the demuxer's own end mark; the decoder is flushed below
                break
            with contextlib.suppress(av.error.FFmpegError):
                yield from stream.codec_context.decode(packet)
    with contextlib.suppress(av.error.FFmpegError):
        yield from stream.codec_context.decode(None)


def _packet_times(
    container: "InputContainer", stream: "VideoStream"
) -> list[Fraction | None] | None:
    """Seconds of every packet that will be shown, or None if the file is damaged."""
    import av

    times: list[Fraction | None] = []
    try:
        for packet in container.demux(stream):
            if packet.is_corrupt:
                return None
            if packet.size > 0 and not packet.is_discard:
                times.append(_seconds(packet, stream))
    except av.error.FFmpegError:
        return None
    return times


def _seconds(timed: "Packet | VideoFrame", stream: "VideoStream") -> Fraction | None:
    # Pictures flushed out of the decoder carry no time base of their own.
    if timed.pts is None or stream.time_base is None:
        return None
    return Fraction(timed.pts * stream.time_base)


def _average_rate(num_frames: int, times: list[Fraction], rate: Fraction | None) -> Fraction:
    """The container's rate, unless over the whole video it is off by more than a frame."""
    if num_frames > 1 and len(times) == num_frames and max(times) > min(times):
        span = max(times) - min(times)
        if not rate or abs(span * rate - (num_frames - 1)) > 1:
            rate = (num_frames - 1) / span
    # Bounded so that every rate fits the clock of an mp4; 1001 and 12800 pass unchanged.
    return Fraction(rate or 25).limit_denominator(20_000)


def _add_h264_stream(
    output: "OutputContainer", width: int, height: int, fps: Fraction, crf: int
) -> "VideoStream":
    stream: VideoStream = output.add_stream("libx264", rate=fps, options={"crf": str(crf)})
    context = stream.codec_context
    context.width, context.height = width + width % 2, height + height % 2
    context.pix_fmt = "yuv420p"
    context.time_base = 1 / fps
    context.color_range = LIMITED_RANGE
    context.colorspace = context.color_primaries = context.color_trc = BT709
    return stream
