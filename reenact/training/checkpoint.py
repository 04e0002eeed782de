"""The state of a run on disk: one file in the run folder, replaced atomically."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from reenact.config import to_dict
from reenact.errors import UserError
from reenact.files import atomic_output, make_folder
from reenact.locks import try_lock
from reenact.training.log import Meter
from reenact.training.session import Session

CHECKPOINT_NAME = "checkpoint.pt"
LOCK_NAME = "lock"
SAME_RUN = ("stage", "model", "lora", "seed", "batch_size")
"""Keys of the config that a resumed run may not change."""


@contextmanager
def claimed(run_dir: Path) -> Iterator[None]:
    """Keep other trainings out of the run folder. Raises UserError if one is in there."""
    make_folder(run_dir)
    with open(run_dir / LOCK_NAME, "w") as file:
        if not try_lock(file):
            raise UserError(
                f"{run_dir}: another training runs in this folder, wait for its end or choose "
                "another run_dir"
            )
        yield


def save(session: Session, meter: Meter, step: int) -> None:
    """Write the checkpoint after `step` finished steps. All processes call it, one writes.

    A crash while writing leaves the previous checkpoint whole. Raises UserError when the disk is
    full.
    """
    # All processes hold the same weights, but each has its own part of the logged means.
    meter_state = meter.state(session.world)
    if not session.world.is_main:
        return
    guard = session.stage.guard
    path = session.run.run_dir / CHECKPOINT_NAME
    content = {
        "step": step,
        "config": to_dict(session.run),
        "model": session.model.state_dict(),
        "ema": session.ema.state_dict(),
        "optimizer": session.optimizer.state_dict(),
        "memory": {} if guard is None else guard.state_dict(),
        "meter": meter_state,
    }
    try:
        with atomic_output(path) as temporary:
            torch.save(content, temporary)
    except RuntimeError as error:  # torch reports a full disk as a RuntimeError
        line = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: cannot write the checkpoint ({line})") from error


def resume(session: Session, meter: Meter) -> int:
    """Load the run folder's checkpoint, if there is one; returns the number of finished steps.

    Stage, model, LoRA, seed and batch size must be those of the config. Rates, losses, lengths, the
    device and the number of processes may differ. Raises UserError when the checkpoint is
    unreadable or belongs to another run, and when the processes see different folders.
    """
    run, world = session.run, session.world
    path = run.run_dir / CHECKPOINT_NAME
    step = _load(session, meter) if path.is_file() else 0
    if int(world.sum(torch.tensor(step))) != step * world.size:
        raise UserError(f"{run.run_dir}: not the same folder for all processes, share it")
    return step


def _load(session: Session, meter: Meter) -> int:
    path, config = session.run.run_dir / CHECKPOINT_NAME, to_dict(session.run)
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as error:
        line = " ".join(str(error).split())[:200]
        raise UserError(
            f"{path}: unreadable checkpoint ({line}), move it away to start anew"
        ) from error
    for name in SAME_RUN:
        theirs, ours = saved["config"].get(name), config.get(name)
        if theirs != ours:
            raise UserError(
                f"{path}: belongs to another run, its {name} is {theirs!r}, the config's {ours!r}; "
                "choose another run_dir"
            )
    try:
        session.model.load_state_dict(saved["model"])
        session.ema.load_state_dict(saved["ema"])
        _load_optimizer(session.optimizer, saved["optimizer"])
        # The next two are missing in checkpoints of older versions.
        if session.stage.guard is not None and "memory" in saved:
            session.stage.guard.load_state_dict(saved["memory"])
        if "meter" in saved:
            meter.load_state(saved["meter"], session.world)
    except (RuntimeError, ValueError) as error:
        line = str(error).splitlines()[0]
        raise UserError(
            f"{path}: does not fit the config's model ({line}); choose another run_dir"
        ) from error
    return int(saved["step"])


def _load_optimizer(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    """Take over the moments, but keep the settings of the config."""
    for group, own in zip(saved["param_groups"], optimizer.param_groups, strict=True):
        group |= {name: value for name, value in own.items() if name != "params"}
    optimizer.load_state_dict(saved)
