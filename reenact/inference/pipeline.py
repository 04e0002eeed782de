"""From a photo and a target file to the finished result file."""

import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from reenact.errors import UserError
from reenact.face.batch import FaceBatch
from reenact.face.crop import paste_back
from reenact.face.stack import FaceStack, Frame, SourceFace, TargetMotion
from reenact.files import make_folder
from reenact.inference.canvas import crop_view, photo_view, put_back
from reenact.inference.compose import (
    moved,
    of_height,
    paste_mask,
    resized_frames,
    shrink_to,
    side_by_side,
)
from reenact.inference.load import make_reenactor
from reenact.inference.paths import check_output, open_result
from reenact.inference.reenactor import Reenactor, SourceState
from reenact.inference.run_config import InferRun, Motion
from reenact.media.animation import is_still, open_clip
from reenact.media.clip import Clip
from reenact.media.images import (
    frame_from_image,
    image_from_frame,
    read_frame,
    write_frame,
)
from reenact.media.timeline import exact_rate


@dataclass(frozen=True, kw_only=True)
class StillClip:
    """A target picture, seen as a video of one frame."""

    frame: Frame
    fps: Fraction = Fraction(25)
    num_frames: int = 1

    def __iter__(self) -> Iterator[Frame]:
        return iter([self.frame])


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What was written. seconds: the whole run; render_seconds: rendering and writing."""

    output: Path
    num_frames: int
    seconds: float
    render_seconds: float


def reenact_files(
    source: Path, target: Path, output: Path, run: InferRun, *, device: str, grid: bool = False
) -> Summary:
    """Animates the face of the photo `source` with the target video or picture.

    Writes an MP4 with the target's frames, their times and its audio, or a picture for a picture.
    device: "auto" or a torch device. grid: writes source | target | result at one height. Progress
    and warnings go to stderr. Raises UserError or CheckpointError, and leaves no file behind, for
    whatever is wrong with the inputs, the output path or the weights.
    """
    started = time.perf_counter()
    check_output(output, source, target)
    photo = read_frame(source)
    clip = open_target(target, run.fps)
    reenactor = make_reenactor(run.weights, run.face, run.reenactor, device)

    face = find_source(photo, source, reenactor)
    motion = track_target(clip, target, reenactor)
    rendering = time.perf_counter()
    if run.compose == "photo" and not isinstance(clip, StillClip):
        face = shrunk(face, run.max_side)
    state, corner = encode_source(reenactor, face, run)
    driven = driving_params(reenactor.face, face, motion, run.motion)
    images = render(reenactor, state, driven)
    frames = compose(images, driven, face, motion, clip, reenactor.face, run, grid, corner)
    write_result(output, frames, clip)

    ended = time.perf_counter()
    for line in motion.warnings():
        print(f"warning: {line}", file=sys.stderr)
    return Summary(
        output=output,
        num_frames=len(motion),
        seconds=ended - started,
        render_seconds=ended - rendering,
    )


def open_target(target: Path, fps: float | None = None) -> Clip | StillClip:
    """A video, an animation, or a picture as a clip of one frame. Raises UserError.

    fps: None = the video's own frames and times, else a constant rate.
    """
    if is_still(target):
        return StillClip(frame=read_frame(target))
    return open_clip(target, fps=None if fps is None else exact_rate(fps))


def find_source(photo: Frame, path: Path, reenactor: Reenactor) -> SourceFace[Any]:
    """Finds the face of the photo. Raises UserError if there is none."""
    face = reenactor.face.source_face(photo, reenactor.size)
    if face is None:
        raise UserError(f"{path}: no face found, take a photo that shows one face clearly")
    return face


def track_target(clip: Clip | StillClip, path: Path, reenactor: Reenactor) -> TargetMotion[Any]:
    """Follows the face of the target; keeps no frames. Raises UserError if no frame has one."""

    def watch(frames: Iterable[Frame], what: str) -> Iterable[Frame]:
        return tqdm(frames, total=clip.num_frames, desc=what, unit=" frames", disable=None)

    motion = reenactor.face.target_motion(clip, float(clip.fps), reenactor.size, watch)
    if motion is None:
        still = isinstance(clip, StillClip)
        what = "the picture" if still else f"any of the {clip.num_frames} frames"
        raise UserError(f"{path}: no face found in {what}, take a target that shows one clearly")
    return motion


def shrunk(face: SourceFace[Any], max_side: int) -> SourceFace[Any]:
    """The face in its photo, the longer side of which is at most `max_side` pixels."""
    photo, crop = shrink_to(face.photo, face.crop, max_side)
    return replace(face, photo=photo, crop=crop)


def encode_source(
    reenactor: Reenactor, face: SourceFace[Any], run: InferRun
) -> tuple[SourceState, tuple[int, int] | None]:
    """What is computed once of the source, and the corner of its canvas in the photo, if results
    are parts of the photo.
    """
    view, corner = None, None
    if reenactor.recipe.carry_detail and run.compose == "photo":
        view, corner = photo_view(face.photo, face.crop, reenactor.person_mask)
    elif reenactor.recipe.carry_detail:
        size = max(run.output_size, reenactor.size)
        view = crop_view(face.photo, face.crop, reenactor.person_mask, size)
    image = image_from_frame(face.crop_frame)
    return reenactor.set_source(image, face.params, view=view), corner


def driving_params(
    face: FaceStack[Any], source: SourceFace[Any], target: TargetMotion[Any], motion: Motion
) -> Any:
    """What to render: N faces of the source person in the target's motion."""
    if motion == "absolute":
        return face.retarget(source.params, target.params)
    neutral = target.params[target.first_found]
    return face.retarget_relative(source.params, target.params, neutral)


