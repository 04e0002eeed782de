"""Results as numbered pictures with a list of their times."""

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from reenact.errors import UserError
from reenact.inference.paths import check_output
from reenact.media.formats import is_sequence
from reenact.media.frame_sequence import FrameSequenceWriter, is_part
from reenact.media.images import read_frame
from reenact.media.timeline import Timeline

TIMELINE = Timeline(
    times=(Fraction(0), Fraction(1, 3), Fraction(1)), end=Fraction(2), fps=Fraction(2)
)


def flat(level: int) -> np.ndarray:
    return np.full((8, 12, 3), level, np.uint8)


def write(path: Path, levels: list[int], **options) -> None:
    with FrameSequenceWriter(path, timeline=TIMELINE, has_audio=False, **options) as writer:
        for level in levels:
            writer.write(flat(level))


def test_numbered_pictures_and_their_times(tmp_path: Path) -> None:
    write(tmp_path / "face_%04d.png", [10, 20, 30], synthetic=True)
    names = ["face_0000.png", "face_0001.png", "face_0002.png"]
    assert sorted(os.listdir(tmp_path)) == [*names, "times.txt"]
    assert [int(read_frame(tmp_path / name)[0, 0, 0]) for name in names] == [10, 20, 30]
    assert (tmp_path / "times.txt").read_text() == "0.000000\n0.333333\n1.000000\n"
    assert b"Synthetic" in (tmp_path / names[0]).read_bytes()


def test_a_broken_off_sequence_leaves_nothing(tmp_path: Path) -> None:
    write(tmp_path / "%d.png", [10])

    def break_off() -> None:
        path = tmp_path / "%d.png"
        with FrameSequenceWriter(path, timeline=TIMELINE, has_audio=False) as writer:
            writer.write(flat(99))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert sorted(os.listdir(tmp_path)) == ["0.png", "times.txt"]
    assert int(read_frame(tmp_path / "0.png")[0, 0, 0]) == 10


def test_sound_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "%d.png"
    with FrameSequenceWriter(path, timeline=TIMELINE, has_audio=True) as writer:
        writer.write(flat(1))
    assert capsys.readouterr().err == (
        f"warning: {path}: pictures hold no sound, the sound is left out\n"
    )


def test_names_of_sequences(tmp_path: Path) -> None:
    names = {
        "%06d.png": True,
        "a%d.png": True,
        "a.png": False,
        "%d_%d.png": False,
        "100%.png": False,
    }
    assert {name: is_sequence(Path(name)) for name in names} == names
    assert is_part(tmp_path / "a12.png", tmp_path / "a%03d.png")
    assert not is_part(tmp_path / "b12.png", tmp_path / "a%03d.png")
    assert not is_part(tmp_path / "x" / "a12.png", tmp_path / "a%03d.png")


def test_a_sequence_may_be_the_result_of_a_video_only(tmp_path: Path) -> None:
    photo, clip = tmp_path / "7.png", tmp_path / "clip.mp4"
    check_output(tmp_path / "new" / "%06d.png", photo, clip, is_picture=False)
    with pytest.raises(UserError, match="would overwrite the source"):
        check_output(tmp_path / "%d.png", photo, clip, is_picture=False)
    with pytest.raises(UserError, match=r"end it in .mp4, .* or in %06d.png for numbered pictures"):
        check_output(tmp_path / "a.png", photo, clip, is_picture=False)
