"""Every format that can be written: the frames, their times and the note come back."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from reenact.errors import UserError
from reenact.media.animation import open_clip
from reenact.media.formats import FORMATS
from reenact.media.provenance import NOTE, SOURCE_TYPE, TOOL
from reenact.media.timeline import Timeline
from reenact.media.video_writer import VideoWriter


def ramp(index: int, height: int = 46, width: int = 63) -> np.ndarray:
    """A picture of many colours that gets brighter with its number."""
    rows, columns = np.mgrid[:height, :width]
    frame = np.stack([columns * 2, rows * 3, columns + rows], -1) + 8 * index
    return frame.astype(np.uint8)


@pytest.mark.parametrize("suffix", FORMATS)
def test_frames_and_times_come_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    times = tuple(Fraction(t, 100) for t in (0, 10, 20, 24, 28, 60, 64, 68))
    timeline = Timeline(times=times, end=Fraction(72, 100), fps=Fraction(10))
    frames = [ramp(i) for i in range(8)]
    with VideoWriter(path, width=63, height=46, timeline=timeline, synthetic=True) as writer:
        for frame in frames:
            writer.write(frame)
    clip = open_clip(path)
    assert clip.timeline.times == times
    read = list(clip)
    assert len(read) == 8
    for frame, original in zip(read, frames, strict=True):
        assert np.abs(frame[:46, :63].astype(int) - original).mean() < 4
        assert abs(float(frame[:46, :63].mean()) - float(original.mean())) < 1  # no shift of colour
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_note_is_in_the_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    with VideoWriter(path, width=32, height=32, fps=Fraction(25), synthetic=True) as writer:
        for i in range(3):
            writer.write(ramp(i, 32, 32))
    assert open_clip(path).num_frames == 3
    if suffix in (".gif", ".webp"):
        with Image.open(path) as picture:
            assert picture.n_frames == 3
            if suffix == ".gif":
                assert picture.info["comment"].decode() == NOTE
            else:
                assert SOURCE_TYPE in picture.info["xmp"].decode()
                assert TOOL in picture.info["xmp"].decode()
    else:
        with av.open(str(path)) as container:
            tags = {key.lower(): value for key, value in container.metadata.items()}
            assert tags["comment"] == NOTE


def test_gif_shows_at_most_50_pictures_a_second(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    with VideoWriter(path, width=32, height=32, fps=Fraction(100)) as writer:
        for i in range(20):
            writer.write(ramp(i, 32, 32))
    clip = open_clip(path)
    assert clip.num_frames == 10
    assert clip.fps == 50


def test_other_formats_are_refused_with_a_list(tmp_path: Path) -> None:
    reason = (
        r"a.avi: cannot write this kind of file, end it in .mp4, .m4v, .mov, .webm, .gif, .webp"
    )
    with pytest.raises(UserError, match=reason):
        VideoWriter(tmp_path / "a.avi", width=8, height=8, fps=Fraction(25))
