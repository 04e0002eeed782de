"""What a run reads: the opened files, the faces of the source, and the motions of the targets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from reenact.errors import UserError, warn
from reenact.face.stack import Frame, SourceFace, Watch, Which
from reenact.inference.background import PHOTO, TRANSPARENT
from reenact.inference.motion import Motion
from reenact.inference.opening import Opened, open_file, useless_tracking_options
from reenact.inference.reenactor import Reenactor
from reenact.inference.run_config import InferRun, face_numbers, which_face
from reenact.inference.video_source import VideoSource, driven_video
from reenact.media.animation import is_photo, open_clip
from reenact.media.clip import MediaClip
from reenact.media.formats import holds_alpha
from reenact.media.images import over_white, read_frame
from reenact.media.timeline import exact_rate


def load_for(run: InferRun, device: str) -> Reenactor:
    """The reenactor with the weights and settings of a run; see `Reenactor.load`."""
    return Reenactor.load(run.weights, config=run.reenactor, device=device, face=run.face)


def open_source(source: Path, run: InferRun) -> MediaClip | Frame:
    """The frame of a photo, (H, W, 4) RGBA if it has transparent parts, or a video or animation.

    `max_frames` and `fps` of the run apply to the latter.
    """
    if is_photo(source):
        return read_frame(source, keep_alpha=True)
    fps = None if run.fps is None else exact_rate(run.fps)
    return open_clip(source, fps=fps, max_frames=run.max_frames)


def open_target(target: Path, run: InferRun | None = None) -> Opened:
    """A video or an animation, the frame of a picture, or the motion of a motion file.

    run: its `start`, `end`, `max_frames` and `fps` choose frames; None takes all of them. Raises
    UserError.
    """
    run = run or InferRun()
    part: dict[str, Any] = {
        "start": run.start,
        "end": run.end,
        "max_frames": run.max_frames,
        "fps": None if run.fps is None else exact_rate(run.fps),
    }
    return open_file(target, **part)


def read_source(source: Path, output: Path, run: InferRun) -> Frame:
    """A source photo, with its transparency (H, W, 4) if the result can hold it or covers it.

    Raises UserError, also for a transparent background that the result cannot hold.
    """
    check_transparency(output, run)
    photo = read_frame(source, keep_alpha=True)
    return photo if holds_alpha(output) else shown_over_white(photo, source, run)


def check_transparency(output: Path, run: InferRun, *, grid: bool = False) -> None:
    """Raises UserError for a transparent background that the result cannot hold."""
    if run.background == TRANSPARENT and (grid or not holds_alpha(output)):
        raise UserError(
            f"{output}: cannot hold a transparent background; end the name in .png, .webp, .webm "
            "or .mov, without --grid"
        )


def shown_over_white(photo: Frame, source: Path, run: InferRun) -> Frame:
    """A photo (H, W, 3 or 4) without its transparency, unless the background covers it."""
    if photo.shape[2] == 3 or run.background != PHOTO:
        return photo
    warn(f"{source}: its transparent parts are shown as white")
    return np.asarray(over_white(Image.fromarray(photo)).convert("RGB"))


def keeping_alpha(
    run: InferRun, sources: Sequence[SourceFace[Any]], reenactor: Reenactor
) -> InferRun:
    """The run, whose background is transparent if the photo from `read_source` is."""
    keeps = run.background == PHOTO and any(source.alpha is not None for source in sources)
    if keeps and reenactor.recipe.carry_detail:
        return replace(run, background=TRANSPARENT)
    return run


def find_sources(
    reenactor: Reenactor, photo: Frame, source: Path, run: InferRun
) -> list[SourceFace[Any]]:
    """The faces of a photo that the run chooses. Raises UserError."""
    if run.source_face == "all":
        return reenactor.find_all(photo, str(source))
    if numbers := face_numbers(run.source_face, "source_face"):
        return reenactor.find_all(photo, str(source), numbers=numbers)
    which = which_face(run.source_face, "source_face")
    return [reenactor.find(photo, str(source), which=which)]


def track_source(reenactor: Reenactor, source: MediaClip, path: Path, run: InferRun) -> Motion:
    """The motion of the person of a source video, with a progress bar. Raises UserError."""
    return reenactor.track(
        source,
        where=str(path),
        watch=_progress_of(source),
        which=which_face(run.source_face, "source_face"),
        smoothing=run.smoothing,
        role="source",
    )


def driven_source(reenactor: Reenactor, own: Motion, motion: Motion, run: InferRun) -> VideoSource:
    """The person of a source video with the motion `own`, driven by a target's motion."""
    if not motion.is_picture:
        motion = motion.repeated(run.repeat, pingpong=run.pingpong)
    return driven_video(reenactor.face, own, motion, run, run.source_pose)


def find_source(reenactor: Reenactor, photo: Frame, source: Path, run: InferRun) -> SourceFace[Any]:
    """The one face of a photo that the run chooses. Raises UserError, also for several faces."""
    sources = find_sources(reenactor, photo, source, run)
    if len(sources) > 1:
        raise UserError(f"source_face: only one face can move here, got {run.source_face!r}")
    return sources[0]


def track_targets(
    reenactor: Reenactor,
    clips: Sequence[Opened],
    targets: Sequence[Path],
    run: InferRun,
) -> list[Motion]:
    """The motions of opened targets; several of one target where `target_face` has more numbers.

    Raises UserError without a face.
    """
    numbers = face_numbers(run.target_face, "target_face")
    chosen: list[Which] = [*numbers] or [which_face(run.target_face, "target_face")]
    if len(clips) > 1 and len(chosen) > 1:
        raise UserError(
            f"target_face: {len(targets)} targets are given, so choose one face for all of them, "
            f"got {run.target_face!r}"
        )
    return [
        track_target(reenactor, clip, target, run, which)
        for clip, target in zip(clips, targets, strict=True)
        for which in chosen
    ]


def track_target(
    reenactor: Reenactor,
    clip: Opened,
    target: Path,
    run: InferRun,
    which: Which | None = None,
) -> Motion:
    """The motion of an opened target, with a progress bar. Raises UserError without a face.

    which: another face than the run's `target_face`.
    """
    if isinstance(clip, Motion):
        for line in useless_tracking_options(run.target_face, run.smoothing):
            warn(f"{target}: {line}")
        return clip
    return reenactor.track(
        clip,
        where=str(target),
        watch=_progress_of(clip),
        which=which_face(run.target_face, "target_face") if which is None else which,
        smoothing=run.smoothing,
    )


def _progress_of(clip: MediaClip | Frame) -> Watch:
    """A progress bar for the reading of the clip."""
    count = clip.num_frames if isinstance(clip, MediaClip) else 1

    def watch(frames: Iterable[Frame], what: str) -> Iterable[Frame]:
        return tqdm(frames, total=count, desc=what, unit=" frames", disable=None)

    return watch
