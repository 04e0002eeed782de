"""Image augmentation: drawn once for a sample, then applied to all frames of the sample alike."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from reenact.errors import UserError
from reenact.ranges import Checked, NonNegative, Range, Share

Quality = Annotated[int, Range(at_least=1, at_most=100)]


@dataclass(frozen=True, kw_only=True)
class AugmentConfig(Checked):
    """Strengths of the augmentation; 0 switches a part off.

    flip: mirror left and right with probability 0.5. Only for stage `autoencoder`, because face
        parameters are not mirrored.
    colour: largest relative change of a channel's gain.
    saturation: largest relative change of the distance to grey.
    contrast: largest relative change of the distance to mid-grey.
    brightness: largest shift, in units of the [-1, 1] range.
    degrade: probability of each of the three degradations: blur, noise and JPEG.
    misfit: how wrong the face parameters of a pair are made, in units of a tracker's typical
        errors (see `reenact.data.misfit`).
    blur_sigma: largest sigma of the blur in pixels.
    noise_std: largest standard deviation of the noise, in units of the [-1, 1] range.
    jpeg_quality: lowest and highest JPEG quality.
    """

    flip: bool = False
    colour: NonNegative = 0.0
    saturation: NonNegative = 0.0
    contrast: NonNegative = 0.0
    brightness: NonNegative = 0.0
    degrade: Share = 0.0
    misfit: NonNegative = 0.0
    blur_sigma: Annotated[float, Range(at_least=0, at_most=100)] = 1.0
    noise_std: NonNegative = 0.05
    jpeg_quality: tuple[Quality, Quality] = (30, 90)

    def __post_init__(self) -> None:
        super().__post_init__()
        low, high = self.jpeg_quality
        if low > high:
            raise UserError(f"jpeg_quality: the first number must not be larger, got {low}, {high}")


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """One draw. It changes every frame of a sample in the same way."""

    flip: bool
    gain: np.ndarray
    saturation: float
    contrast: float
    shift: float
    blur_sigma: float
    noise_std: float
    jpeg_quality: int | None
    noise_seed: int


def draw(config: AugmentConfig, rng: np.random.Generator) -> Augmentation:
    """Draw one augmentation. The number of random numbers used does not depend on `config`."""
    u = rng.random(14)
    low, high = config.jpeg_quality
    jpeg = u[9] < config.degrade
    return Augmentation(
        flip=bool(config.flip and u[0] < 0.5),
        gain=(1 + config.colour * (2 * u[1:4] - 1)).astype(np.float32),
        saturation=float(1 + config.saturation * (2 * u[12] - 1)),
        contrast=float(1 + config.contrast * (2 * u[13] - 1)),
        shift=float(config.brightness * (2 * u[4] - 1)),
        blur_sigma=float(config.blur_sigma * u[6]) if u[5] < config.degrade else 0.0,
        noise_std=float(config.noise_std * u[8]) if u[7] < config.degrade else 0.0,
        jpeg_quality=int(low + u[10] * (high - low)) if jpeg else None,
        noise_seed=int(u[11] * 2**31),
    )


def apply(augmentation: Augmentation, frame: np.ndarray) -> np.ndarray:
    """Augment one uint8 frame (H, W, 3); returns a float32 image (3, H, W) in [-1, 1]."""
    image = frame.astype(np.float32) / 127.5 - 1
    # The gain multiplies the intensity, so black stays black.
    image = (image + 1) * augmentation.gain - 1
    grey = image.mean(2, keepdims=True)
    image = grey + augmentation.saturation * (image - grey)
    image = augmentation.contrast * image + augmentation.shift
    if augmentation.blur_sigma > 0.1:
        image = gaussian_filter(image, (augmentation.blur_sigma, augmentation.blur_sigma, 0))
    if augmentation.noise_std > 0:
        noise = np.random.default_rng(augmentation.noise_seed)
        image = image + augmentation.noise_std * noise.standard_normal(image.shape, np.float32)
    image = image.clip(-1, 1)
    if augmentation.jpeg_quality is not None:
        image = _jpeg(image, augmentation.jpeg_quality)
    if augmentation.flip:
        image = image[:, ::-1]
    return np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32)


def apply_mask(augmentation: Augmentation, mask: np.ndarray) -> np.ndarray:
    """A uint8 coverage mask (H, W) as float32 (1, H, W) in [0, 1], mirrored like its frame."""
    coverage = mask.astype(np.float32) / 255
    if augmentation.flip:
        coverage = coverage[:, ::-1]
    return np.ascontiguousarray(coverage[None])


def _jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    frame = ((image + 1) * 127.5).round().astype(np.uint8)
    Image.fromarray(frame).save(buffer, format="JPEG", quality=quality)
    return np.asarray(Image.open(buffer), dtype=np.float32) / 127.5 - 1
