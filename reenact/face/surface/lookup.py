"""What each pixel of a drawn head shows, and what the source photo shows of it."""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from reenact.face.surface.eyes_and_teeth import draw_closing_eyes, draw_materials
from reenact.face.surface.layer_source import FACE_DEPTH, LayerSource
from reenact.face.surface.look import MATERIALS, SCLERA_AT
from reenact.face.surface.raster import SKIN
from reenact.face.surface.sight import HIDDEN_BELOW, Shown
from reenact.face.surface.skull import CHIN_HEIGHT, SHOULDER_HEIGHT
from reenact.face.surface.usual_look import USUAL_PARTS
from reenact.face.surface.visible import (
    BALLS,
    NUM_PARTS,
    draw_surface,
    lid_share,
    mirrored,
    rest_points,
)

SURE_FACING, SURE_STRETCH = 0.45, 1.5
"""Where the head faces the camera by less than the first in the source, and by more than this many
times more in the picture to be made, a little of the source would be spread over a large part.
"""
EAR_DEPTH, LEAST_TURN = -0.4, 0.15
"""dm: in front of this depth the head model's skin is opaque where it turns into view. A point
turns into view where it faces the camera by this much more than in the source.
"""
HIDDEN_FROM, HIDDEN_TO = 0.35, 0.05
"""How much the other half of the face stands in for a part of it: not at all where that faces the
source's camera by the first value, completely where it faces away by the second one.
"""
SLANTED_FROM, SLANTED_TO = 0.75, 0.5
"""How much the networks stand in for skin that turns into view: not at all where that faces the
source's camera by the first value, completely by the second one.
"""
LID_JUMP = 2.0
"""Pixels between the places in the source of two neighbours: from there on a lid ends there."""
JAW_SLOPE = 0.7
"""From the chin the lower edge of the jaw rises by so many dm for each dm of depth. What lies below
is neck: it bends between the head and the shoulders.
"""


class LookedUp(NamedTuple):
    """What the pixels of B pictures show, each (B, K, S, S), or those of one picture (K, S, S).

    All are 0 where no head is drawn. K is 1 if nothing else is said.

    place: K = 2, x and y in the source. opposite: those of the other half of the face.
    is_above: 1 on the head above the neck. is_below: 1 on the neck and the shoulders. is_face: 1 on
        the face.
    is_anchor: 1 where `place` is that of a visible surface whose motion its surroundings follow.
    hidden: from 0 to 1, how much the source hides this part of a face, but not that of the other
        half.
    slanted: from 0 to 1, how much skin turns into view that the source shows at a slant, or not at
        all.
    opaque: see `LayerField`.
    fill: K = 9, the shares of MATERIALS that are drawn, see `draw_materials`.
    """

    place: np.ndarray
    opposite: np.ndarray
    is_above: np.ndarray
    is_below: np.ndarray
    is_face: np.ndarray
    is_anchor: np.ndarray
    hidden: np.ndarray
    slanted: np.ndarray
    opaque: np.ndarray
    fill: np.ndarray

    def picture(self, i: int) -> LookedUp:
        """Those of one picture. They share memory with those of all pictures."""
        return LookedUp(*(values[i] for values in self))


def nothing_drawn(count: int, size: int) -> LookedUp:
    """`count` pictures of side `size` without any head."""

    def planes(number: int) -> np.ndarray:
        return np.zeros((count, number, size, size), np.float32)

    return LookedUp(
        place=planes(2),
        opposite=planes(2),
        is_above=planes(1),
        is_below=planes(1),
        is_face=planes(1),
        is_anchor=planes(1),
        hidden=planes(1),
        slanted=planes(1),
        opaque=planes(1),
        fill=planes(len(MATERIALS)),
    )


class DrawnHead(NamedTuple):
    """A moved head as it is drawn, with S pixels for the side.

    part: (S, S) int, -1 beside the head, see `draw_surface`.
    own: (S, S, 3) the same point in the source, see `surface_points`. opposite: the point on the
        other half of the head there. rest: the point's place at rest, see `rest_points`.
    before, now: (S, S) how much the point faces the camera in the source and here, see `facing`.
    lid: (S, S), see `lid_share`.
    """

    part: np.ndarray
    own: np.ndarray
    opposite: np.ndarray
    rest: np.ndarray
    before: np.ndarray
    now: np.ndarray
    lid: np.ndarray


def draw_head(points: np.ndarray, source: LayerSource, now: np.ndarray) -> DrawnHead:
    """Draws the `surface_points` (V, 3) of a moved head in pixels of the source's view.

    now: (V,) how much they face the camera.
    """
    own = source.points[0]
    opposite = mirrored(source.points)[0]
    single = [values[:, None] for values in (source.facing, now, lid_share())]
    values = np.concatenate([own, opposite, rest_points(), *single], 1)
    drawn, part = draw_surface(points, values, source.view.size)
    return DrawnHead(
        part=part,
        own=drawn[..., :3],
        opposite=drawn[..., 3:6],
        rest=drawn[..., 6:9],
        before=drawn[..., 9],
        now=drawn[..., 10],
        lid=drawn[..., 11],
    )


