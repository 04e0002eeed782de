"""The drawing that the released encoder reads: lines and discs of OpenCV on 256 x 256 pixels.

It equals the drawing of the published pipeline in every pixel. Coordinates are those of the
published pipeline, where the centre of the first pixel is (0, 0).
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from reenact.errors import UserError

CANVAS = 256
BACKGROUND = 1
"""Grey level of the empty canvas. It is 1, not 0."""
LINE_WIDTH = 2
PUPIL_RADIUS = 5
PUPIL_COLOURS = ((255, 165, 0), (128, 0, 128))
"""Of the image-left eye (points 36-41) and the image-right one."""

_FRACTION_BITS = 16
# Larger coordinates would overflow OpenCV's fixed-point numbers. No face reaches this limit.
_FARTHEST = 1 << 14


class _Part(NamedTuple):
    colour: tuple[int, int, int]
    points: tuple[int, ...]
    closed: bool


# Later parts cover earlier ones.
_PARTS = (
    _Part((255, 255, 255), tuple(range(17)), closed=False),
    _Part((255, 0, 0), tuple(range(17, 22)), closed=False),
    _Part((0, 255, 0), tuple(range(22, 27)), closed=False),
    _Part((0, 0, 255), (27, 28, 29, 30, 33), closed=False),
    _Part((0, 0, 255), tuple(range(31, 36)), closed=False),
    _Part((255, 0, 255), tuple(range(36, 42)), closed=True),
    _Part((0, 255, 255), tuple(range(42, 48)), closed=True),
    _Part((255, 255, 0), tuple(range(48, 60)), closed=True),
    _Part((255, 255, 0), tuple(range(60, 68)), closed=True),
)


def draw(landmarks: np.ndarray, pupils: np.ndarray | None) -> np.ndarray:
    """Draw one face: landmarks (68, 2), pupils (2, 2) or None -> (256, 256, 3) uint8 RGB.

    Coordinates are truncated towards zero. They may lie outside the canvas. pupils[0] belongs to
    the image-left eye (points 36-41). Raises ValueError when a coordinate is not finite.
    """
    cv2 = _opencv()
    corners = _whole_pixels(landmarks, (68, 2), "landmarks")
    canvas = np.full((CANVAS, CANVAS, 3), BACKGROUND, dtype=np.uint8)
    for part in _PARTS:
        chain = part.points + part.points[:1] if part.closed else part.points
        for start, end in itertools.pairwise(corners[list(chain)]):
            _line(cv2, canvas, start, end, part.colour)
    if pupils is not None:
        centres = _whole_pixels(pupils, (2, 2), "pupils")
        for centre, colour in zip(centres.tolist(), PUPIL_COLOURS, strict=True):
            cv2.circle(canvas, centre, PUPIL_RADIUS, colour, cv2.FILLED)
    return canvas


def stickman(landmarks: Tensor, pupils: Tensor) -> Tensor:
    """Draw a batch: landmarks (B, 68, 2), pupils (B, 2, 2) -> (B, 3, 256, 256) in [-1, 1].

    The result is float32 on the landmarks' device. The drawing is not differentiable.
    """
    faces = zip(landmarks.detach().cpu().numpy(), pupils.detach().cpu().numpy(), strict=True)
    canvases = [draw(points, centres) for points, centres in faces]
    stack = np.stack(canvases) if canvases else np.empty((0, CANVAS, CANVAS, 3), np.uint8)
    drawn = torch.from_numpy(stack).to(landmarks.device).permute(0, 3, 1, 2)
    return (drawn.float().contiguous() / 255 - 0.5) * 2


def _line(
    cv2: Any, canvas: np.ndarray, start: np.ndarray, end: np.ndarray, colour: tuple[int, int, int]
) -> None:
    """Draw a line as OpenCV 4 does: a filled rectangle between two discs.

    `polylines` of OpenCV 5 bends a line that leaves the canvas. Its polygons do not bend.
    """
    along = (end - start).astype(np.float64)
    length = np.hypot(*along)
    if length > 0:
        half = LINE_WIDTH / 2 * (1 << _FRACTION_BITS) / length
        side = np.rint(half * np.array([along[1], -along[0]])).astype(np.int64)
        a, b = start << _FRACTION_BITS, end << _FRACTION_BITS
        rectangle = np.array([a - side, a + side, b + side, b - side], dtype=np.int32)
        cv2.fillConvexPoly(canvas, rectangle, colour, cv2.LINE_8, _FRACTION_BITS)
    for point in (start, end):
        cv2.circle(canvas, point.tolist(), LINE_WIDTH // 2, colour, cv2.FILLED)


def _whole_pixels(points: np.ndarray, shape: tuple[int, int], name: str) -> np.ndarray:
    points = np.asarray(points)
    if points.shape != shape:
        raise ValueError(f"{name}: shape {points.shape}, expected {shape}")
    if not np.isfinite(points).all():
        raise ValueError(f"{name}: not finite, nothing can be drawn")
    return np.clip(points, -_FARTHEST, _FARTHEST).astype(np.int64)


def _opencv() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise UserError(
            f"OpenCV does not load ({error}): pip install opencv-python-headless, "
            "or install the system's libgl1"
        ) from error
    return cv2
