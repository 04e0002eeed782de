"""The networks of one run on one device, and how they are put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from reenact.config import to_dict
from reenact.device import compute_dtype
from reenact.errors import UserError
from reenact.processes import ALONE, World
from reenact.training.checkpoint import TrainState
from reenact.training.ema import ema_copy
from reenact.training.optim import make_optimizer
from reenact.training.run_config import TrainRun
from reenact.training.stages import Stage, make_stage, networks


class StepLoss(nn.Module):
    """The loss of a stage as one module, because DistributedDataParallel knows only `forward`."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage = stage
        self.model = stage.model

    def forward(self, batch: dict[str, Tensor], step: int) -> tuple[Tensor, dict[str, Tensor]]:
        return self.stage.loss(self.model, batch, step)


@dataclass(frozen=True, kw_only=True)
class Session:
    """One run on one device. `loss` is the stage's, wrapped where processes share gradients."""

    run: TrainRun
    stage: Stage
    state: TrainState
    loss: nn.Module
    device: torch.device
    dtype: torch.dtype
    world: World

    @property
    def config(self) -> dict[str, Any]:
        """The resolved config as plain values."""
        return to_dict(self.run)


def open_session(run: TrainRun, device: torch.device, world: World = ALONE) -> Session:
    """Networks, their average and the optimizer at step 0. Raises UserError when the batch has
    fewer samples than there are parts to compute.
    """
    parts = world.size * run.accumulate
    if run.batch_size < parts:
        raise UserError(
            f"batch_size {run.batch_size}: less than {world.size} processes times accumulate "
            f"{run.accumulate}, set batch_size to at least {parts}"
        )
    stage = make_stage(run, device)
    model = stage.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    state = TrainState(
        model=model,
        ema=ema_copy(model),
        optimizer=make_optimizer(model.parameters(), run.optimizer),
        memory=stage.memory,
    )
    if run.compile:
        for network in networks(stage):
            network.compile()
    loss: nn.Module = StepLoss(stage)
    if world.size > 1:
        loss = DistributedDataParallel(loss, gradient_as_bucket_view=True)
    return Session(
        run=run,
        stage=stage,
        state=state,
        loss=loss,
        device=device,
        dtype=compute_dtype(run.precision, device),
        world=world,
    )


def on_device(batch: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Move a batch; pictures become channels-last."""
    moved = {}
    for name, tensor in batch.items():
        tensor = tensor.to(device, non_blocking=True)
        moved[name] = (
            tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor
        )
    return moved
