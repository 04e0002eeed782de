"""What the rest of the project knows of a face stack: pictures in, faces and drawings out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
from torch import Tensor

from reenact.face.batch import FaceBatch
from reenact.face.crop import FaceCrop
from reenact.face.surface.motion_field import MotionField

Frame = np.ndarray
"""(H, W, 3) uint8 RGB."""

Watch = Callable[[Iterable[Frame], str], Iterable[Frame]]
"""Hands frames through while somebody looks on (a progress bar); the text says what is done."""


Params = TypeVar("Params", bound=FaceBatch)


@dataclass(frozen=True, kw_only=True, eq=False)
class SourceFace(Generic[Params]):
    """The one face of a photo (H, W, 3).

    crop: where the networks look; crop_frame: what they see there, uint8 (S, S, 3); params: one
    face, in the terms of that crop.
    """

    photo: Frame
    crop: FaceCrop
    crop_frame: Frame
    params: Params


@dataclass(frozen=True, kw_only=True, eq=False)
class TargetMotion(Generic[Params]):
    """What a target does over N frames.

    params: N faces in the terms of the N `crops`, which is where the networks look; `windows`: N
    calm views of the head in which its own place and roll can be seen (the crops themselves where
    a stack crops calmly). Frames without a face (`found` (N,) bool) hold the params of the last
    frame with one, before the first one those of the first. At least one frame has a face.
    """

    params: Params
    crops: list[FaceCrop]
    windows: list[FaceCrop]
    found: np.ndarray

    def __len__(self) -> int:
        return len(self.params)

    @property
    def num_missing(self) -> int:
        return int(len(self.found) - self.found.sum())

    @property
    def first_found(self) -> int:
        return int(np.argmax(self.found))


class FaceStack(Protocol[Params]):
    """A face tracker with its head model, its crop and its drawing."""

    def source_face(self, photo: Frame, size: int) -> SourceFace[Params] | None:
        """The face of a photo in a crop of side `size`; None if there is no face."""
        ...

    def target_motion(
        self, frames: Iterable[Frame], fps: float, size: int, watch: Watch | None = None
    ) -> TargetMotion[Params] | None:
        """Follow one face through `frames`, which may be read more than once; None if no frame
        has a face. Raises ValueError when there is no frame.
        """
        ...

    def cut(self, frame: Frame, crop: FaceCrop) -> Frame:
        """What the networks see of `frame` in `crop`: uint8 (S, S, 3)."""
        ...

    def landmark_map(self, params: Params, size: int) -> Tensor:
        """The drawing for E_r: (B, 3, size, size) in [-1, 1]."""
        ...

    def retarget(self, source: Params, target: Params) -> Params:
        """The source person (one, or as many as targets) with the targets' motion."""
        ...

    def retarget_relative(self, source: Params, target: Params, neutral: Params) -> Params:
        """The source face moved as the targets moved away from their `neutral` frame."""
        ...

    def head_region(self, params: Params, size: int) -> Tensor:
        """Where head and hair are, with room to turn: (B, 1, size, size) in [0, 1]."""
        ...

    def motion_field(
        self, source: Params, target: Params, size: int, resolution: int
    ) -> MotionField:
        """From the faces `target` (B, the source person) back to `source` (B, or one for all), both
        in the terms of crops of side `size`; the field is of side `resolution`.
        """
        ...


def hold_last(found: np.ndarray) -> np.ndarray:
    """For each frame the index of the last frame with a face; before the first one, the first."""
    last = np.maximum.accumulate(np.where(found, np.arange(len(found)), -1))
    return np.where(last < 0, int(np.argmax(found)), last)


def chunks(frames: Iterable[Frame], size: int) -> Iterator[list[Frame]]:
    """Lists of at most `size` frames."""
    held: list[Frame] = []
    for frame in frames:
        held.append(frame)
        if len(held) == size:
            yield held
            held = []
    if held:
        yield held
