"""From a photo and a target file to the finished result file."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from reenact.errors import UserError
from reenact.face.stack import Frame, SourceFace
from reenact.files import make_folder
from reenact.inference.compose import SQUARES, of_height, side_by_side
from reenact.inference.group import at_common_times, check_group
from reenact.inference.inputs import (
    Opened,
    check_transparency,
    driven_source,
    find_sources,
    keeping_alpha,
    load_for,
    open_source,
    open_target,
    shown_over_white,
    track_source,
    track_targets,
)
from reenact.inference.motion import Motion
from reenact.inference.paths import check_output, default_output, open_result
from reenact.inference.reenactor import Reenactor
from reenact.inference.run_config import InferRun, face_numbers
from reenact.inference.video_source import check_video_source
from reenact.media.clip import MediaClip
from reenact.media.content_credentials import check_signing, sign_result
from reenact.media.formats import holds_alpha
from reenact.media.images import write_frame
from reenact.media.label import labelled
from reenact.threads import meanwhile


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
    """Animates faces of the photo or video `source` with targets: videos, pictures, motion files.

    A photo gives a video with the target's frames, their times and its sound, or a picture if the
    target is one. For a source video see `video_source`. The name of `output` says the format.
    Progress and warnings go to stderr.

    targets: one, or one for each face that `source_face` chooses. output: None = `default_output`.
    device: "auto" or a torch device. grid: writes source | target | result at one height. Raises
    UserError or CheckpointError, and leaves no file behind, for whatever is wrong with the inputs,
    the output path or the weights.
    """
    started = time.perf_counter()
    targets = [targets] if isinstance(targets, Path) else targets
    opened = open_source(source, run)
    clips = [open_target(target, run) for target in targets]
    is_picture = not isinstance(opened, MediaClip) and all(map(shows_one_picture, clips))
    output = output or default_output(source, targets[0], run, is_picture=is_picture)
    for target in targets:
        check_output(output, source, target, is_picture=is_picture)
    check_signing(output, run.c2pa_certificate, run.c2pa_key)
    if grid:
        _check_grid(opened, targets, clips, run)
    num_targets = max(len(targets), len(face_numbers(run.target_face, "target_face")))
    if isinstance(opened, MediaClip):
        check_video_source(num_targets, run)
    check_transparency(output, run, grid=grid)
    if not isinstance(opened, MediaClip) and not (holds_alpha(output) and not grid):
        opened = shown_over_white(opened, source, run)
    reenactor = load_for(run, device)

    faces = [] if isinstance(opened, MediaClip) else find_sources(reenactor, opened, source, run)
    run = keeping_alpha(run, faces, reenactor)
    if faces:
        check_group(len(faces), num_targets, run)

    def prepare() -> None:
        if len(faces) == 1:
            reenactor.prepare(faces[0], run, is_picture=is_picture)

    with meanwhile(prepare):
        motions = track_targets(reenactor, clips, targets, run)
    if isinstance(opened, MediaClip):
        own = track_source(reenactor, opened, source, run)
    rendering = time.perf_counter()
    if isinstance(opened, MediaClip):
        num_frames = video_to_file(reenactor, opened, own, motions[0], clips[0], output, run)
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


def shows_one_picture(clip: Opened) -> bool:
    """Whether the target is a picture, or the motion of one."""
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


def animate_to_file(
    reenactor: Reenactor,
    sources: Sequence[SourceFace[Any]],
    motions: Sequence[Motion],
    targets: Sequence[Opened],
    output: Path,
    run: InferRun,
) -> int:
    """Render faces of one photo with motions, repeated as `run` says, and write the result.

    targets: the first one with sound gives it. Returns the number of frames. Raises UserError.
    """
    motions = at_common_times(motions)
    sounding = next((t for t in targets if isinstance(t, MediaClip) and t.has_audio), targets[0])
    if run.repeat > 1 and not motions[0].is_picture:
        motions = [motion.repeated(run.repeat, pingpong=run.pingpong) for motion in motions]
        sounding = motions[0]  # the sound belongs to one playing only
    if run.sound == "source":  # a photo has none
        sounding = motions[0]
    frames = reenactor.group_frames(sources, motions, run)
    write_result(output, frames, motions[0], sounding, run)
    return len(motions[0])


def video_to_file(
    reenactor: Reenactor,
    source: MediaClip,
    own: Motion,
    motion: Motion,
    target: Opened,
    output: Path,
    run: InferRun,
) -> int:
    """Render a source video with a target's expression and write it; see `animate_to_file`.

    own: the motion of the person of the source video; motion: that of the target.
    """
    video = driven_source(reenactor, own, motion, run)
    frames = reenactor.video_frames(video, source, run)
    sounding = source if run.sound == "source" else target
    if run.repeat > 1 and sounding is target:
        sounding = own  # the sound belongs to one playing only
    write_result(output, frames, own.part(max_frames=len(video)), sounding, run)
    return len(video)


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
    target: Opened,
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
