"""A video as the source: its person takes the expression of a target, frame by frame."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from reenact.errors import UserError, warn
from reenact.face.stack import FaceStack, Frame, SourceFace
from reenact.inference.background import PHOTO, finished
from reenact.inference.compose import shrunk
from reenact.inference.motion import Motion, MotionOptions, SourcePose, driving_faces
from reenact.inference.run_config import AnimateOptions
from reenact.media.timeline import ROUNDING

LIKE_LENGTH = 0.2
"""Seconds. Videos whose lengths differ by less are as good as equally long."""


@dataclass(frozen=True, kw_only=True, eq=False)
class VideoSource:
    """The person of a source video, and what its face does in each frame.

    own: the person's faces in the video. driven: the same person with the target's expression, N
    faces in the same crops. N may be smaller than the number of frames of the video.
    """

    own: Motion
    driven: Any

    def __len__(self) -> int:
        return len(self.driven)

    def faces(self, stack: FaceStack[Any], frames: Iterable[Frame]) -> Iterator[SourceFace[Any]]:
        """Each frame of the video with its face, as a source."""
        tracked = self.own.tracked
        for i, frame in zip(range(len(self)), frames, strict=False):
            crop = tracked.crops[i]
            yield SourceFace(
                photo=frame,
                crop=crop,
                crop_frame=stack.cut(frame, crop),
                params=tracked.params[i],
            )

    def driven_faces(self) -> Iterator[Any]:
        """The face that each frame shall show; None where the video does not show the person."""
        for i, found in enumerate(self.own.tracked.found[: len(self)]):
            yield self.driven[i] if found else None


def check_video_source(num_targets: int, options: AnimateOptions) -> None:
    """Raises UserError if a source video cannot be animated so."""
    if num_targets > 1:
        raise UserError(f"a source video takes one target with one face, got {num_targets}")
    if options.compose == "follow":
        raise UserError("compose: a source video needs photo or crop, got follow")


def driven_video(
    stack: FaceStack[Any], own: Motion, target: Motion, options: MotionOptions, pose: SourcePose
) -> VideoSource:
    """What each frame of a source video shall show.

    own: the source person's motion in the source video. Each frame takes the expression that the
    target shows at the same time. The result ends with the shorter of the two, which gives a
    warning. A single picture as target gives its expression to all frames. Raises UserError as
    `driving_faces` does.
    """
    shown = _at_times_of(own, target)
    first = own.tracked.first_found
    faces = SourceFace(
        photo=np.zeros((0, 0, 3), np.uint8),
        crop=own.tracked.crops[first],
        crop_frame=np.zeros((0, 0, 3), np.uint8),
        params=own.tracked.params[: len(shown)],
    )
    if pose == "keep":
        options = replace(options, pose_strength=0.0)
    return VideoSource(own=own, driven=driving_faces(stack, faces, target, options, shown))


def without_person(face: SourceFace[Any], options: AnimateOptions, stack: FaceStack[Any]) -> Frame:
    """A frame that does not show the person: as it is, or the background alone."""
    if options.compose == "photo":
        frame = shrunk(face, options.max_side).photo
    else:
        frame = stack.cut(face.photo, face.crop.resized(options.output_size))
    if options.background == PHOTO:
        return frame
    nobody = np.full((*frame.shape[:2], 4), (255, 255, 255, 0), np.uint8)
    return finished(nobody, options.background)


def _at_times_of(own: Motion, target: Motion) -> list[int]:
    """For each frame of `own`, until the target ends, the target's frame at the same time."""
    if target.is_picture:
        return [0] * len(own)
    times, ends = target.timeline.times, (own.timeline.end, target.timeline.end)
    if abs(ends[0] - ends[1]) > LIKE_LENGTH:
        warn(
            f"the source video ends at {float(ends[0]):.1f} s, the target at {float(ends[1]):.1f} "
            "s; the result ends with the shorter one"
        )
    return [
        max(0, bisect_right(times, time + ROUNDING) - 1)
        for time in own.timeline.times
        if time + ROUNDING < ends[1] or time == own.timeline.times[0]
    ]
