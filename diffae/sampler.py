"""Samplers: from x_T to an image in a few steps, and from an image to its x_T.

A sampler is one function: it takes the denoiser, the start and the ascending timesteps, and yields
the image after each step. The registry `SAMPLERS` names each sampler and the rule that chooses its
timesteps. To add a sampler, write its function and add one line to `SAMPLERS`.

Nothing is random. Gradients flow through every step unless `grad_steps` says otherwise.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from diffae.schedule import Schedule

Denoise = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""(x_t (B, ...), t (B,) int64) -> (x_0, eps), with x_t = sqrt(abar) x_0 + sqrt(1 - abar) eps."""

Estimate = Callable[[Tensor, int], tuple[Tensor, Tensor]]
"""A `Denoise` that takes one timestep for the whole batch. This is what a sampler calls."""

OnStep = Callable[[int, Tensor], None]
"""(number of the step, its result) -> None."""


def ddim(
    estimate: Estimate, x_T: Tensor, schedule: Schedule, timesteps: Sequence[int]
) -> Iterator[Tensor]:
    """DDIM with eta = 0 (Song et al. 2021, Eq. 12). The last step goes to abar = 1."""
    x = x_T
    for index in reversed(range(len(timesteps))):
        x_0, eps = estimate(x, timesteps[index])
        x = _ddim_mix(x_0, eps, schedule.alphas_cumprod[timesteps[index - 1]] if index else 1.0)
        yield x


def dpmpp_2m(
    estimate: Estimate, x_T: Tensor, schedule: Schedule, timesteps: Sequence[int]
) -> Iterator[Tensor]:
    """DPM-Solver++(2M) (Lu et al. 2022, Algorithm 2): second order in log-SNR, one call per step.

    It needs timesteps that are evenly spaced in log-SNR. Timesteps evenly spaced in t make the last
    steps in log-SNR long, and extrapolating over long steps is worse than DDIM. The first step and
    the last step (to abar = 1, where the log-SNR is infinite) are first order: DDIM's step.
    """
    abar = [schedule.alphas_cumprod[t] for t in timesteps]
    alpha = [math.sqrt(a) for a in abar]
    sigma = [math.sqrt(1.0 - a) for a in abar]
    half_log_snr = [math.log(a / s) for a, s in zip(alpha, sigma, strict=True)]
    x, previous_x_0, previous_h = x_T, None, 0.0
    for index in reversed(range(len(timesteps))):
        x_0, _ = estimate(x, timesteps[index])
        if index == 0:
            yield x_0
            return
        h = half_log_snr[index - 1] - half_log_snr[index]
        extrapolated = x_0
        if previous_x_0 is not None:
            extrapolation = h / (2.0 * previous_h)  # 1 / (2 r) with r = h_prev / h
            extrapolated = (1.0 + extrapolation) * x_0 - extrapolation * previous_x_0
        x = (sigma[index - 1] / sigma[index]) * x
        x = x - alpha[index - 1] * math.expm1(-h) * extrapolated
        previous_x_0, previous_h = x_0, h
        yield x


def ddim_encode(
    estimate: Estimate,
    x_0: Tensor,
    schedule: Schedule,
    timesteps: Sequence[int],
    *,
    end: int | None = None,
) -> Iterator[Tensor]:
    """DDIM run backwards (Preechakul et al. 2022, Eq. 8): from an image to its x_T.

    The first step treats the clean image as x_t at t = 0. The last step goes to abar = 0, so its
    result is exactly the last estimate of eps. With `end` it goes to the timestep `end` instead.
    """
    x = x_0
    last = 0.0 if end is None else schedule.alphas_cumprod[end]
    abar_next = [*(schedule.alphas_cumprod[t] for t in timesteps[1:]), last]
    for t, abar in zip(timesteps, abar_next, strict=True):
        estimated, eps = estimate(x, t)
        x = _ddim_mix(estimated, eps, abar)
        yield x


class Sampler(NamedTuple):
    """A sampler's steps, and the rule that turns a number of steps into ascending timesteps.

    The rule raises ValueError for a number of steps that it cannot make.
    """

    steps: Callable[[Estimate, Tensor, Schedule, Sequence[int]], Iterator[Tensor]]
    timesteps: Callable[[Schedule, int], tuple[int, ...]]


SAMPLERS: dict[str, Sampler] = {
    "ddim": Sampler(ddim, Schedule.timesteps),
    "ddim_trailing": Sampler(ddim, Schedule.trailing_timesteps),
    "dpmpp2m": Sampler(dpmpp_2m, Schedule.log_snr_timesteps),
}
DDIM_ENCODE = Sampler(ddim_encode, Schedule.timesteps)
"""Not in `SAMPLERS`, because it goes the other way: from an image to its x_T."""

if TYPE_CHECKING:
    SamplerName = str
else:
    # A config with a field of this type accepts exactly the names in the registry.
    SamplerName = Literal[tuple(SAMPLERS)]


def find_sampler(name: SamplerName) -> Sampler:
    """The sampler of this name. Raises ValueError for an unknown name."""
    if name not in SAMPLERS:
        raise ValueError(f"unknown sampler {name!r}, choose from {', '.join(SAMPLERS)}")
    return SAMPLERS[name]


def sample(
    sampler: Sampler,
    denoise: Denoise,
    x: Tensor,
    schedule: Schedule,
    num_steps: int,
    *,
    below: int | None = None,
    grad_steps: int | None = None,
    recompute: bool = False,
    on_step: OnStep | None = None,
) -> Tensor:
    """Run a sampler to its end.

    Args:
        sampler: an entry of `SAMPLERS`, or `DDIM_ENCODE`.
        denoise: estimates (x_0, eps) at (x_t, t).
        x: start (B, ...): x_T for the samplers, clean images for the encoder.
        schedule: noise schedule.
        num_steps: number of steps; `sampler.timesteps` says which numbers are possible.
        below: take only the steps at timesteps below this one.
        grad_steps: only the last so many steps keep gradients; None = all of them.
        recompute: save memory: each step's activations are computed again in the backward pass.
        on_step: called as on_step(step, x) after every step, step = 0, 1, ...

    Returns:
        The result of the last step. For the samplers that is the last estimate of x_0, so it lies
        in [-1, 1] if `denoise` clamps.

    Raises:
        ValueError: the sampler cannot make `num_steps` steps.
    """

    def estimate(x: Tensor, t: int) -> tuple[Tensor, Tensor]:
        batch_t = torch.full((len(x),), t, dtype=torch.int64, device=x.device)
        if recompute and torch.is_grad_enabled():
            return checkpoint(denoise, x, batch_t, use_reentrant=False)
        return denoise(x, batch_t)

    timesteps = [t for t in sampler.timesteps(schedule, num_steps) if below is None or t < below]
    steps = sampler.steps(estimate, x, schedule, timesteps)
    for step in range(len(timesteps)):
        keeps_grad = grad_steps is None or step >= len(timesteps) - grad_steps
        # The generator computes its next step inside this block, in this gradient mode.
        with torch.set_grad_enabled(torch.is_grad_enabled() and keeps_grad):
            x = next(steps)
        if on_step is not None:
            on_step(step, x)
    return x


def _ddim_mix(x_0: Tensor, eps: Tensor, abar: float) -> Tensor:
    """sqrt(abar) x_0 + sqrt(1 - abar) eps, the x at the noise level abar.

    Like the released code, this function rounds abar to float32 and takes the roots in float32.
    """
    abar32 = np.float32(abar)
    return x_0 * float(np.sqrt(abar32)) + eps * float(np.sqrt(np.float32(1) - abar32))
