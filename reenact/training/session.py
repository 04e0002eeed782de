"""One training run in memory: its networks on one device, and everything that a step changes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from reenact.device import compute_dtype
from reenact.errors import UserError
from reenact.processes import ALONE, World
from reenact.training.optimizer import ema_copy, make_optimizer
from reenact.training.run_config import TrainRun
from reenact.training.stages import TrainingStage, make_stage, networks


@dataclass(frozen=True, kw_only=True)
class Session:
    """The networks of a run.

    A step changes `model`, its average `ema`, the state of `optimizer` and the stage's `guard`.
    `loss` is the stage's loss; several processes share its gradients.
    """

    run: TrainRun
    stage: TrainingStage
    model: nn.Module
    ema: nn.Module
    optimizer: torch.optim.Optimizer
    loss: nn.Module
    device: torch.device
    dtype: torch.dtype
    world: World


class StepLoss(nn.Module):
    """A stage's loss as a module, because DistributedDataParallel wraps only `forward`."""

    def __init__(self, stage: TrainingStage) -> None:
        super().__init__()
        self.stage = stage
        self.model = stage.model

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        return self.stage.loss(self.model, batch)


def open_session(run: TrainRun, device: torch.device, world: World = ALONE) -> Session:
    """The run at step 0.

    Raises UserError when the starting weights are unusable, and when the batch has fewer samples
    than there are parts to compute.
    """
    num_parts = world.size * run.accumulate
    if run.batch_size < num_parts:
        raise UserError(
            f"batch_size {run.batch_size}: less than {world.size} processes times accumulate "
            f"{run.accumulate}, set batch_size to at least {num_parts}"
        )
    if run.init is not None and not run.init.is_file():
        raise UserError(
            f"init: {run.init}: no such file; the head of the config says which stage or command "
            "writes it, and python -m reenact weights lists the files to download"
        )
    stage = make_stage(run, device)
    model = stage.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    ema = ema_copy(model)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    if run.compile:
        for network in networks(stage):
            network.compile()
    loss: nn.Module = StepLoss(stage)
    if world.size > 1:
        loss = DistributedDataParallel(loss, gradient_as_bucket_view=True)
    return Session(
        run=run,
        stage=stage,
        model=model,
        ema=ema,
        optimizer=make_optimizer(weights, run.optimizer),
        loss=loss,
        device=device,
        dtype=compute_dtype(run.precision, device),
        world=world,
    )


def on_device(batch: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Move a batch. Pictures become channels-last."""
    moved = {}
    for name, tensor in batch.items():
        tensor = tensor.to(device, non_blocking=True)
        moved[name] = (
            tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor
        )
    return moved
