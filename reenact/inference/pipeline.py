"""From a photo and a target file to the finished result file."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from reenact.errors import UserError, warn
from reenact.face.stack import Frame, SourceFace, Watch, Which
from reenact.files import make_folder
from reenact.inference.background import PHOTO, TRANSPARENT
from reenact.inference.compose import SQUARES, of_height, side_by_side
from reenact.inference.group import at_common_times
from reenact.inference.motion import Motion, repeated
from reenact.inference.motion_file import is_motion_path, load_motion
from reenact.inference.paths import check_output, default_output, open_result
from reenact.inference.reenactor import Reenactor
from reenact.inference.run_config import InferRun, face_numbers, which_face
from reenact.inference.video_source import VideoSource, driven_video
from reenact.media.animation import is_photo, is_still, open_clip
from reenact.media.clip import MediaClip
from reenact.media.content_credentials import check_signing, sign_result
from reenact.media.formats import holds_alpha
from reenact.media.images import over_white, read_frame, write_frame
from reenact.media.label import labelled
from reenact.media.timeline import exact_rate


@dataclass(frozen=True, kw_only=True)
class Written:
    """What was written. seconds: the whole run; render_seconds: rendering and writing."""

    output: Path
    num_frames: int
    seconds: float
    render_seconds: float


def reenact_files(
    source: Path,
    targets: Path | Sequence[Path],
    output: Path | None,
    run: InferRun,
    *,
    device: str,
    grid: bool = False,
) -> Written:
    """Animates faces of the photo `source` with targets: videos, pictures, motion files.

    Writes a video with the target's frames, their times and its sound, or a picture for a picture.
    The name of `output` says the format. Progress and warnings go to stderr.

    targets: one, or one for each face that `source_face` chooses. output: None = `default_output`.
    device: "auto" or a torch device. grid: writes source | target | result at one height. Raises
    UserError or CheckpointError, and leaves no file behind, for whatever is wrong with the inputs,
    the output path or the weights.
    """
    started = time.perf_counter()
    targets = [targets] if isinstance(targets, Path) else targets
    opened = open_source(source, run)
    clips = [open_target(target, run) for target in targets]
    is_picture = not isinstance(opened, MediaClip) and all(map(_is_picture, clips))
    output = output or default_output(source, targets[0], is_picture=is_picture)
    for target in targets:
        check_output(output, source, target, is_picture=is_picture)
    check_signing(output, run.c2pa_certificate, run.c2pa_key)
    if grid:
        _check_grid(opened, targets, clips, run)
    if isinstance(opened, MediaClip) and len(targets) > 1:
        raise UserError(f"{source}: a source video takes one target, got {len(targets)}")
    check_transparency(output, run, grid=grid)
    if not isinstance(opened, MediaClip) and not (holds_alpha(output) and not grid):
        opened = shown_over_white(opened, source, run)
    reenactor = load_for(run, device)

    faces = [] if isinstance(opened, MediaClip) else find_sources(reenactor, opened, source, run)
    run = keeping_alpha(run, faces, reenactor)
    motions = track_targets(reenactor, clips, targets, run)
    if isinstance(opened, MediaClip):
        video = track_source(reenactor, opened, source, motions[0], run)
    rendering = time.perf_counter()
    if isinstance(opened, MediaClip):
        num_frames = video_to_file(reenactor, video, opened, clips[0], output, run)
    elif grid:
        clip = clips[0]
        assert not isinstance(clip, Motion)
        frames = grid_frames(reenactor, faces[0], motions[0], clip, run)
        write_result(output, frames, motions[0], clip, run)
        num_frames = len(motions[0])
    else:
        num_frames = animate_to_file(reenactor, faces, motions, clips, output, run)

    ended = time.perf_counter()
    return Written(
        output=output,
        num_frames=num_frames,
        seconds=ended - started,
        render_seconds=ended - rendering,
    )


def _is_picture(clip: MediaClip | Frame | Motion) -> bool:
    return clip.is_picture if isinstance(clip, Motion) else not isinstance(clip, MediaClip)


def _check_grid(
    source: MediaClip | Frame, targets: Sequence[Path], clips: Sequence[Any], run: InferRun
) -> None:
    """Raises UserError if source, target and result cannot be shown side by side."""
    what = None
    if isinstance(source, MediaClip):
        what = "a source video"
    elif isinstance(clips[0], Motion):
        what = "a motion file, which has no pictures"
    elif run.repeat > 1:
        what = "a repeated target"
    elif (
        len(targets) > 1
        or run.source_face == "all"
        or len(face_numbers(run.source_face, "source_face")) > 1
    ):
        what = "several faces"
    if what is not None:
        raise UserError(f"{targets[0]}: no grid can be made of {what}; leave out --grid")


def load_for(run: InferRun, device: str) -> Reenactor:
    """The reenactor with the weights and settings of a run; see `Reenactor.load`."""
    return Reenactor.load(run.weights, config=run.reenactor, device=device, face=run.face)


def animate_to_file(
    reenactor: Reenactor,
    sources: Sequence[SourceFace[Any]],
    motions: Sequence[Motion],
    targets: Sequence[MediaClip | Frame | Motion],
    output: Path,
    run: InferRun,
) -> int:
    """Render faces of one photo with motions, repeated as `run` says, and write the result.

    targets: the first one with sound gives it. Returns the number of frames. Raises UserError.
    """
    motions = at_common_times(motions)
    sounding = next((t for t in targets if isinstance(t, MediaClip) and t.has_audio), targets[0])
    if run.repeat > 1 and not motions[0].is_picture:
        motions = [repeated(motion, run.repeat, pingpong=run.pingpong) for motion in motions]
        sounding = motions[0]  # the sound belongs to one playing only
    frames = reenactor.group_frames(sources, motions, run)
    write_result(output, frames, motions[0], sounding, run)
    return len(motions[0])


def video_to_file(
    reenactor: Reenactor,
    video: VideoSource,
    source: MediaClip,
    target: MediaClip | Frame | Motion,
    output: Path,
    run: InferRun,
) -> int:
    """Render a source video with a target's expression and write it; see `animate_to_file`."""
    frames = reenactor.video_frames(video, source, run)
    sounding = source if run.sound == "source" else target
    if run.repeat > 1 and sounding is target:
        sounding = video.own  # the sound belongs to one playing only
    write_result(output, frames, video.own.part(max_frames=len(video)), sounding, run)
    return len(video)


