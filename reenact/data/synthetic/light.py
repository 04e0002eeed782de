"""The light of one clip: a panorama of a real place, or a painted studio, as sharp and soft lights.

Lights are linear colours. A light of colour 1 from straight ahead gives a white surface the
radiance 1. The two strongest spots of the surroundings become sharp lights, which cast shadows. The
rest becomes soft light from NUM_SOFT directions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from reenact.data.synthetic.imaging import gaussian_blur
from reenact.data.synthetic.panoramas import (
    LIGHT_HEIGHT,
    LIGHT_WIDTH,
    load_panorama,
    panorama_names,
    pixel_directions,
)

NUM_SHARP_LIGHTS = 2
SOFT_ROWS, SOFT_COLUMNS = 8, 16
NUM_SOFT = SOFT_ROWS * SOFT_COLUMNS
SPOT_ANGLES = (0.35, 0.45)
"""Radius (radians) of the spot that becomes the first and the second sharp light."""
PANORAMA_SHARE = 0.7
FACE_NORMALS = np.array([[0.0, 0.0, 1.0], [0.5, 0.1, 0.86], [-0.5, 0.1, 0.86], [0.0, 0.45, 0.89]])
LARGEST_CONTRAST = 6.0
"""A sharp light gives the face at most this many times the soft light; a sun behind thin cloud."""


@dataclass(frozen=True, kw_only=True)
class Light:
    """Sharp lights first, then soft ones: unit directions (L, 3), linear colours (L, 3)."""

    directions: np.ndarray
    colours: np.ndarray
    exposure: float
    environment: np.ndarray
    """(32, 64, 3) float32 surroundings at turn 0, as they are mirrored in eyes and skin."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a clip was taken: a panorama and its turn (radians), or a painted studio."""

    panorama: str | None
    turn: float
    environment: np.ndarray
    """(32, 64, 3) float32 radiance at turn 0."""


def draw_place(rng: np.random.Generator) -> Place:
    """A random place, turned so that the face is seldom in the dark."""
    step = 2 * math.pi / LIGHT_WIDTH
    if rng.random() > PANORAMA_SHARE:
        return Place(panorama=None, turn=0.0, environment=_studio(rng))
    name = str(rng.choice(panorama_names()))
    light = load_panorama(name).light
    for _ in range(8):
        columns = int(rng.integers(LIGHT_WIDTH))
        # A turn by whole pixels needs no interpolation.
        environment = np.roll(light, columns, axis=1)
        front, around = _front_and_mean(environment)
        if front > 0.75 * around or rng.random() < 0.08:
            break
    return Place(panorama=name, turn=-columns * step, environment=environment)


def _front_and_mean(environment: np.ndarray) -> tuple[float, float]:
    """Light on the face, and the mean light from all around."""
    directions, solid = pixel_directions(LIGHT_HEIGHT, LIGHT_WIDTH, 0.0)
    power = np.minimum(environment.mean(-1), 30.0) * solid / np.pi
    front = (power * np.clip(directions @ FACE_NORMALS.mean(0), 0, None)).sum()
    return float(front), float(power.sum() / 4)


def _studio(rng: np.random.Generator) -> np.ndarray:
    """A dim room with windows, lamps or screens, painted as soft lobes (32, 64, 3)."""
    directions, _ = pixel_directions(LIGHT_HEIGHT, LIGHT_WIDTH, 0.0)
    warm = rng.normal(0, 0.07)
    wall = np.array([1 + warm, 1.0, 1 - warm]) * rng.uniform(0.25, 0.8)
    up = directions[..., 1:2] * 0.5 + 0.5
    floor, ceiling = rng.uniform(0.25, 0.7), rng.uniform(0.7, 1.4)
    environment = wall * (floor + (ceiling - floor) * up)
    for n in range(int(rng.integers(1, 5))):
        azimuth = rng.uniform(-1.2, 1.2) if n == 0 else rng.uniform(-math.pi, math.pi)
        elevation = rng.uniform(-0.1, 1.1)
        across = math.cos(elevation)
        middle = np.array(
            [across * math.sin(azimuth), math.sin(elevation), across * math.cos(azimuth)]
        )
        width = rng.uniform(0.15, 0.6)
        lobe = np.exp((directions @ middle - 1) / (width * width) * 2)[..., None]
        tint = 1 + rng.normal(0, 0.10) * np.array([1.0, 0.1, -1.0])
        power = rng.uniform(0.5, 3.0) * (1.0 if n == 0 else 0.5)
        environment = environment + lobe * tint * power / (width * width) * 0.5
    return environment.astype(np.float32)


