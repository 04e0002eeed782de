"""The training loop of all stages."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from reenact.config import to_dict
from reenact.data.augment import AugmentConfig
from reenact.data.dataset import BatchDataset, ClipDataset, PairConfig, draw_batch
from reenact.device import autocast, compute_dtype
from reenact.errors import UserError
from reenact.training import checkpoint
from reenact.training.checkpoint import TrainState
from reenact.training.ema import ema_copy, update_ema
from reenact.training.log import RunLog
from reenact.training.meter import Meter
from reenact.training.optim import lr_at, make_optimizer
from reenact.training.run_config import TrainRun
from reenact.training.signals import stop_on_signal
from reenact.training.stages import Stage, make_stage

PREVIEW_SEED = 2**20


@dataclass(frozen=True, kw_only=True)
class Session:
    """One run on one device."""

    run: TrainRun
    stage: Stage
    state: TrainState
    device: torch.device
    dtype: torch.dtype

    @property
    def config(self) -> dict[str, Any]:
        """The resolved config as plain values."""
        return to_dict(self.run)


def train(run: TrainRun, device: torch.device) -> int:
    """Train until num_steps, max_seconds or a signal; returns the number of finished steps.

    Everything random follows from (seed, step, index in the batch), so that a run continued from
    its checkpoint equals an unbroken one. Raises UserError for unusable data, weights or run
    folders, and KeyboardInterrupt after SIGINT or SIGTERM, once the checkpoint is written.
    """
    started = time.monotonic()
    dataset = ClipDataset(run.data.root, run.data.split)
    session = open_session(run, device)
    check_data(session.stage, dataset, run)
    run.run_dir.mkdir(parents=True, exist_ok=True)
    step = checkpoint.resume(run.run_dir, session.state, session.config, device)
    (run.run_dir / "config.json").write_text(json.dumps(session.config, indent=2) + "\n")
    log = RunLog(run.run_dir, step, tensorboard=run.logging.tensorboard)
    print(describe(session, dataset, step))
    batches = BatchDataset(
        dataset=dataset,
        pairs=session.stage.pairs,
        config=run.data.augment,
        batch_size=run.batch_size,
        seed=run.seed,
        num_steps=run.num_steps,
    ).loader(step, run.data.num_workers)
    meter = Meter()
    is_saved = run.export.is_file()
    with stop_on_signal() as stop, tqdm(total=run.num_steps, initial=step, unit="step") as bar:
        for batch in batches:
            meter.add(train_step(session, on_device(batch, device), step), run.batch_size)
            step, is_saved = step + 1, False
            bar.update()
            if is_due(step, run.logging.scalars_every) or step == run.num_steps:
                values = meter.mean_and_reset()
                log.scalars(step, values | {"lr": lr_at(run.optimizer, step - 1, run.num_steps)})
                speed = f"{values['images_per_second']:.1f} images/s"
                bar.set_postfix_str(f"loss {values.get('loss', float('nan')):.4f}, {speed}")
            if is_due(step, run.logging.preview_every):
                preview(session, log, step)
                meter.restart_clock()
            if is_due(step, run.logging.checkpoint_every):
                save(session, step)
                is_saved = True
                meter.restart_clock()
            if stop or (
                run.max_seconds is not None and time.monotonic() - started > run.max_seconds
            ):
                break
    if not is_saved:
        save(session, step)
    log.close()
    if stop:
        print(f"stopped after step {step}; the same command continues")
        raise KeyboardInterrupt
    print(f"{step} of {run.num_steps} steps done; weights in {run.export}")
    return step


def open_session(run: TrainRun, device: torch.device) -> Session:
    """Networks, their average and the optimizer at step 0."""
    stage = make_stage(run, device)
    model = stage.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = make_optimizer(model.parameters(), run.optimizer)
    state = TrainState(model=model, ema=ema_copy(model), optimizer=optimizer)
    dtype = compute_dtype(run.precision, device)
    return Session(run=run, stage=stage, state=state, device=device, dtype=dtype)


def train_step(session: Session, batch: dict[str, Tensor], step: int) -> dict[str, Tensor]:
    """One optimizer step; returns what to log. Without a finite gradient no weight changes."""
    run, state = session.run, session.state
    # dropout draws from the global generator
    torch.manual_seed(run.seed * 1_000_003 + step)
    state.model.train()
    with autocast(session.dtype, session.device):
        loss, parts = session.stage.loss(state.model, batch, step)
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    limit = run.optimizer.grad_clip or float("inf")
    norm = torch.nn.utils.clip_grad_norm_(state.model.parameters(), limit)
    finite = bool(torch.isfinite(norm))
    if finite:
        for group in state.optimizer.param_groups:
            group["lr"] = lr_at(run.optimizer, step, run.num_steps)
        state.optimizer.step()
        update_ema(state.ema, state.model, run.ema_decay, step)
    return parts | {"grad_norm": norm.detach(), "bad_steps": torch.tensor(float(not finite))}


def save(session: Session, step: int) -> None:
    """Write the checkpoint and the averaged weights."""
    run = session.run
    checkpoint.save(run.run_dir, session.state, step, session.config)
    run.export.parent.mkdir(parents=True, exist_ok=True)
    session.stage.export(session.state.ema, run.export, step)


def preview(session: Session, log: RunLog, step: int) -> None:
    """Log pictures and their scalars for fixed pairs, drawn by the averaged weights."""
    batch = on_device(preview_batch(session.run, session.stage), session.device)
    with torch.no_grad(), autocast(session.dtype, session.device):
        scalars, columns = session.stage.preview(session.state.ema, batch)
    log.scalars(step, {f"preview/{name}": value for name, value in scalars.items()})
    log.grid(step, "preview", columns)


def preview_batch(run: TrainRun, stage: Stage) -> dict[str, Tensor]:
    """The pairs of all previews of a run: the same at every step, without augmentation."""
    try:
        dataset = ClipDataset(run.data.root, run.data.val_split)
    except UserError:
        dataset = ClipDataset(run.data.root, run.data.split)
    use_cross = stage.pairs is not None and bool(dataset.clips_with_cross)
    fraction = stage.pairs.cross_fraction if stage.pairs and use_cross else 0.0
    return draw_batch(
        dataset,
        pairs=PairConfig(cross_fraction=fraction),
        config=AugmentConfig(),
        batch_size=run.logging.num_images,
        seed=PREVIEW_SEED,
        step=0,
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


def is_due(step: int, every: int) -> bool:
    """Whether something done `every` so many steps (0: never) is due after step `step`."""
    return every > 0 and step % every == 0


def describe(session: Session, dataset: ClipDataset, step: int) -> str:
    """The line a run begins with."""
    num_weights = sum(p.numel() for p in session.state.model.parameters())
    precision = str(session.dtype).removeprefix("torch.")
    return (
        f"stage {session.run.stage}: {num_weights / 1e6:.2f} M weights, {len(dataset)} clips, "
        f"{precision} on {session.device}, steps {step} to {session.run.num_steps}"
    )


def check_data(stage: Stage, dataset: ClipDataset, run: TrainRun) -> None:
    """Raises UserError when stage and clips do not go together."""
    if stage.image_size != dataset.size:
        raise UserError(
            f"{run.data.root}: clips are {dataset.size} px, the model takes {stage.image_size} px"
        )
    if stage.pairs is not None and run.data.augment.flip:
        raise UserError(
            f"stage {run.stage}: data.augment.flip must be false, "
            "face parameters know left from right"
        )
