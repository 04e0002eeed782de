"""Flashes and beeps: whatever the container, a beep stays at its flash, each at its own time."""

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from reenact.errors import UserError
from reenact.media.formats import FORMATS
from reenact.media.timeline import constant_timeline
from reenact.media.video_reader import VideoReader
from reenact.media.video_writer import VideoWriter

SAMPLE_RATE = 48000
BEEP = 0.1  # seconds

CONSTANT = [Fraction(i, 30) for i in range(75)]
TELEVISION = [Fraction(1001 * i, 30000) for i in range(75)]
VARIABLE = [Fraction(i, 10) for i in range(10)] + [1 + Fraction(i, 30) for i in range(45)]


@dataclass(frozen=True, kw_only=True)
class Events:
    """Seconds at which flashes and beeps begin, and the gaps between them in the file."""

    flashes: np.ndarray
    beeps: np.ndarray

    @property
    def offsets(self) -> np.ndarray:
        return self.beeps - self.flashes


def make_clip(
    path: Path,
    times: list[Fraction],
    flashes: tuple[int, ...],
    *,
    codec: str = "libx264",
    audio: str = "aac",
    clock: int = 90_000,
    delay: Fraction = Fraction(0),
    gap: tuple[float, float] = (0, 0),
    movflags: str = "",
) -> list[float]:
    """A clip with white frames `flashes` and a beep at each; the seconds of the flashes.

    delay: of the pictures, against the sound. gap: seconds between which the sound is missing.
    """
    seconds = [float(times[i] + delay) for i in flashes]
    ticks = np.arange(int(3 * SAMPLE_RATE)) / SAMPLE_RATE
    tone = np.zeros_like(ticks)
    for start in seconds:
        now = (ticks >= start) & (ticks < start + BEEP)
        tone[now] = 0.8 * np.sin(2 * np.pi * 1000 * (ticks[now] - start))
    pcm = (tone * 32767).astype(np.int16)[None]
    options = {"movflags": movflags} if movflags else {}
    with av.open(str(path), "w", options=options) as container:
        pictures = container.add_stream(codec, rate=30)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        pictures.codec_context.time_base = Fraction(1, clock)
        sound = container.add_stream(audio, rate=SAMPLE_RATE)
        sound.layout = "mono"
        packets = []
        for start in range(0, pcm.shape[1], 1024):
            if gap[0] <= start / SAMPLE_RATE < gap[1]:
                continue
            part = av.AudioFrame.from_ndarray(pcm[:, start : start + 1024], layout="mono")
            part.sample_rate, part.pts, part.time_base = (
                SAMPLE_RATE,
                start,
                Fraction(1, SAMPLE_RATE),
            )
            packets += sound.encode(part)
        packets += sound.encode(None)
        for i, time in enumerate(times):
            frame = np.full((48, 64, 3), 235 if i in flashes else 20, np.uint8)
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="yuv420p")
            picture.pts, picture.time_base = round((time + delay) * clock), Fraction(1, clock)
            packets += pictures.encode(picture)
        packets += pictures.encode(None)
        for packet in sorted(packets, key=lambda p: p.dts * p.time_base):
            container.mux(packet)
    return seconds


def events(path: Path) -> Events:
    flashes, was_white = [], False
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        for picture in container.decode(stream):
            white = picture.to_ndarray(format="gray").mean() > 128
            if white and not was_white:
                flashes.append(float(picture.pts * stream.time_base))
            was_white = white
    beeps = [-9.0]
    last = -9.0
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            levels = frame.to_ndarray()[0].astype(np.float64)
            levels /= {"s16": 32768, "s16p": 32768}.get(frame.format.name, 1)
            for loud in np.flatnonzero(np.abs(levels) > 0.25):
                time = float(frame.pts * frame.time_base) + loud / frame.sample_rate
                if time > last + BEEP:
                    beeps.append(time)
                last = time
    return Events(flashes=np.array(flashes), beeps=np.array(beeps[1:]))


