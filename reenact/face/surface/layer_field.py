"""Where each pixel of a photo's moved person was in the photo: the head, its hair, its neck."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from reenact.face.box import box_max, box_mean
from reenact.face.crop import FaceCrop
from reenact.face.head_model import HeadModel
from reenact.face.params import FaceParams
from reenact.face.surface.continuation import continued, skull_motion
from reenact.face.surface.look import (
    MATERIALS,
    Look,
    darken_closing_eyes,
    eye_areas,
    read_look,
    shaded,
    shares,
)
from reenact.face.surface.motion_field import pixel_centres, resampled
from reenact.face.surface.sight import is_seen, pixel_of, shown
from reenact.face.surface.usual_look import USUAL_PARTS
from reenact.face.surface.visible import (
    draw_surface,
    mirrored,
    num_head_vertices,
    rest_points,
    surface_points,
)
from reenact.threads import in_order

OUTLINE = 0.025
"""So near to the head's outline in the source, in shares of the side of the face crop, the surface
turns away: a little of it would be spread over all that turns into view.
"""
FACE_DEPTH, CHIN_HEIGHT = -0.3, -1.1
"""dm: the face of the head model lies in front of the first (its depth at rest) and above the
second (its height at rest). What the source hides of the face is invented. Elsewhere there may be
hair or clothes, of which the head model knows nothing.
"""
SHOULDER_HEIGHT = -1.75
"""dm: below this height at rest the shoulders begin."""
SQUEEZED = 1 / 100
"""So near to the outline of the head, in shares of the crop's side, the motion is continued."""
FOLD = 1 / 40
"""Hidden parts of the face that are narrower than this share of the crop's side are folds."""
EYE_TURN = 0.04
"""Radians; of an eye that turns by less than this the photo's own sclera is shown in part."""
MOST_STRETCH = 3.0
"""A part of the face in which a source pixel covers more pixels than this is as good as hidden."""


@dataclass(frozen=True, kw_only=True)
class LayerField:
    """From the pixels of a canvas back to the source's pixels in the same square, both (S, S).

    grid: (B, S, S, 2) the source pixel x, y of each pixel (centres at 0.5), which may lie beyond
        the square. For a part of the face that the source hides it is that of its mirror image on
        the other half of the face.
    seen: (B, 1, S, S), 0 on parts of the face of which the source hides both halves.
    sure: (B, 1, S, S), 1 on what the source shows of the face, up to the head's outline.
    hidden: (B, 1, S, S), 1 on parts of the face that the source hides: mirrored, or not `seen`.
    fill: (B, 4, S, S), colours in [-1, 1] of teeth, tongue, the mouth's inside and eyeballs where
        the source hides them, and of the sclera where an eye turns, times how much of the pixel
        these cover, and this share.
    """

    grid: Tensor
    seen: Tensor
    sure: Tensor
    hidden: Tensor
    fill: Tensor

    def warp(self, image: Tensor, reach: float = 1.0) -> Tensor:
        """`image` (B, C, W, W), or (1, C, W, W) for all, moved: (B, C, S, S).

        reach: the side of the image in units of the side of the field's square; the two have one
        centre. Bilinear; beyond the border the outermost pixels are repeated. A field without
        motion returns the middle of the image itself, up to rounding.
        """
        grid = (self.grid * (2 / self.grid.shape[1]) - 1) / reach
        image = image.expand(len(grid), -1, -1, -1)
        return F.grid_sample(image, grid, padding_mode="border", align_corners=False)

    def resized_grid(self, size: int) -> LayerField:
        """The same field for squares of `size` pixels; all but the grid keep their pixels."""
        old = self.grid.shape[1]
        if size == old:
            return self
        offset = self.grid.permute(0, 3, 1, 2) - pixel_centres(old, self.grid.device)
        grid = pixel_centres(size, self.grid.device) + resampled(offset, size) * (size / old)
        return replace(self, grid=grid.permute(0, 2, 3, 1))


@dataclass(frozen=True, kw_only=True)
class LayerSource:
    """What is computed once of the face of a source photo.

    view: the square of the crop's plane that fields cover, and its side S; its `crop_from_frame`
        maps pixels of the face crop, of side `size`, to pixels of the field.
    points: (1, V, 3), `surface_points` in pixels of the view. planes: what the photo shows of them,
        see `shown`. gaze: (1, 2) radians. scale: (1,), see `FaceParams`.
    eyes: (2,), see `eye_areas`.
    body: (1, 1, S, S), 1 on the shoulders, which do not move.
    cut: (1, 1, S, S), 1 on and beyond the photo's border where it cuts the person. There nothing
        moves, and nothing comes from there.
    look: the photo's eyes and teeth.
    """

    view: FaceCrop
    size: int
    points: np.ndarray
    planes: np.ndarray
    gaze: Tensor
    scale: Tensor
    eyes: np.ndarray
    body: Tensor
    cut: Tensor
    look: Look

    @property
    def crop_side(self) -> float:
        """The side of the face crop in pixels of the view."""
        return self.size * self.view.zoom


