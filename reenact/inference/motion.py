"""The motion of a target: tracked once, used for any number of sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from reenact.errors import UserError, counted
from reenact.face.control import Control
from reenact.face.params import FaceParams
from reenact.face.stack import FaceModel, SourceFace, TargetMotion
from reenact.media.clip import chosen_frames
from reenact.media.timeline import DEFAULT_RATE, Timeline, constant_timeline

MotionMode = Literal["absolute", "relative"]
Reference = Literal["first", "closest"] | int
SourcePose = Literal["keep", "take"]
"""Whether the person of a source video keeps the motion of its own head, or takes the target's."""


@dataclass(frozen=True, kw_only=True)
class MotionOptions(Control):
    """How a source takes a target's motion: the fields of `Control`, and these.

    motion: "absolute" takes the target's expression and pose as they are. "relative" takes their
        change since a reference frame, and adds it to the source's own.
    motion_reference: the reference frame of relative motion: "first" = the first frame with a face,
        "closest" = the frame that is most like the source, or the number of a frame, from 0.
    """

    motion: MotionMode = "absolute"
    motion_reference: Reference = "first"


@dataclass(frozen=True, kw_only=True, eq=False)
class Motion:
    """What the face of a target does over N frames. No pixel of the target is kept.

    tracked: the faces, and the squares of the frames that show them.
    timeline: when each frame is shown.
    size: the side of the crops in whose pixels the faces are given.
    is_picture: whether the target is a single picture.
    """

    tracked: TargetMotion[Any]
    timeline: Timeline
    size: int
    is_picture: bool = False

    def __len__(self) -> int:
        return len(self.tracked)

    def __getitem__(self, numbers: Sequence[int]) -> Motion:
        """These frames of the motion, in this order, at its constant average rate."""
        return self._picked(numbers, constant_timeline(len(numbers), self.timeline.fps))

    def part(
        self,
        where: str = "target",
        *,
        start: float | None = None,
        end: float | None = None,
        fps: Fraction | None = None,
        max_frames: int | None = None,
    ) -> Motion:
        """The frames that the options ask for; see `MediaClip`. Raises UserError for no frame."""
        timeline, numbers, _ = chosen_frames(
            self.timeline, where, start=start, end=end, fps=fps, max_frames=max_frames
        )
        return self._picked(numbers, timeline)

    def repeated(self, repeat: int, *, pingpong: bool = False) -> Motion:
        """The motion played several times, one after the other.

        pingpong: every second time it is played backwards; the frames at the turns are shown once.
        """
        numbers: list[int] = []
        for k in range(repeat):
            one = list(range(len(self)))
            if pingpong and k > 0:
                one = one[1:] if k % 2 == 0 else one[-2::-1]
            numbers += one
        return self if repeat == 1 else self[numbers]

    def resized(self, size: int) -> Motion:
        """The same motion for crops with `size` pixels a side, as other weights need them.

        Raises UserError for a motion of the authors' face stack, which knows one size only.
        """
        tracked = self.tracked
        if size == self.size:
            return self
        if not isinstance(tracked.params, FaceParams):
            raise UserError(
                f"target: its motion was tracked for crops of {self.size} pixels, this reenactor "
                f"needs {size} pixels: track the target with it"
            )
        resized = replace(
            tracked,
            params=tracked.params.transformed(np.diag([size / self.size, size / self.size, 1.0])),
            crops=[crop.resized(size) for crop in tracked.crops],
            windows=[window.resized(size) for window in tracked.windows],
        )
        return replace(self, tracked=resized, size=size)

    def _picked(self, numbers: Sequence[int], timeline: Timeline) -> Motion:
        tracked, chosen = self.tracked, list(numbers)
        picked = replace(
            tracked,
            params=tracked.params[chosen],
            crops=[tracked.crops[i] for i in chosen],
            windows=[tracked.windows[i] for i in chosen],
            found=tracked.found[chosen],
            person=tracked.person[chosen],
            shot=tracked.shot[chosen],
            crop_followed=tracked.crop_followed[chosen],
        )
        return replace(self, tracked=picked, timeline=timeline)


def still_motion(source: SourceFace[Any], params: Any) -> Motion:
    """One face (in the pixels of the source's crop) as the motion of a picture."""
    tracked = TargetMotion(
        params=params,
        crops=[source.crop],
        windows=[source.crop],
        found=np.array([True]),
        person=np.array([0]),
        shot=np.array([0]),
        crop_followed=np.array([False]),
    )
    timeline = constant_timeline(1, DEFAULT_RATE)
    return Motion(tracked=tracked, timeline=timeline, size=source.crop.size, is_picture=True)


def driving_faces(
    face: FaceModel[Any],
    source: SourceFace[Any],
    motion: Motion,
    options: MotionOptions,
    shown: Sequence[int] | None = None,
) -> Any:
    """N faces of the source person in the target's motion.

    shown: the frames of the target that are taken, in this order; None takes all. source: one face,
    or one for each of these frames.

    Raises UserError if another face stack tracked the target, for a reference frame that is not
    there, and for control that the stack cannot do.
    """
    if type(motion.tracked.params) is not type(source.params):
        raise UserError(
            "target: its motion was tracked by another face stack: track the target with this one"
        )
    motion = motion.resized(source.crop.size)
    tracked = motion.tracked
    params = tracked.params if shown is None else tracked.params[shown]
    if options.motion == "absolute":
        driven = face.retarget(source.params, params)
    else:
        neutral = tracked.params[reference_frame(face, source, motion, options.motion_reference)]
        driven = face.retarget_relative(source.params, params, neutral)
    if options.is_neutral:
        return driven
    return face.controlled(source.params, driven, options, params)


def reference_frame(
    face: FaceModel[Any], source: SourceFace[Any], motion: Motion, reference: Reference
) -> int:
    """The number of the target's frame that relative motion starts from.

    Of several faces of the source the first one is compared.
    """
    tracked = motion.tracked
    if reference == "first":
        return tracked.first_found
    if reference == "closest":
        found = np.flatnonzero(tracked.found)
        first = source.params[0]
        as_source = face.retarget(first, tracked.params[found])
        size = source.crop.size
        own = face.landmark_map(first, size)
        # The drawings show pose, expression and gaze together, as E_r sees them.
        distances = [
            float((face.landmark_map(as_source[i], size) - own).abs().mean())
            for i in range(len(found))
        ]
        return int(found[int(np.argmin(distances))])
    if not -len(tracked) <= reference < len(tracked):
        raise UserError(
            f"motion_reference: the target has {counted(len(tracked), 'frame')}, got frame "
            f"{reference}; they count from 0"
        )
    return reference % len(tracked)
