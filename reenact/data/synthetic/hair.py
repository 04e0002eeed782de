"""Hair as alpha-tested shells around the scalp."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from reenact.data.synthetic.head_asset import EARS, SCALP_CENTRE, HeadAsset, scalp_direction
from reenact.data.synthetic.imaging import fractal_noise, smoothstep

NUM_AROUND, NUM_DOWN = 84, 22
HAIRLINE_ANGLES = np.radians([0, 18, 36, 52, 64, 74, 82, 92, 104, 120, 150, 180])
HAIRLINE_HEIGHTS = np.array(
    [0.76, 0.76, 0.68, 0.45, 0.18, -0.05, -0.22, 0.14, 0.05, -0.35, -0.75, -0.85]
)
"""Height (dm) of the hairline over the angle from the forehead to the nape."""
STYLES = ("bald", "buzz", "short", "mid", "long", "afro")


@dataclass(frozen=True, kw_only=True)
class Hair:
    """Shells (Vh vertices) in the pose of the unposed head, and their strand maps."""

    points: np.ndarray
    triangles: np.ndarray
    weight_index: np.ndarray
    attributes: np.ndarray
    """(Vh, 3): strand coordinate, root-to-tip coordinate, shell level."""
    tangents: np.ndarray
    strand_map: np.ndarray
    curl: float
    threshold: float


@dataclass(frozen=True, kw_only=True)
class HairTraits:
    """What the shells are grown from."""

    style: str
    male: bool
    hairline: np.ndarray
    """Heights at HAIRLINE_ANGLES."""


def choose_style(rng: np.random.Generator, *, male: bool, oldness: float, tone: float) -> str:
    """One of STYLES, as likely as people wear them."""
    r = rng.random()
    limits: tuple[tuple[str, float], ...]
    if male:
        limits = (("bald", 0.07 + 0.15 * oldness), ("buzz", 0.25), ("short", 0.80), ("mid", 0.92))
        style = next((name for name, limit in limits if r < limit), "long")
    else:
        limits = (("short", 0.15), ("mid", 0.5), ("long", 0.95))
        style = next((name for name, limit in limits if r < limit), "buzz")
    if tone > 0.55 and style in ("mid", "short"):
        tight = rng.random() < 0.45
        style = "afro" if style == "mid" or tight else "buzz"
    return style


def draw_hairline(rng: np.random.Generator, *, male: bool, oldness: float) -> np.ndarray:
    """Hairline heights, receding on some men."""
    recession = float(np.clip(rng.normal(0.10 + 0.22 * oldness, 0.12), 0, 0.45)) if male else 0.0
    heights = HAIRLINE_HEIGHTS + rng.normal(0, 0.03)
    heights[1:4] += recession * np.array([0.25, 0.55, 0.35]) * 0.6
    heights[0] += recession * 0.15
    return heights


@dataclass(frozen=True, kw_only=True)
class _Outline:
    """Where the hair ends: polar angle of the cap and length (dm) hanging below, per column."""

    azimuth: np.ndarray
    end: np.ndarray
    drop: np.ndarray


def _outline(asset: HeadAsset, traits: HairTraits, rng: np.random.Generator) -> _Outline:
    azimuth = np.linspace(-np.pi, np.pi, NUM_AROUND)
    turn = np.abs(azimuth)
    polar = np.linspace(0, 2.6, 140)
    grid_azimuth, grid_polar = np.meshgrid(azimuth, polar, indexing="ij")
    radius = asset.sample_scalp_radius(grid_azimuth, grid_polar)
    height = (SCALP_CENTRE + scalp_direction(grid_azimuth, grid_polar) * radius[..., None])[..., 1]

    def polar_below(level: np.ndarray | float) -> np.ndarray:
        return polar[np.argmax(height < level, 1)]

    end = polar_below(np.interp(turn, HAIRLINE_ANGLES, traits.hairline)[:, None])
    drop = np.zeros(NUM_AROUND)
    length = {"mid": rng.uniform(0.05, 0.55), "long": rng.uniform(0.7, 1.5)}.get(traits.style, 0.0)
    if length > 0:
        hanging = smoothstep(np.radians(58), np.radians(80), turn)
        side = np.minimum(1.62, polar_below(0.12))
        front = np.maximum(end * (1 - hanging) + side * hanging, 0)
        back = np.minimum(end, side + 0.2)
        end = np.where(hanging > 0.02, np.where(turn < np.radians(120), front, back), end)
        drop = hanging * length
    has_fringe = traits.style in ("mid", "long", "short")
    if has_fringe and rng.random() < (0.15 if traits.male else 0.38):
        middle = 1 - smoothstep(np.radians(38), np.radians(62), turn)
        end = end * (1 - middle) + polar_below(rng.uniform(0.22, 0.42)) * middle
    return _Outline(azimuth=azimuth, end=end, drop=drop)


def _thickness(
    traits: HairTraits,
    turn: np.ndarray,
    cap: np.ndarray,
    is_cap: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Height of the outermost shell (NUM_AROUND, NUM_DOWN) in dm."""
    style = traits.style
    depth = {
        "buzz": 0.035,
        "short": rng.uniform(0.09, 0.20),
        "mid": rng.uniform(0.13, 0.2),
        "long": rng.uniform(0.11, 0.18),
        "afro": rng.uniform(0.22, 0.5),
    }[style]
    thinning = {"buzz": 0.75, "short": 0.6, "afro": 0.6}.get(style, 0.35)
    edge = 1 - thinning * smoothstep(0.72, 1.0, cap) * is_cap
    quiff = 0.5 * rng.random() * (style in ("short", "mid"))
    front = 1 + quiff * (1 - smoothstep(0.5, 1.2, turn))[:, None] * smoothstep(0.4, 0.85, cap)
    cut = 0.45 * rng.random() if style == "short" else 0.0
    side = 1 - cut * smoothstep(1.0, 1.5, turn)[:, None]
    lumps = 1 + fractal_noise(rng, NUM_AROUND, NUM_DOWN, 10, 4, 2) * 0.06
    return depth * edge * front * side * lumps


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-6)


