"""What eyes, teeth and lids look like in one photo: their materials and colours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from reenact.face.surface.raster import SKIN
from reenact.face.surface.visible import BALLS

MATERIALS = (
    "teeth",
    "tongue",
    "inside",
    "lashes",
    "pupil",
    "iris",
    "sclera",
    "left lid",
    "right lid",
)
"""Left and right are those of the picture."""
TEETH_AT, TONGUE_AT, INSIDE_AT, LASHES_AT, PUPIL_AT, IRIS_AT, SCLERA_AT = range(7)
LIDS_AT = slice(7, 9)
USUAL_LEVELS = (
    (175, 157, 147),
    (95, 50, 46),
    (42, 22, 18),
    (28, 20, 17),
    (20, 18, 17),
    (80, 56, 42),
    (165, 154, 150),
)
"""Levels of 255 of all materials but the lids, on a face whose skin has USUAL_SKIN, from rendered
pictures.
"""
USUAL_SKIN = (176.0, 137.0, 115.0)
TEETH_LIGHT, TEETH_TINT = 1.1, 0.75
"""Teeth are as light as the skin times the one and have this share of its colour."""
SCLERA_LIGHT, SCLERA_TINT = 0.85, 0.3
"""The same for the sclera of a photo that shows too little of it."""
LID_HEIGHT, LID_SIDE, LID_LIGHT = (-0.32, -0.14), (0.18, 0.44), 0.9
"""An upper lid looks like the skin below the eye: in this height and so far to the side, in dm at
rest. Its light is the third value times as much.
"""
GREY = 3.0
"""A photo whose channels differ by less than so many levels on the mean is grey."""
PUPIL_ANGLE, IRIS_ANGLE = 0.2, 0.5
"""Radians from the middle of the pupil, on an eye of usual size."""
IRIS_ANGLES = (0.35, 0.8)
EDGE_ANGLE = 0.1
"""The iris ends between its angle and this much more."""
SEARCHED_ANGLE, MOST_SHIFT = 0.9, 0.3
"""So far from the tracked pupil the iris is looked for, and so far it may be from it."""
LEAST_PIXELS = 6


@dataclass(frozen=True, kw_only=True)
class Look:
    """colours: (9, 3) in [-1, 1], those of MATERIALS in one photo. iris: its angle in radians.
    is_grey: whether the photo is.
    shift: (2,) how far to the right of the tracked pupil the photo shows the iris, picture's left
    eye first, in radii of the eyeball.
    """

    colours: Tensor
    iris: float
    shift: np.ndarray
    is_grey: bool = False


def read_look(picture: np.ndarray, part: np.ndarray, rest: np.ndarray, middle: float) -> Look:
    """The look of a photo.

    picture: (S, S, 3) levels of 255. part (S, S), rest (S, S, 3): what `draw_surface` draws there,
    with `rest_points`. middle: the pixel column half-way between the pupils.
    """
    light = picture.mean(-1)
    skin = _bright(picture[(part == SKIN) & (rest[..., 2] > -0.1) & (rest[..., 1] > -1)])
    skin = np.array(USUAL_SKIN) if skin is None else skin
    usual = np.array(USUAL_LEVELS, float) * (skin.mean() / np.mean(USUAL_SKIN))
    usual = np.concatenate([usual, _lids(picture, part, rest, middle, skin)])
    usual[TEETH_AT] = _tinted(skin, TEETH_LIGHT, TEETH_TINT)
    usual[SCLERA_AT] = _tinted(skin, SCLERA_LIGHT, SCLERA_TINT)
    is_ball = part == BALLS
    side, ball = side_of(np.nonzero(is_ball)[1], middle), picture[is_ball]
    shift = np.array(
        [_iris_shift(rest[is_ball][side == k], light[is_ball][side == k]) for k in (0, 1)]
    )
    angle = eye_angle(rest[is_ball], shift[side])
    iris = _iris_angle(angle, light[is_ball])
    ring = (angle > 0.45 * iris) & (angle < 0.85 * iris)
    for k, where in ((IRIS_AT, ring), (PUPIL_AT, angle < 0.3 * iris)):
        if where.sum() >= LEAST_PIXELS:
            usual[k] = np.median(ball[where], 0)
    sclera = _bright(ball[angle > iris + EDGE_ANGLE])
    usual[SCLERA_AT] = usual[SCLERA_AT] if sclera is None else sclera
    is_grey = bool(np.ptp(picture, axis=-1).mean() < GREY)
    if is_grey:
        usual[:] = usual.mean(-1, keepdims=True)
    colours = torch.from_numpy(usual.clip(0, 255) / 127.5 - 1).float()
    return Look(colours=colours, iris=iris, shift=shift, is_grey=is_grey)


def side_of(column: np.ndarray, middle: float) -> np.ndarray:
    """0 for pixels in columns (N,) to the left of `middle`, 1 for those to its right: (N,)."""
    return np.asarray((column + 0.5 > middle).astype(int))


def eye_angle(rest: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Radians from the middle of the iris, of places (N, 3) on the eyeballs at rest.

    shift: (N,), see `Look`.
    """
    # Between two vertices a drawn place is inside of the sphere.
    unit = rest / np.linalg.norm(rest, axis=-1, keepdims=True).clip(min=1e-6)
    cosine = unit[:, 0] * shift + unit[:, 2] * np.sqrt(1 - shift**2)
    return np.asarray(np.arccos(cosine.clip(-1, 1)))


