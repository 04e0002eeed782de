"""What each pixel of a drawn head shows, and what the source photo shows of it."""

from __future__ import annotations

import numba as nb
import numpy as np

from reenact.face.surface.layer_source import FACE_DEPTH, LayerSource
from reenact.face.surface.look import darken_closing_eyes, shares
from reenact.face.surface.raster import SKIN
from reenact.face.surface.sight import HIDDEN_BELOW
from reenact.face.surface.skull import CHIN_HEIGHT
from reenact.face.surface.usual_look import USUAL_PARTS
from reenact.face.surface.visible import BALLS, NUM_PARTS

SURE_FACING, SURE_STRETCH = 0.45, 1.5
"""Where the head faces the camera by less than the first in the source, and by more than this many
times more in the picture to be made, a little of the source would be spread over a large part.
"""
EAR_DEPTH, LEAST_TURN = -0.4, 0.15
"""dm: in front of this depth the head model's skin is opaque where it turns into view. A point
turns into view where it faces the camera by this much more than in the source.
"""
SHOULDER_HEIGHT = -1.75
"""dm: below this height at rest the shoulders begin. They move with the place and the size of the
head, but do not turn.
"""
HIDDEN_FROM, HIDDEN_TO = 0.35, 0.05
"""How much the other half of the face stands in for a part of it: not at all where that faces the
source's camera by the first value, completely where it faces away by the second one.
"""
LID_JUMP = 2.0
"""Pixels between the places in the source of two neighbours: from there on a lid ends there."""
JAW_SLOPE = 0.7
"""From the chin the lower edge of the jaw rises by so many dm for each dm of depth. What lies below
is neck: it bends between the head and the shoulders.
"""


def looked_up(
    drawn: np.ndarray,
    part: np.ndarray,
    source: LayerSource,
    middle: float,
    turned: float,
    openness: np.ndarray,
    planes: np.ndarray,
) -> None:
    """Fills planes (17, S, S), which are 0, from a drawn surface.

    middle: the column half-way between the pupils. turned: 1 if the eyes turn, 0 if not. openness:
    see `darken_closing_eyes`.

    These are: source x and y; those of the other half of the face; whether there is a head above
    the neck; whether there is neck or shoulders; whether there is a face; whether x and y are those
    of a visible surface whose motion its surroundings follow; whether the source hides this part of
    a face, but not that of the other half; and the shares of materials that are drawn.
    """
    fill = shares(part, drawn[..., 6:9], middle, source.look)
    cut = source.cut[0, 0].cpu().numpy()
    is_usual = np.isin(np.arange(NUM_PARTS), USUAL_PARTS)
    _classify(drawn, part, is_usual, source.planes, cut, turned, fill, planes)
    is_eye = (part == BALLS) | _is_lid_seam(drawn, part, source.planes[2 + BALLS])
    darken_closing_eyes(fill, is_eye, middle, openness)
    planes[10:] = fill.transpose(2, 0, 1)


@nb.njit(cache=True, nogil=True)
def _classify(
    drawn: np.ndarray,
    part: np.ndarray,
    is_usual: np.ndarray,
    shown_planes: np.ndarray,
    cut: np.ndarray,
    turned: float,
    fill: np.ndarray,
    planes: np.ndarray,
) -> None:
    """Sets the first ten planes of `looked_up` where the head is. Leaves in `fill` what is drawn.

    is_usual: for each part, whether it looks much alike in all people.
    """
    size = cut.shape[0]
    for y in range(part.shape[0]):
        for x in range(part.shape[1]):
            kind = part[y, x]
            if kind < 0:
                continue
            point = drawn[y, x]
            before, now = point[9], point[10]
            is_skin = not is_usual[kind]
            is_above_jaw = point[7] > CHIN_HEIGHT + JAW_SLOPE * max(-point[8], 0.0)
            is_face = not is_skin or (is_above_jaw and point[8] > FACE_DEPTH)
            own_seen = _is_seen(point[0], point[1], point[2], kind, shown_planes)
            row = min(max(int(np.floor(point[1])), 0), size - 1)
            column = min(max(int(np.floor(point[0])), 0), size - 1)
            is_free = cut[row, column] <= 0
            turn = (now - before) / LEAST_TURN
            is_candidate = is_skin and is_face and is_free and turn > 0 and before < HIDDEN_FROM
            if is_candidate and _is_seen(point[3], point[4], point[5], kind, shown_planes):
                away = (HIDDEN_FROM - before) / (HIDDEN_FROM - HIDDEN_TO)
                planes[8, y, x] = min(max(away, 0.0), 1.0) * min(max(turn, 0.0), 1.0)
            if is_skin and is_above_jaw and point[8] > EAR_DEPTH:
                planes[9, y, x] = min(max(turn - 1, 0.0), 1.0)
            is_above = not is_skin or is_above_jaw
            is_sure = not is_skin or before > SURE_FACING or now < SURE_STRETCH * before
            planes[0, y, x], planes[1, y, x] = point[0], point[1]
            planes[2, y, x], planes[3, y, x] = point[3], point[4]
            planes[4, y, x], planes[5, y, x], planes[6, y, x] = is_above, not is_above, is_face
            is_body = is_skin and point[7] < SHOULDER_HEIGHT
            planes[7, y, x] = own_seen and is_free and ((is_above and is_sure) or is_body)
            if own_seen:
                # A turned eye's sclera is drawn; only its iris is the photo's own.
                for k in range(fill.shape[2] - 1):
                    fill[y, x, k] = 0
                fill[y, x, -1] *= turned


def _is_lid_seam(drawn: np.ndarray, part: np.ndarray, eyes: np.ndarray) -> np.ndarray:
    """Where two lids touch that do not in the source (S, S): there lies an eye between both.

    eyes: (S, S), above 0 in or next to the source's eyes.
    """
    is_torn = np.zeros(part.shape, bool)
    is_torn[:-1] = (part[:-1] == SKIN) & (part[1:] == SKIN)
    is_torn[:-1] &= np.abs(drawn[1:, :, 1] - drawn[:-1, :, 1]) > LID_JUMP
    row, column = np.nonzero(is_torn)
    between = (drawn[row, column, :2] + drawn[row + 1, column, :2]) / 2
    x, y = between.astype(int).clip(0, len(eyes) - 1).T
    is_torn[row, column] = eyes[y, x] > 0
    return is_torn


@nb.njit(cache=True, nogil=True)
def _is_seen(x: float, y: float, depth: float, part: int, planes: np.ndarray) -> bool:
    """`is_seen` of one point."""
    size = planes.shape[-1]
    column, row = int(np.floor(x)), int(np.floor(y))
    if not (0 <= column < size and 0 <= row < size):
        return True
    is_near = depth <= planes[0, row, column] + HIDDEN_BELOW
    return bool(is_near and planes[2 + part, row, column] > 0)
