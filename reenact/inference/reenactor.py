"""The reenactor: source crop and target parameters in, reenacted crops out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from diffae import ENCODER, SAMPLERS, SamplerName, Schedule
from reenact.device import Precision, autocast, compute_dtype
from reenact.errors import UserError
from reenact.face.batch import FaceBatch
from reenact.face.stack import FaceStack
from reenact.face.surface.motion_field import MotionField, draft
from reenact.inference.carried import SourceDetail, blend_noise, with_detail
from reenact.models.checkpoint import ReenactorWeights

Start = Literal["source", "mixed", "random", "moved"]
FIELD_SIZE = 256
"""Motion fields are drawn with at most this side; for larger pictures they are enlarged."""


@dataclass(frozen=True, kw_only=True)
class ReenactorConfig:
    """How a crop is rendered.

    x_T: the terminal image that rendering starts from: "source" = the source's inversion,
        "random" = seeded noise, "mixed" = seeded noise inside the source's head region, the
        inversion elsewhere, "moved" = the inversion, under the wanted code, of the source picture
        moved with the head model, seeded noise where the source hides what the result shows (ours).
    carry_detail: the fine features of each picture are the source's, moved likewise (ours).
    temperature: strength of the seeded noise; below 1 what has to be invented comes out smoother.
    precision: "auto" takes bfloat16 where the device computes it natively, else float32.
    """

    num_steps: int = 20
    encode_steps: int = 50
    x_T: Start = "source"
    carry_detail: bool = False
    temperature: float = 1.0
    sampler: SamplerName = "ddim"
    precision: Precision = "auto"
    batch_size: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("num_steps", "encode_steps", "batch_size"):
            if getattr(self, name) < 1:
                raise UserError(f"{name}: must be at least 1, got {getattr(self, name)}")
        if not 0 <= self.temperature <= 1:
            raise UserError(f"temperature: must be 0 to 1, got {self.temperature}")
        samplers = {"encode_steps": ENCODER, "num_steps": SAMPLERS[self.sampler]}
        for name, sampler in samplers.items():
            try:
                sampler.timesteps(Schedule(), getattr(self, name))
            except ValueError as error:
                raise UserError(str(error).replace("num_steps", name, 1)) from error

    @property
    def needs_motion_field(self) -> bool:
        return self.x_T == "moved" or self.carry_detail


@dataclass(frozen=True, kw_only=True)
class SourceState:
    """What is computed once per source.

    params: B faces in the terms of the crop. image, x_T: (B, 3, S, S). z_source: (B, z_channels).
    detail: the source's own, in D pixels, if it is carried.
    """

    params: Any
    image: Tensor
    z_source: Tensor
    x_T: Tensor
    detail: SourceDetail | None = None

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, rows: slice | list[int]) -> "SourceState":
        detail = None if self.detail is None else self.detail[rows]
        return SourceState(
            params=self.params[rows],
            image=self.image[rows],
            z_source=self.z_source[rows],
            x_T=self.x_T[rows],
            detail=detail,
        )

    @classmethod
    def cat(cls, states: Sequence["SourceState"]) -> "SourceState":
        """The sources of several states (at least one) as one."""
        details = [state.detail for state in states if state.detail is not None]
        return cls(
            params=type(states[0].params).cat([state.params for state in states]),
            image=torch.cat([state.image for state in states]),
            z_source=torch.cat([state.z_source for state in states]),
            x_T=torch.cat([state.x_T for state in states]),
            detail=SourceDetail.cat(details) if details else None,
        )

    def matching(self, rows: slice) -> "SourceState":
        """The state for these targets: one source serves all, several sources go row by row."""
        return self if len(self) == 1 else self[rows]


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
        self,
        image: Tensor,
        params: FaceBatch,
        mask: Tensor | None = None,
        sharp: Tensor | None = None,
    ) -> SourceState:
        """Encodes a source crop.

        image: (B, 3, S, S) in [-1, 1]; params: B faces in the terms of the crop; mask: (B, 1, S, S)
        in [0, 1], where x_T "mixed" takes fresh noise (default: the head region of `params`);
        sharp: (B, 3, D, D), the same crop with more pixels: carried detail then has, and gives the
        results, that size (default: `image`).
        """
        params = params.to(self.device)
        image = image.to(self.device).contiguous(memory_format=torch.channels_last)
        z_source = self._edit(image, params, params)
        x_T, detail = self._invert(image, z_source), None
        if self.config.carry_detail:
            sharp = image if sharp is None else sharp.to(self.device)
            detail = SourceDetail.of(sharp, self._decode(x_T, z_source))
        if self.config.x_T == "random":
            x_T = self._noise().expand_as(image)
        elif self.config.x_T == "mixed":
            if mask is None:
                mask = self.face.head_region(params, self.size)
            x_T = blend_noise(x_T, self._noise(), mask.to(self.device))
        return SourceState(params=params, image=image, z_source=z_source, x_T=x_T, detail=detail)

    def render(self, state: SourceState, target: FaceBatch) -> Tensor:
        """Images (B, 3, S, S) in [-1, 1], of the detail's size where it is carried: the source with
        the motion of `target` (B faces).

        `state` holds one source for all targets, or one for each. The identity of `target` is
        ignored: the source's own is drawn.
        """
        if len(state) not in (1, len(target)):
            raise ValueError(f"{len(state)} sources for {len(target)} targets")
        batch = self.config.batch_size
        rows = [slice(i, min(i + batch, len(target))) for i in range(0, len(target), batch)]
        # Joined outside of inference mode, so that the result is an ordinary tensor.
        return torch.cat([self._render_batch(state.matching(r), target[r]) for r in rows])

    @torch.inference_mode()
    def _render_batch(self, state: SourceState, target: FaceBatch) -> Tensor:
        driven = self.face.retarget(state.params, target.to(self.device))
        image = state.image.expand(len(driven), -1, -1, -1)
        z_r = self._edit(image, state.params, driven)
        x_T = state.x_T.expand_as(image)
        field = self._motion_field(state, driven)
        if self.config.x_T == "moved":
            assert field is not None
            own = field.resized(self.size)
            x_T = blend_noise(self._invert(draft(image, own), z_r), self._noise(), own.unknown)
        images = self._decode(x_T, z_r)
        if state.detail is not None:
            assert field is not None
            side = state.detail.sharp.shape[-1]
            images = with_detail(images, state.detail, field.resized(side))
        return images.clamp(-1, 1)

    def _motion_field(self, state: SourceState, driven: FaceBatch) -> MotionField | None:
        if not self.config.needs_motion_field:
            return None
        size = self.size if state.detail is None else state.detail.sharp.shape[-1]
        resolution = min(size, max(self.size, FIELD_SIZE))
        return self.face.motion_field(state.params, driven, self.size, resolution)

    def _invert(self, image: Tensor, z_sem: Tensor) -> Tensor:
        """x_T under the pretrained U-Net; only rendering uses the tuned one."""
        with autocast(self.dtype, self.device):
            steps = self.config.encode_steps
            return self.diffae.encode_stochastic(image, z_sem, num_steps=steps).float()

    def _decode(self, x_T: Tensor, z_sem: Tensor) -> Tensor:
        with autocast(self.dtype, self.device):
            images = self.diffae.decode(
                x_T,
                z_sem,
                num_steps=self.config.num_steps,
                sampler=self.config.sampler,
                unet=self.unet,
            )
        return images.float()

    def _edit(self, image: Tensor, source: FaceBatch, driven: FaceBatch) -> Tensor:
        """E_r in float32 (B, z_channels): the published one runs outside of autocast, too."""
        landmark_map = self.face.landmark_map(driven, self.size).to(self.device)
        motion = None
        if self.encoder.motion_head is not None:
            motion = self.face.motion_vector(source, driven, self.size)
        return self.encoder(image, landmark_map, motion).float()

    def _noise(self) -> Tensor:
        generator = torch.Generator().manual_seed(self.config.seed)
        noise = torch.randn(1, 3, self.size, self.size, generator=generator)
        return self.config.temperature * noise.to(self.device)