def _iris_shift(rest: np.ndarray, light: np.ndarray) -> float:
    """How far to the right the dark iris is of one eye: its places (N, 3) and their light (N,)."""
    angle = eye_angle(rest, np.zeros(len(rest)))
    near = angle < SEARCHED_ANGLE
    if near.sum() < 4 * LEAST_PIXELS:
        return 0.0
    x, light = rest[near, 0], light[near]
    low, high = np.percentile(light, [10, 90])
    dark = ((low + high) / 2 - light).clip(min=0)
    if high - low < 20 or dark.sum() == 0:
        return 0.0
    return float(((dark * x).sum() / dark.sum()).clip(-MOST_SHIFT, MOST_SHIFT))


def _lids(
    picture: np.ndarray, part: np.ndarray, rest: np.ndarray, middle: float, skin: np.ndarray
) -> np.ndarray:
    """Levels of both upper lids (2, 3), see `read_look`. skin: those of the face (3,)."""
    across, height = np.abs(rest[..., 0]), rest[..., 1]
    is_level = (height > LID_HEIGHT[0]) & (height < LID_HEIGHT[1])
    where = (part == SKIN) & is_level & (across > LID_SIDE[0]) & (across < LID_SIDE[1])
    side, found = side_of(np.nonzero(where)[1], middle), picture[where]
    lids = [found[side == k] for k in (0, 1)]
    levels = [np.median(lid, 0) if len(lid) >= LEAST_PIXELS else skin for lid in lids]
    return LID_LIGHT * np.stack(levels)


def _bright(levels: np.ndarray) -> np.ndarray | None:
    """The median of the lighter half of colours (N, 3); None for too few."""
    if len(levels) < LEAST_PIXELS:
        return None
    light = levels.mean(-1)
    return np.asarray(np.median(levels[light >= np.median(light)], 0))


def _tinted(skin: np.ndarray, light: float, tint: float) -> np.ndarray:
    return np.asarray(light * (tint * skin + (1 - tint) * skin.mean()))


def _iris_angle(angle: np.ndarray, light: np.ndarray) -> float:
    """Where the eye's light rises most from the iris to the sclera."""
    step = 0.1
    edges = np.arange(IRIS_ANGLES[0], IRIS_ANGLES[1] + step / 2, step / 2)
    rises = []
    for edge in edges:
        inner = light[(angle > edge - step) & (angle <= edge)]
        outer = light[(angle > edge) & (angle <= edge + step)]
        enough = min(len(inner), len(outer)) >= LEAST_PIXELS
        rises.append(np.median(outer) - np.median(inner) if enough else 0.0)
    best = int(np.argmax(rises))
    return float(edges[best]) if rises[best] > 8 else IRIS_ANGLE
