"""The background of a photo without its person, filled from around (ours)."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from reenact.face.box import box_max, box_mean
from reenact.face.surface.continuation import filled_in
from reenact.inference.canvas import SourceView

MOST_GRAIN = 2.0
"""The largest grain that is continued, in units of its median."""
PERSON_ABOVE = 0.02
"""Where the person mask is above this value, the person hides the background."""


def background_plate(view: SourceView, margin: int) -> Tensor:
    """The background (1, C, W, W) of a photo. It is filled where the person hides it, and within
    `margin` pixels around.
    """
    known = (box_max(view.mask, margin) < PERSON_ABOVE).to(view.picture)
    plate = filled_in(view.picture * known, known)
    return with_grain(plate, known, without_edges(plate - box_mean(plate, margin), known))


def with_grain(filled: Tensor, known: Tensor, grain: Tensor, width: float = np.inf) -> Tensor:
    """Filled colours (1, C, W, W) with `grain` (1, C, W, W) where it is not `known` (1, 1, W, W).

    Each pixel takes the grain of the point on the other side of the known pixel that is nearest. If
    what is known is a band, `width` pixels wide, grain from far away goes to and fro in the band.
    """
    if not bool(known.any()):
        return filled
    away, nearest = distance_transform_edt(known[0, 0].numpy() == 0, return_indices=True)
    inwards = away if np.isinf(width) else width - np.abs(away % (2 * width) - width)
    share = inwards / away.clip(1)
    fading = torch.from_numpy((1 - away / (3 * width)).clip(0, 1)).to(filled)
    here = np.indices(away.shape)
    there = np.rint(nearest + (nearest - here) * share).astype(int).clip(0, len(away) - 1)
    row, column = torch.from_numpy(there)
    return filled + (1 - known) * fading * (grain * known)[..., row, column]


def without_edges(grain: Tensor, known: Tensor) -> Tensor:
    """Grain (1, C, W, W) without large differences: those are edges of things."""
    most = MOST_GRAIN * grain.abs().mean(1, keepdim=True)[known > 0].median()
    return grain.clamp(-most, most)