def _strand_map(rng: np.random.Generator, style: str, curl: float) -> np.ndarray:
    """(2, 256, 512) strand and clump density in [0, 1]."""
    columns = (60 if style == "afro" else 90) * (1 if curl < 0.5 else 0.8)
    strand = fractal_noise(rng, 256, 512, 6 + 50 * curl, columns, 3)
    clump = fractal_noise(rng, 256, 512, 3 + 10 * curl, 26, 2)
    layers = [(layer - layer.min()) / np.ptp(layer) for layer in (strand, clump)]
    return np.stack(layers).astype(np.float32)


def _shell_triangles(num_shells: int) -> np.ndarray:
    corner = (np.arange(NUM_AROUND - 1)[:, None] * NUM_DOWN + np.arange(NUM_DOWN - 1)).reshape(-1)
    below = corner + NUM_DOWN
    first = np.stack([corner, below, corner + 1], 1)
    second = np.stack([below, below + 1, corner + 1], 1)
    sheet = np.concatenate([first, second])
    return np.concatenate([sheet + j * NUM_AROUND * NUM_DOWN for j in range(num_shells)])


def _follow_identity(asset: HeadAsset, base: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """How far the scalp below each base point lies from the mean head's scalp."""
    near = (asset.head_weight > 0.9) & (asset.scalp_polar < 1.9) & (asset.masks[:, EARS] < 0.2)
    scalp = np.flatnonzero(near)
    distance, index = cKDTree(asset.mean[scalp]).query(base, 6)
    weight = 1 / (distance + 0.05) ** 2
    weight /= weight.sum(1, keepdims=True)
    return ((vertices - asset.mean)[scalp][index] * weight[..., None]).sum(1)


def grow_hair(
    asset: HeadAsset, traits: HairTraits, vertices: np.ndarray, rng: np.random.Generator
) -> Hair | None:
    """Shells for the identity with neutral `vertices` (V, 3); None when bald."""
    if traits.style == "bald":
        return None
    num_shells = 4 if traits.style == "buzz" else 6
    curl = {"afro": 1.0, "buzz": 0.6}.get(
        traits.style, float(np.clip(rng.normal(0.15, 0.25), 0, 0.8))
    )
    outline = _outline(asset, traits, rng)
    turn = np.abs(outline.azimuth)
    down = np.broadcast_to(np.linspace(0, 1, NUM_DOWN), (NUM_AROUND, NUM_DOWN))
    # Columns with hanging hair use the first half of their points for the cap.
    cap_share = np.where(outline.drop > 0.02, 0.5, 1.0)[:, None]
    cap = np.clip(down / cap_share, 0, 1)
    hang = np.clip((down - cap_share) / np.maximum(1 - cap_share, 1e-3), 0, 1) * (cap_share < 1)
    polar = cap * outline.end[:, None]
    azimuth = np.broadcast_to(outline.azimuth[:, None], polar.shape)
    radius = asset.sample_scalp_radius(azimuth, polar)
    direction = scalp_direction(azimuth, polar)
    thickness = _thickness(traits, turn, cap, cap_share >= 1, rng)
    length = outline.drop[:, None] * hang
    outward = _unit(direction * np.array([1, 0, 1]))
    wave = 0.035 * curl * np.sin(length * 9 + azimuth * 5)
    spread = rng.uniform(-0.05, 0.14) * length + wave - 0.06 * smoothstep(0.6, 1, hang)
    fall = np.stack([0 * length, -length, -0.10 * length * (turn[:, None] < 1.7)], -1)
    base = (
        SCALP_CENTRE + direction * (radius[..., None] - 0.01) + fall + outward * spread[..., None]
    )
    lift = np.where(hang[..., None] > 0, outward, direction) * thickness[..., None]
    # Outermost first: the depth test then rejects most of the inner shells early.
    levels = np.arange(num_shells, 0, -1) / num_shells
    moved = _follow_identity(asset, base.reshape(-1, 3), vertices).reshape(base.shape)
    points = np.stack([base + moved + lift * level for level in levels])
    sheet = np.stack([azimuth / (2 * np.pi) + 0.5, down], -1)
    attributes = [np.concatenate([sheet, np.full((*down.shape, 1), v)], -1) for v in levels]
    weight = np.tile((1 - 0.45 * np.clip(length / 1.2, 0, 1)).reshape(-1), num_shells)
    return Hair(
        points=points.reshape(-1, 3).astype(np.float32),
        triangles=_shell_triangles(num_shells),
        weight_index=np.rint(weight * 255).astype(np.uint8),
        attributes=np.stack(attributes).reshape(-1, 3).astype(np.float32),
        tangents=_unit(np.gradient(points, axis=2)).reshape(-1, 3).astype(np.float32),
        strand_map=_strand_map(rng, traits.style, curl),
        curl=curl,
        threshold=0.62 if traits.style in ("afro", "buzz") else 0.58,
    )
