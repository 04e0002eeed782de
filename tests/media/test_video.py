"""Videos read and written: order, rotation, rates, colours, sound and damage."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image

from reenact.errors import UserError
from reenact.media.images import write_frame
from reenact.media.video_reader import VideoReader
from reenact.media.video_writer import VideoWriter

ROOT = Path(__file__).resolve().parents[2]
NTSC = Fraction(30000, 1001)
TONE_START = 0.5
# Left half red, right half blue, a white band at the top: every turn looks different.
QUADRANTS = np.zeros((48, 64, 3), np.uint8)
QUADRANTS[:, :32] = (200, 30, 30)
QUADRANTS[:, 32:] = (30, 30, 200)
QUADRANTS[:16] = (240, 240, 240)


def numbered(index: int, height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    """A flat frame whose brightness tells its number."""
    return np.full((height, width, 3), 20 + 5 * index, np.uint8)


def numbers(frames: Iterator[NDArray[np.uint8]]) -> list[int]:
    return [round((float(frame.mean()) - 20) / 5) for frame in frames]


def make_clip(
    path: Path,
    frames: list[NDArray[np.uint8]],
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    fps: Fraction = Fraction(25),
    times: list[int] | None = None,
    audio: str | None = None,
    audio_seconds: float = 1.0,
    options: dict[str, str] | None = None,
    prepare: Callable[[av.VideoStream], None] = lambda stream: None,
) -> Path:
    """A clip written with PyAV alone; `times` are the frames' milliseconds."""
    with av.open(str(path), "w", container_options=options or {}) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        prepare(stream)
        sound = None if audio is None else container.add_stream(audio, rate=48000)
        if sound is not None:
            sound.layout = "mono"
            samples = np.arange(round(48000 * audio_seconds)) / 48000
            tone = 0.5 * np.sin(2 * np.pi * 440 * samples) * (samples >= TONE_START)
            pcm = (tone * 32767).astype(np.int16)[None]
            sound_frame = av.AudioFrame.from_ndarray(pcm, format="s16", layout="mono")
            sound_frame.sample_rate = 48000
            sound_frame.pts = 0
            container.mux(sound.encode(sound_frame))
            container.mux(sound.encode(None))
        for index, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format=pix_fmt)
            if times is not None:
                picture.pts, picture.time_base = times[index], Fraction(1, 1000)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


def tone_start(path: Path) -> float:
    """Seconds from the first picture to the tone."""
    with av.open(str(path)) as container:
        first = next(container.decode(video=0)).time
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            samples = frame.to_ndarray().astype(np.float64)
            if frame.format.name.startswith("s16"):
                samples /= 32768
            loud = np.flatnonzero(np.abs(samples[0]) > 0.2)
            if loud.size:
                return frame.time + loud[0] / frame.sample_rate - first
    raise AssertionError("no tone")


def copy_video(source: Path, target: Path, **options) -> VideoReader:
    reader = VideoReader(source)
    size = {"width": reader.width, "height": reader.height, "fps": reader.fps}
    with VideoWriter(target, **size, audio_from=source, **options) as writer:
        for frame in reader:
            writer.write(frame)
    return VideoReader(target)


# Reading


