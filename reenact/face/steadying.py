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
    its size. `blinks` (N,) as from `blink_weights`. A difference larger than `largest` is a real
    movement and stays.
    """
    if len(curve) < 2 or not (blinks > 0).any():
        return curve
    values = curve.detach().cpu().double().numpy()
    inside = blinks.reshape(-1, *[1] * (values.ndim - 1))
    away = _local_line(values, np.maximum(1 - inside, 1e-3), _BRIDGE_SECONDS * fps) - values
    return torch.from_numpy(values + inside * away / (1 + (away / largest) ** 4)).to(curve)


def _local_line(values: np.ndarray, weight: np.ndarray, sigma: float) -> np.ndarray:
    """For each row of values (N, ...) the height of the line that fits its surroundings best.

    The rows count by `weight` (N, ...) and by a Gaussian of `sigma` rows around each.
    """
    time = np.arange(len(values), dtype=np.float64).reshape(weight.shape)

    def mean(what: np.ndarray) -> np.ndarray:
        return gaussian_filter1d(weight * what, sigma, axis=0, mode="constant") / total

    total = gaussian_filter1d(weight, sigma, axis=0, mode="constant")
    centre, middle = mean(time), mean(values)
    spread = np.maximum(mean(time**2) - centre**2, 1e-6)
    slope = (mean(time * values) - centre * middle) / spread
    return middle + slope * (time - centre)
