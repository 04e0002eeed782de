"""The reenactor: pictures in, pictures out. Its networks are loaded once for any number of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reenact.device import compute_dtype
from reenact.errors import UserError, warn
from reenact.face.batch import FaceBatch
from reenact.face.control import Sliders
from reenact.face.factory import FaceConfig
from reenact.face.person_mask import PersonMask
from reenact.face.stack import FaceStack, Frame, SourceFace, Watch, Which
from reenact.face.surface.layer_field import LayerSource
from reenact.face.surface.motion_field import resampled
from reenact.inference.canvas import SourceView, is_cut
from reenact.inference.carried import SourceDetail, with_detail
from reenact.inference.compose import Scene, find_composition
from reenact.inference.config import ReenactorConfig
from reenact.inference.drawings import Drawings
from reenact.inference.layers import layered, make_layers
from reenact.inference.load import load_parts
from reenact.inference.motion import Motion, driving_faces, still_motion
from reenact.inference.networks import Networks
from reenact.inference.pictures import Frames, Picture, frame_of
from reenact.inference.run_config import AnimateOptions
from reenact.inference.source_state import SourceState
from reenact.inference.start import find_start
from reenact.media.images import image_from_frame
from reenact.media.timeline import DEFAULT_RATE, Timeline, constant_timeline, exact_rate
from reenact.models.weights import Recipe, ReenactorWeights

FIELD_SIZE = 256
"""Motion fields are drawn with at most this many pixels for the side of the face crop. For larger
pictures they are enlarged.
"""


class Reenactor:
    """Animates a source face with the expression, pose and gaze of a target.

    `load`, `track` and `animate` work on pictures. `set_source` and `render` work on crops and face
    parameters; evaluation uses them.

    It runs on the device that holds the weights. Results depend neither on the batch size nor, up
    to rounding, on the device: the noise is drawn from a seeded CPU generator, and all frames of a
    video share it. `recipe` is the weights' recipe with what `config` changes; the attribute
    `config` holds these values too.
    """

    def __init__(
        self, weights: ReenactorWeights, face: FaceStack[Any], config: ReenactorConfig
    ) -> None:
        self.face = face
        self.recipe = config.recipe(weights.recipe or Recipe())
        self.config = replace(config, **asdict(self.recipe))
        self.diffae = weights.diffae.eval().to(memory_format=torch.channels_last)
        self.size: int = self.diffae.config.image_size
        self.device = next(self.diffae.parameters()).device
        self.dtype = compute_dtype(config.precision, self.device)
        unet = weights.unet
        self.networks = Networks(
            diffae=self.diffae,
            encoder=weights.encoder.eval().to(memory_format=torch.channels_last),
            unet=unet and unet.eval().to(memory_format=torch.channels_last),
            recipe=self.recipe,
            dtype=self.dtype,
        )

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
        **options: Any,
    ) -> Iterator[Frame]:
        """The face of a photo with the motion of a target, one frame for each of the target's.

        Args:
            photo: the source, or its face as `find` gives it.
            target: frames or a single picture, or their motion as `track` gives it. Frames may come
                from a generator; all of them are read before the first result.
            fps: see `track`.
            options: the fields of `AnimateOptions`.

        Returns:
            A generator of frames (H, W, 3) uint8 RGB.

        Raises:
            UserError: an option or a picture that cannot be used, or no face.
        """
        chosen = AnimateOptions(**options)
        source = photo if isinstance(photo, SourceFace) else self.find(photo)
        motion = target if isinstance(target, Motion) else self.track(target, fps)
        return self.frames(source, motion, chosen)

    def find(
        self, photo: Picture, where: str = "photo", *, which: Which = "largest"
    ) -> SourceFace[Any]:
        """The face of a photo; `which` chooses one of several.

        where: names the photo in errors. Raises UserError if there is no such face in it.
        """
        face = self.face.source_face(frame_of(photo, where), self.size, which=which)
        if face is None:
            raise UserError(f"{where}: no face found, take a photo that shows one face clearly")
        if self.recipe.carry_detail and is_cut(face, self.face.outline(face.params)):
            warn(f"{where}: its border cuts the face; what lies beyond is not invented")
        return face

    def track(
        self,
        target: Picture | Iterable[Picture],
        fps: float | None = None,
        *,
        where: str = "target",
        watch: Watch | None = None,
        which: Which = "largest",
    ) -> Motion:
        """The motion of a target's face. It can be kept and used for many sources.

        Args:
            target: a single picture, or frames of one size, for example a list, an array
                (N, H, W, 3), a generator or a `VideoReader`. No frame is kept.
            fps: frames per second; None takes 25, or the times of a `VideoReader`.
            where: names the target in errors.
            watch: shows the progress, see `face.stack.Watch`.
            which: chooses one of several faces, see `face.stack.Which`.

        Raises:
            UserError: a frame that cannot be used, or no face in any frame.
        """
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
        tracked = self.face.target_motion(frames, float(rate), self.size, watch, which=which)
        if tracked is None:
            what = "the picture" if is_picture else f"any of the {frames.count} frames"
            raise UserError(
                f"{where}: no face found in {what}, take a target that shows one clearly"
            )
        for line in tracked.warnings():
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
        scene = Scene(
            source=source,
            motion=motion,
            driven=driven,
            face=self.face,
            render=partial(self._images, source, driven),
            person_mask=(lambda: self.person_mask) if self.recipe.carry_detail else None,
            size=options.output_size,
            max_side=options.max_side,
            levels=options.levels,
        )
        return find_composition(options.compose)(scene)

    def _images(
        self, source: SourceFace[Any], driven: FaceBatch, view: SourceView | None
    ) -> Iterator[Tensor]:
        """Images (1, 3, S, S) on the CPU, rendered in batches. view: see `set_source`."""
        state = self.set_source(image_from_frame(source.crop_frame), source.params, view=view)
        for start in range(0, len(driven), self.config.batch_size):
            batch = driven[start : start + self.config.batch_size]
            yield from self.render(state, batch).cpu().split(1)

    @torch.no_grad()
    def set_source(
        self,
        image: Tensor,
        params: FaceBatch,
        sharp: Tensor | None = None,
        view: SourceView | None = None,
    ) -> SourceState:
        """Encodes B source crops.

        image: (B, 3, S, S) in [-1, 1].
        params: B faces in the terms of the crops.
        sharp: (B, 3, D, D), the same crops with more pixels. Carried detail then has that size, and
            so have the results. The default is `image`.
        view: the photo around the crop, for one source. Where detail is carried, results are then
            composed of the photo's layers, on the view's canvas (docs/layers.md). Without it they
            are composed of the crops alone.
        """
        params = params.to(self.device)
        image = image.to(self.device).contiguous(memory_format=torch.channels_last)
        drawings = self._drawings(params, params, self.size)

        @cache
        def z_source() -> Tensor:
            return self.networks.code(image, drawings, of_source=True).float()

        @cache
        def inverted() -> Tensor:
            return self.networks.invert(image, z_source())

        x_T, detail, layers = None, None, None
        if not find_start(self.recipe.x_T).follows_motion:
            x_T = self.networks.start(image, drawings, self._noise(), inverted=inverted)
        if self.recipe.carry_detail and view is not None:
            assert len(image) == 1
            layers = make_layers(view, self._layer_source(view, params))
        elif self.recipe.carry_detail:
            sharp = image if sharp is None else sharp.to(self.device)
            detail = SourceDetail.of(sharp, self.networks.decode(inverted(), z_source()))
        return SourceState(params=params, image=image, x_T=x_T, detail=detail, layers=layers)

    def render(self, state: SourceState, target: FaceBatch) -> Tensor:
        """The sources with the motion of `target` (B faces), whose identity is ignored.

        state: one source for all targets, or one for each. Returns images (B, 3, S, S) in [-1, 1],
        or (B, 3, D, D) where detail of D pixels is carried or pictures are composed of layers.
        """
        if len(state) not in (1, len(target)):
            raise ValueError(f"{len(state)} sources for {len(target)} targets")
        batch = self.config.batch_size
        rows = [slice(i, min(i + batch, len(target))) for i in range(0, len(target), batch)]
        # Joined outside of inference mode, so that the result is an ordinary tensor.
        return torch.cat([self._render_batch(state.matching(r), target[r]) for r in rows])

    @torch.inference_mode()
    def _render_batch(self, state: SourceState, target: FaceBatch) -> Tensor:
        image = state.image.expand(len(target), -1, -1, -1)
        side = self.size if state.detail is None else state.detail.sharp.shape[-1]
        drawings = self._drawings(state.params, target.to(self.device), side)
        z_r = self.networks.code(image, drawings).float()
        if state.x_T is None:
            x_T = self.networks.start(image, drawings, self._noise(), z_r=z_r)
        else:
            x_T = state.x_T.expand_as(image)
        images = self.networks.decode(x_T, z_r)
        if state.layers is not None:
            images = layered(images, state.layers, drawings.layer_field(state.layers.face))
        elif state.detail is not None:
            images = with_detail(images, state.detail, drawings.detailed_field().resized(side))
        return images.clamp(-1, 1)

    @cached_property
    def person_mask(self) -> PersonMask:
        """The network that finds the person of a photo."""
        return PersonMask(self.device)

    def _layer_source(self, view: SourceView, face: FaceBatch) -> LayerSource:
        crop_side = self.size * view.canvas.zoom
        size = round(view.canvas.size * min(1, max(self.size, FIELD_SIZE) / crop_side))
        picture = resampled(view.inner(view.picture), size).to(self.device)
        cut = (resampled(view.cut, size) > 0.5).to(picture)
        return self.face.layer_source(face, self.size, view.canvas.resized(size), picture, cut)

    def _drawings(self, source: FaceBatch, target: FaceBatch, side: int) -> Drawings:
        """For results of `side` pixels."""
        return Drawings(
            self.face,
            source,
            target,
            size=self.size,
            device=self.device,
            field_size=min(side, max(self.size, FIELD_SIZE)),
        )

    def _noise(self) -> Tensor:
        generator = torch.Generator().manual_seed(self.config.seed)
        noise = torch.randn(1, 3, self.size, self.size, generator=generator)
        return self.recipe.temperature * noise.to(self.device)
