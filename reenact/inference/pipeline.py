"""From a photo and a target file to the finished result file."""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from reenact.assets import EMBEDDED_WEIGHTS, asset_path
from reenact.device import pick_device
from reenact.errors import UserError
from reenact.face.crop import (
    FaceCrop,
    crop_from_landmarks,
    paste_back,
    warp_to_crop,
)
from reenact.face.params import FaceParams
from reenact.face.stack import OpenFaceStack
from reenact.images import image_from_frame, is_image_path, read_frame, write_frame
from reenact.inference.compose import paste_masks, resized_frames, shrink_to, side_by_side
from reenact.inference.motion import TargetMotion, driving_params, target_motion
from reenact.inference.paths import check_output, make_folder
from reenact.inference.reenactor import Reenactor, SourceState
from reenact.inference.run_config import InferRun
from reenact.models.checkpoint import load_reenactor
from reenact.video import VideoReader, VideoWriter


@dataclass(frozen=True, kw_only=True)
class StillClip:
    """A target picture, seen as a video of one frame."""

    frame: np.ndarray
    fps: Fraction = Fraction(25)
    num_frames: int = 1

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter([self.frame])


@dataclass(frozen=True, kw_only=True)
class SourceFace:
    """The source photo (H, W, 3) and its one face.

    crop_frame: uint8 (S, S, 3) for the model; params: FaceParams (1) in its pixels; output_crop:
    the same square in the results' resolution.
    """

    photo: np.ndarray
    crop_frame: np.ndarray
    params: FaceParams
    output_crop: FaceCrop


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

    Writes an MP4 with the target's frame rate, frame count and audio, or a picture for a picture.
    device: "auto" or a torch device. grid: writes source crop | target crop | result. Progress
    and warnings go to stderr. Raises UserError or CheckpointError, and leaves no file behind, for
    whatever is wrong with the inputs, the output path or the weights.
    """
    started = time.perf_counter()
    check_output(output, source, target)
    photo = read_frame(source)
    clip = open_target(target)
    reenactor = load_model(run, device)

    face = find_source(photo, source, reenactor, run)
    motion = track_target(clip, target, reenactor, run)
    rendering = time.perf_counter()
    state = reenactor.set_source(image_from_frame(face.crop_frame), face.params)
    driven = driving_params(face.params, motion, run.motion)
    images = render(reenactor, state, driven)
    write_result(output, compose(images, driven, face, motion, clip, run, grid), clip, target)

    ended = time.perf_counter()
    if motion.num_missing:
        print(
            f"warning: {motion.num_missing} of {len(motion)} target frames had no face; "
            "the last pose was kept",
            file=sys.stderr,
        )
    return Summary(
        output=output,
        num_frames=len(motion),
        seconds=ended - started,
        render_seconds=ended - rendering,
    )


def open_target(target: Path) -> VideoReader | StillClip:
    """A video, or a picture as a clip of one frame. Raises UserError if it cannot be read."""
    if is_image_path(target):
        return StillClip(frame=read_frame(target))
    return VideoReader(target)


def load_model(run: InferRun, device: str) -> Reenactor:
    """The reenactor with its weights on `device`. Raises UserError or CheckpointError."""
    place = pick_device(device)
    weights = load_reenactor(run.weights or asset_path(EMBEDDED_WEIGHTS), place)
    return Reenactor(weights, OpenFaceStack(place), run.reenactor)


def find_source(photo: np.ndarray, path: Path, reenactor: Reenactor, run: InferRun) -> SourceFace:
    """Finds the face of the photo. Raises UserError if there is none."""
    tracked = reenactor.face.track_image(photo)
    if not tracked.found.any():
        raise UserError(f"{path}: no face found, take a photo that shows one face clearly")
    crop = crop_from_landmarks(tracked.landmarks[0], reenactor.size)
    return SourceFace(
        photo=photo,
        crop_frame=warp_to_crop(photo, crop),
        params=tracked.params.to("cpu").transformed(crop.crop_from_frame),
        output_crop=crop_from_landmarks(tracked.landmarks[0], run.output_size),
    )


def track_target(
    clip: VideoReader | StillClip, path: Path, reenactor: Reenactor, run: InferRun
) -> TargetMotion:
    """First pass over the target; keeps no frames. Raises UserError if no frame has a face."""
    frames = tqdm(clip, total=clip.num_frames, desc="tracking", unit=" frames", disable=None)
    tracked = reenactor.face.track_video(frames, float(clip.fps))
    found = np.asarray(tracked.found, dtype=bool)
    if not found.any():
        what = "the picture" if isinstance(clip, StillClip) else f"any of the {len(found)} frames"
        raise UserError(f"{path}: no face found in {what}, take a target that shows one clearly")
    return target_motion(
        tracked.params.to("cpu"),
        tracked.landmarks,
        found,
        float(clip.fps),
        size=reenactor.size,
        output_size=run.output_size,
    )


def render(reenactor: Reenactor, state: SourceState, driven: FaceParams) -> Iterator[torch.Tensor]:
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
    driven: FaceParams,
    face: SourceFace,
    motion: TargetMotion,
    clip: VideoReader | StillClip,
    run: InferRun,
    grid: bool,
) -> Iterator[np.ndarray]:
    """The frames to write: results, results in the photo, or source | target | result."""
    results = (resized_frames(image, run.output_size)[0] for image in images)
    if grid:
        source = warp_to_crop(face.photo, face.output_crop)
        # The second reading of the target happens only here.
        for frame, crop, result in zip(clip, motion.crops, results, strict=True):
            yield side_by_side([source, warp_to_crop(frame, crop), result])
    elif run.compose == "paste_back":
        max_side = None if isinstance(clip, StillClip) else run.paste_max_side
        photo, crop = shrink_to(face.photo, face.output_crop, max_side)
        enlarge = np.diag([run.output_size / len(face.crop_frame)] * 2 + [1.0])
        masks = paste_masks(
            face.params.transformed(enlarge), driven.transformed(enlarge), run.output_size
        )
        for result, mask in zip(results, masks, strict=True):
            yield paste_back(photo, result, crop, mask)
    else:
        yield from results


def write_result(
    output: Path, frames: Iterator[np.ndarray], clip: VideoReader | StillClip, target: Path
) -> None:
    """Streams the frames to the file; it appears when it is complete."""
    make_folder(output)
    first = next(frames)
    if isinstance(clip, StillClip):
        write_frame(output, first)
        return
    height, width = first.shape[:2]
    with VideoWriter(output, width=width, height=height, fps=clip.fps, audio_from=target) as writer:
        writer.write(first)
        for frame in frames:
            writer.write(frame)
