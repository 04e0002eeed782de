"""Videos read and written frame by frame; nothing is held in memory but the frame at hand."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from reenact.audio import AudioTrack, open_audio
from reenact.errors import UserError
from reenact.files import check_input_file, check_output_path, temporary_path

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov"}
MAX_SIDE = 16384  # the largest picture H.264 can hold

# Values of the H.264/H.265 standards for `colorspace`, primaries, transfer and `color_range`.
BT709, UNSPECIFIED, LIMITED_RANGE = 1, 2, 1

# Files that FFmpeg takes for videos and nobody else does: text as terminal pictures.
REFUSED_FORMATS = frozenset({"tty"})


@dataclass(frozen=True, kw_only=True)
class _Orientation:
    """How the stored picture is turned to be shown: first transposed, then mirrored."""

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    def apply(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self.transpose:
            frame = frame.swapaxes(0, 1)
        frame = frame[:: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]
        return np.ascontiguousarray(frame)


class VideoReader:
    """The frames of a video in the order they are shown; can be iterated again and again.

    width, height: pixels as shown, after the rotation metadata, with square pixels.
    fps: frames per second, exact (30000/1001); for a variable rate the average, so that
        `num_frames / fps` is the duration.
    num_frames: how many frames the iteration gives. Damage inside a file may cost some more.
    has_audio: whether the file carries sound.

    Damaged packets are passed over. Raises UserError if not one frame can be decoded. Files are
    open only during an iteration.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = check_input_file(path)
        with self._opened() as (container, stream):
            self.has_audio = len(container.streams.audio) > 0
            first = next(_decoded(container, stream), None)
            if first is None:
                raise UserError(f"{self.path}: no picture can be decoded, save the video again")
            self._orientation = _orientation(first)
            self._stored_size = _square_pixel_size(first, stream.sample_aspect_ratio)
        columns, rows = self._stored_size
        self.width, self.height = (
            (rows, columns) if self._orientation.transpose else (columns, rows)
        )
        self.num_frames, self.fps = self._count()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing to free: a file is open only while it is iterated."""

    def __len__(self) -> int:
        return self.num_frames

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """Frames (height, width, 3) uint8 RGB."""
        from av.video.reformatter import VideoReformatter

        reformatter = VideoReformatter()
        with self._opened() as (container, stream):
            for picture in _decoded(container, stream):
                frame = _rgb(picture, self._stored_size, reformatter)
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
                times = [_seconds(picture) for picture in _decoded(container, stream)]
        known = [time for time in times if time is not None]
        return len(times), _average_rate(len(times), known, rate)


class VideoWriter:
    """Writes an H.264 video (yuv420p, BT.709, moov first) with the sound of another file.

    path: .mp4, .m4v or .mov. It appears, whole, when the `with` block ends well; an error or
        Ctrl-C leaves nothing behind and an older file of that name untouched.
    width, height: of the frames. H.264 needs even sizes: an odd one grows by one pixel, the last
        column or row repeated.
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
        self.path = check_output_path(path, tuple(CONTAINERS))
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
                    format=CONTAINERS[self.path.suffix.lower()],
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
        import av

        if frame.shape != (self.height, self.width, 3) or frame.dtype != np.uint8:
            expected = (self.height, self.width, 3)
            raise ValueError(f"expected a frame {expected} uint8, got {frame.shape} {frame.dtype}")
        if self._output is None:
            raise ValueError("frames are written inside the `with` block of a VideoWriter")
        even = np.pad(frame, ((0, self.height % 2), (0, self.width % 2), (0, 0)), mode="edge")
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
        picture = _yuv420(picture, self._reformatter)
        picture.pts, picture.time_base = self.num_frames, 1 / self.fps
        with self._writing():
            self._mux(self._stream.encode(picture))
            self.num_frames += 1
            if self._audio is not None:
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
        self._mux(self._stream.encode(None))
        if self._audio is not None:
            self._audio.copy_until((self.num_frames + 1) / self.fps)
        output, self._output = self._output, None
        output.close()

    def _mux(self, packets: list["Packet"]) -> None:
        assert self._output is not None
        self._output.mux(packets)

    def _discard(self) -> None:
        """Close what is open and remove the temporary file, whatever the state."""
        if self._audio is not None:
            self._audio.close()
            self._audio = None
        if self._output is not None:
            output, self._output = self._output, None
            with contextlib.suppress(Exception):  # an unfinished file may not close cleanly
                output.close()
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
                times.append(_seconds(packet))
    except av.error.FFmpegError:
        return None
    return times


