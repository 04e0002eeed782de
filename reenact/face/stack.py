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

    params: N faces in the terms of the N `crops`, which is where the networks look. windows: N
    calm views of the head in which its own place and roll can be seen (the crops themselves where
    a stack crops calmly). found (N,) bool: the frames whose face drives the result. The other
    frames hold the params of the last frame that was found; before the first one, those of the
    first. At least one frame is found.

    person (N,) int: who is seen, 0 for the first person of the film, 1, 2, ... for others, -1 for
    nobody. shot (N,) int: the number of the shot. crop_followed (N,) bool: frames in which the
    calm crop would have lost the head, so that the crop followed the head at once.
    """

    params: Params
    crops: list[FaceCrop]
    windows: list[FaceCrop]
    found: np.ndarray
    person: np.ndarray
    shot: np.ndarray
    crop_followed: np.ndarray

    def __len__(self) -> int:
        return len(self.params)

    @property
    def first_found(self) -> int:
        return int(np.argmax(self.found))

    @property
    def num_missing(self) -> int:
        """Frames that hold the last pose, for want of a face or of the right person."""
        return int((~self.found).sum())

    @property
    def num_other_people(self) -> int:
        """Frames that hold the last pose because they show only other people."""
        return int((~self.found & (self.person >= 0)).sum())

    @property
    def num_newcomer(self) -> int:
        """Frames driven by another person, because the first one never came back after a cut."""
        return int((self.found & (self.person > 0)).sum())

    @property
    def num_cuts(self) -> int:
        return int(self.shot.max())

    @property
    def num_crop_followed(self) -> int:
        return int(self.crop_followed.sum())

    def warnings(self) -> list[str]:
        """One line for each thing that the user may not expect."""
        lines = []
        if self.num_missing:
            others = self.num_other_people
            which = f", {others} of them only other people's" if others else ""
            lines.append(
                f"{self.num_missing} of {len(self)} target frames had no face to follow{which}; "
                "the last pose was kept"
            )
        if self.num_newcomer:
            lines.append(
                "the first person of the target does not come back after a cut; another person "
                f"drives {self.num_newcomer} of {len(self)} frames"
            )
        if self.num_crop_followed:
            lines.append(
                f"the head moved very fast in {self.num_crop_followed} of {len(self)} target "
                "frames; there the view follows it at once, so the result shows less of the motion"
            )
        return lines


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
