"""Where each pixel of a photo's moved person was in the photo: the head, its hair, its neck."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from reenact.face.box import box_max, box_mean
from reenact.face.head_model import HeadModel
from reenact.face.params import FaceParams
from reenact.face.surface.continuation import continued, filled_in
from reenact.face.surface.eyes_and_teeth import eye_areas, how_closed, painted
from reenact.face.surface.facing import facing, roll_between, turn_between
from reenact.face.surface.layer_source import LayerSource, in_view, middle_column
from reenact.face.surface.lookup import LookedUp, draw_head, look_up, nothing_drawn
from reenact.face.surface.motion_field import pixel_centres, resized_grid
from reenact.face.surface.skull import above_shoulders, outline_motion, skull_motion, skull_share
from reenact.face.surface.visible import surface_points
from reenact.threads import in_order

HELD_BORDER, BENDING_BORDER = 1 / 5, 1 / 2
"""Beside a border that holds the person, hair does not follow the skull in the first share of the
crop's side, and the shoulders bend in the second.
"""
SQUEEZED = 1 / 100
"""So near to the outline of the head, in shares of the crop's side, the motion is continued."""
LEAST_HIDDEN = 0.04
"""What is hidden by less than this counts as not hidden; above it the share grows from 0."""
SOFT_EDGE = 1 / 40
"""What is invented fades out over about this share of the crop's side."""
TURN_FROM, TURN_TO = 0.175, 0.44
"""Radians: from the first turn of the head on the networks' person stands behind the moved one and
on its slanted skin, and from the second on completely. Below the first the photo knows the outline
of the hair best.
"""
BACK_FROM, BACK_TO = 0.03, 0.17
"""Radians: the same for the hair at the back of the head."""
EYE_TURN = 0.04
"""Radians; of an eye that turns by less than this the photo's own sclera is shown in part."""


@dataclass(frozen=True, kw_only=True)
class LayerField:
    """From the pixels of a canvas back to the source's pixels in the same square, both (S, S).

    grid: (B, S, S, 2) the source pixel x, y of each pixel (centres at 0.5), which may lie beyond
        the square. What the source hides follows its surroundings, so the grid has no cracks.
    mirror: the same for the mirror image on the other half of the face. It is right where `hidden`
        is above 0.
    opaque: (B, 1, S, S) in [0, 1], above 0 where the head turns into view, so that its outline in
        the source lies inside of it.
    sure: (B, 1, S, S), 1 on what the source shows well of the face.
    hidden: (B, 1, S, S) in [0, 1], with soft edges: parts of the face that the source hides.
    back_grid: as `grid`, of the hair at the back of the head, which follows the outline of the
        round head. back: (B, 1, S, S) in [0, 1], how much of this hair stands behind the moved
        person. It grows with the turn of the head, from `BACK_FROM` to `BACK_TO`.
    behind: (B, 1, S, S) in [0, 1], how much of the person that the networks draw stands behind the
        moved one. It grows with the turn of the head, from `TURN_FROM` to `TURN_TO`.
    slanted: (B, 1, S, S) in [0, 1], with soft edges: how much skin turns into view that the source
        shows at a slant, or not at all. It grows with the turn of the head as `behind`.
    fill: (B, 4, S, S), colours in [-1, 1] of teeth, tongue, the mouth's inside and eyeballs where
        the source hides them, and of the sclera where an eye turns, times how much of the pixel
        these cover, and this share.
    """

    grid: Tensor
    mirror: Tensor
    opaque: Tensor
    sure: Tensor
    hidden: Tensor
    back_grid: Tensor
    back: Tensor
    behind: Tensor
    slanted: Tensor
    fill: Tensor

    def __getitem__(self, rows: list[int]) -> LayerField:
        """The fields of these pictures."""
        first, last = rows[0], rows[-1]
        # Pictures that follow each other need no copy.
        part = slice(first, last + 1) if rows == list(range(first, last + 1)) else rows
        return LayerField(**{f.name: getattr(self, f.name)[part] for f in fields(self)})

    def warp(self, image: Tensor, reach: float = 1.0) -> Tensor:
        """`image` (B, C, W, W), or (1, C, W, W) for all, moved: (B, C, S, S).

        reach: the side of the image in units of the side of the field's square; the two have one
        centre. Bilinear; beyond the border the outermost pixels are repeated. A field without
        motion returns the middle of the image itself, up to rounding.
        """
        return _sampled(image, self.grid, reach)

    def opposite(self, image: Tensor, reach: float = 1.0) -> Tensor:
        """As `warp`, with the other half of the face."""
        return _sampled(image, self.mirror, reach)

    def warp_back(self, image: Tensor, reach: float = 1.0) -> Tensor:
        """As `warp`, with the motion of the hair at the back of the head."""
        return _sampled(image, self.back_grid, reach)

    def resized_grids(self, size: int) -> LayerField:
        """The same field for squares of `size` pixels. `mirror` and planes keep their pixels, and
        so does `back_grid` where it is not needed.
        """
        if size == self.grid.shape[1]:
            return self
        back = resized_grid(self.back_grid, size) if bool(self.back.any()) else self.back_grid
        return replace(self, grid=resized_grid(self.grid, size), back_grid=back)


