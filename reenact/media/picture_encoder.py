"""Frames into the packets of a video stream, with the pixels that its encoder takes."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from reenact.media.pictures import RGB_PIXELS, exact, picture_from_frame

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream


class PictureEncoder(Protocol):
    def encode(self, frame: NDArray[np.uint8], ticks: int) -> "Iterator[Packet]":
        """The packets that are ready after this frame (H, W, 3 or 4), which appears at `ticks`."""

    def flush(self) -> "Iterator[Packet]":
        """The packets that the encoder still holds."""


def make_encoder(stream: "VideoStream", pixels: str) -> PictureEncoder:
    """The encoder of a stream. pixels: see `VideoFormat`; "pal8" are 256 colours."""
    return PaletteEncoder(stream) if pixels == "pal8" else DirectEncoder(stream, pixels)


class DirectEncoder:
    """Encodes frames whose colours can be computed one pixel at a time."""

    def __init__(self, stream: "VideoStream", pixels: str) -> None:
        from av.video.reformatter import VideoReformatter

        self._stream, self._pixels = stream, pixels
        self._reformatter = VideoReformatter()

    def encode(self, frame: NDArray[np.uint8], ticks: int) -> "Iterator[Packet]":
        if self._pixels.startswith("yuv"):
            picture = picture_from_frame(frame, self._reformatter, self._pixels)
        else:
            picture = _rgb_picture(frame).reformat(format=self._pixels)
        picture.pts, picture.time_base = ticks, self._stream.codec_context.time_base
        yield from self._stream.encode(picture)

    def flush(self) -> "Iterator[Packet]":
        yield from self._stream.encode(None)


class PaletteEncoder:
    """Encodes frames of 256 colours. Every frame has a palette of its own, and is dithered."""

    def __init__(self, stream: "VideoStream") -> None:
        from av.filter import Graph
        from av.video.format import VideoFormat

        self._stream = stream
        context = stream.codec_context
        tick = exact(context.time_base)
        assert tick is not None
        graph = Graph()
        self._input = graph.add_buffer(
            width=context.width,
            height=context.height,
            format=VideoFormat("rgb24"),
            time_base=tick,
        )
        split = graph.add("split")
        palette = graph.add("palettegen", "stats_mode=single:reserve_transparent=0")
        use = graph.add("paletteuse", "new=1:dither=sierra2_4a")
        self._result: Any = graph.add("buffersink")
        self._input.link_to(split)
        split.link_to(palette, 0, 0)
        split.link_to(use, 1, 0)
        palette.link_to(use, 0, 1)
        use.link_to(self._result)
        graph.configure()
        self._graph = graph

    def encode(self, frame: NDArray[np.uint8], ticks: int) -> "Iterator[Packet]":
        picture = _rgb_picture(frame)
        picture.pts, picture.time_base = ticks, self._stream.codec_context.time_base
        self._input.push(picture)
        yield from self._filtered()

    def flush(self) -> "Iterator[Packet]":
        self._input.push(None)
        yield from self._filtered()
        yield from self._stream.encode(None)

    def _filtered(self) -> "Iterator[Packet]":
        import av

        while True:
            try:
                picture = self._result.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            yield from self._stream.encode(picture)


def _rgb_picture(frame: NDArray[np.uint8]) -> "VideoFrame":
    from av.video.frame import VideoFrame

    return VideoFrame.from_ndarray(np.ascontiguousarray(frame), format=RGB_PIXELS[frame.shape[2]])
