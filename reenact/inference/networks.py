"""How a picture is made: the code z_r, the start x_T, the decoding. Training takes the same way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from diffae import ConditionalUNet, DiffAE
from reenact.device import autocast
from reenact.inference.drawings import Drawings
from reenact.inference.start import StartInputs, StartName, find_start
from reenact.models.reenactment_encoder import ReenactmentEncoder
from reenact.models.weights import Recipe


@dataclass(frozen=True, kw_only=True)
class Networks:
    """The networks together with the recipe for rendering.

    unet: the U-Net that renders; None renders with DiffAE's own.
    shares_unet: this U-Net inverts, too. Without it DiffAE's own inverts.

    No function switches gradients off, except where it says so. `dtype` is the number format of
    DiffAE's networks; float32 leaves the caller's autocast as it is.
    """

    diffae: DiffAE
    encoder: ReenactmentEncoder
    unet: ConditionalUNet | None
    recipe: Recipe
    dtype: torch.dtype = torch.float32
    shares_unet: bool = False

    @property
    def first_timestep(self) -> int | None:
        """The timestep of x_t where rendering begins; None: it begins at x_T."""
        follows_motion = find_start(self.recipe.x_T).follows_motion
        return self.recipe.first_timestep if follows_motion else None

    def code(self, source: Tensor, drawings: Drawings, *, of_source: bool = False) -> Tensor:
        """E_r's code (B, z_channels): z_r, or z_source, the code of the source as it is.

        source: (B, 3, S, S) in [-1, 1].
        """
        drawing = drawings.landmark_map(of_source=of_source)
        motion = None
        if self.encoder.motion_head is not None:
            motion = drawings.motion(of_source=of_source)
        return self.encoder(source, drawing, motion)

    def start(
        self,
        source: Tensor,
        drawings: Drawings,
        noise: Tensor,
        *,
        z_r: Tensor | None = None,
        inverted: Callable[[], Tensor] | None = None,
        x_T: StartName | None = None,
    ) -> Tensor:
        """x_T (B, 3, S, S), without gradients; see `StartInputs` for source and noise.

        Args:
            z_r: the wanted code; starts that do not follow the motion can do without.
            inverted: gives the source's x_T; None inverts the source where the start needs it.
            x_T: the name of another start than the recipe's.
        """

        def invert_source() -> Tensor:
            return self.invert(source, self.code(source, drawings, of_source=True))

        def invert_edited(images: Tensor) -> Tensor:
            assert z_r is not None
            return self.invert(images, z_r)

        inputs = StartInputs(
            source=source,
            noise=noise,
            inverted=inverted or invert_source,
            invert_edited=invert_edited,
            head_region=drawings.head_region,
            motion_field=drawings.motion_field,
            layered=lambda: drawings.moved_layers().drafts(source.shape[-1]),
        )
        with torch.no_grad():
            return find_start(x_T or self.recipe.x_T).make(inputs)

    def invert(self, images: Tensor, z_sem: Tensor) -> Tensor:
        """x_T of images (B, 3, S, S) under their codes, or x_t where rendering begins there."""
        unet = self.unet if self.shares_unet else None
        with autocast(self.dtype, images.device):
            x_T = self.diffae.encode_stochastic(
                images,
                z_sem,
                self.recipe.encode_steps,
                end=self.first_timestep,
                unet=unet,
            )
        return x_T.float()

    def decode(
        self,
        x_T: Tensor,
        z_sem: Tensor,
        *,
        grad_steps: int | None = None,
        recompute: bool = False,
    ) -> Tensor:
        """Images (B, 3, S, S) in [-1, 1], by the tuned U-Net where there is one.

        grad_steps, recompute: see `diffae.sampler.sample`.
        """
        with autocast(self.dtype, x_T.device):
            images = self.diffae.decode(
                x_T,
                z_sem,
                self.recipe.num_steps,
                self.recipe.sampler,
                start=self.first_timestep,
                unet=self.unet,
                grad_steps=grad_steps,
                recompute=recompute,
            )
        return images.float()
