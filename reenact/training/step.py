"""One optimizer step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from reenact.device import autocast
from reenact.training.ema import update_ema
from reenact.training.meter import tally
from reenact.training.optim import lr_at
from reenact.training.session import Session


def train_step(
    session: Session, batch: dict[str, Tensor], step: int
) -> tuple[bool, dict[str, Tensor]]:
    """One optimizer step from this process's rows of the batch; returns whether the gradient was
    finite, and tallies of what to log. Otherwise no weight changes, in any process.
    """
    run, state, world = session.run, session.state, session.world
    state.model.train()
    state.optimizer.zero_grad(set_to_none=True)
    tallies: dict[str, Tensor] = {}
    for index, part in enumerate(parts(batch, run.accumulate)):
        # Dropout draws from the global generator, and each part needs masks of its own.
        place = world.rank * run.accumulate + index
        torch.manual_seed(run.seed * 1_000_003 + step + place * 7_368_787)
        with shared_gradients(session, is_last=index + 1 == run.accumulate):
            with autocast(session.dtype, session.device):
                per_sample, noted = session.loss(part, step)
            per_sample.sum().backward()
        for name, value in noted.items():
            tallies[name] = tallies[name] + value if name in tallies else value
    norm = finish_gradient(session)
    # The sum over processes spreads what is not finite: they all see it.
    is_finite = bool(torch.isfinite(norm))
    if is_finite:
        for group in state.optimizer.param_groups:
            group["lr"] = lr_at(run.optimizer, step, run.num_steps)
        state.optimizer.step()
        update_ema(state.ema, state.model, run.ema_decay, step)
    state.memory.end_step(world, run.batch_size)
    return is_finite, tallies | {"grad_norm": tally(norm[None])}


def parts(batch: dict[str, Tensor], num_parts: int) -> Iterator[dict[str, Tensor]]:
    """Cut a batch along its first axis, as evenly as it goes."""
    cut = {name: tensor.tensor_split(num_parts) for name, tensor in batch.items()}
    for index in range(num_parts):
        yield {name: tensors[index] for name, tensors in cut.items()}


def shared_gradients(session: Session, *, is_last: bool) -> AbstractContextManager[object]:
    """Only the backward pass of a step's last part exchanges gradients between processes."""
    loss = session.loss
    return (
        nullcontext()
        if is_last or not isinstance(loss, DistributedDataParallel)
        else loss.no_sync()
    )


def finish_gradient(session: Session) -> Tensor:
    """From the sum over samples, averaged over processes, to the clipped mean over the whole batch;
    returns its norm before clipping.
    """
    run = session.run
    gradients = [p.grad for p in session.state.model.parameters() if p.grad is not None]
    torch._foreach_mul_(gradients, session.world.size / run.batch_size)
    limit = run.optimizer.grad_clip or float("inf")
    return torch.nn.utils.clip_grad_norm_(session.state.model.parameters(), limit).detach()
