"""The FFHQ alignment of the published pipeline: it cuts a square around the face and blurs the
border where the square leaves the picture.

It follows the recipe of the FFHQ data set with these changes: the blur is 0.01 of the square's
side, the result has 256 pixels, and there is no supersampling. Quads are in the coordinates of the
published pipeline, where the centre of the first pixel is (0, 0). `crop_from_quad` converts them to
the coordinates of this project.
"""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from reenact.face.crop import FaceCrop

SIZE = 256
EYE_FACTOR, MOUTH_FACTOR = 2.0, 1.8
"""Half the side of the square: these factors times the distances from eye to eye and from eyes to
mouth; the larger one counts."""
DOWN = 0.1
"""The centre lies below the eyes by this share of the distance to the mouth."""
BORDER, MIN_BORDER = 0.1, 3
PAD = 0.3
BLUR = 0.01
# The picture is padded when the square comes closer to the picture's edge than this.
_SLACK = 4
_SMALLEST_SIDE = 2.0


def requantised(frame: np.ndarray) -> np.ndarray:
    """The grey levels that the published pipeline aligns: (..., 3) uint8 -> uint8.

    It converts pictures to [-1, 1] in float32 and back, and truncates. This lowers the levels 1 to
    63 by one.
    """
    levels = np.arange(256, dtype=np.uint8)
    levels[1:64] -= 1
    return levels[frame]


def quad_from_landmarks(landmarks: np.ndarray) -> np.ndarray:
    """landmarks (68, 2) px -> the square's corners (4, 2) float64: NW, SW, SE, NE.

    Raises ValueError when the landmarks are not finite or fall on one point.
    """
    # As published, means and differences are in float32, and the square is in float64.
    points = np.asarray(landmarks, dtype=np.float32)
    if points.shape != (68, 2):
        raise ValueError(f"landmarks: shape {points.shape}, expected (68, 2)")
    if not np.isfinite(points).all():
        raise ValueError("landmarks: not finite")
    eye_left, eye_right = points[36:42].mean(0), points[42:48].mean(0)
    eyes = (eye_left + eye_right) * np.float32(0.5)
    across = eye_right - eye_left
    down = (points[48] + points[54]) * np.float32(0.5) - eyes
    centre = eyes + down * np.float32(DOWN)
    axis = across.astype(np.float64) + np.array([down[1], -down[0]], dtype=np.float64)
    length = np.hypot(*axis)
    half = max(EYE_FACTOR * float(np.hypot(*across)), MOUTH_FACTOR * float(np.hypot(*down)))
    if not length > 0 or 2 * half < _SMALLEST_SIDE:
        raise ValueError("landmarks: all on one point, there is no face to align")
    x = axis / length * half
    y = np.array([-x[1], x[0]])
    return np.stack([centre - x - y, centre - x + y, centre + x + y, centre + x - y])


def align_quad(frame: np.ndarray, quad: np.ndarray, size: int = SIZE) -> np.ndarray:
    """Cut `quad` (4, 2) out of `frame` (H, W, 3) uint8 -> (size, size, 3) uint8.

    Raises ValueError when the square does not meet the picture.
    """
    quad = np.asarray(quad, dtype=np.float64)
    height, width = frame.shape[:2]
    low, high = quad.min(0), quad.max(0)
    if not (np.isfinite(quad).all() and (high > 0).all() and (low < (width, height)).all()):
        place = f"({low[0]:.0f}, {low[1]:.0f}) to ({high[0]:.0f}, {high[1]:.0f})"
        raise ValueError(f"face square {place} lies outside of the {width} x {height} picture")
    picture = Image.fromarray(np.ascontiguousarray(frame))
    shrink = _shrink(quad, size)
    if shrink > 1:
        small = (max(round(width / shrink), 1), max(round(height / shrink), 1))
        picture = picture.resize(small, Image.Resampling.LANCZOS)
        quad = quad / shrink
    side = _side(quad)
    border = max(int(np.rint(side * BORDER)), MIN_BORDER)
    picture, quad = _cropped(picture, quad, border)
    picture, quad = _padded(picture, quad, side, border)
    # Pillow counts from the corner of the first pixel; the quad counts from its centre.
    corners = tuple((quad + 0.5).ravel().tolist())
    cut = picture.transform((size, size), Image.Transform.QUAD, corners, Image.Resampling.BILINEAR)
    return np.asarray(cut)


