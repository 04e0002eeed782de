"""The registry of training stages, and what the loop asks of a stage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from diffae import ConditionalUNet, DiffAE, SemanticEncoder
from reenact.data.dataset import PairConfig
from reenact.training.gradient_guard import GradientGuard
from reenact.training.run_config import TrainRun
from reenact.training.stage_align import AlignStage
from reenact.training.stage_autoencoder import AutoencoderStage
from reenact.training.stage_reenact import ReenactStage


class TrainingStage(Protocol):
    """One stage of training.

    model: the trained networks. With LoRA most of their weights are frozen. Networks that are
        frozen as a whole are other attributes.
    diffae: the frozen autoencoder; in stage `autoencoder` it is the trained one.
    guard: what a step changes besides the weights, or None.
    pairs: how pairs are drawn; None means that the stage takes single frames.

    `loss` and `preview` take the model as an argument, because they are called with the trained
    weights and with their average.
    """

    model: nn.Module
    diffae: DiffAE
    pairs: PairConfig | None
    image_size: int

    @property
    def guard(self) -> GradientGuard | None: ...

    def loss(self, model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """What each sample adds to the loss (B,), and a `tally` of each value to log.

        The names of the tallies are the same in every step. No sample's value depends on another
        sample, so that a batch may be cut into parts.
        """
        ...

    def preview(
        self, model: nn.Module, batch: dict[str, Tensor]
    ) -> tuple[dict[str, float], dict[str, Tensor]]:
        """Scalars to log, and columns of pictures (N, 3, S, S) in [-1, 1] by title."""
        ...

    def export(self, model: nn.Module, path: Path, step: int) -> None:
        """Write the weights for inference, or for the next stage."""
        ...


STAGES: dict[str, Callable[[TrainRun, torch.device], TrainingStage]] = {
    "autoencoder": AutoencoderStage,
    "align": AlignStage,
    "reenact": ReenactStage,
}


def make_stage(run: TrainRun, device: torch.device) -> TrainingStage:
    """The stage of a run, with its weights on `device`.

    Raises UserError when the starting weights, or those of a network that a loss needs, are
    missing.
    """
    stage = STAGES[run.stage](run, device)
    for network in networks(stage):
        network.recompute = run.recompute_blocks
    return stage


def networks(stage: TrainingStage) -> list[ConditionalUNet | SemanticEncoder]:
    """The U-Nets and encoders of a stage, trained and frozen. They cost most time and memory."""
    found = [*stage.model.modules(), *stage.diffae.modules()]
    return [m for m in dict.fromkeys(found) if isinstance(m, ConditionalUNet | SemanticEncoder)]
