"""Copies the sound of one file into another, in step with the pictures."""

import contextlib
import itertools
from collections.abc import Generator, Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

from reenact.errors import UserError
from reenact.files import check_input_file
from reenact.media.container import (
    decoded,
    first_picture_time,
    open_container,
    seconds,
    sound_stream,
    video_stream,
)
from reenact.media.formats import SoundFormat
from reenact.media.timeline import unbroken

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet

# Codecs start with packets that only warm the decoder up. Their times lie just below zero.
PRIMING = Fraction(1, 10)

# Time stamps that differ from the number of samples by less than this are only rounded.
JITTER = Fraction(1, 100)


class AudioTrack:
    """The sound of a file as a stream of `output`.

    Packets are copied as they are if the format of `output` can hold their codec. Otherwise the
    sound is decoded and encoded again. Call `copy_until` with growing times, and `close` at the
    end.

    origin: the time in the input, in seconds, that becomes 0 in the output.
    """

    def __init__(
        self,
        container: "InputContainer",
        source: "AudioStream",
        output: "OutputContainer",
        sound: SoundFormat,
        origin: Fraction,
    ) -> None:
        self._input = container
        self._output = output
        self._packets: Generator[Packet, None, None]
        self._source = source
        self._origin = origin
        if self._source.codec_context.name in sound.copied:
            self._stream = output.add_stream_from_template(self._source)
            self._packets = self._copied()
        else:
            self._stream = _add_encoder(self._source, output, sound)
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
        """Write one packet. Packets that a broken track repeats or puts before 0 are left out."""
        import av

        assert packet.pts is not None
        if packet.pts * packet.time_base < -PRIMING:
            return
        dts = packet.pts if packet.dts is None else packet.dts
        if self._last_dts is not None and dts <= self._last_dts:
            return
        self._last_dts = dts
        packet.stream = self._stream
        # If the muxer refuses a packet, the sound has a gap, but the pictures are not lost.
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
        start: Fraction | None = None
        length = Fraction(0)  # seconds given to the encoder
        first: AudioFrame | None = None
        for frame in self._decoded():
            assert frame.time_base is not None
            first = first or frame
            # After damage the format of the sound may change. The encoder takes one format only.
            if _kind(frame) != _kind(first):
                continue
            if frame.pts is not None:
                time = frame.pts * frame.time_base - self._origin
            else:
                time = Fraction(0) if start is None else start + length
            if start is None:
                if time + Fraction(frame.samples, frame.sample_rate) < -PRIMING:
                    continue
                start = time
            gap = time - (start + length)
            if gap < -JITTER:  # this frame overlaps the last one; later frames keep their times
                continue
            silence = _silence(frame, gap) if gap > JITTER else ()
            for part in itertools.chain(silence, (frame,)):
                # The encoder wants sound without gaps from zero on; `start` is added after it.
                part.pts = round(length * part.sample_rate)
                part.time_base = Fraction(1, part.sample_rate)
                length += Fraction(part.samples, part.sample_rate)
                yield from self._shifted(self._stream.encode(part), start)
        if start is not None:
            yield from self._shifted(self._stream.encode(None), start)

    def _decoded(self) -> Iterator["AudioFrame"]:
        import av

        for packet in _demuxed(self._input, self._source):
            with contextlib.suppress(av.error.FFmpegError):
                yield from self._source.codec_context.decode(packet)

    def _shifted(self, packets: list["Packet"], start: Fraction) -> Iterator["Packet"]:
        for packet in packets:
            if packet.pts is None or packet.dts is None:
                continue
            shift = round(start / packet.time_base)
            packet.pts += shift
            packet.dts += shift
            yield packet


def open_audio(
    path: str | Path,
    output: "OutputContainer",
    sound: SoundFormat,
    origin: Fraction | None = None,
) -> AudioTrack | None:
    """The sound of `path` as a new stream of `output`, or None if it has none.

    sound: what the format of `output` can hold.
    origin: seconds by the clock of `path` that become 0; None = when its pictures start.
    Raises UserError if the file cannot be read.
    """
    import av

    path = check_input_file(path)
    try:
        container = open_container(path)
    except av.error.FFmpegError as error:
        raise UserError(f"{path}: its sound cannot be read, give a video or audio file") from error
    try:
        source = sound_stream(container)
        if source is not None:
            if origin is None:
                origin = _start_of_pictures(path)
            return AudioTrack(container, source, output, sound, origin)
    except BaseException:
        container.close()
        raise
    container.close()
    return None


def _demuxed(container: "InputContainer", stream: "AudioStream") -> Iterator["Packet"]:
    """The packets of the stream. After a jump of its clock, times go on from the last packet."""
    import av

    last: Fraction | None = None
    step = shift = Fraction(0)
    # A damaged end of the file ends the sound there.
    with contextlib.suppress(av.error.FFmpegError):
        for packet in container.demux(stream):
            if packet.pts is not None:
                time = packet.pts * packet.time_base + shift
                if last is not None:
                    jump = unbroken(last, time, step)
                    shift, time = shift + jump, time + jump
                ticks = round(shift / packet.time_base)
                packet.pts += ticks
                packet.dts = None if packet.dts is None else packet.dts + ticks
                last, step = time, Fraction((packet.duration or 0) * packet.time_base)
            yield packet


def _kind(frame: "AudioFrame") -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


def _silence(like: "AudioFrame", length: Fraction) -> Iterable["AudioFrame"]:
    """`length` seconds of silence in frames of at most one second, in the format of `like`."""
    from av.audio.frame import AudioFrame

    zero = b"\x80" if like.format.name in ("u8", "u8p") else b"\0"
    num_samples = round(length * like.sample_rate)
    while num_samples > 0:
        frame = AudioFrame(like.format.name, like.layout.name, min(num_samples, like.sample_rate))
        frame.sample_rate = like.sample_rate
        for plane in frame.planes:
            plane.update(zero * plane.buffer_size)
        num_samples -= frame.samples
        yield frame


def _start_of_pictures(path: Path) -> Fraction:
    """The time in seconds at which the pictures start; 0 for a file with sound only.

    The first picture is decoded, because headers give the start of the packets. In AVI files this
    is not the start of the pictures.
    """
    import av

    with contextlib.suppress(av.error.FFmpegError), open_container(path) as container:
        stream = video_stream(container)
        if stream is not None:
            first = next(decoded(container, stream), None)
            stamp = None if first is None else seconds(first, stream)
            return first_picture_time(path, stream, stamp)
    return Fraction(0)


def _add_encoder(
    source: "AudioStream", output: "OutputContainer", sound: SoundFormat
) -> "AudioStream":
    """A new stream of `output` that encodes sound like that of `source`, mono or stereo."""
    context = source.codec_context
    rate = context.sample_rate if context.sample_rate in sound.rates else 48000
    stream = cast("AudioStream", output.add_stream(sound.codec, rate=rate))
    num_channels = min(context.layout.nb_channels, 2)
    stream.codec_context.layout = "mono" if num_channels == 1 else "stereo"
    stream.codec_context.bit_rate = sound.bits_per_channel * num_channels
    return stream
