"""The square, upright face crop. It is an invertible similarity, so a result can be put back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter1d

from reenact.face.shots import hold_last, runs

SMOOTHING_SECONDS = 0.7
"""Sigma of the video crop. Head motion of a second or two stays visible; slow drift does not."""

FACE_RANGE = ((0.25, 0.75), (0.42, 0.8))
"""Where the middle of the 68 landmarks may lie in a crop (x, y), in units of the crop's side. About
as far as a neck can carry a head; the middle of a still head lies near (0.5, 0.6)."""
LARGEST_FACE = 0.9
"""Largest extent of the 68 landmarks in a crop, in units of the crop's side."""

MAX_SUPERSAMPLING = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class FaceCrop:
    """`crop_from_frame` (3, 3) float64 maps frame to crop pixels; the crop is `size` x `size`.

    Coordinates are continuous: the centre of the first pixel is (0.5, 0.5).
    """

    crop_from_frame: np.ndarray
    size: int

    @property
    def frame_from_crop(self) -> np.ndarray:
        return np.linalg.inv(self.crop_from_frame)

    @property
    def zoom(self) -> float:
        """Crop pixels per frame pixel."""
        return float(np.hypot(self.crop_from_frame[0, 0], self.crop_from_frame[1, 0]))

    def resized(self, size: int) -> FaceCrop:
        """The same square with `size` pixels a side."""
        factor = size / self.size
        return FaceCrop(
            crop_from_frame=np.diag([factor, factor, 1.0]) @ self.crop_from_frame, size=size
        )

    def points_from_frame(self, points: np.ndarray) -> np.ndarray:
        """Frame pixels (..., 2) -> crop pixels."""
        return points @ self.crop_from_frame[:2, :2].T + self.crop_from_frame[:2, 2]

    def points_to_frame(self, points: np.ndarray) -> np.ndarray:
        """Crop pixels (..., 2) -> frame pixels."""
        matrix = self.frame_from_crop
        return points @ matrix[:2, :2].T + matrix[:2, 2]


def crop_from_landmarks(landmarks: np.ndarray, size: int) -> FaceCrop:
    """The FFHQ crop of one face: `landmarks` (68, 2) in frame pixels.

    Raises ValueError when the landmarks are not finite or fall on one point.
    """
    return _crop_from_box(_boxes(np.asarray(landmarks)[None])[0], size)


def crops_for_video(
    landmarks: np.ndarray,
    found: np.ndarray,
    size: int,
    fps: float,
    *,
    smoothing: float = SMOOTHING_SECONDS,
    shots: np.ndarray | None = None,
    one_angle: bool = False,
) -> list[FaceCrop]:
    """One crop per frame that follows the face slowly: no jitter, and head motion stays visible.

    `landmarks` (N, 68, 2) in frame pixels; `found` (N,) bool; `shots` (N,) numbers the shots of a
    film, None for one shot. Centre, log side and angle of the FFHQ crop are smoothed with a
    Gaussian of `smoothing` seconds, each shot on its own. Frames without a face are bridged
    linearly inside their shot. A shot without any face keeps the last crop of before (at the
    beginning: the first crop that follows). one_angle: all crops of a shot have the median angle of
    its heads, so that the head rolls in them as it does in the film. Raises ValueError when no
    frame has a face.
    """
    found = np.asarray(found, dtype=bool)
    if not found.any():
        raise ValueError("no frame has a face")
    shots = np.zeros(len(found), dtype=int) if shots is None else shots
    track = np.full((len(found), 4), np.nan)
    for shot in runs(shots):
        here = np.flatnonzero(found[shot])
        if len(here):
            boxes = _boxes(np.asarray(landmarks[shot])[here])
            boxes[:, 3] = np.unwrap(boxes[:, 3])
            frames = np.arange(shot.stop - shot.start)
            if one_angle:
                boxes[:, 3] = np.median(boxes[:, 3])
            bridged = np.stack([np.interp(frames, here, column) for column in boxes.T], 1)
            track[shot] = _smooth(bridged, sigma=smoothing * float(fps))
    known = ~np.isnan(track[:, 0])
    track = track[hold_last(known)]
    return [_crop_from_box(box, size) for box in track]


