"""Stage `autoencoder`: train the DiffAE itself on single frames."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from diffae import DiffAE, load_checkpoint, save_checkpoint
from reenact.data.dataset import PairConfig
from reenact.errors import UserError
from reenact.inference.start import blend_noise
from reenact.training.drawer import Drawer
from reenact.training.log import l1, tally
from reenact.training.run_config import AutoencoderConfig, TrainRun

MAX_WEIGHTS = 2**32


def fresh_model(run: TrainRun) -> DiffAE:
    """The DiffAE of the section `model`, with random weights. Raises UserError for a huge one."""
    assert run.model is not None
    with torch.device("meta"):
        num_weights = sum(p.numel() for p in DiffAE(run.model).parameters())
    if num_weights > MAX_WEIGHTS:
        raise UserError(f"model: has {num_weights / 1e9:.0f} billion weights, make it smaller")
    torch.manual_seed(run.seed)
    return DiffAE(run.model)


def timesteps(u: Tensor, config: AutoencoderConfig, num_timesteps: int) -> Tensor:
    """Turn uniform numbers `u` (B,) in [0, 1) into timesteps (B,) long."""
    if config.t_sampling == "high_noise":
        u = u ** (1 / config.t_power)
    return (u * num_timesteps).long().clamp(max=num_timesteps - 1)


class AutoencoderStage:
    """The noise-prediction loss of DiffAE. Encoder and U-Net are trained together."""

    pairs: PairConfig | None = None

    def __init__(self, run: TrainRun, device: torch.device) -> None:
        assert run.autoencoder is not None
        model = fresh_model(run) if run.init is None else load_checkpoint(run.init)
        self.diffae = model.to(device)
        self.model: nn.Module = self.diffae
        self.guard = None
        self.config = run.autoencoder
        self.logging = run.logging
        self.image_size = model.config.image_size
        self.draw = Drawer(run.face, self.image_size, device, has_motion=False)

    def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of each frame of a batch (B,), and its tally."""
        ae = cast(DiffAE, model)
        t = timesteps(batch["u"], self.config, ae.schedule.num_timesteps)
        per_sample = ae.training_loss(batch["image"], t, batch["eps"])
        return per_sample, {"loss": tally(per_sample)}

    @torch.no_grad()
    def preview(
        self, model: nn.Module, batch: dict[str, Tensor]
    ) -> tuple[dict[str, float], dict[str, Tensor]]:
        """The scalars and columns of a preview.

        Columns: source, target, the autoencoded source, then z_target decoded from three starts:
        the inverted source, that with noise in the head region, and noise. The scalars are the L1
        of each picture to its truth.
        """
        ae = cast(DiffAE, model)
        source, target = batch["source"], batch["reference"]
        z_source, z_target = ae.encode_semantic(source), ae.encode_semantic(target)
        inverted = ae.encode_stochastic(source, z_source, num_steps=self.logging.encode_steps)
        noise = batch["eps"]
        face = self.draw.head_region(batch)
        starts = torch.cat([inverted, inverted, blend_noise(inverted, noise, face), noise])
        codes = torch.cat([z_source, z_target, z_target, z_target])
        decoded = ae.decode(starts, codes, num_steps=self.logging.num_steps).float()
        autoencoded, from_inverted, from_mixed, from_random = decoded.chunk(4)
        pictures = {
            "autoencoded": (autoencoded, source),
            "inverted": (from_inverted, target),
            "mixed": (from_mixed, target),
            "random": (from_random, target),
        }
        mask = batch["reference_mask"]
        scalars = {f"l1_{name}": l1(a, b) for name, (a, b) in pictures.items()}
        for name in ("inverted", "mixed", "random"):
            scalars[f"face_l1_{name}"] = l1(pictures[name][0], target, mask)
        scalars["l1_copy_source"] = l1(source, target)
        columns = {
            "source": source,
            "target": target,
            "autoencoded": autoencoded,
            "x_T inverted": from_inverted,
            "x_T mixed": from_mixed,
            "x_T random": from_random,
        }
        return scalars, columns

    def export(self, model: nn.Module, path: Path, step: int) -> None:
        """Write the DiffAE as .safetensors."""
        save_checkpoint(cast(DiffAE, model), path)
