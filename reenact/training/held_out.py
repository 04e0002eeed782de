"""A run seen from outside: pictures and mean losses of the averaged weights, on held-out clips.

The samples are not augmented. They, their noise and their timesteps are the same every time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from reenact.data.augment import AugmentConfig
from reenact.data.dataset import ClipDataset, PairConfig, draw_batch
from reenact.device import autocast
from reenact.errors import UserError
from reenact.processes import warn
from reenact.training.log import RunLog, add_tallies, means
from reenact.training.run_config import TrainRun
from reenact.training.session import Session, on_device

PREVIEW_SEED = 2**20
VALIDATION_SEED = 2**20 + 1


@dataclass(frozen=True, kw_only=True)
class HeldOut:
    """The clips of `data.val_split`. `is_seen` says that they are training clips."""

    dataset: ClipDataset
    is_seen: bool

    @property
    def prefix(self) -> str:
        """What names of logged losses start with."""
        return "seen" if self.is_seen else "val"


def open_held_out(run: TrainRun, training: ClipDataset) -> HeldOut | None:
    """The clips for previews and validation; None if the run makes neither.

    Raises UserError when there are no such clips. Where `val_split` is the training split, or shows
    people of it, a warning says so.
    """
    if not run.logging.preview_every and not run.logging.validate_every:
        return None
    data = run.data
    try:
        dataset = ClipDataset(data.root, data.val_split)
    except UserError as error:
        raise UserError(
            f"{error}; previews and validation need one: add clips with python -m "
            f"reenact synthetic --split {data.val_split}, prepare with source.val_persons "
            f"above 0, or set data.val_split to {data.split} to see training clips"
        ) from error
    is_seen = data.val_split == data.split
    if is_seen:
        warn("data.val_split is the training split, so previews show training clips")
    elif shared := {c.person for c in dataset.clips} & {c.person for c in training.clips}:
        warn(
            f"{data.root}: people of split {data.val_split} that are in split {data.split}, too: "
            f"{len(shared)} ({', '.join(sorted(shared)[:3])}); they are not held out"
        )
    return HeldOut(dataset=dataset, is_seen=is_seen)


def preview(session: Session, held_out: HeldOut, log: RunLog, step: int) -> None:
    """Log pictures of fixed pairs and their scalars."""
    batch = on_device(preview_batch(session, held_out), session.device)
    with torch.no_grad(), autocast(session.dtype, session.device):
        scalars, columns = session.stage.preview(session.ema, batch)
    log.scalars(step, {f"preview/{name}": value for name, value in scalars.items()})
    kind = "training clips" if held_out.is_seen else "held-out clips"
    run = session.run
    log.preview(step, columns, f"{run.stage}, step {step} of {run.num_steps}, {kind}")


def preview_batch(session: Session, held_out: HeldOut) -> dict[str, Tensor]:
    """The pairs of all previews of a run."""
    pairs = session.stage.pairs
    # A preview shows the true picture beside the result, so its cross pairs need rendered ones.
    fraction = pairs.cross_fraction if pairs is not None else 0.0
    if fraction and not held_out.dataset.clips_with_cross:
        fraction = 0.0
    return draw_batch(
        held_out.dataset,
        pairs=PairConfig(
            cross_fraction=fraction, with_photo=pairs is not None and pairs.with_photo
        ),
        config=AugmentConfig(),
        batch_size=session.run.logging.num_images,
        seed=PREVIEW_SEED,
        step=0,
    )


def validate(session: Session, held_out: HeldOut, log: RunLog | None, step: int) -> None:
    """Log the mean losses over fixed samples. All processes call it, each computes a part."""
    run, world = session.run, session.world
    rows = world.part(range(run.logging.num_validation))
    at_once = max(run.batch_size // (world.size * run.accumulate), 1)
    tallies: dict[str, Tensor] = {}
    for start in range(0, len(rows), at_once):
        batch = draw_batch(
            held_out.dataset,
            pairs=fixed_pairs(held_out.dataset, session.stage.pairs),
            config=AugmentConfig(),
            batch_size=run.logging.num_validation,
            seed=VALIDATION_SEED,
            step=0,
            rows=rows[start : start + at_once],
        )
        with torch.no_grad(), autocast(session.dtype, session.device):
            _, noted = session.stage.loss(session.ema, on_device(batch, session.device))
        add_tallies(tallies, noted)
    values = means(tallies, world)
    if log is not None:
        log.scalars(step, {f"{held_out.prefix}/{name}": value for name, value in values.items()})


def fixed_pairs(dataset: ClipDataset, pairs: PairConfig | None) -> PairConfig | None:
    """A stage's pairs as they are drawn in every validation, without those that the clips lack."""
    if pairs is None:
        return None
    possible = bool(dataset.clips_with_cross) if pairs.cross_frames else len(dataset) > 1
    return replace(pairs, cross_start=0, cross_fraction=pairs.cross_fraction if possible else 0.0)
