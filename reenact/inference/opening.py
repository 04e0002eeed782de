"""A target by its path: the file is read as what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reenact.face.stack import Frame
from reenact.inference.motion import Motion
from reenact.inference.motion_file import is_motion_path, load_motion
from reenact.inference.shipped_motions import is_shipped, shipped_motion
from reenact.media.animation import is_still, open_clip
from reenact.media.clip import MediaClip
from reenact.media.images import read_frame

Opened = MediaClip | Frame | Motion
"""A video or animation, the frame of a picture, or the motion of a motion file."""


def open_file(path: Path, **part: Any) -> Opened:
    """A video or an animation, a picture, a motion file, or a motion that ships ("@smile").

    part: the options of `MediaClip`, for all but a picture. Raises UserError.
    """
    if is_shipped(path):
        path = shipped_motion(str(path))
    if is_motion_path(path):
        return load_motion(path).part(str(path), **part)
    if is_still(path):
        return read_frame(path)
    return open_clip(path, **part)


def useless_tracking_options(which: object, smoothing: float) -> list[str]:
    """What to say if options of the tracking are given for a motion file, which is tracked."""
    usual = isinstance(which, str) and which == "largest" and smoothing == 1
    return [] if usual else ["its motion is tracked: target_face and smoothing change nothing"]
