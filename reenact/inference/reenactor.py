"""The reenactor: pictures in, pictures out. Its networks are loaded once for any number of them."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch import Tensor

from reenact.errors import UserError, warn
from reenact.face.batch import FaceBatch
from reenact.face.control import Sliders
from reenact.face.factory import FaceConfig
from reenact.face.person_mask import PersonFinder
from reenact.face.stack import Frame, SourceFace, Watch, Which, chunks
from reenact.inference.background import PHOTO, TRANSPARENT
from reenact.inference.canvas import SourceView, is_cut
from reenact.inference.compose import Scene, find_composition
from reenact.inference.config import ReenactorConfig
from reenact.inference.crop_reenactor import CropReenactor
from reenact.inference.group import OwnPart, close_pairs, joined_frames, neighbours_of
from reenact.inference.load import load_parts
from reenact.inference.motion import Motion, SourcePose, driving_faces, still_motion
from reenact.inference.pictures import Frames, Picture, frame_and_alpha
from reenact.inference.run_config import AnimateOptions
from reenact.inference.video_source import (
    VideoSource,
    check_video_source,
    driven_video,
    without_person,
)
from reenact.media.images import image_from_frame
from reenact.media.timeline import DEFAULT_RATE, Timeline, constant_timeline, exact_rate
from reenact.ranges import Range
from reenact.threads import in_order, read_ahead

VIDEO_CHUNK = 16
"""So many frames of a source video are in memory at a time."""


class Reenactor(CropReenactor):
    """Animates the face of a photo with the expression, pose and gaze of a target.

    `load`, `find`, `track`, `animate` and `pose` work on pictures. `set_source` and `render`, of
    the base class, work on crops and face parameters.
    """

    @classmethod
    def load(
        cls,
        weights: str | Path | None = None,
        *,
        config: ReenactorConfig | None = None,
        device: str = "auto",
        face: FaceConfig | None = None,
    ) -> Reenactor:
        """Loads the networks.

        Args:
            weights: a file of reenactor weights; None takes those that belong to the face stack.
                For the open stack these are shipped with the package.
            config: how pictures are rendered; None, as every value in it that is None, renders as
                the weights were trained. Other values give a warning on stderr.
            device: "auto", or a torch device.
            face: which face stack reads and draws faces; None takes the open one.

        Raises:
            UserError, CheckpointError: missing or foreign files, an unknown device, and settings or
                weights that need more than the face stack can do.
        """
        config = config or ReenactorConfig()
        path = None if weights is None else Path(weights)
        return cls(*load_parts(path, face or FaceConfig(), config, device), config)

    def animate(
        self,
        photo: Picture | SourceFace[Any],
        target: Motion | Picture | Iterable[Picture],
        *,
        fps: float | None = None,
        source_face: Which = "largest",
        target_face: Which = "largest",
        smoothing: float = 1.0,
        **options: Any,
    ) -> Iterator[Frame]:
        """The face of a photo with the motion of a target, one frame for each of the target's.

        Args:
            photo: the source, or its face as `find` gives it.
            target: frames or a single picture, or their motion as `track` gives it. Frames may come
                from a generator; all of them are read before the first result.
            fps, smoothing: see `track`.
            source_face, target_face: which of several faces, see `face.stack.Which`.
            options: the fields of `AnimateOptions`.

        Returns:
            A generator of frames (H, W, 3) uint8 RGB, or (H, W, 4) RGBA for the background
            "transparent".

        Raises:
            UserError: an option or a picture that cannot be used, or no face.
        """
        chosen = AnimateOptions(**options)
        source = photo if isinstance(photo, SourceFace) else self.find(photo, which=source_face)
        motion = (
            target
            if isinstance(target, Motion)
            else self.track(target, fps, which=target_face, smoothing=smoothing)
        )
        return self.frames(source, motion, chosen)

    def animate_all(
        self,
        photo: Picture | Sequence[SourceFace[Any]],
        targets: Motion | Sequence[Motion],
        **options: Any,
    ) -> Iterator[Frame]:
        """Several people of one photo at a time.

        Args:
            photo: the source, whose faces are all animated, or those that `find_all` gives.
            targets: one motion for all, or one for each face. The result is as long as the longest
                one; a shorter one holds its last frame.
            options: the fields of `AnimateOptions`; `compose` must be "photo".

        Returns:
            A generator of frames (H, W, 3) uint8 RGB. Raises UserError as `animate` does, and if
            there are neither one target nor as many as faces.
        """
        chosen = AnimateOptions(**options)
        sources = photo if isinstance(photo, Sequence) else self.find_all(photo)
        motions = [targets] if isinstance(targets, Motion) else list(targets)
        return self.group_frames(sources, motions, chosen)

    def animate_video(
        self,
        source: Iterable[Picture],
        target: Motion | Picture | Iterable[Picture],
        *,
        source_pose: SourcePose = "keep",
        source_face: Which = "largest",
        target_face: Which = "largest",
        smoothing: float = 1.0,
        **options: Any,
    ) -> Iterator[Frame]:
        """The person of a source video with the expression of a target, frame by frame.

        Args:
            source: frames of one size, for example a list or a `VideoReader`. They are read twice;
                those of a generator are held in memory.
            target: as for `animate`.
            source_pose: "keep" = the head moves as in the source video, "take" = as the target's.
            source_face, target_face, smoothing: as for `animate`.
            options: the fields of `AnimateOptions`. `compose` "follow" is not possible.

        Returns:
            A generator of frames (H, W, 3) uint8 RGB at the times of the source video, until the
            shorter of the two ends. A frame without the person's face stays as it is. Raises
            UserError as `animate` does.
        """
        chosen = AnimateOptions(**options)
        if iter(source) is source:
            source = list(source)
        own = self.track(
            source, where="source", which=source_face, smoothing=smoothing, role="source"
        )
        if not isinstance(target, Motion):
            target = self.track(target, which=target_face, smoothing=smoothing)
        video = driven_video(self.face, own, target, chosen, source_pose)
        return self.video_frames(video, Frames(source, "source"), chosen)

    def find(
        self, photo: Picture, where: str = "photo", *, which: Which = "largest"
    ) -> SourceFace[Any]:
        """The face of a photo; `which` chooses one of several.

        where: names the photo in errors. Raises UserError if there is no such face in it.
        """
        frame, alpha = frame_and_alpha(photo, where)
        with _named(where):
            face = self.face.source_face(frame, self.size, which=which)
        if face is None:
            raise UserError(f"{where}: no face found, take a photo that shows one face clearly")
        self._warn_if_cut(face, where)
        return face if alpha is None else replace(face, alpha=alpha)

    def find_all(
        self, photo: Picture, where: str = "photo", *, numbers: Sequence[int] | None = None
    ) -> list[SourceFace[Any]]:
        """All faces of a photo, from left to right, or those with these numbers, in their order.

        numbers: from 1 on, see `FoundFace`. Faces that touch or overlap give a warning. Raises
        UserError if there is no face, or none with such a number.
        """
        frame, alpha = frame_and_alpha(photo, where)
        found = self.face.source_faces(frame, self.size)
        if not found:
            raise UserError(f"{where}: no face found, take a photo that shows faces clearly")
        for number in (numbers := numbers or [face.number for face, _ in found]):
            if not 1 <= number <= len(found):
                raise UserError(
                    f"{where}: face {number} was chosen, but the picture has {len(found)}, counted "
                    f"from the left: choose 1 to {len(found)}"
                )
        boxes = [face for face, _ in found]
        for a, b in close_pairs([boxes[number - 1] for number in numbers]):
            warn(f"{where}: the heads {a} and {b} overlap; the edge between them may be seen")
        chosen = [found[number - 1] for number in numbers]
        for _, source in chosen:
            self._warn_if_cut(source, where)
        return [
            replace(source, neighbours=neighbours_of(face, boxes, source.crop), alpha=alpha)
            for face, source in chosen
        ]

    def _warn_if_cut(self, face: SourceFace[Any], where: str) -> None:
        if self.recipe.carry_detail and is_cut(face, self.face.outline(face.params)):
            warn(f"{where}: its border cuts the face; what lies beyond is not invented")

    def track(
        self,
        target: Picture | Iterable[Picture],
        fps: float | None = None,
        *,
        where: str = "target",
        watch: Watch | None = None,
        which: Which = "largest",
        smoothing: float = 1.0,
        role: Literal["target", "source"] = "target",
    ) -> Motion:
        """The motion of a target's face. It can be kept and used for many sources.

        Args:
            target: a single picture, or frames of one size, for example a list, an array
                (N, H, W, 3), a generator or a `VideoReader`. No frame is kept.
            fps: frames per second; None takes 25, or the times of a `VideoReader`.
            where: names the target in errors.
            watch: shows the progress, see `face.stack.Watch`.
            which: chooses one of several faces, see `face.stack.Which`.
            smoothing: how much small jitter is calmed, from 0 (not at all) to 2; 1 is usual.
            role: "source" for a source video; the warnings then say what becomes of its frames.

        Raises:
            UserError: a frame that cannot be used, or no face in any frame.
        """
        if smoothing not in Range(at_least=0, at_most=2):
            raise UserError(f"smoothing: must be at least 0 and at most 2, got {smoothing:g}")
        if is_picture := not isinstance(target, Iterable) or (
            isinstance(target, np.ndarray) and target.ndim < 4
        ):
            target = [target]
        elif iter(target) is target and self.face.num_passes > 1:
            target = list(target)
        frames = Frames(target, where)
        timeline: Timeline | None = getattr(target, "timeline", None)
        rate = DEFAULT_RATE if timeline is None else timeline.fps
        if fps is not None:
            rate, timeline = exact_rate(fps), None
        with _named(where):
            tracked = self.face.target_motion(
                frames, float(rate), self.size, watch, which=which, smoothing=smoothing
            )
        if tracked is None:
            what = "the picture" if is_picture else f"any of the {frames.count} frames"
            raise UserError(
                f"{where}: no face found in {what}, take a target that shows one clearly"
            )
        for line in tracked.warnings(role):
            warn(line)
        return Motion(
            tracked=tracked,
            timeline=timeline or constant_timeline(len(tracked), rate),
            size=self.size,
            is_picture=is_picture,
        )

    def pose(
        self, photo: Picture | SourceFace[Any], sliders: Sliders | None = None, **options: Any
    ) -> Frame:
        """The photo with another pose and expression, without any target.

        Args:
            photo: the source, or its face as `find` gives it.
            sliders: the changes; None changes nothing.
            options: the fields of `AnimateOptions`.

        Returns:
            One frame (H, W, 3) uint8 RGB. Raises UserError as `animate` does.
        """
        source = photo if isinstance(photo, SourceFace) else self.find(photo)
        posed = self.face.posed(source.params, sliders or Sliders())
        return next(self.frames(source, still_motion(source, posed), AnimateOptions(**options)))

    def frames(
        self, source: SourceFace[Any], motion: Motion, options: AnimateOptions
    ) -> Iterator[Frame]:
        """The results that `animate` gives."""
        driven = driving_faces(self.face, source, motion, options)
        size = self.config.batch_size
        batches = [driven[i : i + size] for i in range(0, len(driven), size)]
        faces = (driven[i] for i in range(len(driven)))
        return self._composed(source, motion, batches, faces, options)

    def group_frames(
        self,
        sources: Sequence[SourceFace[Any]],
        motions: Sequence[Motion],
        options: AnimateOptions,
    ) -> Iterator[Frame]:
        """The results that `animate_all` gives."""
        return joined_frames(self.frames, sources, motions, options)

    def video_frames(
        self, source: VideoSource, frames: Iterable[Frame], options: AnimateOptions
    ) -> Iterator[Frame]:
        """The results that `animate_video` gives. frames: those of the source video."""
        check_video_source(1, options)
        return self._video_frames(source, frames, options)

    def _video_frames(
        self, source: VideoSource, frames: Iterable[Frame], options: AnimateOptions
    ) -> Iterator[Frame]:
        """On the CPU several frames are made at the same time."""
        parts = zip(source.faces(self.face, frames), source.driven_faces(), strict=True)
        if self.recipe.carry_detail:
            _ = self.person_mask  # loaded once, before there are threads
        for some in chunks(parts, VIDEO_CHUNK if self.device.type == "cpu" else 1):
            with closing(in_order(lambda part: self._video_frame(*part, options), some)) as made:
                yield from made

    def _video_frame(
        self, face: SourceFace[Any], driven: FaceBatch | None, options: AnimateOptions
    ) -> Frame:
        if driven is not None:
            motion = replace(still_motion(face, driven), is_picture=False)
            return next(self._composed(face, motion, [driven], [driven], options))
        return without_person(face, options, self.face)

    def stream(
        self, source: SourceFace[Any], driven: Iterable[FaceBatch], options: AnimateOptions
    ) -> Iterator[Frame]:
        """One frame for each face of `driven`, as soon as it arrives; see `animate`.

        For live pictures. driven: single faces of the source person, in the pixels of its crop.
        The options of the motion are not used. Raises UserError for `compose` "follow", which needs
        the whole target.
        """
        if options.compose == "follow":
            raise UserError("compose: follow is not possible live, choose photo or crop")
        motion = replace(still_motion(source, source.params), is_picture=False)
        if self.recipe.carry_detail:  # the faces are rendered and not needed again
            return self._composed(source, motion, driven, (), options)
        rendered, shown = itertools.tee(driven)
        return self._composed(source, motion, rendered, shown, options)

    def _composed(
        self,
        source: SourceFace[Any],
        motion: Motion,
        batches: Iterable[FaceBatch],
        faces: Iterable[FaceBatch],
        options: AnimateOptions,
    ) -> Iterator[Frame]:
        """batches and faces: the same faces of the source person, in batches and one by one. Where
        results are composed of layers, `faces` is not read.
        """
        if options.background != PHOTO and not self.recipe.carry_detail:
            raise UserError(
                "background: only pictures that are composed of layers can change it, and these "
                f"weights have none; choose {PHOTO}"
            )
        if source.alpha is not None and options.background == PHOTO:
            warn(
                "source: its transparent parts are shown as white; "
                f"background: {TRANSPARENT} keeps them"
            )
        scene = Scene(
            source=source,
            motion=motion,
            faces=faces,
            face=self.face,
            render=partial(self._images, source, batches),
            person_mask=partial(self._finder, source) if self.recipe.carry_detail else None,
            size=options.output_size,
            max_side=options.max_side,
            levels=options.levels,
            background=options.background,
        )
        return find_composition(options.compose)(scene)

    def _images(
        self, source: SourceFace[Any], batches: Iterable[FaceBatch], view: SourceView | None
    ) -> Iterator[Tensor]:
        """Images (1, 3, S, S) on the CPU, one for each face. view: see `set_source`.

        Batches that are all there are rendered at the same time on the CPU; a GPU renders one
        ahead. Batches that arrive one by one are rendered one by one.
        """
        state = self.set_source(image_from_frame(source.crop_frame), source.params, view=view)

        def rendered(batch: FaceBatch) -> Tensor:
            return self.render(state, batch).cpu()

        if not isinstance(batches, Sequence):
            images: Generator[Tensor, None, None] = (rendered(batch) for batch in batches)
        elif self.device.type == "cpu":
            images = in_order(rendered, batches)
        else:
            images = read_ahead(map(rendered, batches), 1)
        with closing(images):
            for batch in images:
                yield from batch.split(1)

    def _finder(self, source: SourceFace[Any]) -> PersonFinder:
        if source.neighbours is None:
            return self.person_mask
        return OwnPart(self.person_mask, source.neighbours)


@contextmanager
def _named(where: str) -> Iterator[None]:
    """Errors inside of the block name the photo or target, if they do not yet."""
    try:
        yield
    except UserError as error:
        text = str(error)
        raise error if text.startswith(where) else UserError(f"{where}: {text}") from error
