"""Draws eyes and mouths where the photo hides them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from reenact.face.box import box_max, box_mean
from reenact.face.surface.look import (
    EDGE_ANGLE,
    INSIDE_AT,
    IRIS_ANGLE,
    IRIS_AT,
    LASHES_AT,
    LIDS_AT,
    MATERIALS,
    PUPIL_ANGLE,
    PUPIL_AT,
    SCLERA_AT,
    TEETH_AT,
    TONGUE_AT,
    Look,
    eye_angle,
    side_of,
)
from reenact.face.surface.raster import SKIN, TEETH, TONGUE
from reenact.face.surface.visible import BALLS, INSIDE, rest_points, upper_teeth

LID_FROM, LID_TO, LID_COVER = 0.05, 0.6, 0.7
"""A closed lid's skin has this look from the first `lid_share` on, completely from the second one,
and covers the third share of the photo's stretched skin.
"""
LOWER_TEETH_LIGHT = 0.65
"""Lower teeth stand behind the lower lip and get less light."""
DARK_TEETH = 0.26
"""dm to the side, where teeth are at about a third of their light."""
TEETH_PER_RADIAN, ARCH_CENTRE = 7.5, -0.35
"""Front teeth around the middle of their arch (its depth in dm), and how dark it is between two."""
GAP_WIDTH, GAP_SHADE = 0.12, 0.12
TONGUE_BACK, TONGUE_FRONT, TONGUE_DARK = -0.25, 0.1, 0.2
"""dm at rest: at the first depth the tongue has the third share of its light, at the second all."""
SCLERA_ROUND = 0.25
"""How much darker the sclera is at the outline of the round eyeball."""
SOFT_MOUTH = 1 / 256
"""Edges inside of a mouth are softened over this share of the side of the face crop."""
SOFT_LIDS = 1 / 64
"""The same for closing lids."""
LIPS_REACH = 1 / 28
"""Within this share of the side of the face crop lips and lids shade what lies behind them."""
CLOSING_BELOW, LASHES_DARK = 0.7, 0.7
"""Below the first share of the photo's opening an eye is closing: its lid comes into view, and
lashes cover it more and more, up to the second share.
"""
LEAST_OPEN = 2e-4
"""An eye is open if it shows more than this share of the face crop's area between its lids."""
LASHES_WIDTH, LASHES_GAIN = 1 / 256, 3.0
"""Half of the width of closed lashes is this share of the crop's side. The second value makes a
line of single pixels about as dark in its middle as it was.
"""
LIPS_SHADE, TONGUE_SHADE, LIDS_SHADE = 1.0, 0.7, 0.5
"""How dark teeth, tongue and sclera are right behind lips and lids."""


def draw_materials(
    fill: np.ndarray, part: np.ndarray, rest: np.ndarray, middle: float, look: Look
) -> None:
    """Sets how much of each pixel is of which of MATERIALS in `fill` (9, S, S), which is 0: 1 in
    sum on teeth, tongue, the mouth's inside and eyeballs, and nothing elsewhere.

    part (S, S), rest (S, S, 3), middle: as for `read_look`.
    """
    row, column = np.nonzero(part > SKIN)
    kind, place = part[row, column], rest[row, column]
    share = np.zeros((len(MATERIALS), len(row)), np.float32)
    share[INSIDE_AT, kind == INSIDE] = 1
    is_tongue, is_teeth, is_ball = kind == TONGUE, kind == TEETH, kind == BALLS
    depth = (place[is_tongue, 2] - TONGUE_BACK) / (TONGUE_FRONT - TONGUE_BACK)
    light = TONGUE_DARK + (1 - TONGUE_DARK) * depth.clip(0, 1)
    share[TONGUE_AT, is_tongue], share[INSIDE_AT, is_tongue] = light, 1 - light
    light = _light_on_teeth(place[is_teeth])
    share[TEETH_AT, is_teeth], share[INSIDE_AT, is_teeth] = light, 1 - light
    angle = eye_angle(place[is_ball], look.shift[side_of(column[is_ball], middle)])
    outside = ((angle - look.iris) / EDGE_ANGLE).clip(0, 1)
    is_pupil = angle < PUPIL_ANGLE * look.iris / IRIS_ANGLE
    share[PUPIL_AT, is_ball] = (1 - outside) * is_pupil
    share[IRIS_AT, is_ball] = (1 - outside) * ~is_pupil
    away = ((angle - look.iris) / (np.pi / 2 - look.iris)).clip(0, 1)
    share[SCLERA_AT, is_ball] = outside * (1 - SCLERA_ROUND * away**2)
    share[INSIDE_AT, is_ball] = outside * SCLERA_ROUND * away**2
    fill[:, row, column] = share


def eye_areas(part: np.ndarray, middle: float) -> np.ndarray:
    """How many pixels each eye shows between its lids (2,), picture's left eye first."""
    return np.bincount(side_of(np.nonzero(part == BALLS)[1], middle), minlength=2)


def how_closed(now: np.ndarray, before: np.ndarray, crop_side: float) -> np.ndarray:
    """How far each eye closes, from 0 to 1 (2,). An eye that the photo shows closed has its lid in
    the photo already.

    now, before: (2,), the area of each eye between its lids here, and in the photo at this size, in
    pixels. crop_side: pixels.
    """
    is_open = before > LEAST_OPEN * crop_side**2
    openness = np.where(is_open, now / before.clip(min=1), 1)
    return np.asarray(((CLOSING_BELOW - openness) / CLOSING_BELOW).clip(0, 1))