@torch.no_grad()
def layer_field(model: HeadModel, source: LayerSource, target: FaceParams) -> LayerField:
    """The field from a source photo to pictures to be made of its person: the faces `target` (B),
    see `retarget`, in pixels of the face crop.
    """
    end = in_view(surface_points(model, target), source.view)
    found = _looked_up(source, target, end)
    planes = (found.is_face, found.opaque, found.hidden, found.slanted, found.opposite, found.fill)
    is_face, opaque, hidden, slanted, opposite, fill = (
        torch.from_numpy(values).to(target.scale.device) for values in planes
    )
    here = pixel_centres(source.view.size, is_face.device)
    offset, seen_well = _motion(source, end, found, here)
    mirror, hidden = _mirror(opposite - here, hidden, source.crop_side)
    turn = turn_between(source.rotation.to(target.rotation), target.rotation)
    # Not on the body, because it hardly turns.
    turned_far = _growing(turn, TURN_FROM, TURN_TO)
    behind = turned_far * above_shoulders(end, source.view.size).to(turned_far.device)
    back = _growing(turn, BACK_FROM, BACK_TO)
    edge = max(1, round(SOFT_EDGE * source.crop_side / 2))
    return LayerField(
        grid=(here + offset).permute(0, 2, 3, 1),
        mirror=(here + mirror).permute(0, 2, 3, 1),
        opaque=box_mean(opaque, edge),
        sure=box_mean(seen_well * is_face, 1),
        hidden=hidden,
        back_grid=_back_places(source, target, end, here, back).permute(0, 2, 3, 1),
        back=back * (1 - box_mean(is_face, edge) * behind),
        behind=behind.expand(-1, -1, -1, source.view.size),
        slanted=box_mean(box_mean(slanted * turned_far, edge), edge),
        fill=painted(fill, source.look, source.crop_side),
    )


def _looked_up(source: LayerSource, target: FaceParams, end: np.ndarray) -> LookedUp:
    """What the pictures show of the moved heads, whose `surface_points` are `end` (B, V, 3)."""
    now = facing(target.rotation)
    turned = (target.gaze - source.gaze.to(target.gaze)).norm(dim=-1) / EYE_TURN
    turned = turned.clamp(max=1).cpu().numpy()
    zoom = (target.scale / source.scale.to(target.scale)).cpu().numpy()
    found = nothing_drawn(len(end), source.view.size)

    def draw(i: int) -> None:
        head, middle = draw_head(end[i], source, now[i]), middle_column(end[i])
        eyes = eye_areas(head.part, middle), source.eyes * zoom[i] ** 2
        closing = how_closed(*eyes, source.crop_side)
        look_up(head, source, middle, float(turned[i]), closing, found.picture(i))

    for _ in in_order(draw, range(len(end))):
        pass
    return found


