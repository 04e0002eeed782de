"""From radiance to the frame of a video: exposure, tone, lens, noise, sharpening and compression.

No codec library is used, so that a seed gives the same picture everywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba as nb
import numpy as np

from reenact.data.synthetic.imaging import gaussian_blur

REFERENCE_SIZE = 256
"""Blur and noise are given for crops of this size; smaller crops average them away."""
BLOCK = 8
LUMA_TABLE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    np.float32,
)
"""The example table for luminance in the JPEG standard (ITU-T T.81, annex K)."""
YCC = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)


@dataclass(frozen=True, kw_only=True)
class Camera:
    """One camera and its codec. The defaults apply the tone curve only."""

    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    contrast: float = 0.0
    saturation: float = 1.0
    vignette: float = 0.0
    blur: float = 0.0
    """Sigma in pixels of the reference size."""
    sharpening: float = 0.0
    noise: float = 0.0
    """Standard deviation in levels of 255 in the mid-tones, at the reference size."""
    quantiser: float = 0.0
    """Scale of the JPEG table; 0 for no compression. 1 is JPEG quality 50."""
    deblocked: bool = False
    """Whether block edges are smoothed, as video codecs do."""
    seed: int = 0


def draw_camera(rng: np.random.Generator) -> Camera:
    """Most cameras are good; some are webcams over a slow line."""
    poor = rng.random() < 0.2
    video = rng.random() < 0.6
    quantiser = rng.uniform(0.5, 1.4) if poor else float(rng.choice([0.0, rng.uniform(0.08, 0.5)]))
    return Camera(
        gains=tuple(np.exp(rng.normal([0.02, 0, -0.02], 0.025))),
        contrast=float(rng.normal(0.15, 0.25)),
        saturation=float(np.exp(rng.normal(0.08, 0.12))),
        vignette=float(rng.uniform(0, 0.3)) if rng.random() < 0.5 else 0.0,
        blur=float(rng.uniform(0.4, 1.1)) if poor else float(rng.uniform(0.0, 0.5)),
        sharpening=float(rng.uniform(0, 0.6)) if rng.random() < 0.5 else 0.0,
        noise=float(rng.uniform(1.0, 3.5)) if poor else float(rng.uniform(0.0, 2.0)),
        quantiser=float(quantiser),
        deblocked=bool(video),
        seed=int(rng.integers(2**31)),
    )


def develop(
    radiance: np.ndarray, camera: Camera, exposure: float, reach: float = 1.0
) -> np.ndarray:
    """Radiance (S, S, 3) to display colours (S, S, 3) float32 in [0, 1], without noise.

    reach: side of the picture, in units of the side of the crop in its middle. The vignette is that
        of the crop. Outside of the crop it gets no darker than in the crop's corners.
    """
    image = np.ascontiguousarray(radiance, np.float32).copy()
    gains = np.array(camera.gains, np.float32) * np.float32(exposure)
    _tone(image, gains, camera.vignette, camera.contrast, camera.saturation, float(reach))
    return image


def record(image: np.ndarray, camera: Camera, shot: int, reach: float = 1.0) -> np.ndarray:
    """Display colours (S, S, 3) as the camera and its codec store them; `shot` seeds the noise.

    reach: see `develop`. Blur, noise and compression are those of the crop.
    """
    scale = image.shape[0] / reach / REFERENCE_SIZE
    if camera.blur * scale > 0.15:
        image = _blurred(image, camera.blur * scale)
    if camera.sharpening > 0:
        image = image + camera.sharpening * (image - _blurred(image, 0.9))
    if camera.noise > 0:
        image = image + _noise(image, camera, scale, shot)
    image = np.clip(image, 0, 1)
    if camera.quantiser > 0:
        image = _compressed(image, camera, scale)
    return np.clip(image, 0, 1)


@nb.njit(cache=True, fastmath=True)
def _tone(
    image: np.ndarray,
    gains: np.ndarray,
    vignette: float,
    contrast: float,
    saturation: float,
    reach: float,
) -> None:
    """Vignette, white balance, filmic curve, display gamma, contrast and saturation in place."""
    size = image.shape[0]
    for y in range(size):
        for x in range(size):
            dx, dy = ((x + 0.5) / size * 2 - 1) * reach, ((y + 0.5) / size * 2 - 1) * reach
            light = 1 - vignette * 0.5 * min(2.0, dx * dx + dy * dy)
            grey = 0.0
            for k in range(3):
                value = image[y, x, k] * gains[k] * light
                value = value * (1 + value / 4) / (1 + value) * 1.25
                value = min(1.0, max(0.0, value)) ** (1 / 2.2)
                value += contrast * (value - 0.45) * value * (1 - value) * 1.5
                image[y, x, k] = value
                grey += value / 3
            for k in range(3):
                value = grey + (image[y, x, k] - grey) * saturation
                image[y, x, k] = min(1.0, max(0.0, value))


def _blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    return np.stack([gaussian_blur(image[..., k], sigma) for k in range(3)], -1)


def _noise(image: np.ndarray, camera: Camera, scale: float, shot: int) -> np.ndarray:
    """Brightness noise of single pixels and coarser colour noise, stronger in the shadows."""
    rng = np.random.default_rng([camera.seed, shot])
    size = image.shape[0]
    fine = rng.standard_normal((size, size, 1), dtype=np.float32)
    half = (size + 1) // 2
    coarse = rng.standard_normal((half, half, 3), dtype=np.float32)
    coarse = coarse.repeat(2, 0).repeat(2, 1)[:size, :size]
    strength = np.float32(camera.noise / 255 * min(1.0, scale))
    return strength * (fine + 0.6 * coarse) * (1.35 - 0.8 * image.mean(-1, keepdims=True))


def _cosines() -> np.ndarray:
    """The orthonormal DCT-II matrix (8, 8)."""
    k, n = np.arange(BLOCK)[:, None], np.arange(BLOCK)[None]
    basis = np.cos(math.pi * (n + 0.5) * k / BLOCK) * math.sqrt(2 / BLOCK)
    basis[0] /= math.sqrt(2)
    return basis.astype(np.float32)


COSINES = _cosines()


def _quantised(plane: np.ndarray, table: np.ndarray) -> np.ndarray:
    """A plane (H, W) after quantisation of the 8 x 8 cosine transform by `table`."""
    height, width = plane.shape
    padded = np.pad(plane, ((0, -height % BLOCK), (0, -width % BLOCK)), mode="edge")
    rows, columns = padded.shape[0] // BLOCK, padded.shape[1] // BLOCK
    blocks = padded.reshape(rows, BLOCK, columns, BLOCK).transpose(0, 2, 1, 3)
    waves = np.matmul(np.matmul(COSINES, blocks), COSINES.T)
    waves = np.rint(waves / table) * table
    blocks = np.matmul(np.matmul(COSINES.T, waves), COSINES)
    return blocks.transpose(0, 2, 1, 3).reshape(padded.shape)[:height, :width]


def _compressed(image: np.ndarray, camera: Camera, scale: float) -> np.ndarray:
    """YCbCr with colour at half resolution, quantised in blocks."""
    ycc = (image @ YCC.T) * np.float32(255)
    table = np.maximum(1.0, LUMA_TABLE * np.float32(camera.quantiser * min(1.0, scale)))
    size = image.shape[0]
    planes = [_quantised(ycc[..., 0] - 128, table) + 128]
    for k in (1, 2):
        even = np.pad(ycc[..., k], ((0, size % 2), (0, size % 2)), mode="edge")
        half = 0.25 * (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2])
        coded = _quantised(half, np.maximum(1.0, table * 1.2))
        planes.append(gaussian_blur(coded.repeat(2, 0).repeat(2, 1), 0.7)[:size, :size])
    if camera.deblocked:
        planes[0] = _deblock(_deblock(planes[0]).T).T
    return np.stack(planes, -1) @ np.linalg.inv(YCC).T.astype(np.float32) / np.float32(255)


def _deblock(plane: np.ndarray) -> np.ndarray:
    """Soften small steps between the columns of neighbouring blocks."""
    out = plane.copy()
    edges = np.arange(BLOCK, plane.shape[1], BLOCK)
    left, right = plane[:, edges - 1], plane[:, edges]
    gap = right - left
    move = np.where(np.abs(gap) < 18, gap / 4, 0)
    out[:, edges - 1] = left + move
    out[:, edges] = right - move
    return out