def crop_from_quad(quad: np.ndarray, size: int = SIZE) -> FaceCrop:
    """The crop that has the same pixels as `align_quad`, in continuous coordinates.

    It is exact, except for a frame that is shrunk first: its new size is rounded to whole pixels.
    """
    quad = np.asarray(quad, dtype=np.float64)
    north_west, south_west, _, north_east = quad
    matrix = np.eye(3)
    matrix[:2, 0] = (north_east - north_west) / size
    matrix[:2, 1] = (south_west - north_west) / size
    matrix[:2, 2] = north_west + _half_pixel(quad, size)
    return FaceCrop(crop_from_frame=np.linalg.inv(matrix), size=size)


def quad_from_crop(crop: FaceCrop, picture_from_frame: np.ndarray | None = None) -> np.ndarray:
    """Inverse of `crop_from_quad`: the corners (4, 2) of a crop's square.

    `picture_from_frame` (3, 3) maps frame pixels to those of a resized picture, in continuous
    coordinates; the corners are then in that picture.
    """
    side = float(crop.size)
    corners = crop.points_to_frame(np.array([[0, 0], [0, side], [side, side], [side, 0]]))
    if picture_from_frame is not None:
        corners = corners @ picture_from_frame[:2, :2].T + picture_from_frame[:2, 2]
    # The padding depends on whole pixels. Rounding keeps them when a quad goes to a crop and back.
    return np.round(corners - _half_pixel(corners, crop.size), 9)


def _side(quad: np.ndarray) -> float:
    return float(np.hypot(*(quad[3] - quad[0])))


def _shrink(quad: np.ndarray, size: int) -> int:
    """By how much a large frame is shrunk before the cut. 0 and 1 do not shrink it."""
    return int(np.floor(_side(quad) / size * 0.5))


def _half_pixel(quad: np.ndarray, size: int) -> float:
    """The distance from the corner to the centre of a sampled pixel, in pixels of `quad`.

    A large frame is shrunk before it is sampled, so a sampled pixel may be wider than one.
    """
    return 0.5 * max(_shrink(quad, size), 1)


def _box(quad: np.ndarray) -> tuple[int, int, int, int]:
    left, top = np.floor(quad.min(0)).astype(int).tolist()
    right, bottom = np.ceil(quad.max(0)).astype(int).tolist()
    return left, top, right, bottom


def _cropped(picture: Image.Image, quad: np.ndarray, border: int) -> tuple[Image.Image, np.ndarray]:
    """Cut off the parts of the picture that lie farther than `border` from the quad."""
    left, top, right, bottom = _box(quad)
    left, top = max(left - border, 0), max(top - border, 0)
    right, bottom = min(right + border, picture.width), min(bottom + border, picture.height)
    if (right - left, bottom - top) == picture.size:
        return picture, quad
    return picture.crop((left, top, right, bottom)), quad - np.array([left, top])


def _padded(
    picture: Image.Image, quad: np.ndarray, side: float, border: int
) -> tuple[Image.Image, np.ndarray]:
    """Continue the picture by mirroring where the quad leaves it. With the distance from the
    picture the mirrored part becomes blurred, and then the picture's median colour.
    """
    left, top, right, bottom = _box(quad)
    missing = (
        max(border - left, 0),
        max(border - top, 0),
        max(right - picture.width + border, 0),
        max(bottom - picture.height + border, 0),
    )
    if max(missing) <= border - _SLACK:
        return picture, quad
    least = max(int(np.rint(side * PAD)), 1)
    left, top, right, bottom = (max(pad, least) for pad in missing)
    pixels = np.asarray(picture, dtype=np.float32)
    pixels = np.pad(pixels, ((top, bottom), (left, right), (0, 0)), mode="reflect")
    height, width = pixels.shape[:2]
    x = np.arange(width, dtype=np.float32)
    y = np.arange(height, dtype=np.float32)[:, None]
    inside_x = np.minimum(x / left, (width - 1 - x) / right)
    inside_y = np.minimum(y / top, (height - 1 - y) / bottom)
    outside = np.maximum(1 - inside_x, 1 - inside_y)[..., None]
    sigma = side * BLUR
    blurred = gaussian_filter(pixels, (sigma, sigma, 0))
    pixels += (blurred - pixels) * np.clip(3 * outside + 1, 0, 1)
    pixels += (np.median(pixels, axis=(0, 1)) - pixels) * np.clip(outside, 0, 1)
    levels = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return Image.fromarray(levels), quad + np.array([left, top])