def _motion(
    source: LayerSource, end: np.ndarray, found: LookedUp, here: Tensor
) -> tuple[Tensor, Tensor]:
    """How far each pixel of the moved person lies from its place in the source (B, 2, S, S), and
    1 where the source shows the head well (B, 1, S, S).

    On the head model's surface above the neck the motion is exact: the same point of the surface in
    both pictures. The rest follows its surroundings (`continued`): hair, hats, the neck, and the
    sides of the head where the source hides them. here: the pixels' centres.
    """
    planes = (found.is_above, found.is_below, found.is_anchor, found.place)
    is_above, is_below, anchor, place = (torch.from_numpy(values).to(here) for values in planes)
    # At the outline single visible pixels lie between hidden ones.
    anchor = _without_specks(anchor, 1)
    # The last pixels before the outline are squeezed; hair beside them has its own depth.
    inner = 1 - box_max(1 - is_above, max(1, round(SQUEEZED * source.crop_side)))
    seen_well, shoulders = anchor * inner, anchor * is_below
    cut, to_cut = source.cut.to(here), source.to_cut.to(here)
    offset = (place - here) * (seen_well + shoulders * (to_cut / BENDING_BORDER).clamp(max=1))
    known = torch.maximum(torch.maximum(seen_well, shoulders), cut)
    skull = skull_motion(source.points, end).to(here)
    rigid = torch.einsum("bij,bjhw->bihw", skull, _with_one(here)) - here
    around = continued(offset, known, rigid)
    front = _sampled(source.front.to(here), (here + rigid).permute(0, 2, 3, 1), 1.0)
    lag, is_border = around - rigid, (to_cut < HELD_BORDER).to(known)
    held = torch.maximum(torch.maximum(known, is_below), is_border)
    pulled = skull_share(end, held, front, lag, source.crop_side)
    return around - torch.where(known > 0, 0, pulled) * lag, seen_well


def _back_places(
    source: LayerSource, target: FaceParams, end: np.ndarray, here: Tensor, back: Tensor
) -> Tensor:
    """The source pixels (B, 2, S, S) of the hair at the back of the heads, for the pictures whose
    `back` (B, 1, 1, 1) is above 0. Of others the pixels themselves.
    """
    places = here.repeat(len(end), 1, 1, 1)
    if rows := (back > 0).flatten().nonzero().flatten().tolist():
        roll = roll_between(source.rotation.to(target.rotation), target.rotation)[rows]
        moved = outline_motion(source.points, end[rows], roll, source.view.size)
        places[rows] = moved.to(places)
    return places


def _growing(turn: Tensor, start: float, end: float) -> Tensor:
    """From 0 to 1 where `turn` (B,) grows from `start` to `end`, smoothly: (B, 1, 1, 1)."""
    share = ((turn - start) / (end - start)).clamp(0, 1)
    return (share * share * (3 - 2 * share)).view(-1, 1, 1, 1)


def _mirror(offset: Tensor, hidden: Tensor, crop_side: float) -> tuple[Tensor, Tensor]:
    """The offsets (B, 2, S, S) to the other half of the face, continued beyond what is hidden, and
    the soft mask of the latter (B, 1, S, S).
    """
    edge = max(1, round(SOFT_EDGE * crop_side / 2))
    soft = box_mean(box_mean(hidden, edge), edge)
    # Nobody sees so little of what is invented. Without it most frames need no networks.
    soft = ((soft - LEAST_HIDDEN) / (1 - LEAST_HIDDEN)).clamp(min=0)
    if not bool(soft.any()):
        return torch.zeros_like(offset), soft
    return filled_in(offset, (hidden > 0).to(hidden)), soft


def _sampled(image: Tensor, grid: Tensor, reach: float) -> Tensor:
    grid = (grid * (2 / grid.shape[1]) - 1) / reach
    image = image.expand(len(grid), -1, -1, -1)
    return F.grid_sample(image, grid, padding_mode="border", align_corners=False)


def _with_one(points: Tensor) -> Tensor:
    """Maps (B, 2, H, W) of x and y with a third plane of ones."""
    return torch.cat([points, torch.ones_like(points[:, :1])], 1)


def _without_specks(mask: Tensor, radius: int) -> Tensor:
    """`mask` (B, 1, S, S) of zeros and ones without what is narrower than 2 * radius + 1 pixels."""
    eroded = 1 - box_max(1 - mask, radius)
    return torch.minimum(mask, box_max(eroded, radius))
