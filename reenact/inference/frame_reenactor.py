"""Frames of an animated face: source face and motion in, finished frames out."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from reenact.errors import UserError, warn
from reenact.face.batch import FaceBatch
from reenact.face.person_mask import PersonFinder
from reenact.face.stack import Frame, SourceFace, chunks
from reenact.inference.background import PHOTO, TRANSPARENT
from reenact.inference.compose import Scene, Stage, find_composition, shrunk
from reenact.inference.crop_reenactor import CropReenactor
from reenact.inference.group import OwnPart, joined_frames
from reenact.inference.motion import Motion, driving_faces, still_motion
from reenact.inference.run_config import AnimateOptions
from reenact.inference.source_state import SourceState
from reenact.inference.video_source import VideoSource, check_video_source, without_person
from reenact.media.images import image_from_frame
from reenact.threads import in_order, read_ahead

VIDEO_CHUNK = 16
"""So many frames of a source video are in memory at a time."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PreparedSource:
    """What is computed of a source alone, with the arguments of `FrameReenactor.prepare`."""

    source: SourceFace[Any]
    options: AnimateOptions
    is_picture: bool
    stage: Stage
    state: SourceState

    def suits(self, source: SourceFace[Any], options: AnimateOptions, is_picture: bool) -> bool:
        """Whether it was computed for these arguments."""
        return (self.source, self.options, self.is_picture) == (source, options, is_picture)


class FrameReenactor(CropReenactor):
    """Renders frames from faces that were found and motions that were tracked before."""

    _prepared: PreparedSource | None = None

    def frames(
        self, source: SourceFace[Any], motion: Motion, options: AnimateOptions
    ) -> Iterator[Frame]:
        """One frame of the source for each of the motion's, see `Reenactor.animate`."""
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
        """Frames with all sources, see `Reenactor.animate_all`."""
        return joined_frames(self.frames, sources, motions, options)

    def video_frames(
        self, source: VideoSource, frames: Iterable[Frame], options: AnimateOptions
    ) -> Iterator[Frame]:
        """Frames of a source video, see `Reenactor.animate_video`. frames: those of the video."""
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
        return self._shown(source, motion, batches, faces, options)

    def _shown(
        self,
        source: SourceFace[Any],
        motion: Motion,
        batches: Iterable[FaceBatch],
        faces: Iterable[FaceBatch],
        options: AnimateOptions,
    ) -> Iterator[Frame]:
        prepared, self._prepared = self._prepared, None
        if prepared is None or not prepared.suits(source, options, motion.is_picture):
            prepared = self._prepare(source, options, motion.is_picture)
        scene = Scene(
            stage=prepared.stage,
            motion=motion,
            faces=faces,
            face=self.face,
            images=self._images(prepared.state, batches),
            size=options.output_size,
            levels=options.levels,
            background=options.background,
        )
        yield from find_composition(options.compose).frames(scene)

    def prepare(
        self, source: SourceFace[Any], options: AnimateOptions, *, is_picture: bool
    ) -> None:
        """Computes now what the next call of `frames` needs of this source alone.

        Another thread may do so while this one tracks the target. is_picture: whether the target is
        a single picture.
        """
        self._prepared = self._prepare(source, options, is_picture)

    def _prepare(
        self, source: SourceFace[Any], options: AnimateOptions, is_picture: bool
    ) -> PreparedSource:
        shown = source
        if options.compose == "photo" and not is_picture:
            shown = shrunk(source, options.max_side)
        net = self._finder(source) if self.recipe.carry_detail else None
        make_stage = find_composition(options.compose).stage
        stage = make_stage(shown, net, options.output_size, options.background)
        image = image_from_frame(source.crop_frame)
        state = self.set_source(image, source.params, view=stage.view)
        return PreparedSource(
            source=source, options=options, is_picture=is_picture, stage=stage, state=state
        )

    def _images(self, state: SourceState, batches: Iterable[FaceBatch]) -> Iterator[Tensor]:
        """Images (1, 3, S, S) on the CPU, one for each face.

        Batches that are all there are rendered at the same time on the CPU; a GPU renders one
        ahead. Batches that arrive one by one are rendered one by one.
        """

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