def look_up(
    head: DrawnHead,
    source: LayerSource,
    middle: float,
    turned: float,
    closing: np.ndarray,
    found: LookedUp,
) -> None:
    """Fills `found`, of one picture, from a drawn head.

    middle: the column half-way between the pupils. turned: 1 if the eyes turn, 0 if not. closing:
    see `how_closed`.
    """
    draw_materials(found.fill, head.part, head.rest, middle, source.look)
    cut = source.cut[0, 0].cpu().numpy()
    is_usual = np.isin(np.arange(NUM_PARTS), USUAL_PARTS)
    _classify(head, is_usual, source.shown, cut, turned, found)
    if closing.any():
        is_eye = _is_between_lids(head.part, head.own, source.shown.parts[BALLS])
        lid = head.lid * (head.part == SKIN)
        draw_closing_eyes(found.fill, is_eye, lid, middle, closing)


@nb.njit(cache=True, nogil=True)
def _classify(
    head: DrawnHead,
    is_usual: np.ndarray,
    source: Shown,
    cut: np.ndarray,
    turned: float,
    found: LookedUp,
) -> None:
    """Fills `found` where the head is. Of `found.fill` it leaves what is drawn.

    is_usual: for each part, whether it looks much alike in all people.
    """
    own, opposite, rest = head.own, head.opposite, head.rest
    # Inside of the loops, arrays of a tuple would be slow to pass on.
    depths, parts = source.depth, source.parts
    for y in range(cut.shape[0]):
        for x in range(cut.shape[1]):
            part = head.part[y, x]
            if part < 0:
                continue
            own_x, own_y, own_depth = own[y, x, 0], own[y, x, 1], own[y, x, 2]
            other_x, other_y, other_depth = opposite[y, x, 0], opposite[y, x, 1], opposite[y, x, 2]
            height, depth = rest[y, x, 1], rest[y, x, 2]
            before, now = head.before[y, x], head.now[y, x]
            is_skin = not is_usual[part]
            is_above_jaw = height > CHIN_HEIGHT + JAW_SLOPE * max(-depth, 0.0)
            is_above = not is_skin or is_above_jaw
            is_face = not is_skin or (is_above_jaw and depth > FACE_DEPTH)
            found.place[0, y, x], found.place[1, y, x] = own_x, own_y
            found.opposite[0, y, x], found.opposite[1, y, x] = other_x, other_y
            found.is_above[0, y, x], found.is_below[0, y, x] = is_above, not is_above
            found.is_face[0, y, x] = is_face
            row, column, is_own_seen = _seen_at(own_x, own_y, own_depth, part, depths, parts)
            is_free = cut[row, column] <= 0
            turn = (now - before) / LEAST_TURN
            if is_skin and is_face and is_free and turn > 0 and before < HIDDEN_FROM:
                _, _, is_seen = _seen_at(other_x, other_y, other_depth, part, depths, parts)
                away = (HIDDEN_FROM - before) / (HIDDEN_FROM - HIDDEN_TO)
                if is_seen:
                    found.hidden[0, y, x] = min(max(away, 0.0), 1.0) * min(max(turn, 0.0), 1.0)
            if is_skin and is_above_jaw and depth > EAR_DEPTH:
                slant = (SLANTED_FROM - before) / (SLANTED_FROM - SLANTED_TO)
                if is_free:
                    found.slanted[0, y, x] = min(max(slant, 0.0), 1.0) * min(max(turn, 0.0), 1.0)
                found.opaque[0, y, x] = min(max(turn - 1, 0.0), 1.0)
            if not is_own_seen:
                continue
            is_sure = not is_skin or before > SURE_FACING or now < SURE_STRETCH * before
            # Shoulders move with the place and the size of the head, but do not turn.
            is_body = is_skin and height < SHOULDER_HEIGHT
            found.is_anchor[0, y, x] = is_free and ((is_above and is_sure) or is_body)
            if part != SKIN:
                # A turned eye's sclera is drawn; only its iris is the photo's own.
                for k in range(SCLERA_AT):
                    found.fill[k, y, x] = 0
                found.fill[SCLERA_AT, y, x] *= turned


@nb.njit(cache=True, nogil=True)
def _is_between_lids(part: np.ndarray, own: np.ndarray, eyes: np.ndarray) -> np.ndarray:
    """Where an eyeball is drawn, or two lids touch that do not in the source: (S, S). There lies an
    eye between both.

    part, own: of `DrawnHead`. eyes: (S, S), whether a pixel is in or next to the source's eyes.
    """
    is_eye, last = part == BALLS, len(part) - 1
    for y in range(last):
        for x in range(len(part)):
            if part[y, x] != SKIN or part[y + 1, x] != SKIN:
                continue
            if abs(own[y + 1, x, 1] - own[y, x, 1]) > LID_JUMP:
                column = int((own[y, x, 0] + own[y + 1, x, 0]) / 2)
                row = int((own[y, x, 1] + own[y + 1, x, 1]) / 2)
                is_eye[y, x] = eyes[min(max(row, 0), last), min(max(column, 0), last)]
    return is_eye


@nb.njit(cache=True, nogil=True)
def _seen_at(
    x: float, y: float, depth: float, part: int, depths: np.ndarray, parts: np.ndarray
) -> tuple[int, int, bool]:
    """Row and column of the source's pixel that is nearest to a point, and whether the source shows
    this point, see `is_seen`. depths, parts: of `Shown`.
    """
    last = np.float32(len(depths) - 1)
    across, down = np.floor(x), np.floor(y)
    is_inside = 0 <= across <= last and 0 <= down <= last
    row = int(min(max(down, np.float32(0)), last))
    column = int(min(max(across, np.float32(0)), last))
    is_near = depth <= depths[row, column] + HIDDEN_BELOW
    return row, column, not is_inside or (is_near and parts[part, row, column])