def keep_heads_inside(
    crops: Sequence[FaceCrop], landmarks: np.ndarray, found: np.ndarray
) -> tuple[list[FaceCrop], np.ndarray]:
    """Crops that do not lose the head, and which of them (N,) bool had to change for that.

    `crops` N; `landmarks` (N, 68, 2) in frame pixels; `found` (N,) bool. A crop changes no more
    than needed: it is enlarged until the landmarks take at most `LARGEST_FACE` of its side, and
    moved until their middle lies in `FACE_RANGE`. Frames without a face keep their crop.
    """
    kept, changed = list(crops), np.zeros(len(crops), dtype=bool)
    for i in np.flatnonzero(found):
        crop = kept[i]
        points = crop.points_from_frame(landmarks[i]) / crop.size
        low, high = points.min(0), points.max(0)
        factor = max(1.0, float(np.max(high - low)) / LARGEST_FACE)
        middle = 0.5 + ((low + high) / 2 - 0.5) / factor
        wanted = np.clip(middle, *np.array(FACE_RANGE).T)
        if factor > 1 or (wanted != middle).any():
            shift = crop.size * (wanted - middle + 0.5 - 0.5 / factor)
            change = np.array([[1 / factor, 0, shift[0]], [0, 1 / factor, shift[1]], [0, 0, 1]])
            kept[i] = FaceCrop(crop_from_frame=change @ crop.crop_from_frame, size=crop.size)
            changed[i] = True
    return kept, changed


class FollowingCrop:
    """The crop of `crops_for_video` for live pictures: it follows the face without later frames."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._box: np.ndarray | None = None
        self._time = 0.0

    def update(self, landmarks: np.ndarray, time: float) -> FaceCrop:
        """The next face, (68, 2) in frame pixels, at `time` in seconds -> its crop."""
        box, before = _boxes(landmarks[None])[0], self._box
        if before is not None:
            share = 1 - math.exp(-max(time - self._time, 0) / SMOOTHING_SECONDS)
            way = box - before
            way[3] = (way[3] + math.pi) % (2 * math.pi) - math.pi
            box = before + share * way
        self._box, self._time = box, time
        return _crop_from_box(box, self.size)


def warp_to_crop(frame: np.ndarray, crop: FaceCrop) -> np.ndarray:
    """Cut the crop out of `frame` (H, W, 3) uint8 -> (size, size, 3) uint8.

    Antialiased when the crop is coarser than the frame. Beyond the frame's border its last row or
    column is repeated: nothing is invented there.
    """
    matrix = crop.frame_from_crop
    if np.allclose(matrix, matrix.round(), atol=1e-7) and np.allclose(matrix[:2, :2], np.eye(2)):
        # The frame's own pixels keep their exact values.
        matrix = matrix.round()
    corners = _square(crop.size) @ matrix[:2, :2].T + matrix[:2, 2]
    low = np.floor(corners.min(0)).astype(int) - 3
    high = np.ceil(corners.max(0)).astype(int) + 3
    rows, columns = (np.arange(low[k], high[k]).clip(0, frame.shape[1 - k] - 1) for k in (1, 0))
    shifted = _shift(-low) @ matrix
    return _warp(frame[np.ix_(rows, columns)], shifted, (crop.size, crop.size))


def paste_back(
    frame: np.ndarray, crop_frame: np.ndarray, crop: FaceCrop, mask: np.ndarray | None = None
) -> np.ndarray:
    """Lay `crop_frame` (S, S, 3) uint8 over a copy of `frame` where `mask` (S, S) in [0, 1] says.

    S may differ from `crop.size` (a result of another resolution). Without a mask the whole crop
    is laid down with a soft edge. Pixels with mask 0 keep their exact value.
    """
    side = crop_frame.shape[0]
    mask = feathered_mask(side) if mask is None else mask
    to_crop = np.diag([side / crop.size, side / crop.size, 1.0]) @ crop.crop_from_frame
    matrix = np.linalg.inv(to_crop)
    corners = _square(side) @ matrix[:2, :2].T + matrix[:2, 2]
    limit = np.array([frame.shape[1], frame.shape[0]])
    low = np.clip(np.floor(corners.min(0)).astype(int), 0, limit)
    high = np.clip(np.ceil(corners.max(0)).astype(int), 0, limit)
    result = frame.copy()
    if (high <= low).any():
        return result
    width, height = (high - low).tolist()
    # The picture's edge is repeated outwards so that blending never mixes in black.
    border = 3
    padded = np.pad(crop_frame, ((border, border), (border, border), (0, 0)), mode="edge")
    shifted = _shift((border, border)) @ to_crop @ _shift(low)
    colour = _warp(padded, shifted, (width, height)).astype(np.float32)
    cover = np.pad(np.round(np.clip(mask, 0, 1) * 255).astype(np.uint8), border)
    alpha = _warp(cover, shifted, (width, height), resample=Image.Resampling.BILINEAR)
    weight = alpha.astype(np.float32)[..., None] / 255
    region = result[low[1] : high[1], low[0] : high[0]]
    blended = region + (colour - region) * weight
    region[...] = np.clip(np.rint(blended), 0, 255).astype(np.uint8)
    return result


def feathered_mask(size: int, feather: float = 0.1) -> np.ndarray:
    """(size, size) float32: 1 inside, falling smoothly to 0 over `feather` of the side."""
    middle = (np.arange(size) + 0.5) / size
    ramp = np.clip(np.minimum(middle, 1 - middle) / max(feather, 1e-6), 0, 1)
    ramp = ramp * ramp * (3 - 2 * ramp)
    return (ramp[:, None] * ramp[None, :]).astype(np.float32)


def _boxes(landmarks: np.ndarray) -> np.ndarray:
    """FFHQ recipe: (N, 68, 2) -> (N, 4) = centre x, y, log of half the side, angle."""
    points = landmarks.astype(np.float64)
    eye_left, eye_right = points[:, 36:42].mean(1), points[:, 42:48].mean(1)
    mouth = (points[:, 48] + points[:, 54]) / 2
    eyes = (eye_left + eye_right) / 2
    across, down = eye_right - eye_left, mouth - eyes
    axis = across + np.stack([down[:, 1], -down[:, 0]], 1)
    half = np.maximum(2.0 * np.linalg.norm(across, axis=1), 1.8 * np.linalg.norm(down, axis=1))
    if not np.isfinite(points).all() or not (half > 0).all() or not axis.any(1).all():
        raise ValueError("landmarks: not finite, or all on one point")
    centre = eyes + 0.1 * down
    angle = np.arctan2(axis[:, 1], axis[:, 0])
    return np.column_stack([centre, np.log(half), angle])


def _crop_from_box(box: Sequence[float] | np.ndarray, size: int) -> FaceCrop:
    x, y, log_half, angle = (float(v) for v in box)
    zoom = size / (2 * math.exp(log_half))
    cos, sin = zoom * math.cos(angle), zoom * math.sin(angle)
    shift_x = size / 2 - (cos * x + sin * y)
    shift_y = size / 2 - (-sin * x + cos * y)
    matrix = np.array([[cos, sin, shift_x], [-sin, cos, shift_y], [0.0, 0.0, 1.0]])
    return FaceCrop(crop_from_frame=matrix, size=size)


def _smooth(track: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian over time (N, K); at the ends the kernel is cut off, not padded."""
    if sigma <= 0:
        return track
    weight = gaussian_filter1d(np.ones(len(track)), sigma, mode="constant")
    return gaussian_filter1d(track, sigma, axis=0, mode="constant") / weight[:, None]


