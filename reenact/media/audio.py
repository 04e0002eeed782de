"""The sound of one file carried over into another, in step with its pictures."""

import contextlib
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from reenact.errors import UserError
from reenact.files import check_input_file

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet

# What mp4 can hold and players play; everything else (PCM, Vorbis, WMA, ...) becomes AAC.
COPIED_CODECS = frozenset({"aac", "ac3", "alac", "eac3", "flac", "mp3", "mp3float", "opus"})
AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
AAC_BITS_PER_CHANNEL = 96_000

# Codecs start with packets that only warm the decoder up; they carry times just below zero.
PRIMING = Fraction(1, 10)


class AudioTrack:
    """The sound of a file as a stream of `output`; times count from the first picture.

    Packets are copied as they are where mp4 can hold the codec, else decoded and encoded as AAC.
    origin: seconds of the first picture in the input, zero in the output.
    `copy_until` must be called with growing times; `close` frees the input.
    """

    def __init__(
        self,
        container: "InputContainer",
        source: "AudioStream",
        output: "OutputContainer",
        origin: Fraction,
    ) -> None:
        self._input = container
        self._output = output
        self._packets: Generator[Packet, None, None]
        self._source = source
        self._origin = origin
        if self._source.codec_context.name in COPIED_CODECS:
            self._stream = output.add_stream_from_template(self._source)
            self._packets = self._copied()
        else:
            self._stream = _add_aac_stream(self._source, output)
            self._packets = self._transcoded()
        self._waiting: Packet | None = None
        self._last_dts: int | None = None

    def copy_until(self, seconds: Fraction) -> None:
        """Write every packet that starts before `seconds` and was not written yet."""
        while (packet := self._waiting or next(self._packets, None)) is not None:
            self._waiting = packet
            if packet.pts is None or packet.pts * packet.time_base >= seconds:
                return
            self._waiting = None
            self._mux(packet)

    def close(self) -> None:
        self._packets.close()
        self._input.close()

    def _mux(self, packet: "Packet") -> None:
        """Write one packet, leaving out what a broken track repeats or puts before the start."""
        import av

        assert packet.pts is not None
        if packet.pts * packet.time_base < -PRIMING:
            return
        dts = packet.pts if packet.dts is None else packet.dts
        if self._last_dts is not None and dts <= self._last_dts:
            return
        self._last_dts = dts
        packet.stream = self._stream
        # A packet the muxer refuses is a gap in the sound, no reason to lose the pictures.
        with contextlib.suppress(av.error.InvalidDataError, av.error.ArgumentError):
            self._output.mux(packet)

    def _copied(self) -> Generator["Packet", None, None]:
        for packet in _demuxed(self._input, self._source):
            if packet.size == 0 or packet.pts is None:
                continue
            shift = round(self._origin / packet.time_base)
            packet.pts -= shift
            packet.dts = packet.pts if packet.dts is None else packet.dts - shift
            yield packet

    def _transcoded(self) -> Generator["Packet", None, None]:
        import av

        start: Fraction | None = None
        num_samples = 0
        for packet in _demuxed(self._input, self._source):
            try:
                frames = self._source.codec_context.decode(packet)
            except av.error.FFmpegError:
                continue
            for frame in frames:
                if start is None:
                    assert frame.time_base is not None
                    start = (frame.pts or 0) * frame.time_base - self._origin
                # The encoder wants sound without gaps from zero on; `start` is added after it.
                frame.pts, frame.time_base = num_samples, Fraction(1, frame.sample_rate)
                num_samples += frame.samples
                yield from self._shifted(self._stream.encode(frame), start)
        if start is not None:
            yield from self._shifted(self._stream.encode(None), start)

    def _shifted(self, packets: list["Packet"], start: Fraction) -> Iterator["Packet"]:
        for packet in packets:
            if packet.pts is None or packet.dts is None:
                continue
            shift = round(start / packet.time_base)
            packet.pts += shift
            packet.dts += shift
            yield packet


def sound_stream(container: "InputContainer") -> "AudioStream | None":
    """The first audio stream that can be decoded, or None."""
    for stream in container.streams.audio:
        if stream.codec_context is not None and stream.codec_context.sample_rate > 0:
            return stream
    return None


def open_audio(path: str | Path, output: "OutputContainer") -> AudioTrack | None:
    """The sound of `path` as a new stream of `output`, or None if it has none.

    Raises UserError if the file cannot be read.
    """
    import av

    path = check_input_file(path)
    try:
        container = _opened(path)
    except av.error.FFmpegError as error:
        raise UserError(f"{path}: its sound cannot be read, give a video or audio file") from error
    try:
        source = sound_stream(container)
        if source is not None:
            return AudioTrack(container, source, output, _first_picture_time(path))
    except BaseException:
        container.close()
        raise
    container.close()
    return None


def _demuxed(container: "InputContainer", stream: "AudioStream") -> Iterator["Packet"]:
    import av

    # A damaged end of the file ends the sound there.
    with contextlib.suppress(av.error.FFmpegError):
        yield from container.demux(stream)


def _first_picture_time(path: Path) -> Fraction:
    """Seconds at which the pictures start; zero without pictures (a sound file).

    By decoding: headers give the start of the packets, in AVI not that of the pictures.
    """
    import av

    with contextlib.suppress(av.error.FFmpegError), _opened(path) as container:
        if container.streams.video:
            stream = container.streams.video[0]
            first = next(container.decode(stream), None)
            if first is not None and first.pts is not None and stream.time_base is not None:
                return Fraction(first.pts * stream.time_base)
    return Fraction(0)


def _opened(path: Path) -> "InputContainer":
    import av

    return av.open(str(path.absolute()), metadata_errors="replace")


def _add_aac_stream(source: "AudioStream", output: "OutputContainer") -> "AudioStream":
    context = source.codec_context
    rate = next((r for r in AAC_RATES if r == context.sample_rate), 48000)
    stream = output.add_stream("aac", rate=rate)
    num_channels = min(context.layout.nb_channels, 2)
    stream.codec_context.layout = "mono" if num_channels == 1 else "stereo"
    stream.codec_context.bit_rate = AAC_BITS_PER_CHANNEL * num_channels
    return stream
