import numpy as np
import pytest
from PIL import Image

from reenact.errors import UserError
from reenact.evaluation.methods.predictions import PredictionFolder, picture_path, write_prediction
from reenact.evaluation.pairing.pairs import Pair

SIZE = 16


def video(
    mode: str = "cross", clip: str = "id1#a", frames: tuple[int, ...] = (0, 2, 4)
) -> list[Pair]:
    return [
        Pair(
            mode=mode,  # type: ignore[arg-type]
            source_clip=clip,
            source_frame=3,
            target_clip="id2#b.c",
            target_frame=frame,
            reference=-1,
        )
        for frame in frames
    ]


def level(i: int, size: int = SIZE) -> np.ndarray:
    return np.full((size, size, 3), 40 * i, np.uint8)


def test_the_documented_names():
    assert video()[0].video == "cross/id1#a_3__id2#b.c"
    assert video(clip="id1/a")[0].video == "cross/id1_a_3__id2#b.c"


def test_what_is_written_is_read_back(tmp_path):
    for i, pair in enumerate(video()):
        write_prediction(tmp_path, pair, level(i))
    assert picture_path(tmp_path, video()[1]).name == "000002.png"
    folder = PredictionFolder(tmp_path, SIZE)
    assert folder.present([video()]) == [video()]
    for i, frame in enumerate(folder.frames(video(), 6)):
        np.testing.assert_array_equal(frame, level(i))


def test_pictures_in_order_serve_when_they_are_as_many_as_pairs_or_as_target_frames(tmp_path):
    place = tmp_path / video()[0].video
    place.mkdir(parents=True)
    folder = PredictionFolder(tmp_path, SIZE)
    for i in range(6):
        Image.fromarray(level(i)).save(place / f"frame_{i}.png")
    assert [frame[0, 0, 0] // 40 for frame in folder.frames(video(), 6)] == [0, 2, 4]
    assert [f[0, 0, 0] // 40 for f in folder.frames(video(frames=(0, 1, 2, 3, 7, 9)), 12)] == [
        *range(6)
    ]
    with pytest.raises(UserError, match=r"has 6 frames, expected 3 .* or 9"):
        folder.frames(video(), 9)


def test_videos_of_any_size_are_read(tmp_path):
    from fractions import Fraction

    from reenact.media.video_writer import VideoWriter

    path = tmp_path / f"{video()[0].video}.mp4"
    path.parent.mkdir(parents=True)
    with VideoWriter(path, width=64, height=64, fps=Fraction(25)) as writer:
        for i in range(6):
            writer.write(level(i, 64))
    frames = PredictionFolder(tmp_path, SIZE).frames(video(), 6)
    assert all(frame.shape == (SIZE, SIZE, 3) for frame in frames)
    levels = [frame.mean() for frame in frames]
    assert levels == pytest.approx([0, 80, 160], abs=3)


def test_a_picture_that_is_no_square_is_a_user_error(tmp_path):
    write_prediction(tmp_path, video()[0], np.zeros((8, 24, 3), np.uint8))
    with pytest.raises(UserError, match="24x8 pixels, expected squares"):
        PredictionFolder(tmp_path, SIZE).frames(video(frames=(0,)), 6)


def test_missing_videos_are_named_in_one_line(tmp_path, capsys):
    videos = [video(clip=f"id{i}#a") for i in range(6)]
    write_prediction(tmp_path, videos[2][0], level(1))
    assert PredictionFolder(tmp_path, SIZE).present(videos) == [videos[2]]
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "5 of 6 predictions are missing: cross/id0#a_3__id2#b.c, " in line
    with pytest.raises(UserError, match="2 of 2 predictions are missing"):
        PredictionFolder(tmp_path, SIZE).present(videos[:2])
    with pytest.raises(UserError, match="no such folder"):
        PredictionFolder(tmp_path / "none", SIZE)
