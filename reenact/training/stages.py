"""What the loop asks of a stage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

from diffae import ConditionalUNet, DiffAE, SemanticEncoder
from reenact.data.dataset import PairConfig
from reenact.training.memory import Memory
from reenact.training.stage_align import AlignStage
from reenact.training.stage_autoencoder import AutoencoderStage
from reenact.training.stage_reenact import ReenactStage

if TYPE_CHECKING:
    from reenact.training.run_config import TrainRun


class Stage(Protocol):
    """`model` holds exactly the trained weights; frozen networks are other attributes (`diffae` is
    the trained one in stage `autoencoder`). `memory` is what else a step changes. `pairs` says how
    its pairs are drawn, None that it takes single frames.

    `loss` and `preview` take the model as an argument because both the trained weights and their
    average are put through them.
    """

    model: nn.Module
    diffae: DiffAE
    memory: Memory
    pairs: PairConfig | None
    image_size: int

    def loss(
        self, model: nn.Module, batch: dict[str, Tensor], step: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What each sample adds to the loss (B,), and tallies of what to log, always of the same
        names. No sample's value depends on the others, so that a batch may be cut in parts.
        """
        ...

    def preview(
        self, model: nn.Module, batch: dict[str, Tensor]
    ) -> tuple[dict[str, float], list[Tensor]]: ...

    def export(self, model: nn.Module, path: Path, step: int) -> None: ...


def make_stage(run: TrainRun, device: torch.device) -> Stage:
    """The stage of a run, its weights on `device`. Raises UserError when its starting weights, or
    those of a network that judges, are missing.
    """
    stage: Stage
    if run.stage == "autoencoder":
        stage = AutoencoderStage(run, device)
    elif run.stage == "align":
        stage = AlignStage(run, device)
    else:
        stage = ReenactStage(run, device)
    for network in networks(stage):
        network.recompute = run.recompute_blocks
    return stage


def networks(stage: Stage) -> list[ConditionalUNet | SemanticEncoder]:
    """The networks of a stage that cost time and memory, trained and frozen."""
    found = [*stage.model.modules(), *stage.diffae.modules()]
    return [m for m in dict.fromkeys(found) if isinstance(m, ConditionalUNet | SemanticEncoder)]
