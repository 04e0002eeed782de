"""Brows, lashes and beards as strands that are anchored to the skin and move with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from reenact.data.synthetic.geometry import unit_vectors
from reenact.data.synthetic.hair_styles import strand_colours
from reenact.data.synthetic.head_asset import INSIDE_MOUTH, LIPS, HeadAsset
from reenact.data.synthetic.imaging import smoothstep
from reenact.data.synthetic.strands import ON_FACE, Strands
from reenact.face.surface.raster import LASH, SKIN

BROW_POINTS = ((107, 55), (66, 65), (105, 52), (63, 53), (70, 46))
"""Pairs of face-mesh points above and below the brow, from the nose outwards."""
BROW_LIFT = np.array([0.016, 0.014, 0.012, 0.010, 0.005])
"""The tracker's brow points lie a little low on the mean head (dm)."""
BEARDS = ("none", "stubble", "moustache", "goatee", "short", "full")


@dataclass(frozen=True, kw_only=True)
class Brows:
    """The shape of both brows."""

    thickness: float
    density: float
    path: np.ndarray
    """(5, 3) middle line of the picture-right brow on the mean head, from the nose outwards."""


@dataclass(frozen=True, kw_only=True)
class Beard:
    """Kind (one of BEARDS), length in dm, and density in [0, 1]."""

    kind: str
    length: float
    density: float


def draw_brows(rng: np.random.Generator, asset: HeadAsset, *, male: bool) -> Brows:
    """Random brows: those of men are thicker and less arched on average."""
    mesh = asset.mesh_positions
    path = np.array([np.nanmean([mesh[a], mesh[b]], 0) for a, b in BROW_POINTS])
    path[:, 0] = np.abs(path[:, 0])
    arch = float(rng.normal(0.004 if male else 0.014, 0.014))
    path[:, 1] += BROW_LIFT + np.array([0.0, 0.3, 1.0, 1.0, 0.0]) * arch + rng.normal(0, 0.012)
    return Brows(
        thickness=float(rng.uniform(0.7, 1.15) * (1.15 if male else 0.8)),
        density=float(rng.uniform(0.6, 1.1) * (1.1 if male else 0.85)),
        path=path,
    )


def draw_beard(rng: np.random.Generator, *, male: bool, age: float) -> Beard:
    """Most men shave, or have stubble."""
    kind = "none"
    if male and age > 0.52:
        kind = str(rng.choice(BEARDS, p=[0.36, 0.22, 0.08, 0.08, 0.17, 0.09]))
    length = {"moustache": 0.10, "goatee": 0.13, "short": 0.08, "full": 0.30}.get(kind, 0.0)
    density = rng.uniform(0.25, 1.0) if kind == "stubble" else rng.uniform(0.75, 1.0)
    return Beard(kind=kind, length=length * float(rng.uniform(0.7, 1.4)), density=float(density))


def beard_cover(beard: Beard, points: np.ndarray, lips: np.ndarray) -> np.ndarray:
    """How densely the beard grows at points (..., 3) of the mean head, with lip masks (...)."""
    if beard.kind == "none":
        return np.zeros(points.shape[:-1])
    across, y = np.abs(points[..., 0]), points[..., 1]
    jaw = 1 - smoothstep(-0.66, -0.46, y - 0.42 * smoothstep(0.34, 0.78, across))
    sideburn = smoothstep(0.60, 0.72, across) * (y < 0.05)
    off_lips = np.clip(1 - lips * 2.2, 0, 1)
    moustache = np.exp(-(((y + 0.60) / 0.075) ** 2)) * np.exp(-((across / 0.30) ** 4))
    under_lip = 1 - 0.6 * np.exp(-(((y + 0.86) / 0.05) ** 2)) * np.exp(-((across / 0.16) ** 2))
    low = smoothstep(-1.35, -1.12, y)
    if beard.kind == "moustache":
        return moustache * off_lips
    if beard.kind == "goatee":
        chin = np.exp(-((across / 0.27) ** 4)) * (y < -0.55)
        return np.clip(moustache + chin * jaw * low, 0, 1) * off_lips * under_lip
    full = np.clip(np.maximum(jaw, sideburn * 0.7) * low + moustache, 0, 1)
    return full * off_lips * under_lip


