"""Several people of one photo, each with a motion of its own.

Each person is animated alone, in its own part of the person mask, so that neighbours stand still.
Then the results are put into one picture.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reenact.errors import UserError, counted
from reenact.face.crop import FaceCrop
from reenact.face.person_mask import PersonFinder
from reenact.face.stack import FoundFace, Frame, SourceFace
from reenact.inference.background import PHOTO, finished
from reenact.inference.compose import shrunk
from reenact.inference.motion import Motion
from reenact.inference.run_config import AnimateOptions
from reenact.media.timeline import ROUNDING

HEAD = 1.8
"""Size of a head with its hair and some room to move, in sizes of the box of its face."""
SOFTNESS = 0.1
"""Half the width of the soft edge between two people, in sizes of the boxes of their faces."""
UNCHANGED = 2
"""Levels. Where a person's picture differs by less from the photo, other people are not hidden."""


class OwnPart:
    """The person mask of one person, without the other people of the photo.

    Each pixel belongs to the nearest face. Distances count in widths and heights of the box of each
    face.

    neighbours: (K, 4) centre x and y, width and height of the boxes of all faces, the person's own
        first, in units of the side of the person's face crop.
    """

    def __init__(self, finder: PersonFinder, neighbours: np.ndarray) -> None:
        self._finder, self._neighbours = finder, neighbours

    @property
    def device(self) -> torch.device:
        return self._finder.device

    def of_photo(self, photo: Tensor, crop: FaceCrop) -> Tensor:
        """See `PersonMask.of_photo`."""
        mask = self._finder.of_photo(photo, crop)
        centres = crop.points_to_frame(self._neighbours[:, :2] * crop.size)
        sizes = self._neighbours[:, 2:] * crop.size / crop.zoom
        height, width = mask.shape[-2:]
        x = torch.arange(width, device=mask.device) + 0.5
        y = torch.arange(height, device=mask.device)[:, None] + 0.5
        own, *others = (
            torch.hypot((x - cx) / w, (y - cy) / h)
            for (cx, cy), (w, h) in zip(centres.tolist(), sizes.tolist(), strict=True)
        )
        nearest = torch.stack(others).amin(0) if others else own + 1
        return mask * ((nearest - own) / (2 * SOFTNESS) + 0.5).clamp(0, 1)


def neighbours_of(face: FoundFace, faces: Sequence[FoundFace], crop: FaceCrop) -> np.ndarray:
    """All faces as `OwnPart` wants them, `face` first. crop: of `face`."""
    ordered = [face, *(other for other in faces if other.number != face.number)]
    left, top, right, bottom = np.array([one.box for one in ordered]).T
    centres = crop.points_from_frame(np.stack([left + right, top + bottom], 1) / 2)
    sizes = np.stack([right - left, bottom - top], 1) * crop.zoom
    return np.concatenate([centres, sizes], 1) / crop.size


def close_pairs(faces: Sequence[FoundFace]) -> list[tuple[int, int]]:
    """The numbers of the faces whose heads touch or overlap, with their hair."""
    heads = []
    for face in faces:
        left, top, right, bottom = face.box
        middle = np.array([left + right, top + bottom]) / 2
        reach = np.array([right - left, bottom - top]) / 2 * HEAD
        heads.append((face.number, middle, reach))
    return [
        (a, b)
        for i, (a, middle, reach) in enumerate(heads)
        for b, other, other_reach in heads[i + 1 :]
        if (np.abs(middle - other) < reach + other_reach).all()
    ]


def check_group(num_faces: int, num_targets: int, options: AnimateOptions) -> None:
    """Raises UserError if so many faces and targets do not go together."""
    if num_targets not in (1, num_faces):
        raise UserError(
            f"{counted(num_faces, 'face')} and {counted(num_targets, 'target')}: give one target "
            "for all faces, or one for each"
        )
    if num_faces > 1 and options.compose != "photo":
        raise UserError(f"compose: several faces need photo, got {options.compose}")


def joined_frames(
    frames_of: Callable[[SourceFace[Any], Motion, AnimateOptions], Iterator[Frame]],
    sources: Sequence[SourceFace[Any]],
    motions: Sequence[Motion],
    options: AnimateOptions,
) -> Iterator[Frame]:
    """Frames in which all sources, faces of one photo, move.

    frames_of: animates one face. motions: one for all faces, or one for each. Raises UserError for
    another number, and for options that only suit one face.
    """
    check_group(len(sources), len(motions), options)
    motions = at_common_times([*motions] * (len(sources) if len(motions) == 1 else 1))
    if len(sources) == 1:
        return frames_of(sources[0], motions[0], options)
    first = sources[0]
    if not motions[0].is_picture:
        first = shrunk(first, options.max_side)
    photo = first.photo
    if options.background != PHOTO:
        if first.alpha is None:
            raise UserError(
                f"background: several faces of an opaque photo need {PHOTO}, "
                f"got {options.background}"
            )
        photo = finished(np.dstack([photo, first.alpha]), options.background)
    elif first.alpha is not None:  # one warning for all
        sources = [sources[0], *(replace(source, alpha=None) for source in sources[1:])]
    order = from_back_to_front(sources)
    return together(photo, [frames_of(sources[i], motions[i], options) for i in order])


def at_common_times(motions: Sequence[Motion]) -> list[Motion]:
    """The motions with the times of the longest one. A shorter one holds its last frame."""
    longest = max(motions, key=lambda motion: (motion.timeline.end, len(motion)))
    timeline, is_picture = longest.timeline, all(motion.is_picture for motion in motions)
    aligned = []
    for motion in motions:
        if motion is not longest and motion.timeline != timeline:
            times = motion.timeline.times
            shown = [max(0, bisect_right(times, time + ROUNDING) - 1) for time in timeline.times]
            motion = motion[shown]
        aligned.append(replace(motion, timeline=timeline, is_picture=is_picture))
    return aligned


def together(photo: Frame, results: Sequence[Iterable[Frame]]) -> Iterator[Frame]:
    """Pictures of one photo (H, W, 3), in each of which one person moves, as one picture.

    Where two people move over the same place, the later one of `results` is in front.
    """
    for frames in zip(*results, strict=True):
        whole = frames[0]
        for frame in frames[1:]:
            away = np.abs(frame.astype(np.int16) - photo).max(-1)
            free = (whole == photo).all(-1)
            whole = np.where((free | (away > UNCHANGED))[..., None], frame, whole)
        yield whole


def from_back_to_front(sources: Sequence[SourceFace[Any]]) -> list[int]:
    """The numbers (from 0) of the sources, smaller faces first: they are farther away."""
    return sorted(range(len(sources)), key=lambda i: -sources[i].crop.zoom)