def copied(source: Path, target: Path, **options) -> VideoReader:
    reader = VideoReader(source, **options)
    with VideoWriter(
        target,
        width=reader.width,
        height=reader.height,
        timeline=reader.timeline,
        audio_from=source,
        audio_origin=reader.origin,
    ) as writer:
        for frame in reader:
            writer.write(frame)
    return reader


FILES = [  # suffix, codec, audio, movflags
    ("mp4", "libx264", "aac", ""),
    ("mp4", "libx264", "aac", "frag_keyframe+empty_moov"),
    ("mp4", "libx264", "flac", "frag_keyframe+empty_moov+default_base_moof+delay_moov"),
    ("mov", "mpeg4", "pcm_s16le", ""),
    ("mkv", "libx264", "libmp3lame", ""),
    ("mkv", "libx264", "pcm_s16le", ""),
    ("webm", "libvpx", "libopus", ""),
    ("ts", "libx264", "mp2", ""),
    ("flv", "flv1", "aac", ""),
]


@pytest.mark.parametrize(("suffix", "codec", "audio", "movflags"), FILES)
@pytest.mark.parametrize("times", [TELEVISION, VARIABLE], ids=["29.97", "variable"])
def test_beeps_stay_at_their_flashes(
    tmp_path: Path, suffix: str, codec: str, audio: str, movflags: str, times: list[Fraction]
) -> None:
    source = tmp_path / f"a.{suffix}"
    clock = 30_000 if codec in ("mpeg4", "flv1") else 90_000
    make_clip(source, times, (20, 50), codec=codec, audio=audio, clock=clock, movflags=movflags)
    before = events(source)
    reader = copied(source, tmp_path / "b.mp4")
    after = events(tmp_path / "b.mp4")
    assert len(after.flashes) == len(after.beeps) == 2
    # Containers may round to milliseconds, MP3 and Opus smear the start of a beep a little.
    np.testing.assert_allclose(after.offsets, before.offsets, atol=0.0015)
    np.testing.assert_allclose(np.diff(after.flashes), float(times[50] - times[20]), atol=0.0011)
    assert reader.timeline.is_constant == (times is not VARIABLE)
    if times is not VARIABLE:
        assert reader.fps == 1 / (times[1] - times[0])
        assert VideoReader(tmp_path / "b.mp4").timeline == constant_timeline(75, reader.fps)


