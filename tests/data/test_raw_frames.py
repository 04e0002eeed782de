"""Frames of raw clips, cut by the face boxes of VoxCeleb's text files."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from reenact.data.prepare.layouts import ClipSource, SourceConfig
from reenact.data.prepare.raw_frames import read_boxes, read_frames
from reenact.errors import UserError
from reenact.media.images import write_frame
from reenact.media.video_writer import VideoWriter

HEAD = "Identity  : \tid10001\nReference : \tvid\nOffset    : \t-2\nFV Conf   : \t17.9\t(1)\n"
HEAD += "ASD Conf  : \t3.8\n\nFRAME \tX \tY \tW \tH \n"


def write_txt(path: Path, rows: list[tuple[float, ...]]) -> Path:
    path.write_text(HEAD + "".join("\t".join(f"{v} " for v in row) + "\n" for row in rows))
    return path


def grey_video(path: Path, width: int, height: int, num_frames: int) -> Path:
    """Frame n is 10 n everywhere."""
    with VideoWriter(path, width=width, height=height, fps=Fraction(25), crf=0) as video:
        for n in range(num_frames):
            video.write(np.full((height, width, 3), 10 * n, np.uint8))
    return path


def read(path: Path, txt: Path | None = None, *, stride=1, max_frames=99, **kwargs):
    source = ClipSource(split="train", name="a", person="a", path=path, boxes=txt)
    config = SourceConfig(root=path.parent, **kwargs)
    return read_frames(source, config, stride=stride, max_frames=max_frames)


def levels(raw) -> list[int]:
    return [round(float(frame.mean()) / 10) for frame in raw.frames]


def test_boxes_of_both_releases(tmp_path):
    pixels = read_boxes(
        write_txt(tmp_path / "1.txt", [(100, 120, 90, 60, 80), (101, 122, 90, 60, 80)])
    )
    assert pixels.numbers.tolist() == [100, 101]
    assert not pixels.fractions
    # twice 360 pixels high: everything doubles, the margin is .75 of the longer side
    assert pixels.region(1280, 720) == (240 - 120, 180 - 120, 364 + 120 + 1, 340 + 120 + 1)
    parts = read_boxes(write_txt(tmp_path / "2.txt", [(0, 0.25, 0.25, 0.1, 0.2)]))
    assert parts.fractions
    assert parts.region(1000, 500) == (250 - 75, 125 - 75, 350 + 75 + 1, 225 + 75 + 1)
    assert parts.region(40, 20) == (0, 0, 40, 20)  # too small to hold a face


@pytest.mark.parametrize("text", ["", HEAD, "FRAME X\n1 2\n", HEAD + "1\ta\tb\tc\td\n"])
def test_a_txt_without_rows_is_named(tmp_path, text):
    path = tmp_path / "00001.txt"
    path.write_text(text)
    with pytest.raises(UserError, match=r"00001\.txt: no rows FRAME X Y W H"):
        read_boxes(path)


def test_stride_and_number_of_frames(tmp_path):
    path = grey_video(tmp_path / "a.mp4", 32, 32, 11)
    raw = read(path, stride=3)
    assert levels(raw) == [0, 3, 6, 9]
    assert raw.fps == pytest.approx(25 / 3)
    assert levels(read(path, stride=2, max_frames=3)) == [0, 2, 4]


def test_a_video_longer_than_its_rows_is_cut_to_them(tmp_path):
    path = grey_video(tmp_path / "a.mp4", 64, 32, 12)
    rows = [(n, 0.4, 0.4, 0.2, 0.2) for n in range(4, 9)]
    boxes = write_txt(tmp_path / "a.txt", rows)
    assert levels(read(path, boxes)) == [4, 5, 6, 7, 8]
    assert levels(read(path, boxes, stride=2)) == [4, 6, 8]
    rows = [(n + 100, 0.4, 0.4, 0.2, 0.2) for n in range(5)]
    assert len(read(path, write_txt(tmp_path / "b.txt", rows)).frames) == 12


def test_boxes_cut_the_picture_unless_it_is_a_face_crop_already(tmp_path):
    boxes = write_txt(tmp_path / "a.txt", [(n + 100, 0.5, 0.25, 0.2, 0.4) for n in range(3)])
    wide = grey_video(tmp_path / "wide.mp4", 96, 48, 3)
    assert read(wide, boxes).frames[0].shape == (46, 49, 3)
    assert read(wide, boxes, boxes="ignore").frames[0].shape == (48, 96, 3)
    square = grey_video(tmp_path / "square.mp4", 48, 48, 3)
    assert read(square, boxes).frames[0].shape == (48, 48, 3)
    assert read(square, boxes, boxes="use").frames[0].shape != (48, 48, 3)


def test_pictures_in_the_order_of_their_names(tmp_path):
    for n in (2, 0, 1, 3):
        write_frame(tmp_path / f"{n:03d}.png", np.full((20, 24, 3), 10 * n, np.uint8))
    (tmp_path / "notes.txt").touch()
    raw = read(tmp_path, picture_fps=10.0, stride=2)
    assert (levels(raw), raw.fps) == ([0, 2], 5.0)
    write_frame(tmp_path / "004.png", np.zeros((20, 25, 3), np.uint8))
    with pytest.raises(UserError, match="different sizes"):
        read(tmp_path)
