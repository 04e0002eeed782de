"""Training with LoRA: which weights a run changes, and what it exports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import nn

from diffae import ConditionalUNet, DiffAE
from reenact.errors import UserError
from reenact.models.adapter import Adapter, adapter_path, is_adapter, save_adapter
from reenact.models.checkpoint import save_reenactor
from reenact.models.lora import LoraConfig, adapter_tensors, add_lora, merged_state
from reenact.models.reenactment_encoder import ReenactmentEncoder
from reenact.models.weights import Recipe, ReenactorWeights, networks_sha256
from reenact.training.run_config import TrainRun


@dataclass(frozen=True, kw_only=True)
class LoraBase:
    """The weights that a run with LoRA changes.

    name: of the file `init`. sha256: `networks_sha256` of its networks.
    has_motion_head: whether its E_r has one. A head that the run adds is trained in full.
    """

    config: LoraConfig
    seed: int
    name: str
    sha256: str
    has_motion_head: bool

    def add_to(self, encoder: ReenactmentEncoder, unet: ConditionalUNet | None = None) -> None:
        """Freeze the networks and give them trained updates, in place.

        The layer for the drawing has twelve numbers and starts at zero. It is trained in full.
        """
        in_full = {"zero_conv"} if self.has_motion_head else {"zero_conv", "motion_head"}
        add_lora(encoder, self.config, seed=self.seed, in_full=in_full)
        if unet is not None:
            add_lora(unet, self.config, seed=self.seed + 1)


def lora_base(run: TrainRun, weights: ReenactorWeights) -> LoraBase | None:
    """What a run with LoRA must remember of the weights of `init`; None without LoRA.

    Raises UserError if `init` is an adapter, because its base would be needed, too.
    """
    if run.lora is None:
        return None
    assert run.init is not None
    if is_adapter(run.init):
        raise UserError(
            f"init: {run.init} is an adapter, and an adapter of an adapter is not supported; take "
            "the whole weights that were exported beside it"
        )
    return LoraBase(
        config=run.lora,
        seed=run.seed,
        name=run.init.name,
        sha256=networks_sha256(weights.diffae, weights.encoder, weights.unet),
        has_motion_head=weights.encoder.motion_head is not None,
    )


def export(
    path: Path,
    diffae: DiffAE,
    *,
    trained: Mapping[str, nn.Module],
    average: Mapping[str, nn.Module],
    base: LoraBase | None,
    metadata: Mapping[str, str],
    recipe: Recipe | None = None,
) -> None:
    """Write the averaged networks as one .safetensors, and with LoRA the adapter beside it.

    trained, average: `encoder`, and `unet` where it is tuned.
    """
    if base is not None:
        tensors = {
            f"{part}.{name}": tensor
            for part, network in trained.items()
            for name, tensor in adapter_tensors(network, average[part]).items()
        }
        adapter = Adapter(
            base=base.name,
            base_sha256=base.sha256,
            scale=base.config.alpha / base.config.rank,
            metadata=metadata,
            tensors=tensors,
            recipe=recipe,
        )
        save_adapter(adapter_path(path), adapter)
        average = {part: plain(network, diffae) for part, network in average.items()}
    encoder = cast(ReenactmentEncoder, average["encoder"])
    unet = cast(ConditionalUNet | None, average.get("unet"))
    save_reenactor(path, diffae, encoder, unet, metadata, recipe=recipe)


def plain(network: nn.Module, diffae: DiffAE) -> nn.Module:
    """E_r or a U-Net with its updates in its weights, on the CPU."""
    with torch.device("meta"):
        fresh = DiffAE(diffae.config)
        whole: nn.Module = fresh.unet
        if isinstance(network, ReenactmentEncoder):
            has_head = network.motion_head is not None
            whole = ReenactmentEncoder(fresh.encoder, has_motion_head=has_head)
    whole.load_state_dict(merged_state(network), assign=True)
    return whole
