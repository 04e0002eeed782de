"""The training loop of all stages. What a run holds in memory is in session.py."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from reenact.config import to_dict
from reenact.data.dataset import BatchDataset, ClipDataset
from reenact.data.misfit import can_misread
from reenact.device import autocast
from reenact.errors import UserError, counted, say
from reenact.files import make_folder
from reenact.processes import ALONE, World
from reenact.training import checkpoint
from reenact.training.held_out import open_held_out, preview, validate
from reenact.training.log import Meter, RunLog, add_tallies, tally
from reenact.training.optimizer import lr_at, update_ema
from reenact.training.run_config import TrainRun
from reenact.training.session import Session, on_device, open_session


def train(run: TrainRun, device: torch.device, world: World = ALONE) -> int:
    """Train until num_steps, max_seconds or a signal; returns the number of finished steps.

    Everything random follows from (seed, step, index in the batch). So a run that is continued
    from its checkpoint equals an unbroken one, and several processes do what one would do. Raises
    UserError for unusable data, weights or run folders, when another training runs in the folder,
    and when the loss stays not finite. After SIGINT or SIGTERM it writes the checkpoint and then
    raises KeyboardInterrupt.
    """
    with checkpoint.claimed(run.run_dir) if world.is_main else nullcontext():
        return _train(run, device, world)


def _train(run: TrainRun, device: torch.device, world: World) -> int:
    started = time.monotonic()
    session = open_session(run, device, world)
    dataset = ClipDataset(run.data.root, run.data.split)
    check_data(session, dataset)
    held_out = open_held_out(run, dataset)
    meter, logging = Meter(), run.logging
    step = checkpoint.resume(session, meter)
    log = None
    if world.is_main:
        log = RunLog(
            run.run_dir,
            step,
            to_dict(run),
            tensorboard=logging.tensorboard,
            wandb=logging.wandb,
        )
        say(describe(session, dataset, step))
    is_saved = run.export.is_file()
    bar = tqdm(total=run.num_steps, initial=step, unit="step", disable=not world.is_main)
    with stop_on_signal(patient=world.size > 1) as stop, bar:
        meter.restart_clock()
        for batch in meter.timed(own_batches(session, dataset, step)):
            is_finite, tallies = train_step(session, on_device(batch, device), step)
            meter.add(tallies, run.batch_size, is_bad=not is_finite)
            step, is_saved = step + 1, False
            bar.update()
            if is_due(step, logging.scalars_every) or step == run.num_steps:
                bar.set_postfix_str(log_means(session, log, meter, step))
            if held_out is not None and is_due(step, logging.validate_every):
                with aside(bar, meter, "validation"):
                    validate(session, held_out, log, step)
            if held_out is not None and log is not None and is_due(step, logging.preview_every):
                with aside(bar, meter, "preview"):
                    preview(session, held_out, log, step)
            if is_due(step, logging.checkpoint_every):
                with aside(bar, meter, "checkpoint"):
                    save(session, meter, step)
                is_saved = True
            late = run.max_seconds is not None and time.monotonic() - started > run.max_seconds
            # All processes end after the same step, whichever of them was told to.
            if world.any(bool(stop) or late):
                break
    if step == run.num_steps and meter.bad_in_sequence >= step:
        raise UserError(
            f"none of the {step} steps had a finite gradient, so nothing was learnt: "
            "lower optimizer.lr or set precision to fp32"
        )
    if not is_saved:
        save(session, meter, step)
    if log is not None:
        log.close()
    if world.any(bool(stop)):
        if world.is_main:
            say(f"stopped after step {step}; the same command continues")
        raise KeyboardInterrupt
    if world.is_main:
        say(f"{step} of {run.num_steps} steps done; weights in {run.export}")
    return step


def train_step(
    session: Session, batch: dict[str, Tensor], step: int
) -> tuple[bool, dict[str, Tensor]]:
    """One optimizer step from this process's rows of the batch.

    Returns whether the gradient was finite, and tallies of what to log. If the gradient is not
    finite in any process, no process changes a weight.
    """
    run, world = session.run, session.world
    session.model.train()
    session.optimizer.zero_grad(set_to_none=True)
    tallies: dict[str, Tensor] = {}
    for index, part in enumerate(parts(batch, run.accumulate)):
        # Dropout draws from the global generator. Each part needs masks of its own.
        place = world.rank * run.accumulate + index
        torch.manual_seed((run.seed * 1_000_003 + step + place * 7_368_787) % 2**63)
        with shared_gradients(session, is_last=index + 1 == run.accumulate):
            with autocast(session.dtype, session.device):
                per_sample, noted = session.loss(part)
            per_sample.sum().backward()
        add_tallies(tallies, noted)
    norm = finish_gradient(session)
    # The sum over processes spreads values that are not finite, so all processes see them.
    is_finite = bool(torch.isfinite(norm))
    if is_finite:
        for group in session.optimizer.param_groups:
            group["lr"] = lr_at(run.optimizer, step, run.num_steps)
        session.optimizer.step()
        update_ema(session.ema, session.model, run.ema_decay, step)
    if session.stage.guard is not None:
        session.stage.guard.end_step(world, run.batch_size)
    return is_finite, tallies | {"grad_norm": tally(norm[None])}


def parts(batch: dict[str, Tensor], num_parts: int) -> Iterator[dict[str, Tensor]]:
    """Cut a batch along its first axis, as evenly as possible."""
    cut = {name: tensor.tensor_split(num_parts) for name, tensor in batch.items()}
    for index in range(num_parts):
        yield {name: tensors[index] for name, tensors in cut.items()}


def shared_gradients(session: Session, *, is_last: bool) -> AbstractContextManager[object]:
    """Only the backward pass of a step's last part exchanges gradients between processes."""
    loss = session.loss
    if is_last or not isinstance(loss, DistributedDataParallel):
        return nullcontext()
    return loss.no_sync()


