"""Reenactment of face crops: source crop and face parameters in, reenacted crops out."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import cache, cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from reenact.device import compute_dtype
from reenact.face.batch import FaceBatch
from reenact.face.crop import FaceCrop
from reenact.face.person_mask import PersonMask
from reenact.face.stack import FaceStack
from reenact.inference.canvas import SourceView, crop_view
from reenact.inference.config import ReenactorConfig
from reenact.inference.drawings import Drawings
from reenact.inference.inversion_cache import cache_folder, cached_inversion
from reenact.inference.layers import Layers
from reenact.inference.moved_layers import MovedLayers, photo_layers
from reenact.inference.networks import Networks
from reenact.inference.source_state import SourceState
from reenact.inference.start import find_start
from reenact.media.images import frame_from_image
from reenact.models.weights import Recipe, ReenactorWeights


class CropReenactor:
    """Renders source crops with the expression, pose and gaze of target parameters.

    It runs on the device that holds the weights. Results depend neither on the batch size nor, up
    to rounding, on the device: the noise is drawn from a seeded CPU generator, and all frames of a
    video share it.

    recipe: the weights' recipe with what `config` changes.
    config: the settings, complete: the values of the recipe are filled in.
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

    @torch.no_grad()
    def set_source(
        self,
        image: Tensor,
        params: FaceBatch,
        view: SourceView | None = None,
        placed: FaceBatch | None = None,
    ) -> SourceState:
        """Encodes B source crops.

        image: (B, 3, S, S) in [-1, 1].
        params: B faces in the terms of the crops.
        view: the photos around the crops. Where detail is carried, results are composed of the
            photos' layers, on the view's canvas (docs/layers.md). None takes each crop as a photo.
        placed: the B faces as the view's crop shows them; None means as in `params`.
        """
        params = params.to(self.device)
        image = image.to(self.device).contiguous(memory_format=torch.channels_last)
        drawings = self._drawings(params, params)

        @cache
        def inverted() -> Tensor:
            z_source = self.networks.code(image, drawings, of_source=True).float()
            folder = cache_folder(self.config.cache)
            return cached_inversion(self.networks, image, z_source, folder)

        x_T, layers = None, None
        if not find_start(self.recipe.x_T).follows_motion:
            x_T = self.networks.start(image, drawings, self._noise(), inverted=inverted)
        if self.recipe.carry_detail:
            if view is None:
                view = SourceView.cat([self._as_photo(crop) for crop in image.split(1)])
            faces = params if placed is None else placed.to(self.device)
            layers = photo_layers(self.face, view, faces, self.size, self.device)
        return SourceState(params=params, image=image, x_T=x_T, layers=layers)

    def render(self, state: SourceState, target: FaceBatch) -> Tensor:
        """The sources with the motion of `target` (B faces), whose identity is ignored.

        state: one source for all targets, or one for each. Returns images (B, 3, S, S) in [-1, 1],
        or (B, 3, D, D) where pictures are composed of photos' layers on a canvas of D pixels.
        """
        return self._rendered(state, target, wants_images=False)[1]

    def rendered(self, state: SourceState, target: FaceBatch) -> tuple[Tensor, Tensor]:
        """The networks' pictures (B, 3, S, S), and the results that `render` gives."""
        return self._rendered(state, target, wants_images=True)

    @torch.inference_mode()
    def warped(self, state: SourceState, target: FaceBatch) -> Tensor:
        """The moved layers of the sources without the networks' pictures: (B, 3, S, S) in [-1, 1].

        state: sources with layers, one for each of the B targets.
        """
        drawings = self._drawings(state.params, target.to(self.device), state.layers)
        return drawings.moved_layers().drafts(self.size).clamp(-1, 1)

    def _rendered(
        self, state: SourceState, target: FaceBatch, *, wants_images: bool
    ) -> tuple[Tensor, Tensor]:
        if len(state) not in (1, len(target)):
            raise ValueError(f"{len(state)} sources for {len(target)} targets")
        batch = self.config.batch_size
        rows = [slice(i, min(i + batch, len(target))) for i in range(0, len(target), batch)]
        parts = [
            self._render_batch(state.matching(r), target[r], wants_images=wants_images)
            for r in rows
        ]
        # Joined outside of inference mode, so that the results are ordinary tensors.
        images, results = (torch.cat(pictures) for pictures in zip(*parts, strict=True))
        return images, results

    @torch.inference_mode()
    def _render_batch(
        self, state: SourceState, target: FaceBatch, *, wants_images: bool
    ) -> tuple[Tensor, Tensor]:
        """The networks' pictures and the results.

        wants_images: whether the first are wanted even where they have no part in the results,
            because the source shows the whole face. If not, the source stands for them there.
        """
        drawings = self._drawings(state.params, target.to(self.device), state.layers)
        moved = None if state.layers is None else drawings.moved_layers()
        if wants_images or moved is None:
            images = self._drawn(state, drawings)
        else:
            images = state.image.repeat(len(target) // len(state), 1, 1, 1)
            if rows := moved.drawn_rows:
                images[rows] = self._drawn(state.matching(rows), drawings[rows])
        results = images if moved is None else self._finished(moved, images)
        return images.clamp(-1, 1), results.clamp(-1, 1)

    def _finished(self, moved: MovedLayers, images: Tensor) -> Tensor:
        """The finished pictures. Those without a part of the networks are faster on their own."""
        drawn = moved.drawn_rows
        others = [i for i in range(len(images)) if i not in drawn]
        if not (drawn and others):
            return moved.composed(images, self.person_mask)
        parts = [moved[rows].composed(images[rows], self.person_mask) for rows in (drawn, others)]
        return torch.cat(parts)[np.argsort([*drawn, *others])]

    def _drawn(self, state: SourceState, drawings: Drawings) -> Tensor:
        """The networks' pictures (B, 3, S, S)."""
        image = state.image.expand(len(drawings.wanted), -1, -1, -1)
        z_r = self.networks.code(image, drawings).float()
        if state.x_T is None:
            x_T = self.networks.start(image, drawings, self._noise(), z_r=z_r)
        else:
            x_T = state.x_T.expand_as(image)
        return self.networks.decode(x_T, z_r)

    @cached_property
    def person_mask(self) -> PersonMask:
        """The network that finds the person of a photo."""
        return PersonMask(self.device)

    def _as_photo(self, image: Tensor) -> SourceView:
        """A crop (1, 3, S, S) as if it was the whole photo."""
        crop = FaceCrop(crop_from_frame=np.eye(3), size=self.size)
        return crop_view(frame_from_image(image)[0], crop, self.person_mask, self.size)

    def _drawings(
        self,
        source: FaceBatch,
        target: FaceBatch,
        layers: tuple[Layers, ...] | None = None,
    ) -> Drawings:
        return Drawings(
            self.face, source, target, size=self.size, device=self.device, layers=layers
        )

    def _noise(self) -> Tensor:
        generator = torch.Generator().manual_seed(self.config.seed)
        noise = torch.randn(1, 3, self.size, self.size, generator=generator)
        return self.recipe.temperature * noise.to(self.device)
