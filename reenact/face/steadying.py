"""Calms the jitter of tracked curves and leaves real movements alone."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor


def calmed(curve: Tensor, sigma: float, jitter: Tensor | float) -> Tensor:
    """A curve over time (N, ...) without its small jitter; `sigma` is in frames.

    Let a be the Gaussian mean of a value, and a + r the value itself. The result is
    a + r * r^2 / (r^2 + jitter^2). A value near its mean moves to the mean. A value that is
    farther away than the jitter (a blink, a turn) stays as it is.
    """
    if sigma <= 0 or len(curve) < 2:
        return curve
    values = curve.detach().cpu().double().numpy()
    smooth = gaussian_filter1d(values, sigma, axis=0, mode="nearest")
    rest = values - smooth
    size = np.asarray(jitter)
    return torch.from_numpy(smooth + rest * rest**2 / (rest**2 + size**2)).to(curve)
