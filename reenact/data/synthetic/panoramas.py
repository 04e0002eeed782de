"""The shipped panoramas of real places: their light, and pictures for backgrounds.

A direction has X to the picture's right, Y up and Z towards the camera. A panorama is turned about
the vertical axis by `turn` radians; at turn 0 its middle column lies behind the camera.
"""

from __future__ import annotations

import functools
import io
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

ASSET_PATH = Path(__file__).resolve().parents[2] / "assets" / "panoramas.npz"
LIGHT_WIDTH, LIGHT_HEIGHT = 64, 32
LOG_GAIN, LOG_RANGE = 40.0, 60.0
"""The pictures store log(1 + LOG_GAIN x) for x up to LOG_RANGE in 8 bits."""


def encode(picture: np.ndarray) -> np.ndarray:
    """Linear colours to 8-bit levels on the logarithmic scale."""
    level = np.log1p(LOG_GAIN * np.clip(picture, 0, LOG_RANGE)) / math.log1p(LOG_GAIN * LOG_RANGE)
    return np.rint(255 * level).astype(np.uint8)


def decode(levels: np.ndarray) -> np.ndarray:
    """The inverse of `encode`, float32."""
    level = levels.astype(np.float32) * np.float32(math.log1p(LOG_GAIN * LOG_RANGE) / 255)
    return np.expm1(level) / np.float32(LOG_GAIN)


@dataclass(frozen=True, kw_only=True)
class Panorama:
    """One place; both pictures are linear and have mean 1 over the sphere."""

    name: str
    light: np.ndarray
    """(32, 64, 3) float32, the sun included."""
    picture: np.ndarray
    """(256, 512, 3) float32, at most LOG_RANGE."""


@functools.cache
def panorama_names(path: Path = ASSET_PATH) -> tuple[str, ...]:
    with np.load(path) as asset:
        return tuple(str(name) for name in asset["names"])


@functools.lru_cache(maxsize=18)
def load_panorama(name: str, path: Path = ASSET_PATH) -> Panorama:
    """Read one panorama. Raises KeyError for an unknown name."""
    with np.load(path) as asset:
        jpeg = asset[f"picture_{name}"].tobytes()
        light = asset["light"][list(panorama_names(path)).index(name)]
    levels = np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))
    return Panorama(name=name, light=light.astype(np.float32), picture=decode(levels))


def pixel_directions(height: int, width: int, turn: float) -> tuple[np.ndarray, np.ndarray]:
    """Directions (H, W, 3) of a panorama's pixels and their solid angles (H, W)."""
    elevation = np.pi / 2 - (np.arange(height) + 0.5) / height * np.pi
    azimuth = turn - ((np.arange(width) + 0.5) / width - 0.5) * 2 * np.pi
    across = np.cos(elevation)[:, None]
    directions = np.stack(
        [
            across * np.sin(azimuth),
            np.broadcast_to(np.sin(elevation)[:, None], (height, width)),
            across * np.cos(azimuth),
        ],
        -1,
    )
    solid = np.broadcast_to(across * (np.pi / height) * (2 * np.pi / width), (height, width))
    return directions, solid


def look_up(picture: np.ndarray, directions: np.ndarray, turn: float) -> np.ndarray:
    """Bilinear colours (..., 3) of a panorama (H, W, 3) in unit directions (..., 3)."""
    height, width = picture.shape[:2]
    azimuth = np.arctan2(directions[..., 0], directions[..., 2])
    x = ((turn - azimuth) / (2 * np.pi) + 0.5) * width - 0.5
    y = (0.5 - np.arcsin(np.clip(directions[..., 1], -1, 1)) / np.pi) * height - 0.5
    y = np.clip(y, 0, height - 1)
    planes = [
        ndimage.map_coordinates(picture[..., k], [y, x], order=1, mode="grid-wrap")
        for k in range(3)
    ]
    return np.stack(planes, -1).astype(np.float32)
