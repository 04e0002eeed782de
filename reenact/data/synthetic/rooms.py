"""What lies behind the person: a view of a panorama, or a painted room, out of focus.

Colours are linear and in the same unit as the light of the clip.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from reenact.data.synthetic.imaging import fractal_noise, gaussian_blur, smoothstep
from reenact.data.synthetic.light import Light, Place
from reenact.data.synthetic.panoramas import load_panorama, look_up
from reenact.data.synthetic.skin import linear

BACKGROUND_SIZE = 288
MARGIN = 0.35
"""The picture reaches this share of the frame beyond each of its sides."""
VIEW_SHARE = 0.65
"""Share of the clips in a panorama that show it; the others have a painted room behind them."""


@dataclass(frozen=True, kw_only=True)
class Background:
    """Linear colours (H, W, 3) that span `left, top, width, height` frame pixels."""

    colours: np.ndarray
    extent: tuple[float, float, float, float]

    @property
    def picture_from_frame(self) -> np.ndarray:
        """(3, 3) map from frame pixels to pixels of `colours`."""
        left, top, width, height = self.extent
        sx, sy = self.colours.shape[1] / width, self.colours.shape[0] / height
        return np.array([[sx, 0, -left * sx], [0, sy, -top * sy], [0, 0, 1.0]])


def draw_background(
    rng: np.random.Generator, place: Place, light: Light, frame_size: int
) -> Background:
    """A random background in the place and light of the clip."""
    if place.panorama is not None and rng.random() < VIEW_SHARE:
        picture = _view(rng, place) * (light.environment.mean() / place.environment.mean())
        blur = float(rng.choice([0.5, 1.5, 3.0, 6.0], p=[0.4, 0.25, 0.2, 0.15]))
    else:
        paint = ROOMS[int(rng.choice(len(ROOMS), p=ROOM_SHARES))]
        # Painted colours are reflectances in about the light that the face gets.
        picture = paint(rng) * _shading(rng) * rng.uniform(0.45, 1.15) / light.exposure
        blur = float(rng.choice([0.4, 1.5, 3.5, 7.0], p=[0.3, 0.25, 0.25, 0.2]))
    blurred = np.stack([gaussian_blur(picture[..., k], blur) for k in range(3)], -1)
    margin = MARGIN * frame_size
    side = frame_size + 2 * margin
    return Background(
        colours=np.ascontiguousarray(blurred, np.float32), extent=(-margin, -margin, side, side)
    )


def _grid() -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns (H, W) from -1 to 1, down and to the right."""
    axis = (np.arange(BACKGROUND_SIZE) + 0.5) / BACKGROUND_SIZE * 2 - 1
    rows, columns = np.meshgrid(axis, axis, indexing="ij")
    return rows, columns


def _view(rng: np.random.Generator, place: Place) -> np.ndarray:
    """The panorama behind the person through a lens of random focal length."""
    assert place.panorama is not None
    rows, columns = _grid()
    reach = rng.uniform(0.35, 0.95)
    up = -rows * reach + rng.uniform(-0.08, 0.18)
    directions = np.stack([columns * reach, up, -np.ones_like(rows)], -1)
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    return look_up(load_panorama(place.panorama).picture, directions, place.turn)


def _shading(rng: np.random.Generator) -> np.ndarray:
    """Uneven light on a wall (H, W, 1)."""
    rows, columns = _grid()
    slope = rng.normal(0, 0.25, 2)
    pool = np.exp(-(((columns - rng.uniform(-1, 1)) ** 2 + (rows - rng.uniform(-1, 0.3)) ** 2) / 1))
    light = 1 + slope[0] * columns + slope[1] * rows + rng.uniform(-0.2, 0.6) * pool
    return np.clip(light, 0.25, 2.5)[..., None]


def _colour(rng: np.random.Generator, low: float, high: float, spread: float) -> np.ndarray:
    """A linear colour (3,) of random lightness between two display levels."""
    return linear(rng.uniform(low, high) + rng.normal(0, spread, 3))


def _box(
    picture: np.ndarray, x: float, y: float, width: float, height: float, colour: np.ndarray
) -> None:
    """Fill a box; corner and size in shares of the picture."""
    size = len(picture)
    left, top = int(x * size), int(y * size)
    right, low = int((x + width) * size), int((y + height) * size)
    picture[max(0, top) : max(0, low), max(0, left) : max(0, right)] = colour