def layer_source(
    model: HeadModel, face: FaceParams, size: int, view: FaceCrop, picture: Tensor, cut: Tensor
) -> LayerSource:
    """From the one face of a photo, in pixels of its crop of side `size`.

    picture: (1, 3, S, S) in [-1, 1], what the photo shows in the view. cut: see `LayerSource`.
    """
    points = _in_view(surface_points(model, face), view)
    drawn, part = draw_surface(points[0], rest_points(), view.size)
    levels = (picture[0].permute(1, 2, 0).cpu().numpy() + 1) * 127.5
    is_body = torch.from_numpy((part >= 0) & (drawn[..., 1] < SHOULDER_HEIGHT))
    return LayerSource(
        view=view,
        size=size,
        points=points,
        planes=shown(points[0], view.size, round(OUTLINE * size * view.zoom)),
        gaze=face.gaze,
        scale=face.scale,
        eyes=eye_areas(part, _middle(points[0])),
        body=is_body.to(cut)[None, None],
        cut=cut,
        look=read_look(levels, part, drawn, _middle(points[0])),
    )


@torch.no_grad()
def layer_field(model: HeadModel, source: LayerSource, target: FaceParams) -> LayerField:
    """The field from a source photo to pictures to be made of its person: the faces `target` (B),
    see `retarget`, in pixels of the face crop.

    On the head model's surface above the neck the field is exact: the same point of the surface in
    both pictures. The rest follows its surroundings (`continued`): hair, hats, the neck, and the
    sides of the head where the source hides them.
    """
    start, end = source.points, _in_view(surface_points(model, target), source.view)
    places = np.concatenate([start[0], mirrored(start)[0], rest_points()], 1)
    turned = (target.gaze - source.gaze.to(target.gaze)).norm(dim=-1) / EYE_TURN
    turned = turned.clamp(max=1).cpu().numpy()
    zoom = (target.scale / source.scale.to(target.scale)).cpu().numpy()

    def one(i: int) -> np.ndarray:
        drawn, part = draw_surface(end[i], places, source.view.size)
        middle = _middle(end[i])
        openness = eye_areas(part, middle) / (source.eyes * zoom[i] ** 2).clip(min=1)
        return _looked_up(drawn, part, source, middle, float(turned[i]), openness)

    planes = np.stack(list(in_order(one, range(len(end)))))
    drawn = torch.from_numpy(planes).to(target.scale.device)
    place, is_above, is_face, is_inner, anchor, hidden, seen, fill = drawn.split(
        [2, 1, 1, 1, 1, 1, 1, 6], 1
    )
    # What is hidden by a fold, as beside the nostrils, follows its surroundings.
    hidden = _without_specks(hidden, max(1, round(FOLD * source.crop_side / 2)))
    # At the outline single visible pixels lie between hidden ones.
    anchor = torch.where(is_inner > 0, anchor, _without_specks(anchor, 1))
    # The last pixels before the outline are squeezed; hair beside them has its own depth.
    anchor = anchor * (1 - box_max(1 - is_above, max(1, round(SQUEEZED * source.crop_side))))
    here = pixel_centres(source.view.size, drawn.device)
    offset = (place - here) * anchor
    body, cut = source.body.to(drawn.device), source.cut.to(drawn.device)
    known = torch.stack([anchor, body * (1 - is_above), cut.expand_as(anchor)]).amax(0)
    skull = skull_motion(start, end).to(drawn.device)
    rigid = torch.einsum("bij,bjhw->bihw", skull, _with_one(here)) - here
    around = continued(offset, known, rigid)
    is_exact = torch.maximum(anchor, hidden * seen)
    offset = torch.where(is_exact > 0, place - here, around)
    fill = shaded(fill, source.crop_side)
    cover = fill.sum(1, keepdim=True)
    colours = torch.einsum("bkhw,kc->bchw", fill, source.look.colours.to(fill))
    stretched = _stretched(offset) * is_face * (1 - is_inner) * (1 - cover)
    return LayerField(
        grid=(here + offset).permute(0, 2, 3, 1),
        seen=seen,
        sure=box_mean(anchor * is_inner * is_face, 1),
        hidden=torch.maximum(hidden, stretched),
        fill=torch.cat([colours, cover], 1),
    )


