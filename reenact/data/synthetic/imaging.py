"""Small picture operations for the painters: smooth steps, blur, resize, noise and strokes.

All pictures are float32 arrays (H, W); coordinates are (x, y) in pixels.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np
from PIL import Image
from scipy import ndimage


def smoothstep(low: float, high: float, x: np.ndarray | float) -> np.ndarray:
    """Cubic step from 0 at `low` to 1 at `high`."""
    t = np.clip((np.asarray(x) - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def gaussian_blur(picture: np.ndarray, sigma: float, mode: str = "nearest") -> np.ndarray:
    """Gaussian blur of one float picture (H, W)."""
    return ndimage.gaussian_filter(
        picture.astype(np.float32, copy=False), sigma, mode=mode, truncate=3.0
    )


def resize(picture: np.ndarray, height: int, width: int, resample: int | None = None) -> np.ndarray:
    """Resize one float picture (bicubic unless told otherwise)."""
    method = Image.Resampling.BICUBIC if resample is None else Image.Resampling(resample)
    source = Image.fromarray(np.ascontiguousarray(picture, dtype=np.float32))
    return np.asarray(source.resize((width, height), method))


def halve(picture: np.ndarray) -> np.ndarray:
    """Average 2x2 blocks of a picture (H, W, C) with even sides."""
    return 0.25 * (
        picture[::2, ::2] + picture[1::2, ::2] + picture[::2, 1::2] + picture[1::2, 1::2]
    )


def fractal_noise(
    rng: np.random.Generator, height: int, width: int, cells_y: float, cells_x: float, octaves: int
) -> np.ndarray:
    """Sum of smooth noise octaves with roughly unit variance."""
    total = np.zeros((height, width), np.float32)
    amplitude, power = 1.0, 0.0
    for _ in range(octaves):
        shape = (max(2, int(cells_y)), max(2, int(cells_x)))
        total += amplitude * resize(rng.standard_normal(shape, dtype=np.float32), height, width)
        power += amplitude * amplitude
        amplitude, cells_y, cells_x = amplitude * 0.55, cells_y * 2, cells_x * 2
    return total / np.float32(math.sqrt(power))


@nb.njit(cache=True)
def draw_strokes(
    picture: np.ndarray, segments: np.ndarray, values: np.ndarray, half_width: float
) -> None:
    """Draw anti-aliased segments (n, 4: x0, y0, x1, y1) into `picture`, keeping the maximum."""
    height, width = picture.shape
    for n in range(segments.shape[0]):
        x0, y0, x1, y1 = segments[n]
        dx = x1 - x0
        dy = y1 - y0
        length2 = dx * dx + dy * dy + 1e-9
        reach = half_width + 1.0
        ix0 = max(0, int(min(x0, x1) - reach))
        ix1 = min(width - 1, int(max(x0, x1) + reach))
        iy0 = max(0, int(min(y0, y1) - reach))
        iy1 = min(height - 1, int(max(y0, y1) + reach))
        for iy in range(iy0, iy1 + 1):
            for ix in range(ix0, ix1 + 1):
                px = ix + 0.5 - x0
                py = iy + 0.5 - y0
                t = min(1.0, max(0.0, (px * dx + py * dy) / length2))
                ex = px - t * dx
                ey = py - t * dy
                cover = min(1.0, max(0.0, half_width + 0.5 - math.sqrt(ex * ex + ey * ey)))
                if cover * values[n] > picture[iy, ix]:
                    picture[iy, ix] = cover * values[n]