def _wall(rng: np.random.Generator) -> np.ndarray:
    """A painted or papered wall."""
    size = BACKGROUND_SIZE
    picture = np.broadcast_to(_colour(rng, 0.35, 0.93, 0.05), (size, size, 3)).copy()
    grain = fractal_noise(rng, size, size, 40, 40, 3) * rng.uniform(0.0, 0.03)
    cloud = fractal_noise(rng, size, size, 3, 3, 2) * rng.uniform(0.0, 0.06)
    picture *= (1 + grain + cloud)[..., None]
    kind = rng.random()
    rows, columns = np.mgrid[0:size, 0:size]
    if kind < 0.15:
        height, width = int(rng.integers(9, 16)), int(rng.integers(20, 40))
        shifted = columns + (rows // height % 2) * (width // 2)
        joint = (rows % height < 1.5) | (shifted % width < 1.5)
        brick = rng.normal(1, 0.12, (size // height + 2, (size * 2) // width + 2))
        picture *= brick[rows // height, shifted // width][..., None]
        picture[joint] = picture.mean((0, 1)) * rng.uniform(0.7, 1.4)
    elif kind < 0.25:
        pleat = np.sin(columns / rng.uniform(4, 9) + np.sin(rows / 60.0))
        picture *= (1 + 0.25 * pleat)[..., None]
    return picture


def _room(rng: np.random.Generator) -> np.ndarray:
    """A wall with some of: door, window, pictures, cupboard, lamp, plant."""
    picture = _wall(rng)
    if rng.random() < 0.35:
        _window(rng, picture)
    if rng.random() < 0.3:
        x, width, colour = (
            rng.uniform(0, 0.8),
            rng.uniform(0.15, 0.28),
            _colour(rng, 0.2, 0.9, 0.06),
        )
        top = rng.uniform(0.05, 0.3)
        _box(picture, x - 0.012, top - 0.012, width + 0.024, 1, colour * rng.uniform(0.6, 1.3))
        _box(picture, x, top, width, 1, colour)
    for _ in range(int(rng.integers(0, 4))):
        x, y = rng.uniform(0, 0.85), rng.uniform(0.02, 0.5)
        width, height = rng.uniform(0.07, 0.22, 2)
        _box(picture, x, y, width, height, _colour(rng, 0.05, 0.8, 0.08))
        _box(picture, x + 0.01, y + 0.01, width - 0.02, height - 0.02, _colour(rng, 0.2, 0.95, 0.1))
    if rng.random() < 0.5:
        x, y = rng.uniform(-0.1, 0.8), rng.uniform(0.45, 0.8)
        _box(picture, x, y, rng.uniform(0.2, 0.6), 1, _colour(rng, 0.1, 0.8, 0.08))
    if rng.random() < 0.3:
        _plant(rng, picture)
    if rng.random() < 0.25:
        rows, columns = _grid()
        d2 = (columns - rng.uniform(-0.9, 0.9)) ** 2 + (rows - rng.uniform(-0.8, 0.2)) ** 2
        glow = np.exp(-d2 / 0.01) * 6 + np.exp(-d2 / 0.15) * 0.6
        picture += glow[..., None] * np.array([1.0, 0.85, 0.6])
    return picture


def _window(rng: np.random.Generator, picture: np.ndarray) -> None:
    """A bright window with a cross of bars."""
    x, y = rng.uniform(-0.1, 0.75), rng.uniform(0, 0.3)
    width, height = rng.uniform(0.2, 0.45), rng.uniform(0.3, 0.6)
    frame, sky = _colour(rng, 0.5, 0.95, 0.03), linear(np.array([0.85, 0.93, 1.0]))
    _box(picture, x - 0.015, y - 0.015, width + 0.03, height + 0.03, frame)
    _box(picture, x, y, width, height, sky * rng.uniform(0.8, 4.0))
    _box(picture, x, y + height * 0.6, width, height * 0.4, _colour(rng, 0.3, 0.9, 0.1) * 1.5)
    _box(picture, x + width / 2 - 0.006, y, 0.012, height, frame)
    if rng.random() < 0.5:
        _box(picture, x, y + height / 2 - 0.006, width, 0.012, frame)


def _plant(rng: np.random.Generator, picture: np.ndarray) -> None:
    """Leaves as ellipses around a middle."""
    rows, columns = _grid()
    cx, cy = rng.uniform(-0.9, 0.9), rng.uniform(-0.2, 0.8)
    green = linear(np.array([0.2, 0.42, 0.15]) + rng.normal(0, 0.05, 3))
    for _ in range(int(rng.integers(12, 30))):
        angle, away = rng.uniform(0, 2 * np.pi), rng.uniform(0.02, 0.25)
        x, y = columns - cx - away * np.cos(angle), rows - cy - away * np.sin(angle)
        along = x * np.cos(angle) + y * np.sin(angle)
        beside = -x * np.sin(angle) + y * np.cos(angle)
        leaf = (along / rng.uniform(0.05, 0.14)) ** 2 + (beside / rng.uniform(0.015, 0.05)) ** 2 < 1
        picture[leaf] = green * rng.uniform(0.4, 1.8)


def _shelf(rng: np.random.Generator) -> np.ndarray:
    """Book shelves from side to side."""
    picture = _wall(rng)
    wood = _colour(rng, 0.15, 0.7, 0.04)
    y = rng.uniform(-0.1, 0.1)
    while y < 1:
        height = rng.uniform(0.16, 0.26)
        _box(picture, 0, y, 1, height, wood * 0.35)
        x = rng.uniform(-0.02, 0.02)
        while x < 1:
            width = rng.uniform(0.012, 0.045)
            if rng.random() < 0.85:
                tall = height * rng.uniform(0.6, 0.95)
                _box(picture, x, y + height - tall, width, tall, _colour(rng, 0.05, 0.85, 0.13))
            x += width + 0.002
        _box(picture, 0, y + height, 1, 0.018, wood)
        y += height + 0.018
    return picture


def _backdrop(rng: np.random.Generator) -> np.ndarray:
    """A studio backdrop: one colour, brighter in the middle."""
    rows, columns = _grid()
    d2 = (columns - rng.normal(0, 0.2)) ** 2 + (rows - rng.normal(0, 0.2)) ** 2
    light = 0.35 + 0.9 * np.exp(-d2 / rng.uniform(0.4, 1.5))
    cloud = fractal_noise(rng, BACKGROUND_SIZE, BACKGROUND_SIZE, 5, 5, 4) * rng.uniform(0, 0.12)
    return _colour(rng, 0.1, 0.9, 0.06) * (light * (1 + cloud))[..., None]


def _street(rng: np.random.Generator) -> np.ndarray:
    """Lights and shapes far out of focus, over a horizon."""
    size = BACKGROUND_SIZE
    rows, columns = _grid()
    sky, ground = _colour(rng, 0.05, 0.95, 0.08), _colour(rng, 0.05, 0.6, 0.08)
    down = smoothstep(-0.2, 0.2, rows - rng.uniform(-0.6, 0.5))[..., None]
    picture = sky * (1 - down) + ground * down
    cloud = fractal_noise(rng, size, size, 8, 8, 4)[..., None] * 0.25
    picture = picture * np.exp(cloud)
    for _ in range(int(rng.integers(0, 5))):
        x, y, width, height = rng.uniform([-0.1, 0, 0.1, 0.2], [0.9, 0.6, 0.4, 0.8])
        _box(picture, x, y, width, height, _colour(rng, 0.05, 0.8, 0.08))
    for _ in range(int(rng.integers(0, 22))):
        radius = rng.uniform(0.02, 0.10)
        d = np.hypot(columns - rng.uniform(-1, 1), rows - rng.uniform(-1, 0.6))
        disc = 1 - smoothstep(radius - 0.01, radius + 0.01, d)
        picture = picture + disc[..., None] * _colour(rng, 0.4, 1.0, 0.15) * rng.uniform(0.2, 1.5)
    return picture


ROOMS: tuple[Callable[[np.random.Generator], np.ndarray], ...] = (
    _wall,
    _room,
    _shelf,
    _backdrop,
    _street,
)
ROOM_SHARES = (0.2, 0.42, 0.1, 0.1, 0.18)
