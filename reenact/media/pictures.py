"""Turns decoded pictures (PyAV video frames) into RGB frames, and frames into pictures.

It takes care of colour space, range of the levels, shape of the pixels and rotation.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter

# Values of ITU-T H.273 for matrix, primaries and transfer, and FFmpeg's for the range.
BT709, UNSPECIFIED, LIMITED_RANGE = 1, 2, 1
RGB_PIXELS = {3: "rgb24", 4: "rgba"}
PQ, HLG = 16, 18  # the transfer curves of high dynamic range video


@dataclass(frozen=True, kw_only=True)
class Orientation:
    """How a stored picture is turned to be shown: first transposed, then mirrored."""

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    def apply(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """(H, W, 3) as stored -> (H, W, 3) or (W, H, 3) as shown."""
        if self.transpose:
            frame = frame.swapaxes(0, 1)
        frame = frame[:: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]
        return np.ascontiguousarray(frame)


def read_orientation(picture: "VideoFrame") -> Orientation:
    """From the display matrix [a b u; c d v; x y w]: x' = a x + c y, y' = b x + d y."""
    from av.sidedata.sidedata import Type

    try:
        side_data: Any = picture.side_data
    except ValueError:
        # PyAV does not know all kinds of side data, for example Exif. It then gives the turn alone.
        turns = round(picture.rotation / 90) % 4  # counter-clockwise
        return Orientation(
            transpose=turns in (1, 3), flip_rows=turns in (1, 2), flip_columns=turns in (2, 3)
        )
    matrix = side_data.get(Type.DISPLAYMATRIX)
    if matrix is None:
        return Orientation()
    a, b, _, c, d = (int(v) for v in np.frombuffer(bytes(matrix), dtype=np.int32)[:5])
    if abs(b) > abs(a):
        return Orientation(transpose=True, flip_rows=b < 0, flip_columns=c < 0)
    return Orientation(flip_rows=d < 0, flip_columns=a < 0)


class Ratio(Protocol):
    """A whole number over another one: a Fraction, or what PyAV 19 and newer have in its place."""

    @property
    def numerator(self) -> int: ...

    @property
    def denominator(self) -> int: ...


def exact(ratio: Ratio | None) -> Fraction | None:
    """The ratio as a Fraction. None where it is unknown: None, 0, or a denominator of 0."""
    if ratio is None or ratio.numerator == 0 or ratio.denominator == 0:
        return None
    return Fraction(ratio.numerator, ratio.denominator)


def square_pixel_size(picture: "VideoFrame", ratio: Ratio | None) -> tuple[int, int]:
    """The (width, height) of the picture with square pixels. One side is stretched, none shrunk.

    ratio: width of a stored pixel over its height. None counts as square, and so does a value
        below 1/4 or above 4.
    """
    aspect = exact(ratio)
    width, height = picture.width, picture.height
    if aspect is None or not Fraction(1, 4) <= aspect <= 4:
        return width, height
    if aspect > 1:
        return round(width * aspect), height
    return width, round(height / aspect)


def is_high_dynamic_range(picture: "VideoFrame") -> bool:
    """Whether the picture is brighter than a standard screen (HDR10, Dolby Vision, HLG)."""
    return picture.color_trc in (PQ, HLG)


def is_transparent(picture: "VideoFrame") -> bool:
    """Whether a part of the picture is not opaque."""
    if not any(component.is_alpha for component in picture.format.components):
        return False
    return bool((picture.to_ndarray(format="rgba")[..., 3] < 255).any())


def frame_from_picture(
    picture: "VideoFrame", size: tuple[int, int], reformatter: "VideoReformatter"
) -> NDArray[np.uint8]:
    """A decoded picture as a frame (height, width, 3) of the given `size` (width, height).

    Transparent parts are shown over white. High dynamic range is mapped to BT.709.
    """
    from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

    options: dict[str, Any] = {}
    if picture.colorspace == UNSPECIFIED and not picture.format.is_rgb:
        # The convention of players: untagged high definition is BT.709, smaller is BT.601.
        untagged = Colorspace.ITU709 if picture.height >= 720 else Colorspace.ITU601
        options["src_colorspace"] = untagged
    if is_high_dynamic_range(picture):  # some seconds of preparation, then at full speed
        options["dst_color_trc"] = ColorTrc.BT709
        options["dst_color_primaries"] = ColorPrimaries.BT709
    has_alpha = any(component.is_alpha for component in picture.format.components)
    converted: Any = reformatter.reformat(
        picture,
        width=size[0],
        height=size[1],
        format="rgba" if has_alpha else "rgb24",
        dst_color_range=ColorRange.JPEG,
        interpolation=_exact_scaling(),
        **options,
    ).to_ndarray()
    levels: NDArray[np.uint8] = converted
    if not has_alpha:
        return levels
    alpha = levels[..., 3:].astype(np.uint16)
    blended = (levels[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255
    return blended.astype(np.uint8)


def picture_from_frame(
    frame: NDArray[np.uint8], reformatter: "VideoReformatter", pixels: str = "yuv420p"
) -> "VideoFrame":
    """A frame (H, W, 3) RGB or (H, W, 4) RGBA as a picture in BT.709, limited range.

    pixels: FFmpeg's name of the pixel format.

    The colour planes have half the size, so an odd side grows by one pixel: the last row or column
    is repeated.
    """
    from av.video.frame import VideoFrame
    from av.video.reformatter import ColorRange, Colorspace

    height, width, planes = frame.shape
    even = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    return reformatter.reformat(
        VideoFrame.from_ndarray(np.ascontiguousarray(even), format=RGB_PIXELS[planes]),
        format=pixels,
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
        interpolation=_exact_scaling(),
    )


def _exact_scaling() -> int:
    """Flags of the colour conversion. Without the two for chroma, pictures darken by 2 of 255."""
    from av.video.reformatter import Interpolation

    return int(
        Interpolation.BICUBIC
        | Interpolation.ACCURATE_RND
        | Interpolation.FULL_CHR_H_INT
        | Interpolation.FULL_CHR_H_INP
    )
