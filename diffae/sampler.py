"""Deterministic samplers: one function per published method, all with the same arguments.

A `denoise(x_t, t)` takes images (B, ...) and timesteps (B,) int64 and returns (x_0, eps), its two
consistent estimates. Nothing is random. Gradients flow through every step unless `grad_steps` says
otherwise.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from diffae.schedule import Schedule

Denoise = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
OnStep = Callable[[int, Tensor], None]


def _abar_of(schedule: Schedule, timesteps: tuple[int, ...]) -> list[float]:
    """Cumulative alphas (float64) at these timesteps."""
    return [float(schedule.alphas_cumprod[t]) for t in timesteps]


def _ddim_mix(x_0: Tensor, eps: Tensor, abar: float) -> Tensor:
    """sqrt(abar) x_0 + sqrt(1 - abar) eps; roots in float32 after rounding abar, as released."""
    abar32 = np.float32(abar)
    return x_0 * float(np.sqrt(abar32)) + eps * float(np.sqrt(np.float32(1) - abar32))


def _run(denoise: Denoise, x: Tensor, t: int, recompute: bool) -> tuple[Tensor, Tensor]:
    steps = torch.full((x.shape[0],), t, dtype=torch.int64, device=x.device)
    if recompute and torch.is_grad_enabled():
        return checkpoint(denoise, x, steps, use_reentrant=False)
    return denoise(x, steps)


def _grad_mode(step: int, num_steps: int, grad_steps: int | None) -> torch.set_grad_enabled:
    """Gradient mode of this step: off before the last `grad_steps`, else whatever it was."""
    wanted = grad_steps is None or step >= num_steps - grad_steps
    return torch.set_grad_enabled(torch.is_grad_enabled() and wanted)


def ddim(
    denoise: Denoise,
    x_T: Tensor,
    schedule: Schedule,
    num_steps: int,
    *,
    grad_steps: int | None = None,
    recompute: bool = False,
    on_step: OnStep | None = None,
) -> Tensor:
    """DDIM with eta = 0 (Song et al. 2021, Eq. 12): from x_T to x_0.

    Args:
        denoise: estimates (x_0, eps) at (x_t, t).
        x_T: start images (B, ...).
        schedule: noise schedule.
        num_steps: must be reachable by an integer stride, see `respaced_timesteps`.
        grad_steps: gradients only through the last so many steps; None = all of them.
        recompute: save memory by recomputing every step's activations in the backward pass.
        on_step: called as on_step(step, x) after every step, step = 0, 1, ...

    Returns:
        The last step's estimate of x_0 (so in [-1, 1] if `denoise` clamps).

    Raises:
        ValueError: `num_steps` is not reachable.
    """
    timesteps = schedule.timesteps(num_steps)
    return _ddim_over(timesteps, denoise, x_T, schedule, grad_steps, recompute, on_step)


def ddim_trailing(
    denoise: Denoise,
    x_T: Tensor,
    schedule: Schedule,
    num_steps: int,
    *,
    grad_steps: int | None = None,
    recompute: bool = False,
    on_step: OnStep | None = None,
) -> Tensor:
    """DDIM over timesteps that end, not begin, a stride (Lin et al. 2024, Sec. 3.3): T - 1 is the
    first one visited, and no call is spent at t = 0, where the picture hardly changes any more.
    Worth it for few steps. Arguments as in `ddim`, but any number of steps.
    """
    timesteps = schedule.trailing_timesteps(num_steps)
    return _ddim_over(timesteps, denoise, x_T, schedule, grad_steps, recompute, on_step)


def _ddim_over(
    timesteps: tuple[int, ...],
    denoise: Denoise,
    x_T: Tensor,
    schedule: Schedule,
    grad_steps: int | None,
    recompute: bool,
    on_step: OnStep | None,
) -> Tensor:
    """DDIM steps down these ascending timesteps, the last one to abar = 1."""
    num_steps = len(timesteps)
    abar_next = [1.0, *_abar_of(schedule, timesteps)]
    x = x_T
    for step, index in enumerate(reversed(range(num_steps))):
        with _grad_mode(step, num_steps, grad_steps):
            x_0, eps = _run(denoise, x, timesteps[index], recompute)
            x = _ddim_mix(x_0, eps, abar_next[index])
        if on_step is not None:
            on_step(step, x)
    return x


def ddim_encode(
    denoise: Denoise,
    x_0: Tensor,
    schedule: Schedule,
    num_steps: int,
    *,
    grad_steps: int | None = None,
    recompute: bool = False,
    on_step: OnStep | None = None,
) -> Tensor:
    """DDIM run backwards (Preechakul et al. 2022, Eq. 8): from an image to its x_T.

    The first step treats the clean image as x at t = 0; the last one goes to abar = 0, so it
    returns exactly the last estimate of eps. Arguments as in `ddim`.
    """
    timesteps = schedule.timesteps(num_steps)
    abar_next = [*_abar_of(schedule, timesteps[1:]), 0.0]
    x = x_0
    for step in range(num_steps):
        with _grad_mode(step, num_steps, grad_steps):
            estimate, eps = _run(denoise, x, timesteps[step], recompute)
            x = _ddim_mix(estimate, eps, abar_next[step])
        if on_step is not None:
            on_step(step, x)
    return x


def dpmpp_2m(
    denoise: Denoise,
    x_T: Tensor,
    schedule: Schedule,
    num_steps: int,
    *,
    grad_steps: int | None = None,
    recompute: bool = False,
    on_step: OnStep | None = None,
) -> Tensor:
    """DPM-Solver++(2M) (Lu et al. 2022, Algorithm 2): second order in log-SNR, one call per step.

    Arguments as in `ddim`, but any number of steps from 2 on: the timesteps are evenly spaced in
    log-SNR. (With DDIM's, evenly spaced in t, the extrapolation over the last, long log-SNR steps
    is worse than DDIM itself.) The first and the last step (to abar = 1, where the log-SNR is
    infinite) are first order, which is DDIM's step.
    """
    timesteps = schedule.log_snr_timesteps(num_steps)
    abar = _abar_of(schedule, timesteps)
    alpha = [math.sqrt(a) for a in abar]
    sigma = [math.sqrt(1.0 - a) for a in abar]
    half_log_snr = [math.log(a / s) for a, s in zip(alpha, sigma, strict=True)]
    x, previous_x_0, previous_h = x_T, None, 0.0
    for step, index in enumerate(reversed(range(num_steps))):
        with _grad_mode(step, num_steps, grad_steps):
            x_0, _ = _run(denoise, x, timesteps[index], recompute)
            if index == 0:
                x = x_0
            else:
                h = half_log_snr[index - 1] - half_log_snr[index]
                estimate = x_0
                if previous_x_0 is not None:
                    extrapolation = h / (2.0 * previous_h)  # 1 / (2 r) with r = h_prev / h
                    estimate = (1.0 + extrapolation) * x_0 - extrapolation * previous_x_0
                x = (sigma[index - 1] / sigma[index]) * x
                x = x - alpha[index - 1] * math.expm1(-h) * estimate
                previous_x_0, previous_h = x_0, h
        if on_step is not None:
            on_step(step, x)
    return x
