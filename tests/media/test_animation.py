"""Animated WebP and AVIF files, and how stills and videos are told apart."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reenact.errors import UserError
from reenact.media import animation
from reenact.media.animation import AnimationReader, is_photo, is_still, open_clip
from reenact.media.images import write_frame
from reenact.media.timeline import constant_timeline
from reenact.media.video_reader import VideoReader
from reenact.media.video_writer import VideoWriter

LEVELS = range(20, 200, 20)
DURATIONS = [100, 100, 100, 40, 40, 40, 40, 500, 60]  # milliseconds
TIMES = tuple(Fraction(sum(DURATIONS[:i]), 1000) for i in range(9))


def animate(path: Path, durations: list[int] | int = DURATIONS, mode: str = "RGB") -> Path:
    pictures = [Image.new("RGB", (32, 24), (level,) * 3).convert(mode) for level in LEVELS]
    options = {"lossless": True} if path.suffix == ".webp" else {}
    pictures[0].save(
        path, save_all=True, append_images=pictures[1:], duration=durations, loop=0, **options
    )
    return path


@pytest.mark.parametrize("name", ["a.webp", "a.avif", "a.gif", "a.png", "a.apng"])
def test_animations_are_clips_with_their_own_times(tmp_path: Path, name: str) -> None:
    path = animate(tmp_path / name)
    assert not is_still(path)
    clip = open_clip(path)
    assert (clip.width, clip.height, clip.num_frames, clip.has_audio) == (32, 24, 9, False)
    assert clip.timeline.times == TIMES
    assert clip.timeline.end == Fraction(sum(DURATIONS), 1000)
    for _ in range(2):
        levels = [float(frame.mean()) for frame in clip]
        np.testing.assert_allclose(levels, list(LEVELS), atol=2)
    assert [round(float(frame.mean()), -1) for frame in clip.every(4, 1)] == [40, 120]


@pytest.mark.parametrize("name", ["a.webp", "a.gif"])
def test_parts_and_other_rates(tmp_path: Path, name: str) -> None:
    path = animate(tmp_path / name)
    part = open_clip(path, start=0.3, end=0.46)
    assert part.timeline == constant_timeline(4, Fraction(25))
    assert [round(float(f.mean()), -1) for f in part] == [80, 100, 120, 140]
    resampled = open_clip(path, fps=Fraction(10), max_frames=4)
    assert resampled.timeline == constant_timeline(4, Fraction(10))
    assert [round(float(f.mean()), -1) for f in resampled] == [20, 40, 60, 80]


def test_a_constant_animation_has_a_rate(tmp_path: Path) -> None:
    clip = open_clip(animate(tmp_path / "a.webp", durations=40))
    assert clip.timeline == constant_timeline(9, Fraction(25))


def test_durations_of_zero_are_shown_as_browsers_do(tmp_path: Path) -> None:
    clip = open_clip(animate(tmp_path / "a.webp", durations=0))
    assert clip.timeline == constant_timeline(9, Fraction(10))


def test_stills_and_videos_are_told_apart(tmp_path: Path) -> None:
    for suffix in ("png", "jpg", "webp", "tif"):
        write_frame(tmp_path / f"a.{suffix}", np.zeros((8, 8, 3), np.uint8))
        assert is_still(tmp_path / f"a.{suffix}")
    with VideoWriter(tmp_path / "a.mp4", width=16, height=16, fps=Fraction(25)) as writer:
        writer.write(np.zeros((16, 16, 3), np.uint8))
    assert not is_still(tmp_path / "a.mp4")
    assert isinstance(open_clip(tmp_path / "a.mp4"), VideoReader)
    assert isinstance(open_clip(animate(tmp_path / "b.webp")), AnimationReader)
    # Names alone decide of files that are not there, or are damaged.
    assert is_still(tmp_path / "none.webp")
    assert not is_still(tmp_path / "none.gif")
    (tmp_path / "words.webp").write_text("words")
    assert is_still(tmp_path / "words.webp")


@pytest.mark.parametrize("name", ["a.webp", "a.png"])
def test_transparent_animations_are_laid_over_white(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = [Image.new("RGBA", (8, 8), (level, level, level, 51)) for level in (0, 50, 100)]
    path = tmp_path / name
    pictures[0].save(
        path, save_all=True, append_images=pictures[1:], duration=40, lossless=True, disposal=1
    )
    clip = open_clip(path)
    first = next(iter(clip))
    assert abs(int(first.mean()) - 204) <= 2  # 1/5 of black and 4/5 of white
    line = f"warning: {path}: its transparent parts are shown as white\n"
    assert capsys.readouterr().err == line


def test_a_damaged_end_ends_the_animation(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3), dtype=np.uint8)
    pictures = [Image.fromarray(frame) for frame in noise]
    path = tmp_path / "a.webp"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=40, lossless=True)
    chunks = path.read_bytes().split(b"ANMF")
    chunks[6] = chunks[6][:40] + bytes(len(chunks[6]) - 40)
    path.write_bytes(b"ANMF".join(chunks))
    clip = open_clip(path)
    assert clip.num_frames == len(list(clip)) == 5


def test_large_animations_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(animation, "MAX_FRAME_PIXELS", 32 * 24 - 1)
    with pytest.raises(UserError, match="32x24 pixels are too many for a video"):
        open_clip(animate(tmp_path / "a.webp"))


def test_a_photo_is_told_by_its_content_where_the_name_does_not_say(tmp_path: Path) -> None:
    picture = Image.new("RGB", (32, 24))
    for name in ("a.gif", "b.png", "c.webp"):
        picture.save(tmp_path / name)
        assert is_photo(tmp_path / name)
        assert not is_photo(animate(tmp_path / f"moving_{name}"))
    (tmp_path / "photo").write_bytes((tmp_path / "b.png").read_bytes())
    assert is_photo(tmp_path / "photo")
    (tmp_path / "damaged.jpg").write_text("no picture")
    assert is_photo(tmp_path / "damaged.jpg"), "the name says so, and reading says what is wrong"
    (tmp_path / "notes.txt").write_text("no picture")
    assert not is_photo(tmp_path / "notes.txt")
    assert not is_photo(tmp_path / "missing.mp4")
