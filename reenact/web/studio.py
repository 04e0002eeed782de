"""What the page does: find faces, pose a photo, animate it. Nothing here knows the page."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from reenact.errors import UserError, heard_warnings
from reenact.face.batch import FaceBatch
from reenact.face.control import Sliders
from reenact.face.stack import FoundFace, Frame, SourceFace, Watch, Which
from reenact.inference.background import TRANSPARENT
from reenact.inference.face_numbers import first_faces
from reenact.inference.inputs import driven_source, keeping_alpha, open_source, open_target
from reenact.inference.motion import Motion
from reenact.inference.opening import Opened
from reenact.inference.pipeline import write_result
from reenact.inference.reenactor import Reenactor
from reenact.inference.run_config import InferRun, which_face
from reenact.inference.video_source import check_video_source
from reenact.media.animation import is_photo, open_clip
from reenact.media.clip import MediaClip
from reenact.media.content_credentials import sign_result
from reenact.media.images import read_frame, write_frame
from reenact.media.label import labelled
from reenact.web.job import Job

LARGEST, ALL = 0, -1
PREVIEW_SIDE = 900  # pixels of the numbered preview


@dataclass(frozen=True, kw_only=True)
class Made:
    """A result. before: the photo, or the first frame of the source video.

    notes: the warnings, one line each.
    """

    path: Path
    before: Path
    is_picture: bool
    num_frames: int
    notes: tuple[str, ...] = ()


class Studio:
    """Does one thing at a time, for all visitors.

    A `face` is a number as in the preview, `LARGEST` or `ALL`. Errors name files without their
    folder.
    """

    def __init__(self, reenactor: Reenactor, run: InferRun) -> None:
        self.run = run
        self._reenactor = reenactor
        self._lock = threading.Lock()
        self._source: tuple[tuple[Any, ...], SourceFace[Any], list[str]] | None = None
        self._stills: tuple[tuple[Any, ...], deque[FaceBatch], Iterator[Frame]] | None = None

    def faces(self, photo: Path) -> tuple[list[FoundFace], Frame]:
        """All faces of a photo, and the photo with their numbers. UserError without a face.

        Of a video this is its first frame with a face.
        """
        with self._lock, _only_names(photo):
            frames = [read_frame(photo, quiet=True)] if is_photo(photo) else open_clip(photo)
            found = first_faces(self._reenactor.face, frames)
            if found is None:
                what = "photo" if is_photo(photo) else "video"
                raise UserError(f"{photo}: no face found, take a {what} that shows one clearly")
            _, frame, faces = found
            return faces, numbered(frame, faces)

    def still(self, photo: Path, face: int, sliders: Sliders, run: InferRun, folder: Path) -> Path:
        """A picture of the photo with another pose and expression."""
        with self._lock, _only_names(photo):
            if face == ALL:
                raise UserError("The sliders move one face: choose one.")
            source = self._find(photo, face)
            run = keeping_alpha(run, [source], self._reenactor)
            posed = self._reenactor.face.posed(source.params, sliders)
            key = (photo, face, run)
            if self._stills is None or self._stills[0] != key:
                waiting: deque[FaceBatch] = deque()
                # The stream encodes the photo once, so that moving a slider takes little time.
                frames = self._reenactor.stream(source, _taken_from(waiting), run)
                self._stills = key, waiting, labelled(frames) if run.label else frames
            _, waiting, frames = self._stills
            waiting.append(posed)
            try:
                frame = next(frames)
            except BaseException:
                self._stills = None
                raise
        path = folder / f"{_stem(photo)}_posed.png"
        write_frame(path, frame, synthetic=True)
        sign_result(path, run.c2pa_certificate, run.c2pa_key)
        return path

    def animate(
        self, job: Job[Made], photo: Path, face: int, target: Path, run: InferRun, folder: Path
    ) -> Made:
        """Animate a photo or a video with a target. Raises `job.Stopped` when it is stopped."""
        with self._lock, _only_names(photo, target), heard_warnings() as heard:
            job.check()
            clip = open_target(target, run)
            animate = self._animate_photo if is_photo(photo) else self._animate_video
            made = animate(job, photo, face, clip, target, run, folder)
            if is_photo(photo) and face != ALL and self._source is not None:
                heard += self._source[2]  # the face may have been found before
            notes = (_without_folders(text, photo, target) for text in heard)
            return replace(made, notes=tuple(dict.fromkeys(notes)))

    def _animate_photo(
        self,
        job: Job[Made],
        photo: Path,
        face: int,
        clip: Opened,
        target: Path,
        run: InferRun,
        folder: Path,
    ) -> Made:
        """A photo with a target."""
        sources = self._reenactor.find_all(photo) if face == ALL else [self._find(photo, face)]
        run = keeping_alpha(run, sources, self._reenactor)
        motion = self._motion(job, clip, target, run)
        sound = clip
        if run.repeat > 1 and not motion.is_picture:
            sound = motion = motion.repeated(run.repeat, pingpong=run.pingpong)
        frames = self._reenactor.group_frames(sources, [motion], run)
        video = ".webm" if run.background == TRANSPARENT else ".mp4"
        ending = ".png" if motion.is_picture else video
        path = folder / f"{_stem(photo)}_{_stem(target)}{ending}"
        watched = job.watch(frames, "Rendering", len(motion))
        write_result(path, watched, motion, sound, run)
        return Made(path=path, before=photo, is_picture=motion.is_picture, num_frames=len(motion))

    def _animate_video(
        self,
        job: Job[Made],
        path: Path,
        face: int,
        clip: Opened,
        target: Path,
        run: InferRun,
        folder: Path,
    ) -> Made:
        """A source video with a target."""
        if face == ALL:
            raise UserError("A video moves one face: choose one.")
        check_video_source(1, run)
        source = open_source(path, run)
        assert isinstance(source, MediaClip)
        motion = self._motion(job, clip, target, run)
        own = self._reenactor.track(
            source,
            where=str(path),
            watch=_watched(job, "Reading the video", source.num_frames),
            which="largest" if face == LARGEST else face,
            smoothing=run.smoothing,
            role="source",
        )
        video = driven_source(self._reenactor, own, motion, run)
        frames = self._reenactor.video_frames(video, source, run)
        sound: Opened = source if run.sound == "source" else clip
        if run.repeat > 1 and sound is clip:
            sound = motion
        ending = ".webm" if run.background == TRANSPARENT else ".mp4"
        result, before = folder / f"{_stem(path)}_{_stem(target)}{ending}", folder / "before.png"
        write_frame(before, next(iter(source)))
        watched = job.watch(frames, "Rendering", len(video))
        write_result(result, watched, own.part(max_frames=len(video)), sound, run)
        return Made(path=result, before=before, is_picture=False, num_frames=len(video))

    def forget(self) -> None:
        """Let go of the last photo, unless somebody is at work: then the next one replaces it."""
        if self._lock.acquire(blocking=False):
            self._source = self._stills = None
            self._lock.release()

    def _find(self, photo: Path, face: int) -> SourceFace[Any]:
        key = (photo, face)
        if self._source is None or self._source[0] != key:
            which: Which = "largest" if face == LARGEST else face
            with heard_warnings() as heard:
                found = self._reenactor.find(photo, which=which)
            self._source = key, found, heard
        return self._source[1]

    def _motion(
        self, job: Job[Made], clip: MediaClip | Frame | Motion, target: Path, run: InferRun
    ) -> Motion:
        count = clip.num_frames if isinstance(clip, MediaClip) else 1
        return self._reenactor.track(
            clip,
            where=str(target),
            watch=_watched(job, "Reading the motion", count),
            which=which_face(run.target_face, "target_face"),
            smoothing=run.smoothing,
        )


def _watched(job: Job[Made], doing: str, count: int) -> Watch:
    """Shows the progress of the reading, and lets it be stopped."""
    return lambda frames, _: job.watch(frames, doing, count)


def numbered(frame: Frame, faces: list[FoundFace]) -> Frame:
    """The frame, smaller if it is large, with a box and a number on every face."""
    picture = Image.fromarray(frame)
    scale = min(1.0, PREVIEW_SIDE / max(picture.size))
    picture = picture.resize([max(1, round(side * scale)) for side in picture.size])
    draw = ImageDraw.Draw(picture)
    size = max(14, round(max(picture.size) / 28))
    font = ImageFont.load_default(size)
    for face in faces:
        box = [value * scale for value in face.box]
        draw.rounded_rectangle(box, radius=size // 2, outline="white", width=max(2, size // 8))
        x, y = box[0], max(box[1] - size * 0.6, size * 0.8)
        draw.ellipse((x - size * 0.8, y - size * 0.8, x + size * 0.8, y + size * 0.8), fill="white")
        draw.text((x, y), str(face.number), font=font, fill="black", anchor="mm")
    return np.asarray(picture)


def _taken_from(waiting: deque[FaceBatch]) -> Iterator[FaceBatch]:
    while True:
        yield waiting.popleft()


def _stem(path: Path) -> str:
    """A name for results, from the name of an upload."""
    letters = "".join(c if c.isalnum() or c in "-_" else "_" for c in path.name.split(".")[0])
    return letters[:40] or "upload"


@contextlib.contextmanager
def _only_names(*paths: Path) -> Iterator[None]:
    """Errors name a file, not the temporary folder that it is in."""
    try:
        yield
    except UserError as error:
        raise UserError(_without_folders(str(error), *paths)) from error


def _without_folders(text: str, *paths: Path) -> str:
    """A message with the names of these files instead of their paths."""
    for path in paths:
        text = text.replace(str(path), path.name)
    return text


def page_run(run: InferRun, device: str) -> InferRun:
    """The run with small batches on a CPU, so that progress and a stop come quickly."""
    if device != "cpu":
        return run
    batch_size = min(run.reenactor.batch_size, 2)
    return replace(run, reenactor=replace(run.reenactor, batch_size=batch_size))