def draw_closing_eyes(
    fill: np.ndarray, is_eye: np.ndarray, lid: np.ndarray, middle: float, closing: np.ndarray
) -> None:
    """Draws what closing eyes show and an open one does not: in `fill` (9, S, S), see
    `draw_materials`. That is the skin of the upper lids, and the lashes with their shadow.

    is_eye: (S, S), between the lids, or where they touch. lid: (S, S), see `lid_share`; 0 on
    anything but skin. closing: (2,), see `how_closed`.
    """
    row, column = np.nonzero(lid > LID_FROM)
    side = side_of(column, middle)
    grown = (lid[row, column] - LID_FROM) / (LID_TO - LID_FROM)
    fill[LIDS_AT][side, row, column] = LID_COVER * closing[side] * grown.clip(max=1)
    row, column = np.nonzero(is_eye)
    covered = LASHES_DARK * closing[side_of(column, middle)]
    fill[:, row, column] *= 1 - covered
    fill[LASHES_AT, row, column] = covered


def painted(fill: Tensor, look: Look, crop_side: float) -> Tensor:
    """Colours in [-1, 1] times how much of a pixel they cover, and this share: (B, 4, S, S).

    fill: see `shaded`. Only the square around eyes and mouth is computed; elsewhere is nothing.
    """
    result = fill.new_zeros(len(fill), 4, *fill.shape[2:])
    covered = fill.amax(1).amax(0) > 0
    if not bool(covered.any()):
        return result
    # No mean over a window reaches farther than this. Beyond it zeros stay zeros.
    reach = max(LIPS_REACH / 2, SOFT_MOUTH, SOFT_LIDS, LASHES_WIDTH)
    margin = 2 * max(1, round(reach * crop_side)) + 2
    box = []
    for axis in (1, 0):
        places = covered.any(axis).nonzero()
        first, last = int(places[0]), int(places[-1])
        box.append(slice(max(first - margin, 0), last + margin + 1))
    rows, columns = box
    part = shaded(fill[..., rows, columns], crop_side)
    colours = torch.einsum("bkhw,kc->bchw", part, look.colours.to(part))
    result[..., rows, columns] = torch.cat([colours, part.sum(1, keepdim=True)], 1)
    return result


def shaded(fill: Tensor, crop_side: float) -> Tensor:
    """Shares (B, 9, S, S) with soft edges, darker behind lips and lids.

    crop_side: pixels. Narrow gaps between lips are dark: no teeth are seen in them. The shade has
    the colour of the mouth's inside, which is warm.
    """
    radius = max(1, round(LIPS_REACH * crop_side / 2))
    teeth, tongue, inside, lashes, pupil, iris, sclera, lids = fill.split([1] * 7 + [2], 1)
    open_mouth = _open(teeth + tongue + inside, radius)
    open_eye = _open(pupil + iris + sclera, radius)
    dark_teeth = teeth * LIPS_SHADE * (1 - open_mouth)
    dark_tongue = tongue * TONGUE_SHADE * (1 - open_mouth)
    dark_eye = sclera * LIDS_SHADE * (1 - open_eye)
    mouth = torch.cat([teeth - dark_teeth, tongue - dark_tongue, inside + dark_teeth], 1)
    mouth[:, 2:] += dark_tongue
    eyes = box_mean(torch.cat([dark_eye, pupil, iris, sclera - dark_eye], 1), 1)
    mouth = box_mean(mouth, max(1, round(SOFT_MOUTH * crop_side)))
    mouth[:, 2:] += eyes[:, :1]
    line = _lash_line(lashes, max(1, round(LASHES_WIDTH * crop_side)))
    lids = box_mean(lids, max(1, round(SOFT_LIDS * crop_side)))
    others = torch.cat([mouth, eyes[:, 1:], lids], 1) * (1 - line)
    return torch.cat([others[:, :LASHES_AT], line, others[:, LASHES_AT:]], 1)


def _lash_line(lashes: Tensor, radius: int) -> Tensor:
    """Lashes (B, 1, S, S), wider by about `radius` pixels and with soft edges. Between lids that
    touch, the head model leaves an opening of a pixel or none, which would be a hard line.
    """
    wide = box_mean(box_mean(lashes, radius), radius) * LASHES_GAIN
    return torch.minimum(wide, box_max(lashes, 2 * radius))


def _open(cover: Tensor, radius: int) -> Tensor:
    """1 in the middle of wide openings, 0 in narrow ones."""
    return ((box_mean(cover, radius) - 0.2) / 0.4).clamp(0, 1)


def _light_on_teeth(rest: np.ndarray) -> np.ndarray:
    x, y, z = rest.T
    phase = np.arctan2(x, z - ARCH_CENTRE) * TEETH_PER_RADIAN + 0.5
    off_gap = (phase - np.floor(phase) - 0.5) / GAP_WIDTH
    light = (1 - GAP_SHADE * np.exp(-(off_gap**2))) * np.exp(-((x / DARK_TEETH) ** 2))
    lowest = rest_points()[upper_teeth(), 1].min()
    return np.asarray(light * np.where(y < lowest, LOWER_TEETH_LIGHT, 1.0))