class Skin:
    """The mean head's skin as places where hair can grow."""

    def __init__(self, asset: HeadAsset, vertices: np.ndarray) -> None:
        self.asset = asset
        used = np.unique(asset.triangles[asset.material == SKIN])
        outside = (asset.masks[used, INSIDE_MOUTH] < 0.3) & (asset.head_weight[used] > 0.5)
        self._used = used[outside]
        self._tree = cKDTree(asset.mean[self._used])
        self._identity = vertices - asset.mean
        corner = asset.mean[asset.triangles[asset.material == SKIN]]
        face = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
        normals = np.zeros_like(asset.mean)
        for k in range(3):
            np.add.at(normals, asset.triangles[asset.material == SKIN][:, k], face)
        self._normals = unit_vectors(normals)

    def anchors(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Three nearest vertices (N, 3), their shares (N, 3) and the normals (N, 3)."""
        distance, index = self._tree.query(points, 3)
        share = 1 / (distance + 0.01) ** 2
        share /= share.sum(1, keepdims=True)
        anchor = self._used[index]
        normal = unit_vectors((self._normals[anchor] * share[..., None]).sum(1))
        return anchor, share, normal

    def on_surface(self, points: np.ndarray) -> np.ndarray:
        """Points (N, 3) moved along their normals onto the tangent plane of the skin."""
        anchor, share, normal = self.anchors(points)
        foot = (self.asset.mean[anchor] * share[..., None]).sum(1)
        return points + ((foot - points) * normal).sum(1, keepdims=True) * normal

    def moved(self, anchor: np.ndarray, share: np.ndarray) -> np.ndarray:
        """How far the identity moves the anchored points (N, 3)."""
        return (self._identity[anchor] * share[..., None]).sum(1)


def _strands(
    skin: Skin,
    roots: np.ndarray,
    headings: np.ndarray,
    lengths: np.ndarray,
    num_points: int,
    colours: np.ndarray,
    width: float,
    bend: np.ndarray | float,
    rng: np.random.Generator,
) -> Strands:
    """Strands from roots (N, 3) along headings (N, 3) that bend downwards by `bend`."""
    count = len(roots)
    anchor, share, normal = skin.anchors(roots)
    t = np.linspace(0, 1, num_points)[None, :, None]
    curve = headings[:, None] * t + np.array([0, -1.0, 0]) * np.asarray(bend) * t * t
    points = roots[:, None] + normal[:, None] * 0.004 + lengths[:, None, None] * curve
    points = points + skin.moved(anchor, share)[:, None]
    taper = np.linspace(1.0, 0.35, num_points)
    repeat = (count, num_points, 3)
    return Strands(
        points=points,
        colours=colours,
        normals=np.broadcast_to(normal[:, None], repeat),
        openness=np.full((count, num_points), 0.85),
        width=width * taper * np.exp(rng.normal(0, 0.2, (count, 1))),
        weight=np.ones((count, num_points)),
        anchor=np.broadcast_to(anchor[:, None], repeat),
        share=np.broadcast_to(share[:, None], repeat),
        gloss=0.4,
        kind=ON_FACE,
    )


def grow_brows(
    skin: Skin, brows: Brows, colour: np.ndarray, grey: float, rng: np.random.Generator
) -> Strands:
    """Both brows; hairs stand up at the nose and lie sideways at the temple."""
    count = int(380 * brows.density)
    t = rng.random(count) ** 0.85
    steps = np.arange(5) / 4
    path = np.stack([np.interp(t, steps, brows.path[:, k]) for k in range(3)], 1)
    half = 0.044 * brows.thickness * (1 - 0.6 * t) * (0.55 + 0.45 * np.minimum(1, t * 6))
    offset = np.clip(rng.normal(0, 0.5, count), -1, 1)
    path[:, 1] += offset * half
    side = rng.choice([-1.0, 1.0], count)
    path[:, 0] *= side
    roots = skin.on_surface(path)
    rise = np.clip(1.0 - 1.5 * t - 0.55 * offset, -0.55, 1.1) + rng.normal(0, 0.18, count)
    heading = np.stack([side * (0.35 + 0.75 * t), rise * 0.9, np.zeros(count)], 1)
    normal = skin.anchors(roots)[2]
    heading = heading - (heading * normal).sum(1, keepdims=True) * normal
    heading = unit_vectors(heading) + normal * 0.16
    lengths = rng.uniform(0.06, 0.12, count) * (1 - 0.25 * t)
    colours = strand_colours(rng, colour, grey, (count, 4))
    return _strands(skin, roots, heading, lengths, 4, colours, 0.0065, 0.12, rng)


def grow_beard(
    skin: Skin, beard: Beard, colour: np.ndarray, grey: float, rng: np.random.Generator
) -> Strands | None:
    """Hairs of a beard or moustache; None when shaved or stubbly (the texture shows stubble)."""
    if beard.length <= 0:
        return None
    asset = skin.asset
    places = asset.texture_position.reshape(-1, 3)
    masks = asset.texture_masks.reshape(-1, asset.texture_masks.shape[-1])
    likely = beard_cover(beard, places, masks[:, LIPS]) * (masks[:, INSIDE_MOUTH] < 0.2)
    likely = np.where(likely > 0.12, likely, 0.0)
    count = int({"moustache": 700, "goatee": 1100}.get(beard.kind, 2600) * beard.density)
    roots = places[rng.choice(len(places), count, p=likely / likely.sum())]
    roots = roots + rng.normal(0, 0.006, roots.shape)
    normal = skin.anchors(roots)[2]
    sideways = np.sign(roots[:, 0]) * np.where(roots[:, 1] > -0.72, 0.9, 0.15)
    heading = np.stack([sideways, -np.ones(count), np.zeros(count)], 1)
    heading = heading + rng.normal(0, 0.35, heading.shape)
    heading = heading - (heading * normal).sum(1, keepdims=True) * normal
    heading = unit_vectors(heading) + normal * rng.uniform(0.25, 0.6, (count, 1))
    lengths = beard.length * rng.uniform(0.6, 1.15, count)
    if beard.kind == "full":
        lengths = lengths * (0.45 + 0.55 * smoothstep(-0.6, -0.95, roots[:, 1]))
    colours = strand_colours(rng, colour, grey, (count, 5))
    return _strands(skin, roots, heading, lengths, 5, colours, 0.011, 0.35, rng)


def grow_lashes(
    asset: HeadAsset, vertices: np.ndarray, density: float, rng: np.random.Generator
) -> Strands:
    """Upper and lower lashes along the head model's strips of lashes."""
    lash = np.unique(asset.triangles[asset.material == LASH])
    level, mean = asset.lash_level, asset.mean
    upper = lash[level[lash] < 1.0]
    roots, tips = upper[level[upper] < 0.16], upper[level[upper] > 0.3]
    middle = np.abs(asset.mean[asset.eye_vertices[0], 0].mean())
    chosen = []
    for side in (-1, 1):
        here = roots[mean[roots, 0] * side > 0]
        here = here[np.argsort(mean[here, 0])]
        far = tips[mean[tips, 0] * side > 0]
        count = int(75 * density)
        place = rng.uniform(0, len(here) - 1.001, count)
        first = here[place.astype(int)]
        second = here[place.astype(int) + 1]
        tip = far[cKDTree(mean[far][:, :1]).query(mean[first][:, :1])[1]]
        chosen.append((first, second, tip, place % 1, np.full(count, side)))
    first, second, tip, part, sides = (np.concatenate(v) for v in zip(*chosen, strict=True))
    count, num_points = len(first), 4
    t = np.linspace(0, 1, num_points)[None]
    share = np.stack(
        [
            (1 - t) * (1 - part[:, None]),
            (1 - t) * part[:, None],
            np.broadcast_to(t, (count, num_points)),
        ],
        -1,
    )
    root = vertices[first] * (1 - part[:, None]) + vertices[second] * part[:, None]
    fan = (np.abs(mean[first, 0]) - middle) / 0.15 * sides
    heading = unit_vectors(np.stack([0.55 * fan, np.full(count, 0.25), np.full(count, 0.95)], 1))
    heading = unit_vectors(heading + rng.normal(0, 0.12, heading.shape))
    length = rng.uniform(0.026, 0.048, count)[:, None, None] * (0.8 + 0.25 * density)
    lifted = np.array([0, 0.45, 0]) * (t * t)[..., None]
    points = root[:, None] + length * (heading[:, None] * t[..., None] + lifted)
    anchor = np.stack([first, second, tip], 1)
    repeat = (count, num_points, 3)
    return Strands(
        points=points,
        colours=np.full(repeat, 0.012),
        normals=np.broadcast_to(heading[:, None], repeat),
        openness=np.full((count, num_points), 0.6),
        width=0.0055 * np.linspace(1.0, 0.3, num_points) * np.ones((count, 1)),
        weight=np.ones((count, num_points)),
        anchor=np.broadcast_to(anchor[:, None], repeat),
        share=share,
        gloss=0.1,
        kind=ON_FACE,
    )
