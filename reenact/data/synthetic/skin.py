"""Paints one person's skin: albedo, bump and gloss on the head's cylinder texture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from reenact.data.synthetic.facial_hair import Beard, Brows, beard_cover
from reenact.data.synthetic.head_asset import LIPS, TEXTURE_SIZE, HeadAsset, cylinder_uv
from reenact.data.synthetic.imaging import (
    draw_strokes,
    fractal_noise,
    gaussian_blur,
    resize,
    smoothstep,
)

DISPLAY_GAMMA = 2.2
SKIN_DEPTH, SKIN_CONTRAST = 0.88, 1.12
"""Skin reflects less, and redder, than `skin_colour` says, which gives colours of photos."""
BLUSH = (
    ((0.42, -0.42, -0.15), 0.22, 0.9),
    (30, 0.16, 0.8),
    (8, 0.22, 0.35),
    ((0.75, -0.15, -0.9), 0.25, 0.9),
    ((0.12, 0.35, 0.2), 0.3, 0.15),
)
"""(position or landmark, radius, strength) of the redder spots: cheeks, nose, chin, ears, brow."""
EYE_SHADOWS = np.array([[0.35, 0.22, 0.2], [0.25, 0.2, 0.25], [0.5, 0.3, 0.3], [0.3, 0.2, 0.15]])
LIPSTICKS = np.array(
    [
        [0.62, 0.10, 0.14],
        [0.70, 0.25, 0.28],
        [0.50, 0.10, 0.18],
        [0.78, 0.38, 0.36],
        [0.45, 0.16, 0.14],
    ]
)


def linear(colour: np.ndarray) -> np.ndarray:
    """Display colour in [0, 1] to linear light."""
    return np.power(np.clip(colour, 0, 1), DISPLAY_GAMMA)


def display(colour: np.ndarray) -> np.ndarray:
    """Linear light in [0, 1] to display colour."""
    return np.power(np.clip(colour, 0, 1), 1 / DISPLAY_GAMMA)


@dataclass(frozen=True, kw_only=True)
class SkinTraits:
    """What the painter must know about a person."""

    male: bool
    age: float
    oldness: float
    tone: float
    """0 lightest to 1 darkest."""
    base: np.ndarray
    """Skin colour, display."""
    hair_colour: np.ndarray
    """Linear, as that of the brows."""
    brow_colour: np.ndarray
    beard: Beard
    brows: Brows


class _Painting:
    """The layers of the texture while they are painted, and the head position of each pixel."""

    def __init__(self, asset: HeadAsset, traits: SkinTraits, rng: np.random.Generator) -> None:
        size = TEXTURE_SIZE
        self.asset, self.traits, self.rng = asset, traits, rng
        self.x, self.y, self.z = (asset.texture_position[..., k] for k in range(3))
        self.across = np.abs(self.x)
        self.landmarks = asset.mean[asset.landmark_vertices]
        self.eye = np.abs(asset.mean[asset.eye_vertices[0]].mean(0))
        self.lips = gaussian_blur(asset.texture_masks[..., LIPS], 1.2)
        self.coarse = fractal_noise(rng, size, size, 8, 8, 4)
        self.medium = fractal_noise(rng, size, size, 60, 60, 3)
        self.fine = rng.standard_normal((size, size), dtype=np.float32)
        self.albedo = np.broadcast_to(traits.base, (size, size, 3)).astype(np.float32)
        self.bump = (0.42 * gaussian_blur(self.fine, 1.0) + 0.05 * self.medium) * 0.5
        self.brows = np.zeros((size, size), np.float32)

    def blob(self, centre: np.ndarray | tuple, radius: float) -> np.ndarray:
        """Soft spot on both sides of the face."""
        d2 = (self.across - abs(centre[0])) ** 2 + (self.y - centre[1]) ** 2
        return np.exp(-(d2 + (self.z - centre[2]) ** 2 * 0.5) / (radius * radius))

    def eye_spot(self, dx: float, dy: float, width: float, height: float) -> np.ndarray:
        """Soft ellipse relative to the eyes."""
        x = (self.across - self.eye[0] + dx) / width
        y = (self.y - self.eye[1] + dy) / height
        return np.exp(-(x * x + y * y))

    def multiply(self, amount: np.ndarray, channels: tuple[float, float, float]) -> None:
        """albedo *= 1 + amount * channels."""
        for k in range(3):
            self.albedo[..., k] *= 1 + amount * channels[k]

    def blend(self, cover: np.ndarray, colour: np.ndarray) -> None:
        """Paint `colour` ((3,) or a picture) over the albedo."""
        cover = cover[..., None].astype(np.float32)
        self.albedo = self.albedo * (1 - cover) + cover * colour.astype(np.float32)


def _paint_base(c: _Painting) -> None:
    """Blotches, redness, shade around the eyes."""
    light = 1 - c.traits.tone
    red = np.zeros_like(c.x)
    for where, radius, strength in BLUSH:
        centre = c.landmarks[where] if isinstance(where, int) else where
        red += strength * c.blob(centre, radius)
    red *= c.rng.uniform(0.4, 1.2)
    c.multiply(red * (0.10 * light + 0.05), (0.6, -0.9, -0.8))
    grain = c.coarse * 0.018 + c.medium * 0.010 + gaussian_blur(c.fine, 0.7) * 0.035
    c.multiply(grain, (0.8, 1.0, 1.1))
    around = c.eye_spot(0.02, 0.05, 0.27, 0.17) * (0.10 + 0.08 * c.rng.random())
    bags = c.eye_spot(0.04, 0.17, 0.2, 0.06) * (0.03 + 0.10 * c.traits.oldness * c.rng.random())
    c.multiply(around + bags, (-0.8, -1.0, -0.9))


def _paint_marks(c: _Painting) -> None:
    """Eye shadow, freckles and moles."""
    rng, size = c.rng, TEXTURE_SIZE
    if not c.traits.male and rng.random() < 0.55:
        shadow = c.eye_spot(0, -0.08, 0.19, 0.07) * rng.uniform(0.15, 0.55)
        c.blend(shadow, EYE_SHADOWS[rng.integers(4)] ** 0.99 * c.albedo.mean() * 1.3)
    if rng.random() < 0.16 * (1 - c.traits.tone):
        dots = (rng.random((size, size)) < 0.012).astype(np.float32)
        area = np.clip(c.blob((0.35, -0.3, 0), 0.35) + c.blob(c.landmarks[29], 0.3), 0, 1)
        freckles = np.clip(gaussian_blur(dots, 1.1) * 6, 0, 1) * area
        c.multiply(freckles * 0.22, (-0.6, -0.9, -1.0))
    num_moles = int(rng.integers(0, 5))
    if num_moles:
        moles = np.zeros((size, size), np.float32)
        at = rng.uniform([size * 0.3, size * 0.3], [size * 0.7, size * 0.75], (num_moles, 2))
        for centre in at:
            segment = np.concatenate([centre, centre])[None]
            draw_strokes(moles, segment, np.ones(1), float(rng.uniform(0.8, 2.0)))
        c.multiply(gaussian_blur(moles, 0.7), (-0.55, -0.55, -0.55))


def _paint_lips(c: _Painting) -> None:
    """Natural lip colour or lipstick."""
    rng, traits = c.rng, c.traits
    made_up = 0.0 if traits.male or rng.random() > 0.5 else rng.uniform(0.15, 0.8)
    natural = traits.base * np.array([0.86, 0.62, 0.60]) * (1 - 0.12 * traits.tone)
    natural = natural + np.array([0.05, 0, 0.01])
    colour = natural * (1 - made_up) + LIPSTICKS[rng.integers(5)] * made_up
    strength = 0.30 + 0.30 * rng.random() if traits.male else 0.70 + 0.2 * (made_up > 0)
    c.blend(c.lips * strength, colour * (1 + c.medium[..., None] * 0.03))


def _paint_lash_lines(c: _Painting) -> None:
    """The dark edge of the upper lids, where the lashes grow; darker with eyeliner."""
    size, asset = TEXTURE_SIZE, c.asset
    upper = np.flatnonzero((asset.lash_level < 0.12) & (asset.lash_vertex))
    strokes = np.zeros((size * 2, size * 2), np.float32)
    for side in (-1, 1):
        line = upper[asset.mean[upper, 0] * side > 0]
        uv = cylinder_uv(asset.mean[line[np.argsort(asset.mean[line, 0])]]) * 2
        segments = np.concatenate([uv[:-1], uv[1:]], 1).astype(np.float64)
        draw_strokes(strokes, segments, np.full(len(segments), 1.0), 1.0)
    line = gaussian_blur(resize(strokes, size, size, Image.Resampling.BOX), 0.7)
    made_up = 0.0 if c.traits.male or c.rng.random() < 0.5 else c.rng.uniform(0.2, 0.6)
    c.blend(np.clip(line * (0.6 + made_up), 0, 0.9), np.array([0.10, 0.07, 0.06]))


def _wrinkle_lines(c: _Painting) -> np.ndarray:
    """Forehead lines, crow's feet, lower lids and nasolabial folds."""
    rng, across, y = c.rng, c.across, c.y
    lines = np.zeros_like(c.x)
    for i in range(4):
        height = 0.34 + 0.1 * i + rng.normal(0, 0.01)
        wobble = 0.02 * np.sin(across * rng.uniform(4, 7) + rng.random() * 6) + 0.05 * across**2
        line = np.exp(-(((y - height - wobble) / 0.012) ** 2)) * np.exp(-((across / 0.42) ** 4))
        lines += line * (c.z > -0.5) * rng.uniform(0.5, 1)
    for _ in range(4):
        slope = rng.uniform(-0.6, 0.5)
        dx, dy = across - (c.eye[0] + 0.22), y - c.eye[1]
        foot = np.exp(-(((dy - slope * dx) / 0.010) ** 2)) * smoothstep(0, 0.03, dx)
        lines += foot * (1 - smoothstep(0.1, 0.2, dx)) * 0.8
    for i in range(2):
        dx = across - (c.eye[0] - 0.02)
        lid = (y - (c.eye[1] - 0.16 - 0.05 * i) - 0.5 * dx**2) / 0.012
        lines += np.exp(-(lid**2)) * np.exp(-((dx / 0.16) ** 4)) * 0.7
    t = np.clip((-0.42 - y) / 0.35, 0, 1)
    fold = np.exp(-(((across - (0.22 + 0.17 * t)) / 0.014) ** 2)) * ((y < -0.40) & (y > -0.80))
    return gaussian_blur(lines + fold * np.sin(np.pi * t) * 1.1, 1.2)


