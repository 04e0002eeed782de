"""Calming the jitter of tracked curves without touching real movements."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor


def calmed(curve: Tensor, sigma: float, jitter: Tensor | float) -> Tensor:
    """A curve over time (N, ...) without its small jitter; `sigma` in frames.

    Each value moves towards its Gaussian mean a where it is closer to it than the jitter size, and
    keeps its own value a + r where it is farther (a blink, a turn): a + r * r^2 / (r^2 + jitter^2).
    """
    if sigma <= 0 or len(curve) < 2:
        return curve
    values = curve.detach().cpu().double().numpy()
    smooth = gaussian_filter1d(values, sigma, axis=0, mode="nearest")
    rest = values - smooth
    size = np.asarray(jitter)
    return torch.from_numpy(smooth + rest * rest**2 / (rest**2 + size**2)).to(curve)
