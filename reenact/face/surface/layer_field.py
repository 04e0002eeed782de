"""Where each pixel of a photo's moved person was in the photo: the head, its hair, its neck."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numba as nb
import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from reenact.face.box import box_max, box_mean
from reenact.face.crop import FaceCrop
from reenact.face.head_model import HeadModel
from reenact.face.params import FaceParams
from reenact.face.surface.continuation import (
    CHIN_HEIGHT,
    above_chin,
    continued,
    filled_in,
    skull_motion,
    skull_share,
)
from reenact.face.surface.facing import facing, turn_between
from reenact.face.surface.look import (
    MATERIALS,
    Look,
    darken_closing_eyes,
    eye_areas,
    painted,
    read_look,
    shares,
)
from reenact.face.surface.motion_field import pixel_centres, resampled
from reenact.face.surface.sight import HIDDEN_BELOW, shown
from reenact.face.surface.usual_look import USUAL_PARTS
from reenact.face.surface.visible import (
    NUM_PARTS,
    draw_surface,
    mirrored,
    num_head_vertices,
    rest_points,
    surface_points,
)
from reenact.threads import in_order

SURE_FACING, SURE_STRETCH = 0.45, 1.5
"""Where the head faces the camera by less than the first in the source, and by more than this many
times more in the picture to be made, a little of the source would be spread over a large part.
"""
FACE_DEPTH = -0.3
"""dm: the face of the head model lies in front of this depth at rest, and above `CHIN_HEIGHT`. What
the source hides of the face is invented. Elsewhere there may be hair or clothes, of which the head
model knows nothing.
"""
EAR_DEPTH, LEAST_TURN = -0.4, 0.15
"""dm: in front of this depth the head model's skin is opaque where it turns into view. A point
turns into view where it faces the camera by this much more than in the source.
"""
SHOULDER_HEIGHT = -1.75
"""dm: below this height at rest the shoulders begin. They move with the place and the size of the
head, but do not turn.
"""
HELD_BORDER, BENDING_BORDER = 1 / 5, 1 / 2
"""Beside a border that holds the person, hair does not follow the skull in the first share of the
crop's side, and the shoulders bend in the second.
"""
SQUEEZED = 1 / 100
"""So near to the outline of the head, in shares of the crop's side, the motion is continued."""
HIDDEN_FROM, HIDDEN_TO = 0.35, 0.05
"""How much the other half of the face stands in for a part of it: not at all where that faces the
source's camera by the first value, completely where it faces away by the second one.
"""
LEAST_HIDDEN = 0.04
"""What is hidden by less than this counts as not hidden; above it the share grows from 0."""
JAW_SLOPE = 0.7
"""From the chin the lower edge of the jaw rises by so many dm for each dm of depth. What lies below
is neck: it bends between the head and the shoulders.
"""
SOFT_EDGE = 1 / 40
"""What is invented fades out over about this share of the crop's side."""
TURN_FROM, TURN_TO = 0.175, 0.44
"""Radians: from the first turn of the head on the networks' person stands behind the moved one, and
from the second on completely. Below the first the photo knows the outline of the hair best.
"""
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
    behind: (B, 1, S, S) in [0, 1], how much of the person that the networks draw stands behind the
        moved one. It grows with the turn of the head, from `TURN_FROM` to `TURN_TO`.
    fill: (B, 4, S, S), colours in [-1, 1] of teeth, tongue, the mouth's inside and eyeballs where
        the source hides them, and of the sclera where an eye turns, times how much of the pixel
        these cover, and this share.
    """

    grid: Tensor
    mirror: Tensor
    opaque: Tensor
    sure: Tensor
    hidden: Tensor
    behind: Tensor
    fill: Tensor

    def __getitem__(self, rows: list[int]) -> LayerField:
        """The fields of these pictures."""
        return LayerField(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

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
        see `shown`. facing: (V,), see `facing`.
    gaze: (1, 2) radians. rotation: (1, 3) and scale: (1,), see `FaceParams`.
    eyes: (2,), see `eye_areas`.
    front: (1, 1, S, S), 1 on the front of the face.
    cut: (1, 1, S, S), 1 on and beyond the photo's border where it cuts the person. There nothing
        moves, and nothing comes from there.
    to_cut: (1, 1, S, S) how far it is to there, in shares of the crop's side.
    look: the photo's eyes and teeth.
    """

    view: FaceCrop
    size: int
    points: np.ndarray
    planes: np.ndarray
    facing: np.ndarray
    gaze: Tensor
    rotation: Tensor
    scale: Tensor
    eyes: np.ndarray
    front: Tensor
    cut: Tensor
    to_cut: Tensor
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
    return LayerSource(
        view=view,
        size=size,
        points=points,
        planes=shown(points[0], view.size, 0),
        facing=facing(face.rotation)[0],
        gaze=face.gaze,
        rotation=face.rotation,
        scale=face.scale,
        eyes=eye_areas(part, _middle(points[0])),
        front=torch.from_numpy((part >= 0) & (drawn[..., 2] > FACE_DEPTH)).to(cut)[None, None],
        cut=cut,
        to_cut=_distance(cut) / (size * view.zoom),
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
    now = facing(target.rotation)
    turned = (target.gaze - source.gaze.to(target.gaze)).norm(dim=-1) / EYE_TURN
    turned = turned.clamp(max=1).cpu().numpy()
    zoom = (target.scale / source.scale.to(target.scale)).cpu().numpy()

    def one(i: int) -> np.ndarray:
        values = np.concatenate([places, source.facing[:, None], now[i, :, None]], 1)
        drawn, part = draw_surface(end[i], values, source.view.size)
        middle = _middle(end[i])
        openness = eye_areas(part, middle) / (source.eyes * zoom[i] ** 2).clip(min=1)
        return _looked_up(drawn, part, source, middle, float(turned[i]), openness)

    planes = np.stack(list(in_order(one, range(len(end)))))
    drawn = torch.from_numpy(planes).to(target.scale.device)
    place, opposite, is_above, is_below, is_face, anchor, hidden, opaque, fill = drawn.split(
        [2, 2, 1, 1, 1, 1, 1, 1, 6], 1
    )
    # At the outline single visible pixels lie between hidden ones.
    anchor = _without_specks(anchor, 1)
    # The last pixels before the outline are squeezed; hair beside them has its own depth.
    inner = 1 - box_max(1 - is_above, max(1, round(SQUEEZED * source.crop_side)))
    cut, to_cut = source.cut.to(drawn.device), source.to_cut.to(drawn.device)
    shoulders = anchor * is_below
    here = pixel_centres(source.view.size, drawn.device)
    offset = (place - here) * (anchor * inner + shoulders * (to_cut / BENDING_BORDER).clamp(max=1))
    known = torch.stack([anchor * inner, shoulders, cut.expand_as(anchor)]).amax(0)
    skull = skull_motion(start, end).to(drawn.device)
    rigid = torch.einsum("bij,bjhw->bihw", skull, _with_one(here)) - here
    around = continued(offset, known, rigid)
    front = _sampled(source.front.to(drawn.device), (here + rigid).permute(0, 2, 3, 1), 1.0)
    held = torch.stack([known, is_below, (to_cut < HELD_BORDER).to(known).expand_as(known)]).amax(0)
    pulled = skull_share(end, held, front, source.crop_side)
    offset = torch.where(known > 0, around, around + pulled * (rigid - around))
    edge = max(1, round(SOFT_EDGE * source.crop_side / 2))
    mirror, hidden = _mirror(opposite - here, hidden, source.crop_side)
    return LayerField(
        grid=(here + offset).permute(0, 2, 3, 1),
        mirror=(here + mirror).permute(0, 2, 3, 1),
        opaque=box_mean(opaque, edge),
        sure=box_mean(anchor * inner * is_face, 1),
        hidden=hidden,
        behind=_behind(source, target, end).to(drawn.device),
        fill=painted(fill, source.look, source.crop_side),
    )


def _behind(source: LayerSource, target: FaceParams, end: np.ndarray) -> Tensor:
    """`behind` of `LayerField`: only above the chin, because the body hardly turns."""
    size = source.view.size
    turn = turn_between(source.rotation.to(target.rotation), target.rotation)
    share = ((turn - TURN_FROM) / (TURN_TO - TURN_FROM)).clamp(0, 1)
    share = (share * share * (3 - 2 * share)).view(-1, 1, 1, 1)
    return (share.cpu() * above_chin(end, size)).expand(-1, -1, -1, size)


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


def _distance(mask: Tensor) -> Tensor:
    """How far each pixel (1, 1, S, S) is from those that are 1; infinite where none is."""
    if not bool(mask.any()):
        return torch.full_like(mask, torch.inf)
    return torch.from_numpy(distance_transform_edt(mask.cpu().numpy() == 0)).to(mask)


def _sampled(image: Tensor, grid: Tensor, reach: float) -> Tensor:
    grid = (grid * (2 / grid.shape[1]) - 1) / reach
    image = image.expand(len(grid), -1, -1, -1)
    return F.grid_sample(image, grid, padding_mode="border", align_corners=False)


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


def _looked_up(
    drawn: np.ndarray,
    part: np.ndarray,
    source: LayerSource,
    middle: float,
    turned: float,
    openness: np.ndarray,
) -> np.ndarray:
    """Planes (16, S, S) float32 of a drawn surface.

    middle: the column half-way between the pupils. turned: 1 if the eyes turn, 0 if not. openness:
    see `darken_closing_eyes`.

    These are: source x and y; those of the other half of the face; whether there is a head above
    the neck; whether there is neck or shoulders; whether there is a face; whether x and y are those
    of a visible surface whose motion its surroundings follow; whether the source hides this part of
    a face, but not that of the other half; and the shares of materials that are drawn.
    """
    fill = shares(part, drawn[..., 6:9], middle, source.look)
    planes = np.zeros((10 + len(MATERIALS), *part.shape), np.float32)
    cut = source.cut[0, 0].cpu().numpy()
    is_usual = np.isin(np.arange(NUM_PARTS), USUAL_PARTS)
    _classify(drawn, part, is_usual, source.planes, cut, turned, fill, planes)
    darken_closing_eyes(fill, part, middle, openness)
    planes[10:] = fill.transpose(2, 0, 1)
    return planes


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
    """Sets the first ten planes of `_looked_up` where the head is. Leaves in `fill` what is drawn.

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


@nb.njit(cache=True, nogil=True)
def _is_seen(x: float, y: float, depth: float, part: int, planes: np.ndarray) -> bool:
    """`is_seen` of one point."""
    size = planes.shape[-1]
    column, row = int(np.floor(x)), int(np.floor(y))
    if not (0 <= column < size and 0 <= row < size):
        return True
    is_near = depth <= planes[0, row, column] + HIDDEN_BELOW
    return bool(is_near and planes[2 + part, row, column] > 0)
