"""The training loop of all stages."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from tqdm import tqdm

from reenact.config import to_dict
from reenact.data.augment import AugmentConfig
from reenact.data.dataset import BatchDataset, ClipDataset, draw_batch
from reenact.device import autocast, compute_dtype
from reenact.errors import UserError
from reenact.training import checkpoint
from reenact.training.checkpoint import TrainState
from reenact.training.ema import ema_copy, update_ema
from reenact.training.log import RunLog
from reenact.training.optim import lr_at, make_optimizer
from reenact.training.run_config import TrainRun
from reenact.training.stages import Stage, make_stage

MAX_BAD_STEPS = 20
PREVIEW_SEED = 2**20


def train(run: TrainRun, device: torch.device) -> int:
    """Train until num_steps, max_seconds or a signal; returns the number of finished steps.

    Everything random follows from (seed, step, index in the batch), so that a run continued from
    its checkpoint equals an unbroken one. Raises UserError for unusable data, weights or run
    folders, and KeyboardInterrupt after SIGINT or SIGTERM, once the checkpoint is written.
    """
    dataset = ClipDataset(run.data.root, run.data.split)
    stage = make_stage(run, device)
    _check_sizes(stage, dataset, run)
    model = stage.model.to(memory_format=torch.channels_last)
    parameters = list(model.parameters())
    state = TrainState(
        model=model, ema=ema_copy(model), optimizer=make_optimizer(parameters, run.optimizer)
    )
    config = to_dict(run)
    run.run_dir.mkdir(parents=True, exist_ok=True)
    start_step = step = checkpoint.resume(run.run_dir, state, config, device)
    (run.run_dir / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    log = RunLog(run.run_dir, start_step, tensorboard=run.logging.tensorboard)
    dtype = compute_dtype(run.precision, device)
    num_weights = sum(p.numel() for p in parameters)
    print(
        f"stage {run.stage}: {num_weights / 1e6:.2f} M weights, {len(dataset)} clips, "
        f"{str(dtype).removeprefix('torch.')} on {device}, steps {start_step} to {run.num_steps}"
    )
    batches = BatchDataset(
        dataset,
        kind=stage.kind,
        config=run.data.augment,
        batch_size=run.batch_size,
        seed=run.seed,
        num_steps=run.num_steps,
        cross_fraction=stage.cross_fraction,
        cross_start=stage.cross_start,
    ).loader(start_step, run.data.num_workers)

    def save() -> None:
        checkpoint.save(run.run_dir, state, step, config)
        run.export.parent.mkdir(parents=True, exist_ok=True)
        stage.export(state.ema, run.export, step)

    started = time.monotonic()
    meter = Meter()
    saved_step = start_step
    with stop_on_signal() as stop, tqdm(total=run.num_steps, initial=step, unit="step") as bar:
        for batch in batches:
            parts = train_step(run, stage, state, on_device(batch, device), step, device, dtype)
            step += 1
            meter.add(parts, run.batch_size)
            bar.update()
            if step % run.logging.scalars_every == 0 or step == run.num_steps:
                values = meter.mean_and_reset() | {
                    "lr": lr_at(run.optimizer, step - 1, run.num_steps)
                }
                log.scalars(step, values)
                bar.set_postfix_str(
                    f"loss {values['loss']:.4f}, {values['images_per_second']:.1f} images/s"
                )
            if run.logging.preview_every and step % run.logging.preview_every == 0:
                preview(run, stage, state, log, step, device, dtype)
                meter.restart_clock()
            out_of_time = (
                run.max_seconds is not None and time.monotonic() - started > run.max_seconds
            )
            if step % run.logging.checkpoint_every == 0 or stop or out_of_time:
                save()
                saved_step = step
                meter.restart_clock()
            if stop or out_of_time:
                break
    if saved_step != step or not run.export.is_file():
        save()
    log.close()
    if stop:
        print(f"stopped after step {step}; the same command continues")
        raise KeyboardInterrupt
    print(f"{step} of {run.num_steps} steps done; weights in {run.export}")
    return step


def train_step(
    run: TrainRun,
    stage: Stage,
    state: TrainState,
    batch: dict[str, Tensor],
    step: int,
    device: torch.device,
    dtype: torch.dtype,
) -> dict[str, Tensor]:
    """One optimizer step; returns the logged values. A step whose gradient is not finite changes no
    weights.
    """
    # dropout draws from the global generator
    torch.manual_seed(run.seed * 1_000_003 + step)
    state.model.train()
    with autocast(dtype, device):
        loss, parts = stage.loss(state.model, batch, step)
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


def preview(
    run: TrainRun,
    stage: Stage,
    state: TrainState,
    log: RunLog,
    step: int,
    device: torch.device,
    dtype: torch.dtype,
) -> None:
    """Log pictures and their scalars for fixed pairs, drawn by the averaged weights."""
    batch = on_device(preview_batch(run, stage.cross_fraction), device)
    with torch.no_grad(), autocast(dtype, device):
        scalars, columns = stage.preview(state.ema, batch)
    log.scalars(step, {f"preview/{name}": value for name, value in scalars.items()})
    log.grid(step, "preview", columns)


def preview_batch(run: TrainRun, cross_fraction: float) -> dict[str, Tensor]:
    """The pairs of all previews of a run: the same at every step, without augmentation."""
    try:
        dataset = ClipDataset(run.data.root, run.data.val_split)
    except UserError:
        dataset = ClipDataset(run.data.root, run.data.split)
    return draw_batch(
        dataset,
        kind="pairs",
        config=AugmentConfig(),
        batch_size=run.logging.num_images,
        seed=PREVIEW_SEED,
        step=0,
        cross_fraction=cross_fraction if dataset.clips_with_cross else 0.0,
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


class Meter:
    """Means of logged values since the last reset, and the speed in images a second."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}
        self.num_images = 0
        self.bad_in_sequence = 0
        self.clock = time.monotonic()

    def add(self, parts: dict[str, Tensor], num_images: int) -> None:
        """Count one step. Raises UserError after many steps in sequence without gradient."""
        bad = bool(parts["bad_steps"])
        self.bad_in_sequence = self.bad_in_sequence + 1 if bad else 0
        if self.bad_in_sequence >= MAX_BAD_STEPS:
            raise UserError(
                f"{MAX_BAD_STEPS} steps in sequence had no finite gradient, "
                "lower optimizer.lr or set precision to fp32"
            )
        self.num_images += num_images
        for name, value in parts.items():
            self.sums[name] = self.sums.get(name, torch.zeros(())) + value.float().cpu()
            self.counts[name] = self.counts.get(name, 0) + 1

    def mean_and_reset(self) -> dict[str, float]:
        """Means by name, plus `images_per_second`."""
        means = {name: float(total) / self.counts[name] for name, total in self.sums.items()}
        means["images_per_second"] = self.num_images / max(time.monotonic() - self.clock, 1e-9)
        self.sums, self.counts = {}, {}
        self.restart_clock()
        return means

    def restart_clock(self) -> None:
        """Leave the time since the last reset out of the speed (previews, checkpoints)."""
        self.num_images = 0
        self.clock = time.monotonic()


@contextmanager
def stop_on_signal() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM in the yielded list instead of dying in the middle of a step."""
    received: list[int] = []

    def note(signum: int, frame: object) -> None:
        if received:
            raise KeyboardInterrupt  # a second signal means now
        received.append(signum)

    previous = {s: signal.signal(s, note) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)


def _check_sizes(stage: Stage, dataset: ClipDataset, run: TrainRun) -> None:
    if stage.image_size != dataset.size:
        raise UserError(
            f"{run.data.root}: clips are {dataset.size} px, the model takes {stage.image_size} px"
        )
    if stage.kind == "pairs" and run.data.augment.flip:
        raise UserError(
            f"stage {run.stage}: data.augment.flip must be false, "
            "face parameters know left from right"
        )
