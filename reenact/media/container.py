"""Video and sound files opened through PyAV, and the streams in them."""

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reenact.media.fragments import picture_lag
from reenact.media.pictures import exact

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream


# The formats that are read, by FFmpeg's names. Each of them reads one file and nothing else. Not
# here are formats that open other files or addresses (concat, hls, dash, image2, ...), or that take
# any text for a video (tty).
DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,h264,hevc,av1,obu,ivf,flv,"
    "asf,ogg,nut,mxf,dv,rm,wtv,swf,mjpeg,yuv4mpegpipe,gif,apng,"
    "aac,ac3,eac3,mp3,wav,w64,flac,aiff,caf,amr,au,wv,png_pipe,jpeg_pipe"
)


def open_container(path: Path) -> "InputContainer":
    """The opened file.

    Raises av.error.FFmpegError if it is no video or sound file, or not in one of DEMUXERS.
    """
    import av

    options = {"format_whitelist": DEMUXERS, "protocol_whitelist": "file"}
    # PyAV 19 and newer replace what is not UTF-8 in the titles of a file by themselves.
    is_old = int(av.__version__.partition(".")[0]) < 19
    more: dict[str, Any] = {"metadata_errors": "replace"} if is_old else {}
    return av.open(str(path.absolute()), options=options, **more)


def video_stream(container: "InputContainer") -> "VideoStream | None":
    """The first stream of moving pictures that can be decoded, or None."""
    from av.stream import Disposition

    cover = Disposition.attached_pic | Disposition.timed_thumbnails
    for stream in container.streams.video:
        if stream.codec_context is not None and not stream.disposition & cover:
            return stream
    return None


def why_no_pictures(container: "InputContainer") -> str:
    """Why `video_stream` is None, and what to do about it."""
    if any(stream.codec_context is None for stream in container.streams.video):
        return "its pictures are in a format that cannot be decoded, convert it to mp4"
    if sound_stream(container) is None:
        return "the file is damaged, no pictures can be found in it, copy or download it again"
    return "has no pictures, give a video file"


def sound_stream(container: "InputContainer") -> "AudioStream | None":
    """The first sound stream that can be decoded, or None."""
    for stream in container.streams.audio:
        if stream.codec_context is not None and stream.codec_context.sample_rate > 0:
            return stream
    return None


def decoded(container: "InputContainer", stream: "VideoStream") -> Iterator["VideoFrame"]:
    """Every picture that can be decoded, in the order in which they are shown."""
    import av

    decoder = _decoder_of(stream)
    # A damaged end of the file ends the loop. The decoder still holds some pictures then.
    with contextlib.suppress(av.error.FFmpegError):
        for packet in container.demux(stream):
            if packet.size == 0:  # the demuxer's own end mark; the decoder is flushed below
                break
            with contextlib.suppress(av.error.FFmpegError):
                yield from decoder.decode(packet)
    with contextlib.suppress(av.error.FFmpegError):
        yield from decoder.decode(None)


def _decoder_of(stream: "VideoStream") -> "VideoCodecContext":
    """The decoder of a stream; for VP8 and VP9 with transparency the one that gives it.

    FFmpeg's own decoders of these two leave transparency out.
    """
    import av
    from av.codec.codec import UnknownCodecError
    from av.video.codeccontext import VideoCodecContext

    own = stream.codec_context
    name = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(own.codec.canonical_name)
    if name is None or stream.metadata.get("alpha_mode") != "1":
        return own
    try:
        decoder = av.CodecContext.create(name, "r")
    except UnknownCodecError:
        return own
    assert isinstance(decoder, VideoCodecContext)
    decoder.extradata = own.extradata
    return decoder


def first_picture_time(path: Path, stream: "VideoStream", first: Fraction | None) -> Fraction:
    """When the first picture is shown, by the clock of the sound.

    first: the time stamp that FFmpeg gives it.
    """
    tick = exact(stream.time_base)
    if first is None or tick is None:
        return Fraction(0)
    return first - picture_lag(path, stream.id) * tick


def seconds(timed: "Packet | VideoFrame", stream: "VideoStream") -> Fraction | None:
    """The time stamp of a packet or picture of the stream, None if it has none."""
    # Pictures that come from the flushed decoder carry no time base of their own.
    if timed.pts is None or stream.time_base is None:
        return None
    return Fraction(timed.pts * stream.time_base)


def duration(timed: "Packet | VideoFrame", stream: "VideoStream") -> Fraction | None:
    """How long a packet or picture of the stream is shown, None if the file does not say."""
    if not timed.duration or stream.time_base is None:
        return None
    return Fraction(timed.duration * stream.time_base)
