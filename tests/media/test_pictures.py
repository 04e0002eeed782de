"""Colour and pixel shape of decoded and encoded video pictures."""

from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter

from reenact.media.pictures import (
    exact,
    frame_from_picture,
    picture_from_frame,
    square_pixel_size,
)

COLOURS = [
    (128, 128, 128),
    (200, 150, 120),
    (255, 255, 255),
    (0, 0, 0),
    (30, 60, 200),
    (250, 40, 40),
]
# Red and blue luma weights of the standards, by their H.273 matrix number.
WEIGHTS = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}


def encoded(colour: tuple[int, int, int], matrix: int, full: bool) -> list[int]:
    """Y, Cb, Cr of the standard's formula."""
    red, green, blue = (level / 255 for level in colour)
    k_r, k_b = WEIGHTS[matrix]
    luma = k_r * red + (1 - k_r - k_b) * green + k_b * blue
    c_b, c_r = (blue - luma) / (2 - 2 * k_b), (red - luma) / (2 - 2 * k_r)
    if full:
        return [round(255 * luma), round(128 + 255 * c_b), round(128 + 255 * c_r)]
    return [round(16 + 219 * luma), round(128 + 224 * c_b), round(128 + 224 * c_r)]


def flat_picture(values: list[int], size: int = 32, pix_fmt: str = "yuv420p") -> av.VideoFrame:
    picture = av.VideoFrame(size, size, pix_fmt)
    dtype = np.uint16 if "10" in pix_fmt else np.uint8
    for plane, value in zip(picture.planes, values, strict=True):
        count = plane.buffer_size // np.dtype(dtype).itemsize
        plane.update(np.full(count, value, dtype).tobytes())
    return picture


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", WEIGHTS)
@pytest.mark.parametrize("colour", COLOURS)
def test_decoding_follows_the_tagged_standard(
    colour: tuple[int, int, int], matrix: int, full: bool
) -> None:
    picture = flat_picture(encoded(colour, matrix, full))
    picture.colorspace, picture.color_range = matrix, 2 if full else 1
    frame = frame_from_picture(picture, (32, 32), VideoReformatter())
    assert np.abs(frame.astype(int) - colour).max() <= 1


@pytest.mark.parametrize(("size", "matrix"), [(32, 6), (720, 1)])
def test_untagged_pictures_follow_the_players_convention(size: int, matrix: int) -> None:
    picture = flat_picture(encoded((250, 40, 40), matrix, False), size)
    frame = frame_from_picture(picture, (size, size), VideoReformatter())
    assert np.abs(frame.astype(int) - (250, 40, 40)).max() <= 1


@pytest.mark.parametrize("colour", COLOURS)
def test_encoding_is_bt709_in_limited_range(colour: tuple[int, int, int]) -> None:
    picture = picture_from_frame(np.full((31, 33, 3), colour, np.uint8), VideoReformatter())
    assert (picture.width, picture.height, picture.format.name) == (34, 32, "yuv420p")
    values = [np.frombuffer(plane, np.uint8)[0] for plane in picture.planes]
    np.testing.assert_allclose(values, encoded(colour, 1, False), atol=1)


def test_squaring_pixels_never_shrinks() -> None:
    picture = av.VideoFrame(720, 576, "yuv420p")
    assert square_pixel_size(picture, Fraction(16, 15)) == (768, 576)
    assert square_pixel_size(picture, Fraction(8, 9)) == (720, 648)
    assert square_pixel_size(picture, None) == (720, 576)
    assert square_pixel_size(picture, Fraction(1, 100)) == (720, 576)
    unknown = SimpleNamespace(numerator=0, denominator=0)  # as PyAV 19 and newer say it
    assert square_pixel_size(picture, unknown) == (720, 576)


def test_a_ratio_of_any_library_is_exact():
    assert exact(SimpleNamespace(numerator=30000, denominator=1001)) == Fraction(30000, 1001)
    assert type(exact(Fraction(25))) is Fraction
    for numerator, denominator in ((0, 0), (1, 0), (-1, 0), (0, 1)):
        assert exact(SimpleNamespace(numerator=numerator, denominator=denominator)) is None
    assert exact(None) is None


@pytest.mark.slow
@pytest.mark.parametrize(("transfer", "white"), [(16, 0.58), (18, 0.75)])
def test_reference_white_of_high_dynamic_range_becomes_white(transfer: int, white: float) -> None:
    """BT.2408 puts diffuse white at 58 % of PQ and 75 % of HLG."""
    picture = flat_picture([round(4 * (16 + 219 * white)), 512, 512], pix_fmt="yuv420p10le")
    picture.colorspace, picture.color_range, picture.color_primaries = 9, 1, 9
    picture.color_trc = transfer
    frame = frame_from_picture(picture, (32, 32), VideoReformatter())
    assert 245 <= frame.min() <= frame.max() <= 255
