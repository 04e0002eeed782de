"""The layers of a source photo: its person, and the background behind (ours)."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt, label
from torch import Tensor

from reenact.face.box import box_max, box_mean
from reenact.face.crop import FaceCrop
from reenact.face.surface.continuation import filled_in
from reenact.face.surface.hair import HairAreas, hair_areas
from reenact.face.surface.layer_field import LayerSource
from reenact.face.surface.motion_field import resampled
from reenact.inference.canvas import SourceView

MOST_GRAIN = 2.0
"""The largest grain of the plate, in units of its median."""
INSIDE_DEPTH = 1 / 50
"""The person's own colours end this far inside its outline, as a share of the crop's side."""
SOLID_ABOVE = 0.95
"""Where the mask is above this value, nothing of the wall is seen through the person."""
LEAST_HAIR = 0.02
"""With less hair beside the head, in shares of the area of the face, a head is bald."""
HALF = 0.5
"""Where the mask is above this value, more of the person than of the wall is seen."""
PERSON_ABOVE = 0.02
PERSON_MARGIN = 1 / 40
"""The plate is filled where the mask is above the one, and within a margin: a share of the side of
the face crop.
"""


@dataclass(frozen=True, kw_only=True)
class Layers:
    """What is computed once for a source photo.

    canvas: the square, of D pixels, in which pictures are composed; its `crop_from_frame` maps
        pixels of the networks' crop (S, S) to pixels of the canvas.
    person: (1, C + 1, W, W) the person's colours times its alpha, and its alpha, in a square with
        the canvas's centre and pixels and W >= D: what moves in from beside the canvas is known. C
        is 3, or 4 with a plane of opacity, which is handled as one more colour.
    inside: (1, 3, W, W) the person's colours, continued beyond its outline.
    back: (1, C + 1, W, W) as `person`, the hair around the head. It goes on behind the face, above
        the eyes and farther down between what hair is seen beside the head.
    plate: (1, C, D, D) the background, filled from around where the person hides it.
    face: the face whose motion the person follows.
    """

    canvas: FaceCrop
    person: Tensor
    inside: Tensor
    back: Tensor
    plate: Tensor
    face: LayerSource

    @property
    def reach(self) -> float:
        """W / D."""
        return self.person.shape[-1] / self.canvas.size


def make_layers(view: SourceView, face: LayerSource) -> Layers:
    """The layers of a photo from its view and the face in it."""
    crop_side = face.size * view.canvas.zoom
    margin, depth = (max(1, round(v * crop_side)) for v in (PERSON_MARGIN, INSIDE_DEPTH))
    known = (box_max(view.mask, margin) < PERSON_ABOVE).to(view.picture)
    plate = _with_grain(filled_in(view.picture * known, known), known, margin, MOST_GRAIN)
    colours = view.picture - (1 - view.mask) * plate
    inner = (box_max(1 - view.mask, depth) < PERSON_ABOVE).to(view.picture)
    inside = filled_in(view.picture[:, :3] * inner, inner)
    device = face.cut.device
    return Layers(
        canvas=view.canvas,
        person=torch.cat([colours, view.mask], 1).to(device),
        inside=inside.to(device),
        back=_back_of_head(view, colours, face, margin, depth).to(device),
        plate=view.inner(plate).to(device),
        face=face,
    )


def _back_of_head(
    view: SourceView, colours: Tensor, face: LayerSource, margin: int, depth: int
) -> Tensor:
    """`back` of `Layers`. colours: (1, C, W, W), the person's, times alpha. margin, depth: pixels.

    Where the head model lies over the crown, colours tell hair from skin. Hair that the face hides
    continues the hair around it, with its grain. Where no hair is known, there is none.
    """
    areas = _resized_areas(face, view)
    person = (view.mask > SOLID_ABOVE).to(view.picture)
    beside = areas.beside * box_max(_connected(view.mask, areas), depth)
    crown = areas.crown * _is_hair(view.picture, beside * person, areas.face * person)
    hair = torch.maximum(beside, crown)
    known = (box_max(1 - (hair > 0).float(), depth) == 0) * person
    if not bool(known.any()):
        return torch.zeros_like(torch.cat([colours, view.mask], 1))
    filled = filled_in(view.picture * known, known)
    filled = _with_grain(filled, known, margin, None)
    # The soft edge beside the head keeps its strands. Nothing of the wall comes with them.
    strands = torch.maximum(torch.minimum(colours, view.mask), -view.mask)
    is_edge = (beside > 0) * (1 - known)
    shown = is_edge * strands + (1 - is_edge) * filled * view.mask
    share = box_mean(torch.stack([hair, areas.skull, _inwards(beside, areas.face)]).amax(0), depth)
    return torch.cat([shown, view.mask], 1) * share


def _resized_areas(face: LayerSource, view: SourceView) -> HairAreas:
    """The hair areas of a photo in the pixels of its view."""
    side = round(face.view.size * view.mask.shape[-1] / view.canvas.size)
    areas = hair_areas(face, side)
    planes = [getattr(areas, f.name) for f in fields(areas)]
    resized = resampled(torch.cat(planes, 1), view.mask.shape[-1]).clamp(0, 1)
    names = [f.name for f in fields(areas)]
    return HairAreas(**dict(zip(names, resized.split(1, 1), strict=True)))


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


def _with_grain(plate: Tensor, known: Tensor, radius: int, most: float | None) -> Tensor:
    """The plate (1, C, W, W) with fine grain where it is not `known` (1, 1, W, W).

    Grain is what is finer than `radius` pixels. Each pixel takes that of the point on the other
    side of the known pixel that is nearest. Larger differences than `most` times the median are
    edges of things, not grain, and are cut off; None keeps all.
    """
    if not bool(known.any()):
        return plate
    nearest = distance_transform_edt(
        known[0, 0].numpy() == 0, return_distances=False, return_indices=True
    )
    row, column = torch.from_numpy(nearest.astype(np.int64))
    here = torch.meshgrid(*(torch.arange(n) for n in row.shape), indexing="ij")
    there = [
        (2 * near - own).clamp(0, len(near) - 1)
        for near, own in zip((row, column), here, strict=True)
    ]
    grain = (plate - box_mean(plate, radius)) * known
    if most is not None:
        usual = grain.abs().mean(1, keepdim=True)[known > 0].median()
        grain = grain.clamp(-most * usual, most * usual)
    return plate + (1 - known) * grain[..., there[0], there[1]]