def _seconds(timed: "Packet | VideoFrame") -> Fraction | None:
    return None if timed.pts is None else timed.pts * timed.time_base


def _average_rate(num_frames: int, times: list[Fraction], rate: Fraction | None) -> Fraction:
    """The container's rate, unless over the whole video it is off by more than a frame."""
    if num_frames > 1 and len(times) == num_frames and max(times) > min(times):
        span = max(times) - min(times)
        if not rate or abs(span * rate - (num_frames - 1)) > 1:
            rate = (num_frames - 1) / span
    # Bounded so that every rate fits the clock of an mp4; 1001 and 12800 pass unchanged.
    return Fraction(rate or 25).limit_denominator(20_000)


def _orientation(picture: "VideoFrame") -> _Orientation:
    """From the display matrix [a b u; c d v; x y w]: x' = a x + c y, y' = b x + d y."""
    from av.sidedata.sidedata import Type

    for data in picture.side_data:
        if data.type == Type.DISPLAYMATRIX:
            a, b, _, c, d = (int(v) for v in np.frombuffer(bytes(data), dtype=np.int32)[:5])
            if abs(b) > abs(a):
                return _Orientation(transpose=True, flip_rows=b < 0, flip_columns=c < 0)
            return _Orientation(flip_rows=d < 0, flip_columns=a < 0)
    return _Orientation()


def _square_pixel_size(picture: "VideoFrame", aspect: Fraction | None) -> tuple[int, int]:
    """Stored (width, height) stretched, never shrunk, to square pixels."""
    width, height = picture.width, picture.height
    if not aspect or not Fraction(1, 4) <= aspect <= 4:  # nonsense in some headers
        return width, height
    if aspect > 1:
        return round(width * aspect), height
    return width, round(height / aspect)


def _rgb(picture: "VideoFrame", size: tuple[int, int], reformatter: Any) -> NDArray[np.uint8]:
    """A decoded picture as (height, width, 3) uint8, transparency over white."""
    from av.video.reformatter import ColorRange, Colorspace, Interpolation

    has_alpha = any(component.is_alpha for component in picture.format.components)
    colorspace = None
    if picture.colorspace == UNSPECIFIED and not picture.format.is_rgb:
        # The convention of players: untagged high definition is BT.709, smaller is BT.601.
        colorspace = Colorspace.ITU709 if picture.height >= 720 else Colorspace.ITU601
    levels: NDArray[np.uint8] = reformatter.reformat(
        picture,
        width=size[0],
        height=size[1],
        format="rgba" if has_alpha else "rgb24",
        src_colorspace=colorspace,
        dst_color_range=ColorRange.JPEG,
        interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND,
    ).to_ndarray()
    if not has_alpha:
        return levels
    alpha = levels[..., 3:].astype(np.uint16)
    blended = (levels[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255
    return blended.astype(np.uint8)


def _yuv420(picture: "VideoFrame", reformatter: Any) -> "VideoFrame":
    from av.video.reformatter import ColorRange, Colorspace, Interpolation

    converted: VideoFrame = reformatter.reformat(
        picture,
        format="yuv420p",
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
        interpolation=Interpolation.BICUBIC | Interpolation.ACCURATE_RND,
    )
    return converted


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
