"""Stage `reenact`: train E_r, and the rendering U-Net if wanted, on what the sampler renders."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from diffae import ConditionalUNet, DiffAE
from reenact.data.dataset import PairConfig
from reenact.errors import UserError
from reenact.face.params import FaceParams
from reenact.face.person_mask import PersonMask
from reenact.inference.canvas import middle
from reenact.inference.drawings import Drawings
from reenact.inference.networks import Networks
from reenact.inference.start import StartName
from reenact.models.checkpoint import load_base
from reenact.models.reenactment_encoder import ReenactmentEncoder
from reenact.models.weights import Recipe
from reenact.training.drawer import Drawer
from reenact.training.gradient_guard import GradientGuard
from reenact.training.log import l1, tally
from reenact.training.lora_run import export, lora_base
from reenact.training.loss_terms import (
    LOSSES,
    LossInputs,
    LossNetworks,
    compute_losses,
)
from reenact.training.run_config import TrainRun


class TrainedNetworks(nn.Module):
    """The trained networks: E_r and, where tuned, the rendering U-Net."""

    def __init__(self, encoder: ReenactmentEncoder, unet: ConditionalUNet | None) -> None:
        super().__init__()
        self.encoder = encoder
        self.unet = unet


class ReenactStage:
    """Losses of the paper on rendered pictures, for self and cross pairs."""

    def __init__(self, run: TrainRun, device: torch.device) -> None:
        assert run.reenact is not None
        assert run.init is not None
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
            with_photo=run.reenact.has_layers,
        )
        base = load_base(run.init)
        self.base = lora_base(run, base)
        self.diffae = base.diffae.eval().requires_grad_(False)
        encoder, unet = base.encoder, self._renderer(run.init, base.unet)
        self.diffae.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.image_size = self.diffae.config.image_size
        self.model: nn.Module = TrainedNetworks(encoder, unet).to(device).requires_grad_(True)
        if self.base is not None:
            self.base.add_to(encoder, unet)
        self.draw = Drawer(
            run.face, self.image_size, device, has_motion=encoder.motion_head is not None
        )
        self.nets = LossNetworks(self.weights, run.reenact.nets, device)
        self.guard = GradientGuard().to(device)

    def _renderer(self, path: Path, unet: ConditionalUNet | None) -> ConditionalUNet | None:
        """The U-Net to train, if one is trained. `unet` is the tuned one of the file `path`."""
        if self.config.tune_unet:
            return copy.deepcopy(self.diffae.unet) if unet is None else unet
        if unet is not None:
            raise UserError(f"{path}: has a tuned U-Net, so reenact.tune_unet must be true")
        return None

    def networks(self, trained: TrainedNetworks, recipe: Recipe | None = None) -> Networks:
        """What inference runs, with these networks; by default with the recipe of the training."""
        return Networks(
            diffae=self.diffae,
            encoder=trained.encoder,
            unet=trained.unet,
            recipe=recipe or self.config.recipe,
            shares_unet=self.config.share_unet,
        )

    def render(
        self, trained: TrainedNetworks, batch: dict[str, Tensor], drawings: Drawings
    ) -> Tensor:
        """The networks' pictures (B, 3, S, S) of a training batch, with gradients."""
        networks, source, noise = self.networks(trained), batch["source"], self._noise(batch)
        z_r = networks.code(source, drawings)
        if not self.config.source_start_fraction:
            x_T = networks.start(source, drawings, noise, z_r=z_r)
            if self.config.render == "one_step":
                return self._one_step(networks, batch, x_T, z_r)
            return self._decode(networks, x_T, z_r)
        if self.config.has_layers:
            drawings.moved_layers()  # once, for all rows
        from_source = batch["u"] < self.config.source_start_fraction
        pictures, order = [], []
        for chosen, recipe in (
            (~from_source, self.config.recipe),
            (from_source, self.config.source_recipe),
        ):
            if rows := chosen.nonzero().flatten().tolist():
                networks = self.networks(trained, recipe)
                codes = z_r[rows]
                x_T = networks.start(source[rows], drawings[rows], noise[rows], z_r=codes)
                pictures.append(self._decode(networks, x_T, codes))
                order += rows
        return torch.cat(pictures)[torch.tensor(order).argsort()]

    def _noise(self, batch: dict[str, Tensor]) -> Tensor:
        """The noise (B, 3, S, S) in x_T: as strong as at inference, but whole for one step."""
        return batch["eps"] * (1 if self.config.render == "one_step" else self.config.temperature)

    def _one_step(
        self, networks: Networks, batch: dict[str, Tensor], x_T: Tensor, z_r: Tensor
    ) -> Tensor:
        """The pictures (B, 3, S, S) of one prediction from the noised references."""
        low, high = self.config.one_step_t
        t = (low + batch["u"] * (high + 1 - low)).long().clamp(max=high)
        # A cross pair without a reference may not see it here either.
        base = torch.where(
            self._has_reference(batch)[:, None, None, None], batch["reference"], batch["source"]
        )
        with torch.autocast(x_T.device.type, enabled=False):
            x_t = self.diffae.schedule.q_sample(base.float(), t, x_T.float())
        # Clamping would cut the gradient of every saturated pixel.
        x_0, _ = self.diffae.predict_x_0_eps(x_t, t, z_r, unet=networks.unet, clip=False)
        return x_0

    def _decode(self, networks: Networks, x_T: Tensor, z_r: Tensor) -> Tensor:
        config = self.config
        return networks.decode(
            x_T, z_r, grad_steps=config.grad_steps or None, recompute=config.recompute
        )

    def _has_reference(self, batch: dict[str, Tensor]) -> Tensor:
        return ~batch["is_cross"] | self.config.cross_reference

    def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Each sample's weighted sum (B,) of the active losses, and a tally of each loss.

        Tallies are unweighted and count only the samples that have the loss.
        """
        drawings = self.draw.drawings(batch)
        prediction = self.render(cast(TrainedNetworks, model), batch, drawings).float()
        composed, decided = self._composed(prediction, drawings)
        inputs = LossInputs(
            prediction=prediction,
            batch=batch,
            draw=self.draw,
            has_reference=self._has_reference(batch),
            nets=self.nets,
            guard=self.guard,
            composed=composed,
            decided=decided,
        )
        with torch.autocast(prediction.device.type, enabled=False):
            terms = compute_losses(self.weights, inputs)
        total = prediction.new_zeros(len(prediction))
        for name, weight in self.weights.items():
            total = total + weight * terms[name].filled
        tallies = {name: tally(*term) for name, term in terms.items()}
        return total, {"loss": tally(total)} | tallies

    @cached_property
    def person_mask(self) -> PersonMask:
        """The network that finds the person in the networks' pictures."""
        return PersonMask(self.draw.device)

    def _composed(
        self, prediction: Tensor, drawings: Drawings
    ) -> tuple[Tensor | None, Tensor | None]:
        """The finished pictures (B, 3, S, S), and how much of them the prediction decides."""
        if drawings.layers is None:
            return None, None
        with torch.autocast(prediction.device.type, enabled=False):
            moved = drawings.moved_layers()
            finished = moved.composed(prediction.float(), self.person_mask)
            pictures = (finished, moved.decided())
            whole, decided = (middle(picture, self.image_size) for picture in pictures)
        return whole, decided

    @torch.no_grad()
    def preview(
        self, model: nn.Module, batch: dict[str, Tensor]
    ) -> tuple[dict[str, float], dict[str, Tensor]]:
        """The scalars and columns of a preview.

        Columns: source, landmark map, target, then results from the trained start (`result`), from
        the inverted source, from that with noise in the head region, and from noise. The scalars
        are the L1 of each result to the target.
        """
        target, logging = batch["reference"], self.logging
        recipe = replace(
            self.config.recipe, num_steps=logging.num_steps, encode_steps=logging.encode_steps
        )
        networks = self.networks(cast(TrainedNetworks, model), recipe)
        # The others know nothing of the motion at the start, so they need all timesteps.
        whole = self.networks(cast(TrainedNetworks, model), replace(recipe, strength=1.0))
        source, drawings = batch["source"], self.draw.drawings(batch)
        z_r = networks.code(source, drawings)
        modes: tuple[StartName, ...] = ("source", "mixed", "random")
        start = networks.start(source, drawings, self._noise(batch), z_r=z_r)
        predictions = [self._decode(networks, start, z_r).float()]
        starts = [whole.start(source, drawings, batch["eps"], z_r=z_r, x_T=mode) for mode in modes]
        decoded = self._decode(whole, torch.cat(starts), z_r.repeat(len(modes), 1))
        predictions += decoded.float().chunk(len(modes))
        mask = batch["reference_mask"]
        scalars = {"l1_copy_source": l1(source, target)}
        for mode, prediction in zip(("result", *modes), predictions, strict=True):
            scalars[f"l1_{mode}"] = l1(prediction, target)
            scalars[f"face_l1_{mode}"] = l1(prediction, target, mask)
        finished, decided = self._composed(predictions[0], drawings)
        if finished is not None and decided is not None:
            scalars["l1_composed"] = l1(finished, target)
            scalars["decided_l1_composed"] = l1(finished, target, decided)
        columns = {"source": source, "drawing": drawings.landmark_map(), "target": target}
        titles = ("result", *(f"x_T {mode}" for mode in modes))
        columns |= dict(zip(titles, predictions, strict=True))
        return scalars, columns if finished is None else columns | {"composed": finished}

    def export(self, model: nn.Module, path: Path, step: int) -> None:
        """Write DiffAE, E_r and the tuned U-Net, and with LoRA the adapter beside them.

        A shared U-Net takes the place of DiffAE's.
        """
        trained, average = (
            {"encoder": n.encoder} | ({} if n.unet is None else {"unet": n.unet})
            for n in (cast(TrainedNetworks, self.model), cast(TrainedNetworks, model))
        )
        diffae = self.diffae
        if self.config.share_unet:
            # Weights without a U-Net of their own render with DiffAE's, which also inverts.
            diffae = with_unet(diffae, cast(ConditionalUNet, average.pop("unet")))
        export(
            path,
            diffae,
            trained=trained,
            average=average,
            base=self.base,
            metadata={"stage": "reenact", "step": str(step)},
            recipe=self.config.recipe,
        )


def with_unet(diffae: DiffAE, unet: ConditionalUNet) -> DiffAE:
    """The autoencoder with another U-Net. The networks are not copied."""
    with torch.device("meta"):
        other = DiffAE(diffae.config)
    other.encoder, other.unet = diffae.encoder, unet
    return other
