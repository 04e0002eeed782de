"""Which part of a source photo is composed, in which pixels, and how a result goes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reenact.face.crop import FaceCrop, warp_to_crop
from reenact.face.person_mask import PersonFinder
from reenact.face.stack import Frame, SourceFace
from reenact.media.images import image_from_frame

ROOM = 2.0
"""The source is cut from a square this many times as wide as the face crop. A head moves by less
than what lies around the crop.
"""
CUT_BEYOND = 0.03
"""A face is cut where its outline lies this much beyond the border: a share of the crop's side."""
MOST_MOVED = 0.3
"""Mask values above this one count as the person where the photo's border cuts it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SourceView:
    """A part of B source photos around their faces, with the same canvas for all.

    canvas: the square, of D pixels, in which pictures are composed; its `crop_from_frame` maps
        pixels of the networks' crop to pixels of the canvas.
    picture: (B, C, W, W) in [-1, 1], a square with the canvas's centre and pixels, W >= D. Beyond
        the photo its outermost pixels are repeated. C is 3, or 4 with the opacity of a photo that
        has transparent parts; its colours are then those over white.
    mask: (B, 1, W, W) in [0, 1], the person.
    cut: (B, 1, D, D), 1 where the border of the photo cuts the person, and beyond.
    """

    canvas: FaceCrop
    picture: Tensor
    mask: Tensor
    cut: Tensor

    def __len__(self) -> int:
        return len(self.picture)

    def __getitem__(self, rows: slice) -> SourceView:
        return SourceView(
            canvas=self.canvas,
            picture=self.picture[rows],
            mask=self.mask[rows],
            cut=self.cut[rows],
        )

    @classmethod
    def cat(cls, views: Sequence[SourceView]) -> SourceView:
        """The rows of several views (at least one) with the same canvas as one view."""
        return cls(
            canvas=views[0].canvas,
            picture=torch.cat([view.picture for view in views]),
            mask=torch.cat([view.mask for view in views]),
            cut=torch.cat([view.cut for view in views]),
        )

    def inner(self, image: Tensor) -> Tensor:
        """The part of an image (1, C, W, W) that the canvas covers: (1, C, D, D)."""
        return middle(image, self.canvas.size).contiguous()


def middle(images: Tensor, size: int) -> Tensor:
    """The squares of side `size` in the middle of square images (B, C, W, W)."""
    border = (images.shape[-1] - size) // 2
    return images[..., border : border + size, border : border + size]


def is_cut(face: SourceFace[Any], outline: Tensor) -> bool:
    """Whether the photo's border cuts the face. outline: (1, N, 2) points round it, in the crop."""
    points = face.crop.points_to_frame(outline[0].cpu().numpy())
    limit = np.array(face.photo.shape[1::-1])
    beyond = np.maximum(-points, points - limit).max()
    return bool(beyond > CUT_BEYOND * face.crop.size / face.crop.zoom)


def crop_view(
    photo: Frame, crop: FaceCrop, net: PersonFinder, size: int, alpha: np.ndarray | None = None
) -> SourceView:
    """The face crop in `size` pixels as the canvas, with what lies around it in the photo.

    alpha: (H, W) uint8, the photo's opacity.
    """
    scale = size / crop.size
    canvas = FaceCrop(crop_from_frame=np.diag([scale, scale, 1.0]), size=size)
    return _view(photo, crop, net, canvas, room=ROOM, alpha=alpha)


def wide_view(photo: Frame, crop: FaceCrop, net: PersonFinder) -> SourceView:
    """The square that is ROOM times as wide as the face crop as the canvas, in the crop's pixels.

    At the border of the square nothing moves.
    """
    border = round(crop.size * (ROOM - 1) / 2)
    shift = np.array([[1.0, 0, border], [0, 1, border], [0, 0, 1]])
    canvas = FaceCrop(crop_from_frame=shift, size=crop.size + 2 * border)
    return _held_at_border(_view(photo, crop, net, canvas, room=1.0, alpha=None))


def photo_view(
    photo: Frame, crop: FaceCrop, net: PersonFinder, alpha: np.ndarray | None = None
) -> tuple[SourceView, tuple[int, int]]:
    """A square of the photo's own pixels around the face, and the column and row of its corner.

    At the border of the square nothing moves. alpha: (H, W) uint8, the photo's opacity.
    """
    side = crop.size / crop.zoom
    centre = crop.points_to_frame(np.full(2, crop.size / 2))
    half = round(side * ROOM / 2)
    left, top = (int(v) for v in np.round(centre).astype(int) - half)
    shift = np.array([[1.0, 0, -left], [0, 1, -top], [0, 0, 1]])
    canvas = FaceCrop(crop_from_frame=shift @ crop.frame_from_crop, size=2 * half)
    view = _view(photo, crop, net, canvas, room=1.0, alpha=alpha)
    return _held_at_border(view), (left, top)


def _held_at_border(view: SourceView) -> SourceView:
    for edge in (0, -1):
        view.cut[..., edge, :] = view.cut[..., :, edge] = 1
    return view


def put_back(photo: Frame, result: Frame, corner: tuple[int, int]) -> Frame:
    """The photo (H, W, C) with the pixels of a result (D, D, C) whose corner is at this column and
    row; what lies beyond the photo is left out.
    """
    left, top = corner
    right, bottom = (
        min(v + len(result), n) for v, n in ((left, photo.shape[1]), (top, len(photo)))
    )
    frame = photo.copy()
    rows, columns = slice(max(top, 0), bottom), slice(max(left, 0), right)
    frame[rows, columns] = result[
        rows.start - top : bottom - top, columns.start - left : right - left
    ]
    return frame


def _view(
    photo: Frame,
    crop: FaceCrop,
    net: PersonFinder,
    canvas: FaceCrop,
    *,
    room: float,
    alpha: np.ndarray | None,
) -> SourceView:
    border = round(canvas.size * (room - 1) / 2)
    side = canvas.size + 2 * border
    shift = np.array([[1.0, 0, border], [0, 1, border], [0, 0, 1]])
    matrix = shift @ canvas.crop_from_frame @ crop.crop_from_frame
    window = FaceCrop(crop_from_frame=matrix, size=side)
    mask = net.of_photo(image_from_frame(photo).to(net.device), crop).cpu()
    levels = (mask[0, 0].numpy() * 255).round().astype(np.uint8)
    seen = _plane(levels, window) / 2 + 0.5
    inner = slice(border, border + canvas.size)
    inside = torch.from_numpy(_inside(photo, window))[None, None, inner, inner]
    is_person = seen[..., inner, inner] > MOST_MOVED
    picture = image_from_frame(warp_to_crop(photo, window))
    if alpha is not None:
        picture = torch.cat([picture, _plane(alpha, window)], 1)
    return SourceView(
        canvas=canvas,
        picture=picture,
        mask=seen,
        cut=(~inside & is_person).float(),
    )


def _plane(levels: np.ndarray, window: FaceCrop) -> Tensor:
    """Levels (H, W) uint8 as the window shows them: (1, 1, W, W) in [-1, 1]."""
    return image_from_frame(warp_to_crop(levels[..., None].repeat(3, 2), window))[:, :1]


def _inside(photo: Frame, window: FaceCrop) -> np.ndarray:
    """Whether pixels of the window lie in the photo, not on its outermost pixels (side, side)."""
    ticks = np.arange(window.size) + 0.5
    points = window.points_to_frame(np.stack(np.meshgrid(ticks, ticks), -1))
    limit = np.array(photo.shape[1::-1])
    return np.asarray(((points > 1) & (points < limit - 1)).all(-1))