def make_light(place: Place, rng: np.random.Generator) -> Light:
    """Sharp and soft lights of a place, and an exposure that suits the face."""
    directions, solid = pixel_directions(LIGHT_HEIGHT, LIGHT_WIDTH, 0.0)
    rest = place.environment.astype(np.float64)
    sharp = []
    for angle in SPOT_ANGLES:
        direction, colour, rest = _take_spot(rest, directions, solid, angle)
        sharp.append((direction, colour))
    soft_directions, soft_colours = _soft_lights(rest, directions, solid)
    soft_face = _on_face(soft_directions, soft_colours)
    limited = []
    for direction, colour in sharp:
        given = float(_on_face(direction[None], colour[None]).mean())
        most = LARGEST_CONTRAST * float(soft_face.mean())
        limited.append(colour * min(1.0, most / max(given, 1e-9)))
    colours = np.concatenate([limited, soft_colours])
    all_directions = np.concatenate([[d for d, _ in sharp], soft_directions])
    face = _on_face(all_directions, colours)
    # The camera takes most of the light's colour away, as automatic white balance does.
    balance = (face.mean() / np.maximum(face, 1e-6)) ** rng.uniform(0.7, 1.0)
    exposure = math.exp(rng.normal(0.0, 0.16)) / float((face * balance).mean())
    return Light(
        directions=all_directions,
        colours=colours * balance,
        exposure=exposure,
        environment=(place.environment * balance).astype(np.float32),
    )


def _take_spot(
    environment: np.ndarray, directions: np.ndarray, solid: np.ndarray, angle: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Direction and colour of the brightest spot, and the surroundings without it.

    The spot is only the part of the light that is brighter than the edge around it.
    """
    power = gaussian_blur(environment.mean(-1), 1.0, mode="wrap")
    peak = np.unravel_index(int(np.argmax(power)), power.shape)
    distance = np.arccos(np.clip(directions @ directions[peak], -1, 1))
    inside, ring = distance < angle, (distance >= angle) & (distance < 1.6 * angle)
    edge = np.median(environment[ring], axis=0)
    excess = np.clip(environment - edge, 0, None) * inside[..., None]
    energy = excess * solid[..., None]
    total = energy.sum((0, 1))
    middle = (directions * energy.mean(-1)[..., None]).sum((0, 1))
    length = float(np.linalg.norm(middle))
    direction = middle / length if length > 1e-9 else directions[peak]
    return direction, total / np.pi, environment - excess


def _soft_lights(
    environment: np.ndarray, directions: np.ndarray, solid: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Directions (NUM_SOFT, 3) and colours (NUM_SOFT, 3) of blocks of pixels."""
    rows, columns = LIGHT_HEIGHT // SOFT_ROWS, LIGHT_WIDTH // SOFT_COLUMNS

    def block_sums(values: np.ndarray) -> np.ndarray:
        blocks = values.reshape(SOFT_ROWS, rows, SOFT_COLUMNS, columns, 3)
        return blocks.sum((1, 3)).reshape(-1, 3)

    colours = block_sums(environment * solid[..., None]) / np.pi
    middles = block_sums(directions * solid[..., None])
    return middles / np.linalg.norm(middles, axis=1, keepdims=True), colours


def _on_face(directions: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Mean radiance (3,) of white surfaces that face the camera."""
    return np.clip(FACE_NORMALS @ directions.T, 0, None).mean(0) @ colours


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
