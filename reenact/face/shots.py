"""The frames of a film as a sequence: cuts, shots, and frames that hold the last known value."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from enum import IntEnum

import numpy as np
from PIL import Image

_SIDE = 32
"""Pictures are compared at about this many pixels along their short side."""
_POSSIBLE, _CERTAIN = (0.85, 0.6), (0.6, 0.35)
"""Largest correlation of the grey values and of the edges for a possible and for a certain cut."""

_LARGEST_MOVE, _LARGEST_GROWTH = 0.5, 1.5  # of the square around a head, between two frames


class Change(IntEnum):
    """How much a frame differs from the frame before it.

    A `CERTAIN` cut leaves nothing of the picture in its place. A `POSSIBLE` cut may also be a fast
    pan, a flash, or a large object that moves: whoever follows a face should look twice.
    """

    NONE = 0
    POSSIBLE = 1
    CERTAIN = 2


class CutDetector:
    """Compares each frame of a film with the frame before it, on thumbnails.

    Both measures are correlations, so a change of brightness alone is no cut.
    """

    def __init__(self) -> None:
        self._before: np.ndarray | None = None

    def update(self, frame: np.ndarray) -> Change:
        """The next frame (H, W, 3) uint8; all frames have one size. The first one is no cut."""
        before, now = self._before, _thumbnail(frame)
        self._before = now
        if before is None:
            return Change.NONE
        grey, edges = _correlation(before, now), _correlation(_edges(before), _edges(now))
        if grey < _CERTAIN[0] and edges < _CERTAIN[1]:
            return Change.CERTAIN
        return Change.POSSIBLE if grey < _POSSIBLE[0] and edges < _POSSIBLE[1] else Change.NONE


def jumped(before: np.ndarray, now: np.ndarray) -> bool:
    """Whether a head cannot move like this between two frames that follow each other.

    Both are centre x, centre y and side of the square around the head (1.5 of its landmarks' box).
    """
    growth = max(now[2] / before[2], before[2] / now[2])
    distance = float(np.hypot(*(now[:2] - before[:2])))
    return distance > _LARGEST_MOVE * before[2] or growth > _LARGEST_GROWTH


def head_square(landmarks: np.ndarray) -> np.ndarray:
    """Landmarks (68, 2) -> centre x, centre y and side (3,) of the square around the head."""
    low, high = landmarks.min(0), landmarks.max(0)
    return np.array([*((low + high) / 2), 1.5 * (high - low).max()])


def runs(labels: np.ndarray) -> Iterator[slice]:
    """The stretches of equal rows of `labels` (N,) or (N, K), in order, as slices."""
    rows = labels if labels.ndim == 2 else labels[:, None]
    starts = np.flatnonzero((rows[1:] != rows[:-1]).any(1)) + 1
    edges = [0, *starts.tolist(), len(rows)]
    return (slice(a, b) for a, b in itertools.pairwise(edges) if b > a)


def hold_last(known: np.ndarray) -> np.ndarray:
    """For each frame the index of the last known one; before the first known one, that one."""
    last = np.maximum.accumulate(np.where(known, np.arange(len(known)), -1))
    return np.where(last < 0, int(np.argmax(known)), last)


def drivers(person: np.ndarray, shot: np.ndarray) -> np.ndarray:
    """Whose motion counts: the frames (N,) bool, chosen from who is seen in them.

    `person` and `shot` (N,) as in `TargetMotion`. The film belongs to person 0. Only when
    person 0 never returns after a cut does the one who is seen most from then on take over.
    """
    found = person == 0
    if not found.any():
        return found
    later = (shot > shot[np.flatnonzero(found)[-1]]) & (person > 0)
    if later.any():
        found = found | (later & (person == np.argmax(np.bincount(person[later]))))
    return found


def _thumbnail(frame: np.ndarray) -> np.ndarray:
    factor = max(1, min(frame.shape[:2]) // _SIDE)
    picture = Image.fromarray(np.ascontiguousarray(frame)).reduce(factor)
    return np.asarray(picture.convert("L"), dtype=np.float64)


def _edges(picture: np.ndarray) -> np.ndarray:
    across, down = np.diff(picture, axis=1), np.diff(picture, axis=0)
    return np.concatenate([across.ravel(), down.ravel()])


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """1 for equal pictures, also for flat ones; 0 when only one of them is flat."""
    a, b = a - a.mean(), b - b.mean()
    size = np.sqrt((a * a).sum() * (b * b).sum())
    if size < 1e-9:
        return float(np.allclose(a, b))
    return float((a * b).sum() / size)
