"""The state of a run on disk: one file, replaced atomically."""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from reenact.errors import UserError
from reenact.training.memory import Memory

CHECKPOINT_NAME = "checkpoint.pt"


@dataclass(frozen=True, kw_only=True)
class TrainState:
    """What a step changes. `step` counts finished optimizer steps."""

    model: nn.Module
    ema: nn.Module
    optimizer: torch.optim.Optimizer
    memory: Memory


def save(run_dir: Path, state: TrainState, step: int, config: dict[str, Any]) -> Path:
    """Write the checkpoint of `run_dir`; a crash while writing leaves the previous one whole."""
    path = run_dir / CHECKPOINT_NAME
    temporary = path.with_suffix(".tmp")
    torch.save(
        {
            "step": step,
            "config": config,
            "model": state.model.state_dict(),
            "ema": state.ema.state_dict(),
            "optimizer": state.optimizer.state_dict(),
            "memory": state.memory.state_dict(),
        },
        temporary,
    )
    os.replace(temporary, path)
    return path


def resume(run_dir: Path, state: TrainState, config: dict[str, Any]) -> int:
    """Load the checkpoint of `run_dir` into `state`, if there is one; returns the finished steps (0
    without one).

    Raises UserError when the checkpoint is unreadable or belongs to another run: its stage, model,
    seed and batch size must be the config's; rates, losses, lengths, the device and the number of
    processes may differ.
    """
    path = run_dir / CHECKPOINT_NAME
    if not path.is_file():
        return 0
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as error:
        raise UserError(
            f"{path}: unreadable checkpoint ({error}), move it away to start anew"
        ) from error
    for name in ("stage", "model", "seed", "batch_size"):
        theirs, ours = saved["config"].get(name), config.get(name)
        if theirs != ours:
            raise UserError(
                f"{path}: belongs to another run, its {name} is {theirs!r}, the config's {ours!r}; "
                "choose another run_dir"
            )
    try:
        state.model.load_state_dict(saved["model"])
        state.ema.load_state_dict(saved["ema"])
        _load_optimizer(state.optimizer, saved["optimizer"])
        if "memory" in saved:  # absent in checkpoints from before there was any
            state.memory.load_state_dict(saved["memory"])
    except (RuntimeError, ValueError) as error:
        line = str(error).splitlines()[0]
        raise UserError(
            f"{path}: does not fit the config's model ({line}); choose another run_dir"
        ) from error
    return int(saved["step"])


def _load_optimizer(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """Take over the moments, and leave the settings as the config says."""
    for group, own in zip(saved["param_groups"], optimizer.param_groups, strict=True):
        group |= {name: value for name, value in own.items() if name != "params"}
    optimizer.load_state_dict(saved)
