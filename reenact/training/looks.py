"""Looks at a run from outside: pictures, and mean losses over pairs that stay the same."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from reenact.data.augment import AugmentConfig
from reenact.data.dataset import ClipDataset, PairConfig, draw_batch
from reenact.device import autocast
from reenact.errors import UserError
from reenact.training.log import RunLog
from reenact.training.meter import means
from reenact.training.run_config import TrainRun
from reenact.training.session import Session, on_device

PREVIEW_SEED = 2**20
VALIDATION_SEED = 2**20 + 1


def preview(session: Session, log: RunLog, step: int) -> None:
    """Log pictures and their scalars for fixed pairs, drawn by the averaged weights."""
    batch = on_device(preview_batch(session), session.device)
    with torch.no_grad(), autocast(session.dtype, session.device):
        scalars, columns = session.stage.preview(session.state.ema, batch)
    log.scalars(step, {f"preview/{name}": value for name, value in scalars.items()})
    log.grid(step, "preview", columns)


def preview_batch(session: Session) -> dict[str, Tensor]:
    """The pairs of all previews of a run: the same at every step, without augmentation."""
    run, dataset = session.run, held_out(session.run)
    pairs = session.stage.pairs
    # a picture beside the result shows its truth, so cross pairs need rendered ones
    fraction = pairs.cross_fraction if pairs is not None else 0.0
    if fraction and not dataset.clips_with_cross:
        fraction = 0.0
    return draw_batch(
        dataset,
        pairs=PairConfig(cross_fraction=fraction),
        config=AugmentConfig(),
        batch_size=run.logging.num_images,
        seed=PREVIEW_SEED,
        step=0,
    )


def validate(session: Session, log: RunLog | None, step: int) -> None:
    """Log the mean losses of the averaged weights over fixed samples, which the processes share.

    The samples are not augmented, and their noise and timesteps are the same every time.
    """
    run, world = session.run, session.world
    dataset = held_out(run)
    rows = world.part(range(run.logging.num_validation))
    at_once = max(run.batch_size // (world.size * run.accumulate), 1)
    tallies: dict[str, Tensor] = {}
    for start in range(0, len(rows), at_once):
        batch = draw_batch(
            dataset,
            pairs=fixed_pairs(dataset, session.stage.pairs),
            config=AugmentConfig(),
            batch_size=run.logging.num_validation,
            seed=VALIDATION_SEED,
            step=0,
            rows=rows[start : start + at_once],
        )
        with torch.no_grad(), autocast(session.dtype, session.device):
            _, noted = session.stage.loss(session.state.ema, on_device(batch, session.device), step)
        for name, value in noted.items():
            tallies[name] = tallies[name] + value if name in tallies else value
    values = means(tallies, world)
    if log is not None:
        log.scalars(step, {f"val/{name}": value for name, value in values.items()})


def held_out(run: TrainRun) -> ClipDataset:
    """The validation clips; where the folder holds none, the training clips."""
    try:
        return ClipDataset(run.data.root, run.data.val_split)
    except UserError:
        return ClipDataset(run.data.root, run.data.split)


def fixed_pairs(dataset: ClipDataset, pairs: PairConfig | None) -> PairConfig | None:
    """How a stage's pairs are drawn, at every step alike, and only such as the clips can give."""
    if pairs is None:
        return None
    possible = bool(dataset.clips_with_cross) if pairs.cross_frames else len(dataset) > 1
    return replace(pairs, cross_start=0, cross_fraction=pairs.cross_fraction if possible else 0.0)