def finish_gradient(session: Session) -> Tensor:
    """Turn the gradient into the clipped gradient of the mean over the whole batch.

    Before, it is a sum over samples, averaged over processes. Returns the norm before clipping.
    """
    run = session.run
    gradients = [p.grad for p in session.model.parameters() if p.grad is not None]
    torch._foreach_mul_(gradients, session.world.size / run.batch_size)
    limit = run.optimizer.grad_clip or float("inf")
    return torch.nn.utils.clip_grad_norm_(session.model.parameters(), limit).detach()


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


def log_means(session: Session, log: RunLog | None, meter: Meter, step: int) -> str:
    """Log the means since the last time; returns the most important ones for the bar."""
    run = session.run
    values = meter.mean_and_reset(session.world)
    values["lr"] = lr_at(run.optimizer, step - 1, run.num_steps)
    if log is not None:
        log.scalars(step, values)
    loss = values.get("loss", float("nan"))
    speed, wait = values["images_per_second"], 100 * values["data_wait"]
    return f"loss {loss:.4f}, {speed:.1f} images/s, data wait {wait:.0f} %"


def save(session: Session, meter: Meter, step: int) -> None:
    """Write the checkpoint and the averaged weights. All processes call it, one writes.

    Raises UserError when the weights are not finite; the files of before then stay. As long as no
    step had a finite gradient, the weights are untrained and are not exported.
    """
    if not all(bool(p.isfinite().all()) for p in session.ema.parameters()):
        raise UserError(
            f"after step {step} the weights are not finite, nothing was written: "
            "lower optimizer.lr, or set optimizer.grad_clip"
        )
    checkpoint.save(session, meter, step)
    run = session.run
    if session.world.is_main and meter.bad_in_sequence < step:
        make_folder(run.export.parent)
        session.stage.export(session.ema, run.export, step)


@contextmanager
def aside(bar: tqdm, meter: Meter, name: str) -> Iterator[None]:
    """Work beside the steps: the bar names it, and the speed leaves out its time."""
    bar.set_description_str(name)
    yield
    bar.set_description_str("")
    meter.restart_clock()


@contextmanager
def stop_on_signal(*, patient: bool = False) -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM in the yielded list, instead of dying in the middle of a step.

    A second signal means now, unless `patient`. After Ctrl-C the processes of torchrun get one
    signal from the terminal and one from torchrun, which kills them half a minute later anyway.
    """
    received: list[int] = []

    def note(signum: int, frame: object) -> None:
        if received and not patient:
            raise KeyboardInterrupt
        received.append(signum)

    previous = {s: signal.signal(s, note) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)


def is_due(step: int, every: int) -> bool:
    """Whether something that is done every so many steps (0: never) is due after step `step`."""
    return every > 0 and step % every == 0


def describe(session: Session, dataset: ClipDataset, step: int) -> str:
    """The first line that a run prints."""
    num_weights = sum(p.numel() for p in session.model.parameters() if p.requires_grad)
    precision = str(session.dtype).removeprefix("torch.")
    size = session.world.size
    place = f"{session.device}" if size == 1 else f"{size} processes of {session.device.type}"
    return (
        f"stage {session.run.stage}: {num_weights / 1e6:.2f} M trained weights, "
        f"{counted(len(dataset), 'clip')}, {precision} on {place}, "
        f"steps {step} to {session.run.num_steps}"
    )


def check_data(session: Session, dataset: ClipDataset) -> None:
    """Raises UserError when the stage and the clips do not go together."""
    run, stage = session.run, session.stage
    if stage.image_size != dataset.size:
        raise UserError(
            f"{run.data.root}: clips are {dataset.size} px, the model takes {stage.image_size} px"
        )
    if dataset.face != run.face.name:
        raise UserError(
            f"{run.data.root}: the faces were read by the {dataset.face} face stack, but the "
            f"config's section `face` names the {run.face.name} one"
        )
    if run.data.augment.misfit and not can_misread(run.face.entry.params):
        raise UserError(
            f"{run.data.root}: data.augment.misfit must be 0, the typical errors of the "
            f"{dataset.face} face stack's parameters are not known"
        )
    if stage.pairs is not None and run.data.augment.flip:
        raise UserError(
            f"stage {run.stage}: data.augment.flip must be false, "
            "face parameters know left from right"
        )
