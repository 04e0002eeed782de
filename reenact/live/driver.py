"""From the frames of a camera to faces of the source person, one for each frame."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np

from reenact.errors import UserError
from reenact.face.batch import FaceBatch
from reenact.face.control import Control
from reenact.face.stack import FaceStack, Frame, SourceFace, TargetMotion, Which
from reenact.inference.motion import Motion, MotionOptions, driving_faces
from reenact.media.timeline import DEFAULT_RATE, constant_timeline

HOLD_SECONDS = 1.0
"""A lost face holds the last picture for so long. Then it fades to the photo's own face."""
FADE_SECONDS = 1.0
RETURN_SECONDS = 0.3
"""How long the way back takes when the face returns."""

State = Literal["waiting", "following", "lost", "other person"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Driven:
    """One face of the source person, and what the camera sees."""

    face: FaceBatch
    state: State


class LiveDriver:
    """Gives the source the motion that a camera sees.

    The first frame that shows a face is the reference of relative motion. Its person is followed.
    Nobody else drives the source, until `restart`.
    """

    def __init__(
        self,
        face: FaceStack[Any],
        source: SourceFace[Any],
        options: MotionOptions,
        which: Which = "largest",
        smoothing: float = 1.0,
    ) -> None:
        if options.motion_reference != "first":
            raise UserError(
                f"motion_reference: {options.motion_reference} is not possible live; the reference "
                "is the first frame, and the key r takes another one"
            )
        self._face, self._source, self._options = face, source, options
        self._which, self._smoothing = which, smoothing
        self.restart()

    def restart(self) -> None:
        """Take the next face as the person to follow, and as the reference."""
        self._tracker = self._face.live_tracker(
            self._source.crop.size, which=self._which, smoothing=self._smoothing
        )
        self._reference: TargetMotion[Any] | None = None
        self._time: float | None = None
        self._seen = -float("inf")  # when the person was in sight last
        self._weight = 0.0  # of the motion; the rest is the source's own face

    def update(self, frame: Frame, time: float) -> Driven:
        """The next frame (H, W, 3), taken at `time` in seconds."""
        now = self._tracker.update(frame, time)
        if now is None:
            return Driven(face=self._source.params, state="waiting")
        if self._reference is None:
            self._reference = now
        if now.found[0]:
            self._seen = time
        self._weight = self._next_weight(time)
        both = _joined(self._reference, now)
        timeline = constant_timeline(2, DEFAULT_RATE)
        motion = Motion(tracked=both, timeline=timeline, size=self._source.crop.size)
        driven = driving_faces(self._face, self._source, motion, self._options)[1]
        return Driven(face=self._faded(driven), state=_state(now))

    def _next_weight(self, time: float) -> float:
        seconds = 0.0 if self._time is None else max(time - self._time, 0.0)
        if self._time is None:
            weight = 1.0
        elif time == self._seen:
            weight = min(self._weight + seconds / RETURN_SECONDS, 1.0)
        elif time - self._seen <= HOLD_SECONDS:
            weight = self._weight
        else:
            # Only the time after the hold counts, whatever the frame rate.
            fading = min(seconds, time - self._seen - HOLD_SECONDS)
            weight = max(self._weight - fading / FADE_SECONDS, 0.0)
        self._time = time
        return weight

    def _faded(self, driven: FaceBatch) -> FaceBatch:
        weight = self._weight
        if weight == 1.0:
            return driven
        smooth = weight * weight * (3 - 2 * weight)
        share = Control(pose_strength=smooth, expression_strength=smooth, gaze_strength=smooth)
        faded: FaceBatch = self._face.controlled(self._source.params, driven, share)
        return faded


def _joined(first: TargetMotion[Any], second: TargetMotion[Any]) -> TargetMotion[Any]:
    """Two motions as one. Both count as found: each holds a face that was seen."""
    both: dict[str, Any] = {}
    for name in (field.name for field in fields(TargetMotion)):
        a, b = getattr(first, name), getattr(second, name)
        if isinstance(a, FaceBatch):
            both[name] = type(a).cat([a, b])
        else:
            both[name] = np.concatenate([a, b]) if isinstance(a, np.ndarray) else [*a, *b]
    return replace(TargetMotion(**both), found=np.array([True, True]))


def _state(now: TargetMotion[Any]) -> State:
    if now.found[0]:
        return "following"
    return "other person" if now.person[0] > 0 else "lost"
