"""The training loop of all stages."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable

import torch
from torch import Tensor
from tqdm import tqdm

from reenact.data.dataset import BatchDataset, ClipDataset
from reenact.errors import UserError
from reenact.processes import ALONE, World
from reenact.training import checkpoint
from reenact.training.log import RunLog
from reenact.training.looks import preview, validate
from reenact.training.meter import Meter
from reenact.training.optim import lr_at
from reenact.training.run_config import TrainRun
from reenact.training.session import Session, on_device, open_session
from reenact.training.signals import stop_on_signal
from reenact.training.stages import Stage
from reenact.training.step import train_step


def train(run: TrainRun, device: torch.device, world: World = ALONE) -> int:
    """Train until num_steps, max_seconds or a signal; returns the number of finished steps.

    Everything random follows from (seed, step, index in the batch), so that a run continued from
    its checkpoint equals an unbroken one, and several processes do what one would. Raises UserError
    for unusable data, weights or run folders, and KeyboardInterrupt after SIGINT or SIGTERM, once
    the checkpoint is written.
    """
    started = time.monotonic()
    dataset = ClipDataset(run.data.root, run.data.split)
    session = open_session(run, device, world)
    check_data(session.stage, dataset, run)
    step = resume(session)
    log = None
    if world.is_main:
        log = RunLog(run.run_dir, step, tensorboard=run.logging.tensorboard)
        print(describe(session, dataset, step))
    batches = own_batches(session, dataset, step)
    meter = Meter()
    is_saved = run.export.is_file()
    bar = tqdm(total=run.num_steps, initial=step, unit="step", disable=not world.is_main)
    with stop_on_signal(patient=world.size > 1) as stop, bar:
        for batch in batches:
            is_finite, tallies = train_step(session, on_device(batch, device), step)
            meter.add(tallies, run.batch_size, is_bad=not is_finite)
            step, is_saved = step + 1, False
            bar.update()
            if is_due(step, run.logging.scalars_every) or step == run.num_steps:
                bar.set_postfix_str(note(session, log, meter, step))
            if is_due(step, run.logging.validate_every):
                validate(session, log, step)
                meter.restart_clock()
            if log is not None and is_due(step, run.logging.preview_every):
                preview(session, log, step)
                meter.restart_clock()
            if is_due(step, run.logging.checkpoint_every):
                save(session, step)
                is_saved = True
                meter.restart_clock()
            late = run.max_seconds is not None and time.monotonic() - started > run.max_seconds
            # all processes end after the same step, whichever of them was told to
            if world.any(bool(stop) or late):
                break
    if not is_saved:
        save(session, step)
    if log is not None:
        log.close()
    if world.any(bool(stop)):
        if world.is_main:
            print(f"stopped after step {step}; the same command continues")
        raise KeyboardInterrupt
    if world.is_main:
        print(f"{step} of {run.num_steps} steps done; weights in {run.export}")
    return step


def own_batches(
    session: Session, dataset: ClipDataset, start_step: int
) -> Iterable[dict[str, Tensor]]:
    """This process's rows of the batches from `start_step` on."""
    run = session.run
    batches = BatchDataset(
        dataset=dataset,
        pairs=session.stage.pairs,
        config=run.data.augment,
        batch_size=run.batch_size,
        seed=run.seed,
        num_steps=run.num_steps,
        rows=session.world.part(range(run.batch_size)),
    )
    is_cuda = session.device.type == "cuda"
    return batches.loader(start_step, run.data.num_workers, pin_memory=is_cuda)


def note(session: Session, log: RunLog | None, meter: Meter, step: int) -> str:
    """Log the means since the last time; returns them in short."""
    run = session.run
    values = meter.mean_and_reset(session.world)
    values["lr"] = lr_at(run.optimizer, step - 1, run.num_steps)
    if log is not None:
        log.scalars(step, values)
    loss = values.get("loss", float("nan"))
    return f"loss {loss:.4f}, {values['images_per_second']:.1f} images/s"


def resume(session: Session) -> int:
    """Continue where the run folder stands; returns the finished steps."""
    run, world = session.run, session.world
    step = checkpoint.resume(run.run_dir, session.state, session.config)
    if int(world.sum(torch.tensor(step))) != step * world.size:
        raise UserError(f"{run.run_dir}: not the same folder for all processes, share it")
    if world.is_main:
        run.run_dir.mkdir(parents=True, exist_ok=True)
        (run.run_dir / "config.json").write_text(json.dumps(session.config, indent=2) + "\n")
    return step


def save(session: Session, step: int) -> None:
    """Write the checkpoint and the averaged weights, which all processes hold alike."""
    if not session.world.is_main:
        return
    run = session.run
    checkpoint.save(run.run_dir, session.state, step, session.config)
    run.export.parent.mkdir(parents=True, exist_ok=True)
    session.stage.export(session.state.ema, run.export, step)


def is_due(step: int, every: int) -> bool:
    """Whether something done `every` so many steps (0: never) is due after step `step`."""
    return every > 0 and step % every == 0


def describe(session: Session, dataset: ClipDataset, step: int) -> str:
    """The line a run begins with."""
    num_weights = sum(p.numel() for p in session.state.model.parameters())
    precision = str(session.dtype).removeprefix("torch.")
    size = session.world.size
    place = f"{session.device}" if size == 1 else f"{size} processes of {session.device.type}"
    return (
        f"stage {session.run.stage}: {num_weights / 1e6:.2f} M weights, {len(dataset)} clips, "
        f"{precision} on {place}, steps {step} to {session.run.num_steps}"
    )


def check_data(stage: Stage, dataset: ClipDataset, run: TrainRun) -> None:
    """Raises UserError when stage and clips do not go together."""
    if stage.image_size != dataset.size:
        raise UserError(
            f"{run.data.root}: clips are {dataset.size} px, the model takes {stage.image_size} px"
        )
    if (dataset.face == "released") != (run.released is not None):
        cure = "add a section" if dataset.face == "released" else "leave out the section"
        raise UserError(
            f"{run.data.root}: the faces were read by the {dataset.face} stack, {cure} `released`"
        )
    if dataset.face == "released" and run.data.augment.misfit:
        raise UserError(
            f"{run.data.root}: data.augment.misfit must be 0, it knows the open face stack's "
            "parameters only"
        )
    if stage.pairs is not None and run.data.augment.flip:
        raise UserError(
            f"stage {run.stage}: data.augment.flip must be false, "
            "face parameters know left from right"
        )
