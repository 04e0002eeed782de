"""The reenactor: source crop and target parameters in, reenacted crops out."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from diffae.schedule import respaced_timesteps
from reenact.device import Precision, autocast, compute_dtype
from reenact.errors import UserError
from reenact.face.batch import FaceBatch
from reenact.face.params import FaceParams
from reenact.face.stack import FaceStack
from reenact.models.checkpoint import ReenactorWeights
from reenact.models.reenactment_encoder import motion_vector


@dataclass(frozen=True, kw_only=True)
class ReenactorConfig:
    """How a crop is rendered.

    x_T: the terminal image that rendering starts from: "source" = the source's inversion,
        "random" = seeded noise, "mixed" = seeded noise inside the source's head region, the
        inversion elsewhere.
    precision: "auto" takes bfloat16 where the device computes it natively, else float32.
    """

    num_steps: int = 20
    encode_steps: int = 50
    x_T: Literal["source", "mixed", "random"] = "source"
    sampler: Literal["ddim", "dpmpp2m"] = "ddim"
    precision: Precision = "auto"
    batch_size: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("num_steps", "encode_steps", "batch_size"):
            if getattr(self, name) < 1:
                raise UserError(f"{name}: must be at least 1, got {getattr(self, name)}")
        for name in ("num_steps", "encode_steps"):
            try:
                respaced_timesteps(getattr(self, name))
            except ValueError as error:
                raise UserError(str(error).replace("num_steps", name, 1)) from error


@dataclass(frozen=True, kw_only=True)
class SourceState:
    """What is computed once per source.

    params: B faces in the terms of the crop. image, x_T: (B, 3, S, S). z_source: (B, z_channels).
    """

    params: Any
    image: Tensor
    z_source: Tensor
    x_T: Tensor

    def __len__(self) -> int:
        return len(self.image)

    def matching(self, rows: slice, count: int) -> "SourceState":
        """The state for `count` targets: one source serves all, several sources go row by row."""
        if len(self) == 1:
            return SourceState(
                params=self.params,
                image=self.image.expand(count, -1, -1, -1),
                z_source=self.z_source.expand(count, -1),
                x_T=self.x_T.expand(count, -1, -1, -1),
            )
        return SourceState(
            params=self.params[rows],
            image=self.image[rows],
            z_source=self.z_source[rows],
            x_T=self.x_T[rows],
        )


class Reenactor:
    """Renders a source face with the expression, pose and gaze of target parameters.

    Runs on the device that holds the weights. Results depend neither on the batch size nor, up to
    rounding, on the device: the only noise is drawn once per source from a seeded CPU generator, so
    all frames of a video share it.
    """

    def __init__(
        self, weights: ReenactorWeights, face: FaceStack[Any], config: ReenactorConfig
    ) -> None:
        self.config = config
        self.face = face
        self.diffae = weights.diffae.eval().to(memory_format=torch.channels_last)
        self.encoder = weights.encoder.eval().to(memory_format=torch.channels_last)
        self.unet = weights.unet
        if self.unet is not None:
            self.unet = self.unet.eval().to(memory_format=torch.channels_last)
        self.size: int = self.diffae.config.image_size
        self.device = next(self.diffae.parameters()).device
        self.dtype = compute_dtype(config.precision, self.device)

    @torch.no_grad()
    def set_source(
        self, image: Tensor, params: FaceBatch, mask: Tensor | None = None
    ) -> SourceState:
        """Encodes a source crop.

        image: (B, 3, S, S) in [-1, 1]; params: B faces in the terms of the crop; mask: (B, 1, S, S)
        in [0, 1], where x_T "mixed" takes fresh noise (default: the head region of `params`).
        """
        params = params.to(self.device)
        image = image.to(self.device).contiguous(memory_format=torch.channels_last)
        z_source = self._edit(image, params, params)
        with autocast(self.dtype, self.device):
            if self.config.x_T == "random":
                x_T = self._noise().expand_as(image)
            else:
                # The inversion runs under the pretrained U-Net; only rendering uses the tuned one.
                x_T = self.diffae.encode_stochastic(
                    image, z_source, num_steps=self.config.encode_steps
                ).float()
        if self.config.x_T == "mixed":
            if mask is None:
                mask = self.face.head_region(params, self.size)
            x_T = blend_noise(x_T, self._noise(), mask.to(self.device))
        return SourceState(params=params, image=image, z_source=z_source, x_T=x_T)

    def render(self, state: SourceState, target: FaceBatch) -> Tensor:
        """Images (B, 3, S, S) in [-1, 1]: the source with the motion of `target` (B faces).

        `state` holds one source for all targets, or one for each. The identity of `target` is
        ignored: the source's own is drawn.
        """
        if len(state) not in (1, len(target)):
            raise ValueError(f"{len(state)} sources for {len(target)} targets")
        batch = self.config.batch_size
        rows = [slice(i, min(i + batch, len(target))) for i in range(0, len(target), batch)]
        # Joined outside of inference mode, so that the result is an ordinary tensor.
        return torch.cat(
            [self._render_batch(state.matching(r, r.stop - r.start), target[r]) for r in rows]
        )

    @torch.inference_mode()
    def _render_batch(self, state: SourceState, target: FaceBatch) -> Tensor:
        driven = self.face.retarget(state.params, target.to(self.device))
        z_r = self._edit(state.image, state.params, driven)
        with autocast(self.dtype, self.device):
            images = self.diffae.decode(
                state.x_T,
                z_r,
                num_steps=self.config.num_steps,
                sampler=self.config.sampler,
                unet=self.unet,
            )
        return images.float().clamp(-1, 1)

    def _edit(self, image: Tensor, source: FaceBatch, driven: FaceBatch) -> Tensor:
        """E_r in float32 (B, z_channels): the published one runs outside of autocast, too."""
        landmark_map = self.face.landmark_map(driven, self.size).to(self.device)
        motion = None
        if self.encoder.motion_head is not None:
            assert isinstance(source, FaceParams)
            assert isinstance(driven, FaceParams)
            motion = motion_vector(source, driven, self.size)
        return self.encoder(image, landmark_map, motion).float()

    def _noise(self) -> Tensor:
        generator = torch.Generator().manual_seed(self.config.seed)
        return torch.randn(1, 3, self.size, self.size, generator=generator).to(self.device)


def blend_noise(x_T: Tensor, noise: Tensor, mask: Tensor) -> Tensor:
    """Variance-preserving mix: `noise` where mask is 1, `x_T` unchanged where mask is 0."""
    return (1 - mask).sqrt() * x_T + mask.sqrt() * noise
