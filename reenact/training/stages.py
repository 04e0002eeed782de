"""What the loop asks of a stage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

from reenact.data.dataset import PairConfig
from reenact.training.stage_align import AlignStage
from reenact.training.stage_autoencoder import AutoencoderStage
from reenact.training.stage_reenact import ReenactStage

if TYPE_CHECKING:
    from reenact.training.run_config import TrainRun


class Stage(Protocol):
    """`model` holds exactly the trained weights; frozen networks are other attributes. `pairs` says
    how its pairs are drawn, None that it takes single frames.

    `loss` and `preview` take the model as an argument because both the trained weights and their
    average are put through them.
    """

    model: nn.Module
    pairs: PairConfig | None
    image_size: int

    def loss(
        self, model: nn.Module, batch: dict[str, Tensor], step: int
    ) -> tuple[Tensor, dict[str, Tensor]]: ...

    def preview(
        self, model: nn.Module, batch: dict[str, Tensor]
    ) -> tuple[dict[str, float], list[Tensor]]: ...

    def export(self, model: nn.Module, path: Path, step: int) -> None: ...


def make_stage(run: TrainRun, device: torch.device) -> Stage:
    """The stage of a run, its weights on `device`. Raises UserError when its starting weights are
    missing.
    """
    if run.stage == "autoencoder":
        return AutoencoderStage(run, device)
    if run.stage == "align":
        return AlignStage(run, device)
    return ReenactStage(run, device)
