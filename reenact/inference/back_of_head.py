"""The hair at the back of a head, from the hair that the photo shows around it (ours)."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt, label
from torch import Tensor

from reenact.face.box import box_max, box_mean
from reenact.face.surface.continuation import filled_in
from reenact.face.surface.hair import HairAreas, hair_areas
from reenact.face.surface.layer_source import LayerSource
from reenact.inference.canvas import SourceView
from reenact.inference.plate import with_grain, without_edges

SOLID_ABOVE = 0.95
"""Where the mask is above this value, nothing of the wall is seen through the person."""
HALF = 0.5
"""Where the mask is above this value, more of the person than of the wall is seen."""
LEAST_HAIR = 0.02
"""With less hair beside the head, in shares of the area of the face, a head is bald."""
BAND_WIDTH, LOCKS = 3.0, 3
"""The hair around a head is a band so many times as wide as the mean distance to its edge. Locks of
hair are so many times as coarse as the grain of a wall.
"""


def back_of_head(
    view: SourceView, colours: Tensor, face: LayerSource, margin: int, depth: int
) -> Tensor:
    """Colours times alpha, and alpha (1, C + 1, W, W), of the hair around the head of a photo, and
    behind its face.

    Where the head model lies over the crown, colours tell hair from skin. Hair that the face hides
    continues the hair around it, with its grain. Where no hair is known, there is none.

    Args:
        view: one photo.
        colours: (1, C, W, W), the person's, times alpha.
        face: the face in the photo.
        margin, depth: pixels; the grain of a wall is finer than the one, and what is nearer to an
            edge than the other does not count as known.
    """
    side = round(face.view.size * view.mask.shape[-1] / view.canvas.size)
    areas = hair_areas(face, side).resized(view.mask.shape[-1])
    person = (view.mask > SOLID_ABOVE).to(view.picture)
    beside = areas.beside * box_max(_connected(view.mask, areas), depth)
    crown = areas.crown * _is_hair(view.picture, beside * person, areas.face * person)
    hair = torch.maximum(beside, crown)
    known = (box_max(1 - (hair > 0).float(), depth) == 0) * person
    if not bool(known.any()):
        return torch.zeros_like(torch.cat([colours, view.mask], 1))
    filled = filled_in(view.picture * known, known)
    inside = distance_transform_edt(known[0, 0].numpy())
    band = BAND_WIDTH * inside[inside > 0].mean()
    grain = without_edges(filled - box_mean(filled, LOCKS * margin), known)
    filled = with_grain(filled, known, grain, band)
    # The soft edge beside the head keeps its strands. Nothing of the wall comes with them.
    strands = torch.maximum(torch.minimum(colours, view.mask), -view.mask)
    is_edge = (beside > 0) * (1 - known)
    shown = is_edge * strands + (1 - is_edge) * filled * view.mask
    hidden = box_mean(_inwards(beside, areas.face), 2 * margin)
    share = box_mean(torch.stack([hair, areas.skull, hidden]).amax(0), depth)
    return torch.cat([shown, view.mask], 1) * share


def _connected(mask: Tensor, areas: HairAreas) -> Tensor:
    """1 where the person of the mask (1, 1, W, W) beside the head is connected with the top of the
    head, without its face and its neck: hair, but no collar. Else 0.
    """
    around = torch.stack([areas.beside, areas.crown, areas.skull]).amax(0)
    parts, count = label(((mask > HALF) & (around > 0))[0, 0].numpy())
    is_top = np.bincount(parts[areas.skull[0, 0].numpy() > 0], minlength=count + 1) > 0
    is_top[0] = False
    return torch.from_numpy(is_top[parts]).to(mask)[None, None]


def _inwards(hair: Tensor, face: Tensor) -> Tensor:
    """The most `hair` (1, 1, W, W) from each pixel outwards along its row: (1, 1, W, W). Where hair
    is seen beside a head, ears and cheeks hide more of it farther inwards.

    face: (1, 1, W, W), 1 on the face, whose middle is that of the head.
    """
    columns = torch.arange(hair.shape[-1], dtype=hair.dtype)
    middle = (face * columns).sum() / face.sum().clamp(min=1)
    from_left = hair.cummax(-1).values
    from_right = hair.flip(-1).cummax(-1).values.flip(-1)
    return torch.where(columns < middle, from_left, from_right)


def _is_hair(picture: Tensor, hair: Tensor, face: Tensor) -> Tensor:
    """1 where the colours of `picture` (1, C, W, W) are more like those of the hair than like those
    of the face, else 0: (1, 1, W, W). hair, face: (1, 1, W, W), 1 where these are seen. On a bald
    head, where no hair is seen, everything counts as hair.
    """
    if hair.sum() < LEAST_HAIR * face.sum():
        return torch.ones_like(hair)
    colours = picture[:, :3]
    means = [_mean_colour(colours, area) for area in (hair, face)]
    distances = [(colours - mean).square().sum(1, keepdim=True) for mean in means]
    return (distances[0] < distances[1]).to(picture)


def _mean_colour(colours: Tensor, weight: Tensor) -> Tensor:
    total = weight.sum().clamp(min=1)
    return (colours * weight).sum((2, 3), keepdim=True) / total
