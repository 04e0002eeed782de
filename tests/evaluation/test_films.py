from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from reenact.evaluation.pairing.pairs import Pair
from reenact.evaluation.reporting.films import HEADER, MAX_FRAMES, SIDE, make_film, pick_films
from reenact.media.video_reader import VideoReader

LEVELS = {"source": 30, "target": 90, "ours": 150, "reference": 210}


def pairs(mode: str, clip: str, frames: range) -> list[Pair]:
    return [
        Pair(
            mode=mode,
            source_clip=clip,
            source_frame=0,
            target_clip=clip,
            target_frame=frame,
            reference=frame,
        )
        for frame in frames
    ]


@pytest.fixture
def video() -> list[Pair]:
    return pairs("self", "a", range(2, 12, 2))


def rows(count: int) -> list[dict[str, np.ndarray]]:
    return [
        {name: np.full((16, 16, 3), level + i, np.uint8) for name, level in LEVELS.items()}
        for i in range(count)
    ]


def test_a_film_shows_the_panels_side_by_side_at_the_speed_of_the_clip(video, tmp_path: Path):
    film = make_film(video, rows(5), {"ours": "mine"}, clip_fps=25.0)
    assert film.labels == ["source", "target", "mine", "reference"]
    assert film.fps == Fraction(25, 2), "every second frame of the clip was measured"
    film.write(tmp_path)
    read = list(VideoReader(tmp_path / film.path))
    assert len(read) == 5
    assert read[0].shape == (HEADER + SIDE, 4 * SIDE, 3)
    for i, level in enumerate(LEVELS.values()):
        middle = read[3][HEADER + SIDE // 2, i * SIDE + SIDE // 2]
        assert np.abs(middle.astype(int) - level - 3).max() <= 3


def test_a_panel_that_a_row_lacks_stays_white(video):
    shown = rows(5)
    del shown[2]["reference"]
    film = make_film(video, shown, {}, clip_fps=25.0)
    assert (film.frames[2][HEADER:, 3 * SIDE :] == 255).all()


def test_only_videos_of_some_length_are_shown_spread_evenly():
    many = [pair for c in "abcdef" for pair in pairs("self", c, range(1, 9))]
    short = pairs("cross", "g", range(1, 4))
    turned = pairs("large_pose", "h", range(1, 9))
    picked = pick_films([*many, *short, *turned], 2)
    assert [video[0].source_clip for video in picked] == ["b", "e"]
    assert pick_films(many, 0) == []
    (long,) = pick_films(pairs("cross", "i", range(500)), 2)
    assert len(long) == MAX_FRAMES


def test_two_films_have_two_files(video):
    film = make_film(video, rows(5), {}, clip_fps=25.0)
    assert replace(film, name="self/other").path != film.path