def _paint_wrinkles(c: _Painting) -> None:
    """Wrinkles and age spots of older people."""
    old = c.traits.oldness
    if old <= 0.05 and c.traits.age <= 0.6:
        return
    lines, depth = _wrinkle_lines(c), max(old, 0.15)
    c.bump -= lines * 2.2 * depth
    c.multiply(lines * 0.10 * depth, (-0.8, -1, -1))
    spots = smoothstep(1.2, 2.2, fractal_noise(c.rng, TEXTURE_SIZE, TEXTURE_SIZE, 26, 26, 2))
    c.multiply(spots * 0.10 * old, (-0.7, -1, -1))


def _paint_beard(c: _Painting) -> None:
    """Stubble, and the shadow of the hair below longer beards."""
    rng, beard, size = c.rng, c.traits.beard, TEXTURE_SIZE
    if beard.kind == "none" and not (c.traits.male and c.traits.age > 0.5):
        return
    shaved = beard.kind == "none"
    shown = Beard(kind="stubble", length=0.0, density=0.18) if shaved else beard
    places = np.stack([c.x, c.y, c.z], -1)
    cover = beard_cover(shown, places, c.lips) * shown.density
    dots = gaussian_blur((rng.random((size, size)) < 0.35).astype(np.float32), 0.6)
    hair = display(c.traits.hair_colour) * 0.9
    strength = 0.45 if beard.length <= 0 else 0.6
    c.blend(np.clip(cover * strength * (0.4 + 1.5 * dots), 0, 0.9), c.albedo * 0.45 + hair * 0.35)


