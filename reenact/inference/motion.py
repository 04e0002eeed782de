"""The motion of a target: tracked once, used for any number of sources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from reenact.errors import UserError
from reenact.face.stack import FaceModel, SourceFace, TargetMotion
from reenact.media.timeline import Timeline

MotionMode = Literal["absolute", "relative"]


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


def driving_faces(
    face: FaceModel[Any], source: SourceFace[Any], motion: Motion, mode: MotionMode
) -> Any:
    """N faces of the source person in the target's motion.

    mode: see `AnimateOptions`. Raises UserError if another face stack, or one for crops of another
    size, tracked the target.
    """
    tracked = motion.tracked
    if type(tracked.params) is not type(source.params) or motion.size != source.crop.size:
        raise UserError(
            f"target: its motion was tracked for crops of {motion.size} pixels or by another face "
            f"stack, this reenactor needs {source.crop.size} pixels: track the target with it"
        )
    if mode == "absolute":
        return face.retarget(source.params, tracked.params)
    neutral = tracked.params[tracked.first_found]
    return face.retarget_relative(source.params, tracked.params, neutral)