def open_source(source: Path, run: InferRun) -> MediaClip | Frame:
    """The frame of a photo, (H, W, 4) RGBA if it has transparent parts, or a video or animation.

    `max_frames` and `fps` of the run apply to the latter.
    """
    if is_photo(source):
        return read_frame(source, keep_alpha=True)
    fps = None if run.fps is None else exact_rate(run.fps)
    return open_clip(source, fps=fps, max_frames=run.max_frames)


def open_target(target: Path, run: InferRun | None = None) -> MediaClip | Frame | Motion:
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
    if is_motion_path(target):
        return load_motion(target).part(str(target), **part)
    if is_still(target):
        return read_frame(target)
    return open_clip(target, **part)


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


def track_source(
    reenactor: Reenactor, source: MediaClip, path: Path, motion: Motion, run: InferRun
) -> VideoSource:
    """The person of a source video, driven by a target's motion. Raises UserError."""
    own = reenactor.track(
        source,
        where=str(path),
        watch=_progress_of(source),
        which=which_face(run.source_face, "source_face"),
        smoothing=run.smoothing,
        role="source",
    )
    if not motion.is_picture:
        motion = repeated(motion, run.repeat, pingpong=run.pingpong)
    return driven_video(reenactor.face, own, motion, run, run.source_pose)


def find_source(reenactor: Reenactor, photo: Frame, source: Path, run: InferRun) -> SourceFace[Any]:
    """The one face of a photo that the run chooses. Raises UserError, also for several faces."""
    sources = find_sources(reenactor, photo, source, run)
    if len(sources) > 1:
        raise UserError(f"source_face: only one face can move here, got {run.source_face!r}")
    return sources[0]


def track_targets(
    reenactor: Reenactor,
    clips: Sequence[MediaClip | Frame | Motion],
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
    clip: MediaClip | Frame | Motion,
    target: Path,
    run: InferRun,
    which: Which | None = None,
) -> Motion:
    """The motion of an opened target, with a progress bar. Raises UserError without a face.

    which: another face than the run's `target_face`.
    """
    if isinstance(clip, Motion):
        return clip
    return reenactor.track(
        clip,
        where=str(target),
        watch=_progress_of(clip),
        which=which_face(run.target_face, "target_face") if which is None else which,
        smoothing=run.smoothing,
    )


def grid_frames(
    reenactor: Reenactor,
    source: SourceFace[Any],
    motion: Motion,
    clip: MediaClip | Frame,
    run: InferRun,
) -> Iterator[Frame]:
    """Source | target | result, side by side at one height. The target is read once more.

    Source and target are cut as the result is, or shown whole if it is not cut.
    """
    results = reenactor.frames(source, motion, run)
    targets = clip if isinstance(clip, MediaClip) else [clip]
    squares_of = SQUARES.get(run.compose)
    if squares_of is None:
        for frame, result in zip(targets, results, strict=True):
            height, own = len(result), source.photo
            own = own if len(own) == height else of_height(own, height)
            yield side_by_side([own, of_height(frame, height), result])
        return
    cut, size = reenactor.face.cut, run.output_size
    own = cut(source.photo, source.crop.resized(size))
    for frame, square, result in zip(targets, squares_of(motion.tracked), results, strict=True):
        yield side_by_side([own, cut(frame, square.resized(size)), result])


def write_result(
    output: Path,
    frames: Iterator[Frame],
    motion: Motion,
    target: MediaClip | Frame | Motion,
    run: InferRun,
) -> None:
    """Streams the frames to the file, which appears when it is complete; signs it if `run` says so.

    target: gives its sound, if it is a clip with sound.
    """
    clip = target if isinstance(target, MediaClip) and target.has_audio else None
    if run.sound == "none":
        clip = None
    if run.label:
        frames = labelled(frames)
    make_folder(output.parent)
    _write_frames(output, frames, motion, clip)
    sign_result(output, run.c2pa_certificate, run.c2pa_key)


def _write_frames(
    output: Path, frames: Iterator[Frame], motion: Motion, clip: MediaClip | None
) -> None:
    """clip: gives the sound."""
    # Leaving the block early, because of an error, closes the progress bar too.
    with tqdm(total=len(motion), desc="rendering", unit=" frames", disable=None) as bar:
        first = next(frames)
        bar.update()
        if motion.is_picture:
            write_frame(output, first, synthetic=True)
            return
        height, width = first.shape[:2]
        with open_result(
            output,
            width=width,
            height=height,
            timeline=motion.timeline,
            clip=clip,
            alpha=first.shape[2] == 4,
        ) as writer:
            writer.write(first)
            for frame in frames:
                writer.write(frame)
                bar.update()


def _progress_of(clip: MediaClip | Frame) -> Watch:
    """A progress bar for the reading of the clip."""
    count = clip.num_frames if isinstance(clip, MediaClip) else 1

    def watch(frames: Iterable[Frame], what: str) -> Iterable[Frame]:
        return tqdm(frames, total=count, desc=what, unit=" frames", disable=None)

    return watch