def _square(side: int) -> np.ndarray:
    return np.array([[0.0, 0.0], [side, 0.0], [side, side], [0.0, side]])


def _shift(offset: Sequence[float] | np.ndarray) -> np.ndarray:
    matrix = np.eye(3)
    matrix[:2, 2] = offset
    return matrix


def _warp(
    picture: np.ndarray,
    picture_from_out: np.ndarray,
    out_size: tuple[int, int],
    resample: Image.Resampling = Image.Resampling.BICUBIC,
) -> np.ndarray:
    """Sample uint8 `picture` at `picture_from_out` (3, 3); `out_size` = width, height.

    When the output is coarser, several samples per output pixel are averaged.
    """
    width, height = out_size
    ratio = float(np.hypot(picture_from_out[0, 0], picture_from_out[1, 0]))
    k = min(max(math.ceil(ratio - 1e-3), 1), MAX_SUPERSAMPLING)
    matrix = picture_from_out @ np.diag([1 / k, 1 / k, 1.0])
    if k > 1:
        resample = Image.Resampling.BILINEAR
    source = Image.fromarray(np.ascontiguousarray(picture))
    coefficients = tuple(float(v) for v in matrix[:2].ravel())
    big = source.transform((width * k, height * k), Image.Transform.AFFINE, coefficients, resample)
    if k > 1:
        big = big.reduce(k)
    return np.asarray(big)
