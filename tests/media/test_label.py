"""The visible mark: in a corner, in proportion to the picture, readable on any ground."""

import numpy as np
import pytest

from reenact.media.label import labelled


def changed(frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The marked frame, and the box (left, top, right, bottom) of what the mark changed."""
    (marked,) = labelled([frame])
    rows, columns = np.nonzero((marked != frame).any(-1))
    return marked, np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


@pytest.mark.parametrize("ground", [0, 128, 255])
def test_the_letters_stand_out_from_their_plate(ground: int):
    frame = np.full((256, 256, 3), ground, np.uint8)
    marked, (left, top, right, bottom) = changed(frame)
    levels = marked[top:bottom, left:right].astype(int)
    assert levels.max() > 240, "white letters"
    assert levels.max() - np.median(levels) > 120, "on a plate that is dark enough"


@pytest.mark.parametrize("size", [(256, 256), (720, 1280), (2000, 1000)])
def test_it_lies_in_the_corner_and_grows_with_the_picture(size: tuple[int, int]):
    height, width = size
    _, (left, top, right, bottom) = changed(np.full((height, width, 3), 200, np.uint8))
    short = min(size)
    assert 0 < width - right < 0.03 * short
    assert 0 < height - bottom < 0.03 * short
    assert 0.03 * short < bottom - top < 0.08 * short
    assert right - left < 0.5 * width


@pytest.mark.parametrize("size", [(2, 2), (16, 8), (32, 32)])
def test_a_tiny_picture_is_marked_too(size: tuple[int, int]):
    (marked,) = labelled([np.full((*size, 3), 255, np.uint8)])
    assert marked.shape == (*size, 3)
    assert (marked != 255).any()


def test_the_frame_itself_stays_as_it_is():
    frame = np.full((64, 64, 3), 90, np.uint8)
    list(labelled([frame]))
    assert (frame == 90).all()
