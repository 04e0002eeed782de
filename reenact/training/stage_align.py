"""Stage `align`: teach E_r to predict the code of the target frame, without rendering anything."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from reenact.data.augment import AugmentConfig
from reenact.data.dataset import ClipDataset, PairConfig, draw_batch
from reenact.errors import UserError
from reenact.inference.start import blend_noise
from reenact.models.checkpoint import is_reenactor, load_base
from reenact.models.reenactment_encoder import ReenactmentEncoder
from reenact.training.drawer import Drawer
from reenact.training.log import l1, tally
from reenact.training.lora_run import export, lora_base
from reenact.training.run_config import TrainRun

NUM_SCALE_BATCHES = 8
SCALE_SEED = 2**21


class AlignStage:
    """L1 between z_r and z_target, which the frozen DiffAE gives.

    If `init` is a DiffAE, E_r starts as its encoder. If it is a reenactor, ours or the published
    one, its E_r is trained further, and its tuned U-Net is not used.
    """

    def __init__(self, run: TrainRun, device: torch.device) -> None:
        assert run.align is not None
        assert run.init is not None
        self.logging = run.logging
        self.pairs: PairConfig | None = PairConfig(
            cross_fraction=run.align.cross_fraction, cross_start=run.align.cross_start
        )
        base = load_base(run.init)
        self.base = lora_base(run, base)
        _set_motion_head(base.encoder, run.init, run.align.motion_head)
        self.diffae = base.diffae.to(device).eval().requires_grad_(False)
        self.model: nn.Module = base.encoder.to(device).requires_grad_(True)
        if self.base is not None:
            self.base.add_to(base.encoder)
        for module in (self.diffae, self.model):
            module.to(memory_format=torch.channels_last)
        self.image_size = self.diffae.config.image_size
        self.guard = None
        self.draw = Drawer(run.face, self.image_size, device, has_motion=run.align.motion_head)
        self.channel_scale = self._measure_scale(run, device) if run.align.normalise else None

    def _measure_scale(self, run: TrainRun, device: torch.device) -> Tensor:
        """1 / spread of each code channel, over frames that are the same in every process."""
        dataset = ClipDataset(run.data.root, run.data.split)
        codes = []
        for step in range(NUM_SCALE_BATCHES):
            batch = draw_batch(
                dataset,
                pairs=None,
                config=AugmentConfig(),
                batch_size=64,
                seed=SCALE_SEED,
                step=step,
            )
            with torch.no_grad():
                codes.append(self.diffae.encode_semantic(batch["image"].to(device)))
        spread = torch.cat(codes).std(dim=0)
        return 1 / spread.clamp(min=1e-3 * float(spread.mean()) + 1e-8)

    def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The mean L1 of each sample's codes (B,), and its tallies by kind of pair."""
        with torch.no_grad():
            z_target = self.diffae.encode_semantic(batch["reference"])
            drawing, motion = self.draw.target(batch), self.draw.motion(batch)
        error = (model(batch["source"], drawing, motion) - z_target).abs()
        if self.channel_scale is not None:
            error = error * self.channel_scale
        per_sample = error.mean(dim=1)
        is_cross = batch["is_cross"]
        tallies = {
            "loss": tally(per_sample),
            "align_self": tally(per_sample, ~is_cross),
            "align_cross": tally(per_sample, is_cross),
        }
        return per_sample, tallies

    @torch.no_grad()
    def preview(
        self, model: nn.Module, batch: dict[str, Tensor]
    ) -> tuple[dict[str, float], dict[str, Tensor]]:
        """The scalars and columns of a preview.

        Columns: source, landmark map, target, then the codes z_source, z_r and z_target decoded
        from the inverted source with noise in the head region, then z_r decoded from noise. The
        scalars are the L1 of each picture to the target, and `code_gap`: the distance from z_r to
        z_target in units of that from z_source. It is 1 at the start and 0 at the goal.
        """
        encoder = cast(ReenactmentEncoder, model)
        source, target = batch["source"], batch["reference"]
        drawing = self.draw.target(batch)
        z_source, z_target = (self.diffae.encode_semantic(image) for image in (source, target))
        z_r = encoder(source, drawing, self.draw.motion(batch))
        inverted = self.diffae.encode_stochastic(
            source, z_source, num_steps=self.logging.encode_steps
        )
        noise = batch["eps"]
        face = self.draw.head_region(batch)
        mixed = blend_noise(inverted, noise, face)
        decoded = self.diffae.decode(
            torch.cat([mixed, mixed, mixed, noise]),
            torch.cat([z_source, z_r, z_target, z_r]),
            num_steps=self.logging.num_steps,
        ).float()
        of_source, of_r, of_target, of_random = decoded.chunk(4)
        gap = (z_r - z_target).abs().mean() / (z_source - z_target).abs().mean().clamp(min=1e-8)
        scalars = {
            "code_gap": float(gap),
            "l1_z_source": l1(of_source, target),
            "l1_z_r": l1(of_r, target),
            "l1_z_target": l1(of_target, target),
            "l1_random": l1(of_random, target),
            "l1_copy_source": l1(source, target),
        }
        columns = {
            "source": source,
            "drawing": drawing,
            "target": target,
            "z_source": of_source,
            "z_r": of_r,
            "z_target": of_target,
            "z_r, random x_T": of_random,
        }
        return scalars, columns

    def export(self, model: nn.Module, path: Path, step: int) -> None:
        """Write DiffAE and E_r as one .safetensors, and with LoRA the adapter beside it."""
        export(
            path,
            self.diffae,
            trained={"encoder": self.model},
            average={"encoder": model},
            base=self.base,
            metadata={"stage": "align", "step": str(step)},
        )


def _set_motion_head(encoder: ReenactmentEncoder, path: Path, motion_head: bool) -> None:
    """Give the E_r of a DiffAE its motion head. The E_r of a reenactor must fit the config."""
    if (encoder.motion_head is not None) == motion_head:
        return
    if is_reenactor(path):
        has, wanted = ("no", "false") if motion_head else ("a", "true")
        raise UserError(f"{path}: its E_r has {has} motion head, set align.motion_head to {wanted}")
    encoder.add_motion_head()