def _in_view(points: Tensor, view: FaceCrop) -> np.ndarray:
    """Points (B, V, 3) of `surface_points` with x and y in pixels of the view."""
    matrix = points.new_tensor(view.crop_from_frame)
    moved = points[..., :2] @ matrix[:2, :2].T + matrix[:2, 2]
    return torch.cat([moved, points[..., 2:]], -1).cpu().numpy()


def _middle(points: np.ndarray) -> float:
    """The column half-way between the pupils of `surface_points` (V, 3)."""
    balls = points[num_head_vertices() :]
    return float((balls[0, 0] + balls[len(balls) // 2, 0]) / 2)


def _with_one(points: Tensor) -> Tensor:
    """Maps (B, 2, H, W) of x and y with a third plane of ones."""
    return torch.cat([points, torch.ones_like(points[:, :1])], 1)


def _without_specks(mask: Tensor, radius: int) -> Tensor:
    """`mask` (B, 1, S, S) of zeros and ones without what is narrower than 2 * radius + 1 pixels."""
    eroded = 1 - box_max(1 - mask, radius)
    return torch.minimum(mask, box_max(eroded, radius))


def _stretched(offset: Tensor) -> Tensor:
    """(B, 1, S, S), 1 where a source pixel covers more than MOST_STRETCH pixels in any direction.

    It falls to 0 at 2 / 3 of that. The least singular value of the field's derivative says it.
    """
    right, down = offset.roll(-1, 3) - offset, offset.roll(-1, 2) - offset
    a, c = 1 + right[:, :1], right[:, 1:]
    b, d = down[:, :1], 1 + down[:, 1:]
    det = (a * d - b * c).abs()
    total = a.square() + b.square() + c.square() + d.square()
    greatest = ((total + (total.square() - 4 * det.square()).clamp(min=0).sqrt()) / 2).sqrt()
    least = det / greatest.clamp(min=1e-6)
    # Where the field tears the derivative says nothing.
    is_whole = (greatest < 3).to(offset)
    return box_mean(is_whole * (3 - 2 * MOST_STRETCH * least).clamp(0, 1), 1)


def _looked_up(
    drawn: np.ndarray,
    part: np.ndarray,
    source: LayerSource,
    middle: float,
    turned: float,
    openness: np.ndarray,
) -> np.ndarray:
    """Planes (14, S, S) float32 of a drawn surface.

    middle: the column half-way between the pupils. turned: 1 if the eyes turn, 0 if not. openness:
    see `darken_closing_eyes`.

    These are: source x and y; whether there is a head above the neck; whether there is a face;
    whether the source point lies well inside the outline; whether x and y are those of a visible
    surface whose motion its surroundings follow; whether the source hides this part of a face;
    whether the source shows the point, its mirror image or whatever is around it; and the shares of
    materials that are drawn.
    """
    planes = source.planes
    own, opposite, rest = drawn[..., :3], drawn[..., 3:6], drawn[..., 6:]
    is_head = part >= 0
    is_skin = (part >= 0) & ~np.isin(part, USUAL_PARTS)
    is_front = (rest[..., 2] > FACE_DEPTH) & (rest[..., 1] > CHIN_HEIGHT)
    is_face = is_head & (~is_skin | is_front)
    own_seen = is_head & is_seen(own, part, planes)
    other_seen = is_skin & is_face & ~own_seen & is_seen(opposite, part, planes)
    place = np.where(other_seen[..., None], opposite, own)[..., :2]
    row, column, _ = pixel_of(own, planes.shape[-1])
    is_inner = planes[1, row, column]
    seen = own_seen | other_seen | ~is_face
    is_cut = source.cut[0, 0].cpu().numpy()[row, column] > 0
    hidden = is_skin & is_face & ~own_seen & ~is_cut
    is_above = is_head & (~is_skin | (rest[..., 1] > CHIN_HEIGHT))
    anchor = own_seen & is_above & ((is_inner > 0) | is_face) & ~is_cut
    fill = shares(part, rest, middle, source.look)
    # A turned eye's sclera is drawn; only its iris is the photo's own.
    drawn_share = np.where(own_seen, 0, 1.0)[..., None].repeat(len(MATERIALS), -1)
    drawn_share[..., -1] = np.maximum(drawn_share[..., -1], turned)
    fill *= drawn_share
    darken_closing_eyes(fill, part, middle, openness)
    values = [place[..., 0], place[..., 1], is_above, is_face, is_inner, anchor, hidden, seen]
    return np.stack([*values, *fill.transpose(2, 0, 1)]).astype(np.float32)