def test_frames_come_in_order_as_often_as_asked(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", [numbered(i) for i in range(40)], fps=NTSC)
    reader = VideoReader(clip)
    assert (reader.width, reader.height, reader.fps) == (64, 48, NTSC)
    assert reader.num_frames == 40
    assert not reader.has_audio
    assert next(iter(reader)).shape == (48, 64, 3)
    assert numbers(reader) == list(range(40))
    assert numbers(reader) == list(range(40))


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_rotation_metadata_is_applied(tmp_path: Path, degrees: int, mirrored: bool) -> None:
    clip = make_clip(
        tmp_path / "a.mp4",
        [QUADRANTS] * 2,
        prepare=lambda stream: stream.set_display_rotation(degrees, hflip=mirrored),
    )
    expected = np.rot90(QUADRANTS, degrees // 90)  # both count counter-clockwise
    expected = expected[:, ::-1] if mirrored else expected
    reader = VideoReader(clip)
    frame = next(iter(reader))
    assert frame.shape == expected.shape == (reader.height, reader.width, 3)
    assert np.abs(frame.astype(int) - expected).mean() < 8


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_a_jpeg_named_as_a_video_is_turned_by_its_exif(
    tmp_path: Path, orientation: int, turns: int
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(QUADRANTS).save(tmp_path / "a.jpg", exif=exif)
    (frame,) = VideoReader((tmp_path / "a.jpg").rename(tmp_path / "a.mp4"))
    expected = np.rot90(QUADRANTS, turns)
    assert frame.shape == expected.shape
    assert np.abs(frame.astype(int) - expected).mean() < 8


@pytest.mark.parametrize(
    ("aspect", "size"),
    [(Fraction(4, 3), (85, 48)), (Fraction(3, 4), (64, 64)), (Fraction(100), (64, 48))],
)
def test_pixels_become_square(tmp_path: Path, aspect: Fraction, size: tuple[int, int]) -> None:
    def prepare(stream: av.VideoStream) -> None:
        stream.codec_context.sample_aspect_ratio = aspect

    reader = VideoReader(make_clip(tmp_path / "a.mp4", [QUADRANTS] * 2, prepare=prepare))
    assert (reader.width, reader.height) == size
    assert next(iter(reader)).shape == (size[1], size[0], 3)


@pytest.mark.parametrize("suffix", ["mkv", "ts", "avi", "webm", "gif"])
def test_containers_that_do_not_know_their_length(tmp_path: Path, suffix: str) -> None:
    codec, pix_fmt = {"webm": ("libvpx", "yuv420p"), "gif": ("gif", "rgb8")}.get(
        suffix, ("libx264", "yuv420p")
    )
    frames = [numbered(i) for i in range(30)]
    clip = make_clip(tmp_path / f"a.{suffix}", frames, codec=codec, pix_fmt=pix_fmt)
    reader = VideoReader(clip)
    assert reader.num_frames == 30 == len(list(reader))
    assert reader.fps == 25
    assert (reader.width, reader.height) == (64, 48)


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_variable_rate_keeps_the_duration(tmp_path: Path, suffix: str) -> None:
    times = [0, 40, 80, 500, 540, 580, 1400, 1440, 1480, 2000]
    frames = [numbered(i) for i in range(10)]
    reader = VideoReader(make_clip(tmp_path / f"a.{suffix}", frames, times=times))
    assert numbers(reader) == list(range(10))
    # Ten frames over two seconds plus the last frame's own time, whatever the container says.
    assert 9 <= 2.0 * reader.fps <= 10


def test_full_range_and_transparency(tmp_path: Path) -> None:
    grey = np.full((48, 64, 3), 250, np.uint8)
    full = make_clip(tmp_path / "a.mp4", [grey] * 2, pix_fmt="yuvj420p")
    assert abs(float(next(iter(VideoReader(full))).mean()) - 250) <= 1

    with av.open(str(tmp_path / "a.mov"), "w") as container:
        stream = container.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgba"
        clear = av.VideoFrame.from_ndarray(np.zeros((48, 64, 4), np.uint8), format="rgba")
        container.mux(stream.encode(clear))
        container.mux(stream.encode(None))
    assert (next(iter(VideoReader(tmp_path / "a.mov"))) == 255).all()


def test_what_a_standard_picture_cannot_show_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def tag(stream: av.VideoStream) -> None:
        stream.codec_context.color_trc = 16  # PQ, the curve of HDR10
        stream.codec_context.colorspace = stream.codec_context.color_primaries = 9

    frames = [numbered(i) for i in range(3)]
    path = make_clip(tmp_path / "a.mp4", frames, pix_fmt="yuv420p10le", prepare=tag)
    reader = VideoReader(path)
    line = f"warning: {path}: has a high dynamic range, it is read in the standard range\n"
    assert capsys.readouterr().err == line
    assert reader.num_frames == 3

    # Ten bits alone are no high dynamic range.
    ten_bits = VideoReader(make_clip(tmp_path / "b.mp4", frames, pix_fmt="yuv420p10le"))
    assert numbers(ten_bits) == [0, 1, 2]

    with av.open(str(tmp_path / "c.mov"), "w") as container:
        stream = container.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgba"
        for alpha in (128, 255):
            levels = np.full((48, 64, 4), alpha, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(levels, format="rgba")))
        container.mux(stream.encode(None))
    assert len(list(VideoReader(tmp_path / "c.mov"))) == 2
    line = f"warning: {tmp_path / 'c.mov'}: its transparent parts are shown as white\n"
    assert capsys.readouterr().err == line


COPYING = """
import sys
from pathlib import Path
from reenact.media.video_reader import VideoReader
from reenact.media.video_writer import VideoWriter

reader = VideoReader(sys.argv[1])
with VideoWriter(
    sys.argv[2], width=640, height=480, timeline=reader.timeline, audio_from=sys.argv[1]
) as writer:
    for frame in reader:
        writer.write(frame)
status = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
print(int(status["VmHWM"].split()[0]) // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_the_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    megabytes = []
    for num_frames in (100, 300):
        path = tmp_path / f"{num_frames}.mp4"
        frames = [numbered(i % 40, 480, 640) for i in range(num_frames)]
        make_clip(path, frames, audio="aac")
        command = [sys.executable, "-c", COPYING, str(path), str(tmp_path / "copy.mp4")]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        megabytes.append(int(done.stdout))
    # 200 frames of 640 x 480 pixels are 184 MB.
    assert megabytes[1] - megabytes[0] < 20, megabytes


def test_truncated_file_gives_what_decodes(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (30, 48, 64, 3), dtype=np.uint8)
    clip = make_clip(tmp_path / "a.mp4", list(noise), options={"movflags": "+faststart"})
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    reader = VideoReader(clip)
    assert 5 < reader.num_frames < 25
    assert len(list(reader)) == reader.num_frames


def _unreadable(tmp_path: Path, name: str) -> Path:
    path = tmp_path / name
    if name == "folder.mp4":
        path.mkdir()
    elif name == "empty.mp4":
        path.touch()
    elif name.startswith("text"):
        path.write_text("these are words\n" * 100)
    elif name == "cut.mp4":  # the index at the end of the file is lost
        make_clip(path, [numbered(i) for i in range(9)])
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif name == "sound.mp4":
        with av.open(str(path), "w") as container:
            stream = container.add_stream("aac", rate=48000)
            frame = av.AudioFrame.from_ndarray(np.zeros((2, 4800), np.float32), format="fltp")
            frame.sample_rate = 48000
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.mp4", "no such file"),
        ("folder.mp4", "is a folder"),
        ("empty.mp4", "is empty"),
        ("text.mp4", "not a video"),
        ("text.txt", "not a video"),
        ("cut.mp4", "not a video"),
        ("sound.mp4", "no pictures"),
    ],
)
def test_unreadable_videos_are_one_line(tmp_path: Path, name: str, reason: str) -> None:
    path = _unreadable(tmp_path, name)
    with pytest.raises(UserError, match=reason) as caught:
        VideoReader(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


# Writing


@pytest.mark.parametrize("fps", [Fraction(25), NTSC, Fraction(24000, 1001), Fraction(7, 3)])
def test_rate_and_count_are_exact(tmp_path: Path, fps: Fraction) -> None:
    with VideoWriter(tmp_path / "a.mp4", width=64, height=48, fps=fps) as writer:
        for index in range(45):
            writer.write(numbered(index))
    reader = VideoReader(tmp_path / "a.mp4")
    assert (reader.fps, reader.num_frames) == (fps, 45)
    assert numbers(reader) == list(range(45))
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.duration * stream.time_base == 45 / fps
        assert (stream.pix_fmt, stream.colorspace, stream.color_range) == ("yuv420p", 1, 1)
    data = (tmp_path / "a.mp4").read_bytes()
    assert 0 < data.find(b"moov") < data.find(b"mdat")  # plays before it is loaded
    assert os.listdir(tmp_path) == ["a.mp4"]


@pytest.mark.parametrize("height", [64, 720])  # players guess untagged colours by height
@pytest.mark.parametrize(
    "colour",
    [(128, 128, 128), (200, 150, 120), (255, 255, 255), (0, 0, 0), (30, 60, 200), (250, 40, 40)],
)
def test_colours_survive(tmp_path: Path, colour: tuple[int, int, int], height: int) -> None:
    with VideoWriter(tmp_path / "a.mp4", width=64, height=height, fps=Fraction(25)) as writer:
        writer.write(np.full((height, 64, 3), colour, np.uint8))
    frame = next(iter(VideoReader(tmp_path / "a.mp4")))
    assert np.abs(frame.astype(int) - colour).max() <= 2


def test_odd_sizes_repeat_the_last_row_and_column(tmp_path: Path) -> None:
    ramp = np.tile(np.arange(63, dtype=np.uint8)[None, :, None] * 4, (47, 1, 3))
    with VideoWriter(tmp_path / "a.mp4", width=63, height=47, fps=Fraction(25)) as writer:
        writer.write(ramp)
    frame = next(iter(VideoReader(tmp_path / "a.mp4"))).astype(int)
    assert frame.shape == (48, 64, 3)
    assert np.abs(frame[:47, :63] - ramp).mean() < 2
    assert np.abs(frame[:, 63] - frame[:, 62]).mean() < 3


@pytest.mark.parametrize(
    ("suffix", "audio", "result"),
    [
        ("mp4", "aac", "aac"),
        ("ts", "aac", "aac"),
        ("mkv", "libmp3lame", "mp3"),
        ("mkv", "libopus", "opus"),
        ("mkv", "ac3", "ac3"),
        ("mkv", "flac", "flac"),
        ("avi", "pcm_s16le", "aac"),
        ("mov", "pcm_s16le", "aac"),
    ],
)
def test_sound_is_carried_over_in_step(
    tmp_path: Path, suffix: str, audio: str, result: str
) -> None:
    frames = [numbered(i) for i in range(30)]
    source = make_clip(tmp_path / f"a.{suffix}", frames, fps=NTSC, audio=audio)
    copy = copy_video(source, tmp_path / "b.mp4")
    assert copy.has_audio
    assert (copy.num_frames, copy.fps) == (30, NTSC)
    assert tone_start(copy.path) == pytest.approx(tone_start(source), abs=0.004)
    with av.open(str(copy.path)) as container:
        sound = container.streams.audio[0]
        assert sound.codec_context.name.removesuffix("float") == result
        assert float(sound.duration * sound.time_base) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("audio", ["aac", "pcm_s16le"])
def test_late_pictures_keep_their_place_in_the_sound(tmp_path: Path, audio: str) -> None:
    times = [300 + 40 * i for i in range(20)]
    frames = [numbered(i) for i in range(20)]
    source = make_clip(tmp_path / "a.mkv", frames, times=times, audio=audio)
    copy = copy_video(source, tmp_path / "b.mp4")
    assert tone_start(source) == pytest.approx(TONE_START - 0.3, abs=0.01)
    assert tone_start(copy.path) == pytest.approx(TONE_START - 0.3, abs=0.01)


def test_longer_sound_ends_one_frame_after_the_pictures(tmp_path: Path) -> None:
    frames = [numbered(i) for i in range(25)]
    source = make_clip(tmp_path / "a.mp4", frames, audio="aac", audio_seconds=3.0)
    copy = copy_video(source, tmp_path / "b.mp4")
    assert copy.num_frames == 25
    with av.open(str(copy.path)) as container:
        sound = container.streams.audio[0]
        seconds = float(sound.duration * sound.time_base)
    assert 1.0 <= seconds <= 1.04 + 2 * 1024 / 48000


def test_silent_source_gives_a_silent_video(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", [numbered(0)])
    assert not copy_video(source, tmp_path / "b.mp4").has_audio


def test_a_video_can_replace_its_own_source(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", [numbered(i) for i in range(25)], audio="aac")
    copy = copy_video(source, source)
    assert (copy.num_frames, copy.has_audio) == (25, True)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_broken_off_video_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    source = make_clip(tmp_path / "source.mp4", [numbered(i) for i in range(9)], audio="aac")
    (tmp_path / "a.mp4").write_text("older")
    size = {"width": 64, "height": 48, "fps": Fraction(25)}

    def break_off() -> None:
        with VideoWriter(tmp_path / "a.mp4", **size, audio_from=source) as writer:
            writer.write(numbered(0))
            raise error

    with pytest.raises(error):
        break_off()
    assert (tmp_path / "a.mp4").read_text() == "older"
    assert sorted(os.listdir(tmp_path)) == ["a.mp4", "source.mp4"]


def test_a_video_without_frames_is_an_error(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match="no frame was written"),
        VideoWriter(tmp_path / "a.mp4", width=64, height=48, fps=Fraction(25)),
    ):
        pass
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "reason"),
    [("no/a.mp4", "does not exist"), ("a.avi", "end it in"), ("folder.mp4", "is a folder")],
)
def test_unwritable_paths_fail_before_any_work(tmp_path: Path, name: str, reason: str) -> None:
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(UserError, match=reason):
        VideoWriter(tmp_path / name, width=64, height=48, fps=Fraction(25))


def test_sound_from_a_file_that_is_none(tmp_path: Path) -> None:
    write_frame(tmp_path / "a.png", numbered(0))
    (tmp_path / "text.mp4").write_text("words\n" * 100)
    size = {"width": 64, "height": 48, "fps": Fraction(25)}
    with (
        pytest.raises(UserError, match="sound cannot be read"),
        VideoWriter(tmp_path / "b.mp4", **size, audio_from=tmp_path / "text.mp4"),
    ):
        pass
    with VideoWriter(tmp_path / "b.mp4", **size, audio_from=tmp_path / "a.png") as writer:
        writer.write(numbered(0))
    assert not VideoReader(tmp_path / "b.mp4").has_audio
    assert sorted(os.listdir(tmp_path)) == ["a.png", "b.mp4", "text.mp4"]


def test_frames_of_another_size_are_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(ValueError, match="expected a frame"),
        VideoWriter(tmp_path / "a.mp4", width=64, height=48, fps=Fraction(25)) as writer,
    ):
        writer.write(numbered(0, width=66))


def test_sample_clip_survives(shared: Path, tmp_path: Path) -> None:
    source = VideoReader(shared / "samples" / "clip_night_audio_25fps.mp4")
    assert (source.width, source.height, source.fps, source.num_frames) == (480, 480, 25, 175)
    assert source.has_audio
    frames = [frame for frame, _ in zip(source, range(8), strict=False)]
    with VideoWriter(
        tmp_path / "a.mp4", width=480, height=480, fps=source.fps, audio_from=source.path
    ) as writer:
        for frame in frames:
            writer.write(frame)
    copy = VideoReader(tmp_path / "a.mp4")
    assert (copy.num_frames, copy.fps, copy.has_audio) == (8, 25, True)
    differences = [np.subtract(a, b, dtype=np.int16) for a, b in zip(frames, copy, strict=True)]
    assert np.abs(differences).mean() < 2
    assert np.abs(np.mean(differences, axis=(0, 1, 2))).max() < 0.5  # no shift of colour
