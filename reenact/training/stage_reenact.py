"""Stage `reenact`: train E_r, and the rendering U-Net if wanted, on what the sampler renders."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from diffae import ConditionalUNet, load_checkpoint
from reenact.data.dataset import PairConfig
from reenact.errors import UserError
from reenact.face.params import FaceParams
from reenact.face.surface.motion_field import draft
from reenact.inference.carried import blend_noise
from reenact.inference.reenactor import Start
from reenact.models.checkpoint import is_reenactor, load_reenactor, save_reenactor
from reenact.models.reenactment_encoder import ReenactmentEncoder
from reenact.training.gradient_guard import GradientGuard
from reenact.training.log import tally
from reenact.training.loss_terms import (
    LOSSES,
    LossInputs,
    LossNetworks,
    compute_losses,
)
from reenact.training.run_config import TrainRun
from reenact.training.targets import Drawer


class Renderer(nn.Module):
    """The trained networks: E_r and, where tuned, the rendering U-Net."""

    def __init__(self, encoder: ReenactmentEncoder, unet: ConditionalUNet | None) -> None:
        super().__init__()
        self.encoder = encoder
        self.unet = unet


class ReenactStage:
    """Losses of the paper on rendered pictures, for self and cross pairs."""

    def __init__(self, run: TrainRun, device: torch.device) -> None:
        if run.init is None:
            raise UserError(
                "stage reenact needs `init`: what stage align exported, a trained DiffAE, or the "
                "published diffusionact_model.pt"
            )
        assert run.reenact is not None
        self.weights = run.reenact.weights.active()
        tracked = sorted(name for name in self.weights if LOSSES[name].needs == "tracker")
        if tracked and run.face.entry.params is not FaceParams:
            raise UserError(
                f"reenact.weights: {', '.join(tracked)} compare the open tracker's reading with "
                f"the clips' parameters, set them to 0 for clips of the {run.face.name} face stack"
            )
        self.config = run.reenact
        self.logging = run.logging
        self.pairs: PairConfig | None = PairConfig(
            cross_fraction=run.reenact.cross_fraction,
            cross_start=run.reenact.cross_start,
            cross_frames=run.reenact.cross_reference,
        )
        encoder, unet = self._load(run.init)
        self.diffae.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.image_size = self.diffae.config.image_size
        self.model: nn.Module = Renderer(encoder, unet).to(device).requires_grad_(True)
        self.draw = Drawer(
            run.face, self.image_size, device, has_motion=encoder.motion_head is not None
        )
        self.nets = LossNetworks(self.weights, run.reenact.nets, device)
        self.guard = GradientGuard().to(device)

    def _load(self, path: Path) -> tuple[ReenactmentEncoder, ConditionalUNet | None]:
        """Set the frozen DiffAE; return the networks to train."""
        if is_reenactor(path):
            weights = load_reenactor(path)
            self.diffae, encoder, unet = weights.diffae, weights.encoder, weights.unet
        else:
            self.diffae, unet = load_checkpoint(path), None
            encoder = ReenactmentEncoder(copy.deepcopy(self.diffae.encoder))
        self.diffae.eval().requires_grad_(False)
        if self.config.tune_unet:
            unet = copy.deepcopy(self.diffae.unet) if unet is None else unet
        elif unet is not None:
            raise UserError(f"{path}: has a tuned U-Net, so reenact.tune_unet must be true")
        return encoder, unet

    @torch.no_grad()
    def start(
        self,
        mode: Start,
        encoder: ReenactmentEncoder,
        batch: dict[str, Tensor],
        z_r: Tensor,
        num_steps: int,
    ) -> Tensor:
        """x_T of a batch by `mode`, see ReenactorConfig. `batch["eps"]` is the fresh noise."""
        noise, source = batch["eps"], batch["source"]
        if mode == "random":
            return noise
        if mode == "moved":
            field = self.draw.motion_field(batch)
            x_T = self.diffae.encode_stochastic(draft(source, field), z_r, num_steps=num_steps)
            return blend_noise(x_T, noise, field.unknown)
        z_source = encoder(source, self.draw.source(batch), self.draw.motion(batch, still=True))
        x_T = self.diffae.encode_stochastic(source, z_source, num_steps=num_steps)
        return blend_noise(x_T, noise, self.draw.head_region(batch)) if mode == "mixed" else x_T

    def decode(self, renderer: Renderer, x_T: Tensor, z_sem: Tensor, num_steps: int) -> Tensor:
        config = self.config
        return self.diffae.decode(
            x_T,
            z_sem,
            num_steps,
            config.sampler,
            unet=renderer.unet,
            grad_steps=config.grad_steps or None,
            recompute=config.recompute,
        )

    def render(self, renderer: Renderer, batch: dict[str, Tensor]) -> Tensor:
        """The reenacted pictures (B, 3, S, S) of a training batch, with gradients."""
        config = self.config
        z_r = renderer.encoder(batch["source"], self.draw.target(batch), self.draw.motion(batch))
        x_T = self.start(config.x_T, renderer.encoder, batch, z_r, config.encode_steps)
        if config.render == "sampler":
            return self.decode(renderer, x_T, z_r, config.render_steps)
        low, high = config.one_step_t
        t = (low + batch["u"] * (high + 1 - low)).long().clamp(max=high)
        # a cross pair without a reference may not see it here either
        base = torch.where(
            self._has_reference(batch)[:, None, None, None], batch["reference"], batch["source"]
        )
        with torch.autocast(x_T.device.type, enabled=False):
            x_t = self.diffae.schedule.q_sample(base.float(), t, x_T.float())
        # clamping would cut the gradient of every saturated pixel
        x_0, _ = self.diffae.predict_x_0_eps(x_t, t, z_r, unet=renderer.unet, clip=False)
        return x_0

    def _has_reference(self, batch: dict[str, Tensor]) -> Tensor:
        return ~batch["is_cross"] | self.config.cross_reference

    def loss(
        self, model: nn.Module, batch: dict[str, Tensor], step: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Each sample's weighted sum (B,) of the active losses, and what to log: each loss
        unweighted, over the samples that have it.
        """
        prediction = self.render(cast(Renderer, model), batch).float()
        inputs = LossInputs(
            prediction=prediction,
            batch=batch,
            draw=self.draw,
            has_reference=self._has_reference(batch),
            nets=self.nets,
            guard=self.guard,
        )
        with torch.autocast(prediction.device.type, enabled=False):
            terms = compute_losses(self.weights, inputs)
        total = prediction.new_zeros(len(prediction))
        for name, weight in self.weights.items():
            total = total + weight * terms[name].filled
        tallies = {name: tally(*term) for name, term in terms.items()}
        return total, {"loss": tally(total)} | tallies

    @torch.no_grad()
    def preview(
        self, model: nn.Module, batch: dict[str, Tensor]
    ) -> tuple[dict[str, float], dict[str, Tensor]]:
        """Columns: source, landmark map, target, the reenactment as trained (`result`), then from
        the source's x_T, from that with the face re-noised, and from noise. The scalars are the L1
        of each to the target.
        """
        renderer, config, logging = cast(Renderer, model), self.config, self.logging
        target, drawing = batch["reference"], self.draw.target(batch)
        z_r = renderer.encoder(batch["source"], drawing, self.draw.motion(batch))
        modes: tuple[Start, ...] = (config.x_T, "source", "mixed", "random")
        starts = [
            self.start(mode, renderer.encoder, batch, z_r, logging.encode_steps) for mode in modes
        ]
        decoded = self.decode(
            renderer, torch.cat(starts), z_r.repeat(len(modes), 1), logging.num_steps
        )
        predictions = list(decoded.float().chunk(len(modes)))
        mask = batch["reference_mask"]
        scalars = {"l1_copy_source": float((batch["source"] - target).abs().mean())}
        for mode, prediction in zip(("result", *modes[1:]), predictions, strict=True):
            error = (prediction - target).abs()
            scalars[f"l1_{mode}"] = float(error.mean())
            scalars[f"face_l1_{mode}"] = float((error * mask).sum() / (3 * mask.sum()).clamp(min=1))
        columns = {"source": batch["source"], "drawing": drawing, "target": target}
        titles = ("result", *(f"x_T {mode}" for mode in modes[1:]))
        return scalars, columns | dict(zip(titles, predictions, strict=True))

    def export(self, model: nn.Module, path: Path, step: int) -> None:
        """Write DiffAE, E_r and the tuned U-Net as one .safetensors."""
        renderer = cast(Renderer, model)
        metadata = {"stage": "reenact", "step": str(step), "x_T": self.config.x_T}
        save_reenactor(path, self.diffae, renderer.encoder, renderer.unet, metadata)