def _paint_brows(c: _Painting) -> None:
    """The soft shadow of the brows; their hairs are strands."""
    brows, size = c.traits.brows, TEXTURE_SIZE
    strokes = np.zeros((size * 2, size * 2), np.float32)
    t = np.linspace(0, 1, 24)
    for side in (-1, 1):
        path = np.stack([np.interp(t, np.arange(5) / 4, brows.path[:, k]) for k in range(3)], 1)
        path[:, 0] *= side
        uv = cylinder_uv(path) * 2
        half = 8.5 * brows.thickness * (1 - 0.6 * t) * (0.5 + 0.5 * np.minimum(1, t * 6))
        for n in range(len(t) - 1):
            segment = np.concatenate([uv[n], uv[n + 1]])[None].astype(np.float64)
            draw_strokes(strokes, segment, np.full(1, 0.9), float(half[n]))
    soft = gaussian_blur(resize(strokes, size, size, Image.Resampling.BOX), 2.6)
    c.brows = np.clip(soft * 0.42 * brows.density, 0, 0.7)
    c.blend(c.brows, display(c.traits.brow_colour) * 0.75 + c.albedo * 0.25)


def paint_skin(asset: HeadAsset, traits: SkinTraits, rng: np.random.Generator) -> np.ndarray:
    """Texture (512, 512, 6) float32: linear albedo, bump gradient x and y, gloss."""
    c = _Painting(asset, traits, rng)
    for paint in (
        _paint_base,
        _paint_marks,
        _paint_lips,
        _paint_lash_lines,
        _paint_wrinkles,
        _paint_beard,
        _paint_brows,
    ):
        paint(c)
    oily = 0.25 * c.blob(c.landmarks[30], 0.3) + 0.2 * c.blob((0.0, 0.5, 0.2), 0.35)
    gloss = 0.32 + 0.10 * (1 - traits.tone) + oily + 0.05 * c.coarse + 0.04 * c.medium
    gloss = np.clip(gloss + 0.15 * c.lips - 0.15 * c.brows, 0.05, 1) * rng.uniform(0.7, 1.3)
    slope_x = ndimage.sobel(c.bump, 1) / 8
    slope_y = ndimage.sobel(c.bump, 0) / 8
    layers = [
        SKIN_DEPTH * linear(c.albedo) ** SKIN_CONTRAST,
        np.stack([slope_x, slope_y, gloss], -1),
    ]
    return np.ascontiguousarray(np.concatenate(layers, 2), np.float32)
