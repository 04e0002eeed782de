"""Reenactment of face crops: source crop and face parameters in, reenacted crops out."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from reenact.device import compute_dtype
from reenact.face.batch import FaceBatch
from reenact.face.stack import FaceStack
from reenact.face.surface.layer_field import LayerSource
from reenact.face.surface.motion_field import resampled
from reenact.inference.canvas import SourceView
from reenact.inference.carried import SourceDetail, with_detail
from reenact.inference.config import ReenactorConfig
from reenact.inference.drawings import Drawings
from reenact.inference.layers import layered, make_layers
from reenact.inference.networks import Networks
from reenact.inference.source_state import SourceState
from reenact.inference.start import find_start
from reenact.models.weights import Recipe, ReenactorWeights

FIELD_SIZE = 256
"""The motion of layers is drawn with at most this many pixels for the side of the face crop. For
larger pictures it is enlarged.
"""


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
    ) -> SourceState:
        """Encodes B source crops.

        image: (B, 3, S, S) in [-1, 1].
        params: B faces in the terms of the crops.
        view: the photo around the crop, for one source. Where detail is carried, results are then
            composed of the photo's layers, on the view's canvas (docs/layers.md). Without it they
            are composed of the crops alone.
        """
        params = params.to(self.device)
        image = image.to(self.device).contiguous(memory_format=torch.channels_last)
        drawings = self._drawings(params, params)

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
            lost = image - self.networks.decode(inverted(), z_source())
            detail = SourceDetail(source=image, lost=lost)
        return SourceState(params=params, image=image, x_T=x_T, detail=detail, layers=layers)

    def render(self, state: SourceState, target: FaceBatch) -> Tensor:
        """The sources with the motion of `target` (B faces), whose identity is ignored.

        state: one source for all targets, or one for each. Returns images (B, 3, S, S) in [-1, 1],
        or (B, 3, D, D) where pictures are composed of a photo's layers on a canvas of D pixels.
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
        drawings = self._drawings(state.params, target.to(self.device))
        z_r = self.networks.code(image, drawings).float()
        if state.x_T is None:
            x_T = self.networks.start(image, drawings, self._noise(), z_r=z_r)
        else:
            x_T = state.x_T.expand_as(image)
        images = self.networks.decode(x_T, z_r)
        if state.layers is not None:
            images = layered(images, state.layers, drawings.layer_field(state.layers.face))
        elif state.detail is not None:
            images = with_detail(images, state.detail, drawings.motion_field())
        return images.clamp(-1, 1)

    def _layer_source(self, view: SourceView, face: FaceBatch) -> LayerSource:
        crop_side = self.size * view.canvas.zoom
        size = round(view.canvas.size * min(1, max(self.size, FIELD_SIZE) / crop_side))
        picture = resampled(view.inner(view.picture[:, :3]), size).to(self.device)
        cut = (resampled(view.cut, size) > 0.5).to(picture)
        return self.face.layer_source(face, self.size, view.canvas.resized(size), picture, cut)

    def _drawings(self, source: FaceBatch, target: FaceBatch) -> Drawings:
        return Drawings(self.face, source, target, size=self.size, device=self.device)

    def _noise(self) -> Tensor:
        generator = torch.Generator().manual_seed(self.config.seed)
        noise = torch.randn(1, 3, self.size, self.size, generator=generator)
        return self.recipe.temperature * noise.to(self.device)
