"""The drawing that tells the reenactment encoder where the target's face is: lines and pupils."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor

CANVAS = 256
"""Side of the released drawing. Line width and pupil radius are given for this side."""
LINE_WIDTH = 2.0
PUPIL_RADIUS = 5.0
MIN_WIDTH = 1.0
BACKGROUND = 1 / 255
"""The released drawing has the grey value 1 of 255 where nothing is drawn."""

_MAX_SAMPLES = 4_000_000


def _chain(*points: int) -> tuple[tuple[int, int], ...]:
    return tuple(itertools.pairwise(points))


def _ring(first: int, last: int) -> tuple[tuple[int, int], ...]:
    return (*_chain(*range(first, last + 1)), (last, first))


@dataclass(frozen=True, kw_only=True)
class _Part:
    colour: tuple[int, int, int]
    segments: tuple[tuple[int, int], ...]


_LEFT_PUPIL, _RIGHT_PUPIL = 68, 69
# Later parts cover earlier ones. Bridge and nostrils, and both lip lines, share their colour.
_PARTS = (
    _Part(colour=(255, 255, 255), segments=_chain(*range(17))),
    _Part(colour=(255, 0, 0), segments=_chain(*range(17, 22))),
    _Part(colour=(0, 255, 0), segments=_chain(*range(22, 27))),
    _Part(colour=(0, 0, 255), segments=_chain(27, 28, 29, 30, 33) + _chain(*range(31, 36))),
    _Part(colour=(255, 0, 255), segments=_ring(36, 41)),
    _Part(colour=(0, 255, 255), segments=_ring(42, 47)),
    _Part(colour=(255, 255, 0), segments=_ring(48, 59) + _ring(60, 67)),
    _Part(colour=(255, 165, 0), segments=((_LEFT_PUPIL, _LEFT_PUPIL),)),
    _Part(colour=(128, 0, 128), segments=((_RIGHT_PUPIL, _RIGHT_PUPIL),)),
)


def landmark_map(landmarks: Tensor, pupils: Tensor, size: int) -> Tensor:
    """Draw faces: landmarks (B, 68, 2), pupils (B, 2, 2) in pixels -> (B, 3, size, size).

    Values are in [-1, 1]. Parts, colours, order and background are those of the released drawing.
    pupils[:, 0] belongs to the eye on the picture's left (points 36-41). The drawing is
    anti-aliased: the coverage of a pixel is clamp(half width + 0.5 - distance of its centre, 0, 1).
    Lines are 2 pixels wide and pupils have a radius of 5 at 256 pixels. Both scale with `size` and
    are at least 1. Points may lie outside.
    """
    points = torch.cat([landmarks, pupils], 1).float()
    zoom = size / CANVAS
    line, disc = max(LINE_WIDTH * zoom, MIN_WIDTH) / 2, max(PUPIL_RADIUS * zoom, MIN_WIDTH)
    covers = []
    for part in _PARTS:
        radius = disc if part.segments[0][0] >= _LEFT_PUPIL else line
        ends = torch.tensor(part.segments, device=points.device)
        covers.append(_coverage(points[:, ends[:, 0]], points[:, ends[:, 1]], radius + 0.5, size))
    return _composite(covers, size)


def _coverage(start: Tensor, end: Tensor, reach: float, size: int) -> Tensor:
    """How much of each pixel the segments (B, N, 2) cover: (B, size * size), their largest value.

    Only a square of pixels around each segment is computed, as wide as the longest one needs.
    """
    low = (torch.minimum(start, end) - reach).floor().clamp(0, size)
    high = (torch.maximum(start, end) + reach).ceil().clamp(0, size)
    window = max(int((high - low).max()), 1) if len(start) else 1
    step = max(_MAX_SAMPLES // (start.shape[1] * window * window), 1)
    canvas = [start.new_zeros(0, size * size)]
    for i in range(0, len(start), step):
        some = slice(i, i + step)
        canvas.append(_draw(start[some], end[some], low[some], reach, window, size))
    return torch.cat(canvas)


def _draw(start: Tensor, end: Tensor, low: Tensor, reach: float, window: int, size: int) -> Tensor:
    """Coverage (B, size * size), looked at in `window` x `window` pixels from `low` (B, N, 2)."""
    offset = torch.arange(window, device=start.device)
    column = low[..., 0].long()[..., None] + offset  # (B, N, W)
    row = low[..., 1].long()[..., None] + offset
    dx = (column + 0.5 - start[..., :1])[:, :, None, :]  # (B, N, 1, W)
    dy = (row + 0.5 - start[..., 1:])[:, :, :, None]  # (B, N, W, 1)
    axis = end - start
    ax, ay = axis[..., 0, None, None], axis[..., 1, None, None]
    length = (ax * ax + ay * ay).clamp_min(1e-12)
    along = (dx * (ax / length) + dy * (ay / length)).clamp(0, 1)
    square = (dx - along * ax).square() + (dy - along * ay).square()
    # The small constant keeps the gradient finite on the line itself.
    cover = (reach - (square + 1e-12).sqrt()).clamp(0, 1)
    cover = cover * ((column < size)[:, :, None, :] & (row < size)[:, :, :, None])
    pixel = row.clamp_max(size - 1)[..., None] * size + column.clamp_max(size - 1)[:, :, None]
    canvas = cover.new_zeros(len(start), size * size)
    return canvas.scatter_reduce(1, pixel.flatten(1), cover.flatten(1), "amax")


def _composite(covers: list[Tensor], size: int) -> Tensor:
    """Lay the parts' coverages (B, size * size) over each other -> (B, 3, size, size)."""
    visible = torch.ones_like(covers[0])
    weights = []
    for cover in reversed(covers):
        weights.append(cover * visible)
        visible = visible * (1 - cover)
    weights.append(visible)
    colours = [[c / 255 for c in part.colour] for part in reversed(_PARTS)] + [[BACKGROUND] * 3]
    palette = torch.tensor(colours, device=visible.device).T * 2 - 1
    return (palette @ torch.stack(weights, 1)).view(-1, 3, size, size)