def test_variable_times_are_equal_in_the_result(tmp_path: Path) -> None:
    make_clip(tmp_path / "a.mp4", VARIABLE, (20, 50))
    reader = copied(tmp_path / "a.mp4", tmp_path / "b.mp4")
    assert reader.timeline.times == tuple(VARIABLE)
    assert reader.timeline.end == Fraction(5, 2)
    assert VideoReader(tmp_path / "b.mp4").timeline == reader.timeline
    with av.open(str(tmp_path / "b.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.duration * stream.time_base == Fraction(5, 2)


def test_the_case_that_lost_its_lip_sync(shared: Path, tmp_path: Path) -> None:
    copied(shared / "cases" / "variable_rate.mp4", tmp_path / "b.mp4")
    times = VideoReader(tmp_path / "b.mp4").timeline.times
    assert times[20] == 2
    assert times == (
        *(Fraction(i, 10) for i in range(20)),
        *(2 + Fraction(i, 30) for i in range(40)),
    )


@pytest.mark.parametrize("audio", ["aac", "pcm_s16le", "libmp3lame"])
def test_a_gap_in_the_sound_shifts_nothing(tmp_path: Path, audio: str) -> None:
    source = tmp_path / "a.mkv"
    seconds = make_clip(source, CONSTANT, (10, 60), audio=audio, gap=(0.8, 1.205))
    copied(source, tmp_path / "b.mp4")
    after = events(tmp_path / "b.mp4")
    np.testing.assert_allclose(after.flashes, seconds, atol=1e-6)
    # Encoders that were given a gap while the test made its clip are off by a few samples.
    np.testing.assert_allclose(after.beeps, events(source).beeps, atol=0.0015)
    np.testing.assert_allclose(after.beeps, seconds, atol=0.03)


@pytest.mark.parametrize("audio", ["aac", "pcm_s16le"])
def test_sound_before_the_pictures_is_kept(tmp_path: Path, audio: str) -> None:
    source, target = tmp_path / "a.mkv", tmp_path / "b.mp4"
    make_clip(source, CONSTANT, (0, 45), audio=audio, delay=Fraction(1, 2))
    reader = copied(source, target)
    assert reader.timeline == constant_timeline(75, Fraction(30), Fraction(1, 2))
    np.testing.assert_allclose(events(target).flashes, [0.5, 2.0], atol=1e-6)
    np.testing.assert_allclose(events(target).beeps, [0.5, 2.0], atol=0.0015)


def test_what_an_edit_list_hides_stays_hidden(tmp_path: Path) -> None:
    # Pictures and sound that start before zero: MP4 stores them, and an edit list hides them.
    source, target = tmp_path / "a.mp4", tmp_path / "b.mp4"
    make_clip(source, CONSTANT, (30, 60))
    with av.open(str(source)) as old, av.open(str(tmp_path / "cut.mp4"), "w") as new:
        streams = {stream.index: new.add_stream_from_template(stream) for stream in old.streams}
        for packet in old.demux():
            if packet.dts is not None:
                shift = round(Fraction(1, 2) / packet.time_base)
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                packet.stream = streams[packet.stream.index]
                new.mux(packet)
    before = events(tmp_path / "cut.mp4")
    assert before.flashes[0] == pytest.approx(0.5)
    reader = copied(tmp_path / "cut.mp4", target)
    assert reader.num_frames == 60
    np.testing.assert_allclose(events(target).flashes, before.flashes, atol=1e-6)
    np.testing.assert_allclose(events(target).beeps, before.beeps, atol=0.0015)


@pytest.mark.parametrize("times", [CONSTANT, VARIABLE], ids=["constant", "variable"])
@pytest.mark.parametrize("movflags", ["cmaf", "frag_keyframe+negative_cts_offsets"])
def test_fragments_with_negative_offsets_are_in_step(
    tmp_path: Path, times: list[Fraction], movflags: str
) -> None:
    seconds = make_clip(tmp_path / "a.mp4", times, (20, 50), movflags=movflags)
    copied(tmp_path / "a.mp4", tmp_path / "b.mp4")
    after = events(tmp_path / "b.mp4")
    np.testing.assert_allclose(after.flashes, seconds, atol=1e-4)
    # Such files do not say that the first packet of AAC, 1024 samples, only warms it up.
    np.testing.assert_allclose(after.offsets, 1024 / SAMPLE_RATE, atol=0.0015)


def test_a_reset_clock_goes_on(tmp_path: Path) -> None:
    make_clip(tmp_path / "part.ts", CONSTANT, (15, 45), audio="mp2")
    part = (tmp_path / "part.ts").read_bytes()
    (tmp_path / "a.ts").write_bytes(part + part)
    reader = copied(tmp_path / "a.ts", tmp_path / "b.mp4")
    assert reader.timeline == constant_timeline(150, Fraction(30))
    after = events(tmp_path / "b.mp4")
    np.testing.assert_allclose(after.flashes, [0.5, 1.5, 3.0, 4.0], atol=1e-6)
    # The sound of the first part is 0.5 s longer than its pictures.
    np.testing.assert_allclose(after.offsets[:2], 0, atol=0.0015)


# Other formats of the result


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".webm"])
@pytest.mark.parametrize("audio", ["aac", "pcm_s16le", "libopus", "libmp3lame"])
def test_sound_stays_in_step(tmp_path: Path, suffix: str, audio: str) -> None:
    make_clip(tmp_path / "a.mkv", VARIABLE, (20, 50), audio=audio)
    copied(tmp_path / "a.mkv", tmp_path / f"b{suffix}")
    before, after = events(tmp_path / "a.mkv"), events(tmp_path / f"b{suffix}")
    np.testing.assert_allclose(after.flashes, before.flashes, atol=0.0011)
    np.testing.assert_allclose(after.beeps, before.beeps, atol=0.002)
    with av.open(str(tmp_path / f"b{suffix}")) as container:
        codec = container.streams.audio[0].codec_context.name
    kept = {"libopus": "opus", "libmp3lame": "mp3float"}.get(audio, audio)
    encoded = {".webm": "opus"}.get(suffix, "aac")
    sound = FORMATS[suffix].sound
    assert sound is not None
    assert codec == (kept if kept in sound.copied else encoded)


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_sound_that_a_format_cannot_hold_is_warned_of(
    tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make_clip(tmp_path / "a.mkv", VARIABLE[:5], (2,))
    copied(tmp_path / "a.mkv", tmp_path / f"b{suffix}")
    line = (
        f"warning: {tmp_path / f'b{suffix}'}: this format holds no sound, the sound is left out\n"
    )
    assert capsys.readouterr().err == line


# Cut and resampled by choice


def test_a_part_of_a_clip_keeps_its_sound_in_step(tmp_path: Path) -> None:
    source, target = tmp_path / "a.mp4", tmp_path / "b.mp4"
    make_clip(source, VARIABLE, (20, 50))
    reader = copied(source, target, start=0.95, end=2.4)
    assert reader.origin == 1
    assert reader.timeline == constant_timeline(42, Fraction(30))
    assert reader.num_frames == len(list(reader)) == VideoReader(target).num_frames == 42
    np.testing.assert_allclose(events(target).flashes, [1 / 3, 4 / 3], atol=1e-4)
    np.testing.assert_allclose(events(target).offsets, 0, atol=0.0015)
    with av.open(str(target)) as container:
        sound = container.streams.audio[0]
        assert float(sound.duration * sound.time_base) < 1.5


def test_another_rate_keeps_the_duration_and_the_sound(tmp_path: Path) -> None:
    source, target = tmp_path / "a.mp4", tmp_path / "b.mp4"
    make_clip(source, VARIABLE, (20, 50))
    reader = copied(source, target, fps=Fraction(50))
    assert reader.timeline == constant_timeline(125, Fraction(50))
    assert len(list(reader)) == 125
    # Frame 20 appears at 1.3333, so the first new frame that shows it is 67.
    np.testing.assert_allclose(events(target).flashes, [1.34, 2.34], atol=1e-6)
    np.testing.assert_allclose(events(target).beeps, [4 / 3, 7 / 3], atol=0.0015)


def test_max_frames_counts_what_is_read(tmp_path: Path) -> None:
    make_clip(tmp_path / "a.mp4", CONSTANT, (20, 50))
    assert len(list(VideoReader(tmp_path / "a.mp4", max_frames=7))) == 7
    reader = VideoReader(tmp_path / "a.mp4", start=1, fps=Fraction(15), max_frames=9)
    assert reader.timeline == constant_timeline(9, Fraction(15))
    means = [int(frame.mean()) for frame in VideoReader(tmp_path / "a.mp4", start=2 / 3)]
    assert means[0] > 200 > 100 > means[1]
    assert VideoReader(tmp_path / "a.mp4", max_frames=1000).num_frames == 75


@pytest.mark.parametrize("options", [{"start": 3}, {"start": 1, "end": 1}, {"start": 2, "end": 1}])
def test_an_empty_part_is_one_line(tmp_path: Path, options: dict[str, float]) -> None:
    make_clip(tmp_path / "a.mp4", CONSTANT, (20,))
    with pytest.raises(UserError, match=r"no frame from .* it has 2.50 s"):
        VideoReader(tmp_path / "a.mp4", **options)


@pytest.mark.parametrize(
    "options",
    [{"start": -1.0}, {"start": math.nan}, {"end": math.inf}, {"end": -0.5}, {"max_frames": 0}],
)
def test_a_part_that_makes_no_sense_is_one_line(tmp_path: Path, options: dict[str, Any]) -> None:
    make_clip(tmp_path / "a.mp4", CONSTANT, (20,))
    (name,) = options
    with pytest.raises(UserError, match=f"^{name}: must be at least"):
        VideoReader(tmp_path / "a.mp4", **options)