def render(reenactor: Reenactor, state: SourceState, driven: FaceBatch) -> Iterator[torch.Tensor]:
    """Second pass: one image (1, 3, S, S) per target frame, rendered in batches."""
    batch = reenactor.config.batch_size
    # Leaving the block early (an error while writing) closes the bar too.
    with tqdm(total=len(driven), desc="rendering", unit=" frames", disable=None) as bar:
        for start in range(0, len(driven), batch):
            images = reenactor.render(state, driven[start : start + batch]).cpu()
            for image in images.split(1):
                yield image
                bar.update()


def compose(
    images: Iterator[torch.Tensor],
    driven: FaceBatch,
    source: SourceFace[Any],
    motion: TargetMotion[Any],
    clip: Clip | StillClip,
    face: FaceStack[Any],
    run: InferRun,
    grid: bool,
    corner: tuple[int, int] | None,
) -> Iterator[Frame]:
    """The frames to write: results, or source | target | result at one height."""
    size = run.output_size
    if run.compose == "photo":
        if corner is None:
            results = pasted(images, driven, source, face, run)
        else:
            results = (
                put_back(source.photo, frame_from_image(image)[0], corner) for image in images
            )
        if not grid:
            yield from results
            return
        height = len(source.photo)
        # The second reading of the target happens only here.
        for frame, result in zip(clip, results, strict=True):
            yield side_by_side([source.photo, of_height(frame, height), result])
        return
    results = (resized_frames(image, size, run.levels)[0] for image in images)
    views = motion.crops
    if run.compose == "follow":
        views = motion.windows
        results = (
            moved(result, crop.resized(size), window.resized(size))
            for result, crop, window in zip(results, motion.crops, motion.windows, strict=True)
        )
    if grid:
        own = face.cut(source.photo, source.crop.resized(size))
        for frame, view, result in zip(clip, views, results, strict=True):
            yield side_by_side([own, face.cut(frame, view.resized(size)), result])
    else:
        yield from results


def pasted(
    images: Iterator[torch.Tensor],
    driven: FaceBatch,
    source: SourceFace[Any],
    face: FaceStack[Any],
    run: InferRun,
) -> Iterator[Frame]:
    """Results of a stack whose pictures are not composed of layers, back in the photo."""
    size = source.crop.size
    crop = source.crop.resized(run.output_size)
    before = face.head_region(source.params, size)
    for i, image in enumerate(images):
        result = resized_frames(image, run.output_size, run.levels)[0]
        now = face.head_region(driven[i], size)
        yield paste_back(source.photo, result, crop, paste_mask(before, now, run.output_size))


def write_result(output: Path, frames: Iterator[Frame], clip: Clip | StillClip) -> None:
    """Streams the frames to the file; it appears when it is complete."""
    make_folder(output.parent)
    first = next(frames)
    if isinstance(clip, StillClip):
        write_frame(output, first, synthetic=True)
        return
    height, width = first.shape[:2]
    with open_result(
        output, width=width, height=height, timeline=clip.timeline, clip=clip
    ) as writer:
        writer.write(first)
        for frame in frames:
            writer.write(frame)
