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


class OneEuro:
    """A low-pass filter that needs no later values: the one-euro filter (Casiez et al., CHI 2012).

    A value that stays is calmed strongly. One that moves fast is followed at once. Values are
    tensors of any shape, in units of their jitter. Angles must not jump by a full turn.

    strength: 0 = values stay as they are, 1 = as usual, 2 = over twice the time.
    """

    CUTOFF = 1.5  # Hz, for a value that stays
    CUTOFF_OF_SPEED = 1.0  # Hz
    GAIN = 0.15  # Hz for each jitter per second

    def __init__(self, strength: float = 1.0) -> None:
        self._strength = strength
        self._time = 0.0
        self._value: Tensor | None = None
        self._speed: Tensor | None = None

    def __call__(self, value: Tensor, time: float) -> Tensor:
        """The next value at `time` in seconds -> the calmed one."""
        before, seconds = self._value, time - self._time
        self._time = time
        if before is None or self._speed is None or seconds <= 0 or self._strength <= 0:
            self._value, self._speed = value, torch.zeros_like(value)
            return value
        speed = (value - before) / seconds
        share = _share(torch.full_like(value, self.CUTOFF_OF_SPEED), seconds)
        self._speed = self._speed + share * (speed - self._speed)
        cutoff = (self.CUTOFF + self.GAIN * self._speed.abs()) / self._strength
        share = _share(cutoff, seconds)
        self._value = before + share * (value - before)
        return self._value


def _share(cutoff: Tensor, seconds: float) -> Tensor:
    """The share of the new value that a low-pass filter of this cutoff (Hz) takes."""
    return 1 / (1 + 1 / (2 * np.pi * cutoff * seconds))
