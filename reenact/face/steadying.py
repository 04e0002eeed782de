"""Calms tracked curves over time and leaves real movements alone."""

from __future__ import annotations

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d, median_filter
from torch import Tensor

_BLINK_SECONDS = 0.6  # lids that are closed for less than half of this are a blink
_BLINK_SIZE = 0.15  # of the way from open to closed lids: such a dip counts half as a blink
_BRIDGE_SECONDS = 0.1  # sigma of the Gaussian that bridges a blink


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


def blink_weights(closed: Tensor, fps: float) -> np.ndarray:
    """How far each frame (N,) is inside a blink, from 0 to 1.

    `closed` (N,): how far the lids are closed, from 0 to 1. Lids that stay closed are no blink.
    """
    values = closed.detach().cpu().double().numpy()
    usual = median_filter(values, size=2 * round(_BLINK_SECONDS * fps / 2) + 1, mode="nearest")
    dip = np.maximum(values - usual, 0)
    return dip**2 / (dip**2 + _BLINK_SIZE**2)


def bridged(curve: Tensor, blinks: np.ndarray, fps: float, largest: float) -> Tensor:
    """A curve over time (N, ...) whose values inside blinks come from the frames around them.

    The tracker's points shift a little when lids close, so that a head seems to nod and to change
    its size. `blinks` (N,) as from `blink_weights`. Inside a blink the curve follows the parabola
    that fits the frames around it best. A difference larger than `largest` is a real movement and
    stays.
    """
    values = curve.detach().cpu().double().numpy()
    flat = values.reshape(len(values), -1)
    trust = np.maximum(1 - blinks, 1e-3)
    sigma = _BRIDGE_SECONDS * fps
    result = flat.copy()
    for i in np.flatnonzero(blinks > 0.01):
        near = slice(max(i - round(4 * sigma), 0), i + round(4 * sigma) + 1)
        time = (np.arange(len(flat))[near] - i) / sigma
        weight = np.sqrt(trust[near] * np.exp(-(time**2) / 2))[:, None]
        powers = np.stack([time**0, time, time**2], 1)
        parabola = np.linalg.lstsq(powers * weight, flat[near] * weight, rcond=None)[0]
        away = parabola[0] - flat[i]
        result[i] += blinks[i] * away / (1 + (away / largest) ** 4)
    return torch.from_numpy(result.reshape(values.shape)).to(curve)
