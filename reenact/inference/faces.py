"""Finds faces in photos, and follows a face through a target."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from reenact.errors import UserError, counted, warn
from reenact.face.stack import FaceStack, SourceFace, Watch, no_such_face
from reenact.inference.canvas import is_cut
from reenact.inference.group import close_pairs, neighbours_of
from reenact.inference.motion import Motion
from reenact.inference.opening import open_file, useless_tracking_options
from reenact.inference.pictures import Frames, Picture, frame_and_alpha
from reenact.inference.run_config import Choice, which_face
from reenact.media.timeline import DEFAULT_RATE, Timeline, constant_timeline, exact_rate
from reenact.ranges import Range


def find_face(
    stack: FaceStack[Any], photo: Picture, where: str, *, size: int, which: Choice
) -> SourceFace[Any]:
    """The chosen face of a photo in a crop of side `size`.

    where: names the photo in errors. Raises UserError if there is no such face in it.
    """
    where = _name_of(photo, where)
    frame, alpha = frame_and_alpha(photo, where)
    with _named(where):
        face = stack.source_face(frame, size, which=which_face(which, "source_face"))
    if face is None:
        raise UserError(f"{where}: no face found, take a photo that shows one face clearly")
    return face if alpha is None else replace(face, alpha=alpha)


def find_faces(
    stack: FaceStack[Any],
    photo: Picture,
    where: str,
    *,
    size: int,
    numbers: Sequence[int] | None,
) -> list[SourceFace[Any]]:
    """All faces of a photo, from left to right, or those with these numbers, in their order.

    Faces that touch or overlap give a warning. Raises UserError if there is no face, or none with
    such a number.
    """
    where = _name_of(photo, where)
    frame, alpha = frame_and_alpha(photo, where)
    found = stack.source_faces(frame, size)
    if not found:
        raise UserError(f"{where}: no face found, take a photo that shows faces clearly")
    for number in (numbers := numbers or [face.number for face, _ in found]):
        if not 1 <= number <= len(found):
            raise UserError(f"{where}: {no_such_face(number, len(found))}")
    boxes = [face for face, _ in found]
    for a, b in close_pairs([boxes[number - 1] for number in numbers]):
        warn(f"{where}: the heads {a} and {b} overlap; the edge between them may be seen")
    chosen = [found[number - 1] for number in numbers]
    return [
        replace(source, neighbours=neighbours_of(face, boxes, source.crop), alpha=alpha)
        for face, source in chosen
    ]


def warn_if_cut(stack: FaceStack[Any], face: SourceFace[Any], where: str) -> None:
    """A warning if the border of the photo cuts the face."""
    if is_cut(face, stack.outline(face.params)):
        warn(f"{where}: its border cuts the face; what lies beyond is not invented")


def track_face(
    stack: FaceStack[Any],
    target: Motion | Picture | Iterable[Picture],
    fps: float | None,
    where: str,
    *,
    size: int,
    watch: Watch | None,
    which: Choice,
    smoothing: float,
    role: Literal["target", "source"],
) -> Motion:
    """The motion of a target's face, for crops of side `size`; see `Reenactor.track`."""
    if smoothing not in Range(at_least=0, at_most=2):
        raise UserError(f"smoothing: must be at least 0 and at most 2, got {smoothing:g}")
    which, where = which_face(which, "target_face"), _name_of(target, where)
    if isinstance(target, str | Path):
        target = open_file(Path(target), fps=None if fps is None else exact_rate(fps))
        fps = None
    if isinstance(target, Motion):
        for line in useless_tracking_options(which, smoothing):
            warn(f"{where}: {line}")
        return target
    if is_picture := not isinstance(target, Iterable) or (
        isinstance(target, np.ndarray) and target.ndim < 4
    ):
        target = [target]
    elif iter(target) is target and stack.num_passes > 1:
        target = list(target)
    frames = Frames(target, where)
    timeline: Timeline | None = getattr(target, "timeline", None)
    rate = DEFAULT_RATE if timeline is None else timeline.fps
    if fps is not None:
        rate, timeline = exact_rate(fps), None
    with _named(where):
        tracked = stack.target_motion(
            frames, float(rate), size, watch, which=which, smoothing=smoothing
        )
    if tracked is None:
        what = "the picture" if is_picture else counted(frames.count, "frame")
        raise UserError(f"{where}: no face found in {what}, take a target that shows one clearly")
    for line in tracked.warnings(role):
        warn(line)
    return Motion(
        tracked=tracked,
        timeline=timeline or constant_timeline(len(tracked), rate),
        size=size,
        is_picture=is_picture,
    )


def _name_of(picture: object, where: str) -> str:
    """How errors call a picture or target: by its path, if it is one."""
    return str(picture) if isinstance(picture, str | Path) else where


@contextmanager
def _named(where: str) -> Iterator[None]:
    """Errors inside of the block name the photo or target, if they do not yet."""
    try:
        yield
    except UserError as error:
        text = str(error)
        raise error if text.startswith(where) else UserError(f"{where}: {text}") from error
