"""Light and background of one clip."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from reenact.data.synthetic.imaging import gaussian_blur
from reenact.data.synthetic.skin import linear

BACKGROUND_SIZE = 96
SOFT_LIGHTS = (
    (0.0, 1.3, 0.9),
    (0.0, 0.1, 0.8),
    (1.6, 0.2, 0.55),
    (-1.6, 0.2, 0.55),
    (3.1, 0.2, 0.4),
    (0.0, -1.2, 0.35),
)
"""Azimuth, elevation (radians) and strength of the surroundings."""


@dataclass(frozen=True, kw_only=True)
class Light:
    """Key light, rim light, then soft lights: unit directions (L, 3), linear colours (L, 3)."""

    directions: np.ndarray
    colours: np.ndarray
    exposure: float


@dataclass(frozen=True, kw_only=True)
class Background:
    """Blurred room: linear colours (H, W, 3) that span `left, top, width, height` frame pixels."""

    colours: np.ndarray
    extent: tuple[float, float, float, float]

    @property
    def picture_from_frame(self) -> np.ndarray:
        """(3, 3) map from frame pixels to pixels of `colours`."""
        left, top, width, height = self.extent
        sx, sy = self.colours.shape[1] / width, self.colours.shape[0] / height
        return np.array([[sx, 0, -left * sx], [0, sy, -top * sy], [0, 0, 1.0]])


def _direction(azimuth: float, elevation: float) -> list[float]:
    across = math.cos(elevation)
    return [across * math.sin(azimuth), math.sin(elevation), across * math.cos(azimuth)]


def draw_light(rng: np.random.Generator) -> Light:
    """A random light set-up."""
    azimuth, elevation = rng.uniform(-1.1, 1.1), rng.uniform(0.15, 0.95)
    warmth = rng.normal(0, 0.06)
    key = np.array([1 + warmth, 1, 1 - warmth]) * rng.uniform(0.8, 1.5)
    rim = np.array([1 - warmth, 1, 1 + warmth]) * rng.uniform(0, 0.5)
    rim_azimuth = azimuth + math.pi + rng.normal(0, 0.3)
    directions = [_direction(azimuth, elevation), _direction(rim_azimuth, rng.uniform(0.1, 0.7))]
    colours = [key, rim]
    ambient, tint = rng.uniform(0.16, 0.36), 1 + rng.normal(0, 0.04, 3)
    for az, el, strength in SOFT_LIGHTS:
        directions.append(_direction(az, el))
        colours.append(tint * ambient * strength)
    return Light(directions=np.array(directions), colours=np.array(colours), exposure=1.05)


def _shape_cover(rng: np.random.Generator, size: int) -> np.ndarray:
    """A soft box or disc (size, size)."""
    rows, columns = np.mgrid[0:size, 0:size]
    x, y = rng.uniform(-0.15, 1, 2) * size
    width, height = rng.uniform(0.1, 0.6, 2) * size
    if rng.random() < 0.6:
        inside = (columns >= x) & (columns <= x + width) & (rows >= y) & (rows <= y + height)
    else:
        inside = (columns - x) ** 2 + (rows - y) ** 2 <= (width / 2) ** 2
    return gaussian_blur(inside.astype(np.float32), rng.uniform(0.8, 5)) * rng.uniform(0.2, 0.9)


def draw_background(rng: np.random.Generator, frame_size: int) -> Background:
    """A gradient, mostly with out-of-focus boxes and discs; reaches beyond the frame."""
    size = BACKGROUND_SIZE
    top, low = rng.uniform(0.12, 0.85, 2)
    first = linear(top + rng.normal(0, 0.06, 3))
    second = linear(low * 0.6 + top * 0.4 + rng.normal(0, 0.06, 3))
    down = np.linspace(0, 1, size)[:, None, None]
    picture = np.broadcast_to(first * (1 - down) + second * down, (size, size, 3)).copy()
    if rng.random() < 0.7:
        for _ in range(rng.integers(4, 12)):
            cover = _shape_cover(rng, size)[..., None]
            colour = linear(rng.uniform(0.05, 0.95) + rng.normal(0, 0.10, 3))
            picture = picture * (1 - cover) + cover * colour
    margin = 0.35 * frame_size
    side = frame_size + 2 * margin
    return Background(colours=picture.astype(np.float32), extent=(-margin, -margin, side, side))


def spherical_harmonics(w: np.ndarray) -> np.ndarray:
    """Real spherical harmonics of order 2 of unit vectors (L, 3) -> (L, 9)."""
    x, y, z = w.T
    return np.stack(
        [
            np.full_like(x, 0.282095),
            0.488603 * y,
            0.488603 * z,
            0.488603 * x,
            1.092548 * x * y,
            1.092548 * y * z,
            0.315392 * (3 * z * z - 1),
            1.092548 * x * z,
            0.546274 * (x * x - y * y),
        ],
        -1,
    )
