"""The head model's arrays in the form that the renderer and the painters need."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from reenact.data.synthetic.imaging import gaussian_blur
from reenact.face.surface.raster import EYE, LASH, PLAIN, SKIN, rasterize

ASSET_PATH = Path(__file__).resolve().parents[2] / "assets" / "head_model.npz"
TEXTURE_SIZE = 512
CYLINDER_HALF_ANGLE, CYLINDER_Z = 1.92, -0.85
CYLINDER_TOP, CYLINDER_BOTTOM = 1.2, -1.7
RADIUS_WIDTH, RADIUS_HEIGHT = 180, 90
SCALP_CENTRE = np.array([0, 0.25, -0.95], np.float32)
SCALP_TILT = math.radians(18)
SCALP_AXES = np.array(
    [
        [0, math.cos(SCALP_TILT), -math.sin(SCALP_TILT)],
        [0, math.sin(SCALP_TILT), math.cos(SCALP_TILT)],
        [1, 0, 0],
    ],
    np.float32,
)
"""Rows: up, forward and sideways axis of the scalp's polar coordinates."""
LIPS, EYELIDS, EARS, INSIDE_MOUTH, FACE = range(5)
"""Columns of the vertex masks."""


def cylinder_uv(points: np.ndarray) -> np.ndarray:
    """Texture pixel (..., 2) of points (..., 3) of the unposed mean head."""
    angle = np.arctan2(points[..., 0], points[..., 2] - CYLINDER_Z)
    u = (0.5 + angle / (2 * CYLINDER_HALF_ANGLE)) * TEXTURE_SIZE
    v = (CYLINDER_TOP - points[..., 1]) / (CYLINDER_TOP - CYLINDER_BOTTOM) * TEXTURE_SIZE
    return np.stack([u, v], -1)


def scalp_direction(azimuth: np.ndarray, polar: np.ndarray) -> np.ndarray:
    """Unit vectors (..., 3) of scalp coordinates (radians)."""
    up, forward, side = SCALP_AXES
    azimuth, polar = azimuth[..., None], polar[..., None]
    return up * np.cos(polar) + np.sin(polar) * (forward * np.cos(azimuth) + side * np.sin(azimuth))


@dataclass(frozen=True, kw_only=True)
class HeadAsset:
    """Head geometry (V vertices, T triangles) and the maps derived from it."""

    mean: np.ndarray
    identity_basis: np.ndarray
    expression_basis: np.ndarray
    triangles: np.ndarray
    material: np.ndarray
    masks: np.ndarray
    """(V, 5) in [0, 1], with the columns LIPS to FACE."""
    head_weight: np.ndarray
    weight_index: np.ndarray
    """(V,) uint8, 255 times the head weight."""
    transfer: np.ndarray
    """(V, 9) order-2 spherical harmonics of the irradiance, with the head's own shadows."""
    landmark_vertices: np.ndarray
    mesh_positions: np.ndarray
    """(478, 3) the face-mesh points on the mean head (NaN where unseen)."""
    eye_vertices: tuple[np.ndarray, np.ndarray]
    """Eyeball vertices, image-left eye first."""
    codes: np.ndarray
    code_meta: np.ndarray
    """(1500, 7): maleness, caucasian, asian, african, age, muscle, weight."""
    uv: np.ndarray
    lash_vertex: np.ndarray
    """(V,) bool, True for the vertices of the lashes."""
    lash_level: np.ndarray
    texture_position: np.ndarray
    texture_masks: np.ndarray
    scalp_polar: np.ndarray
    scalp_radius: np.ndarray

    def identity_vertices(self, code: np.ndarray) -> np.ndarray:
        """Neutral vertices (V, 3) of an identity code (80,)."""
        return self.mean + np.tensordot(code.astype(np.float32), self.identity_basis, 1)

    def eyeballs(self, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Centres (2, 3) and radii (2,) of the eyeballs, image-left first."""
        centres = np.stack([vertices[e].mean(0) for e in self.eye_vertices])
        radii = [
            float(np.linalg.norm(vertices[e] - c, axis=1).mean()) * 0.985
            for e, c in zip(self.eye_vertices, centres, strict=True)
        ]
        return centres, np.array(radii, np.float32)

    def sample_scalp_radius(self, azimuth: np.ndarray, polar: np.ndarray) -> np.ndarray:
        """Distance of the scalp from SCALP_CENTRE at scalp coordinates (radians)."""
        padded = np.hstack([self.scalp_radius[:, -4:], self.scalp_radius, self.scalp_radius[:, :4]])
        x = (azimuth / (2 * np.pi) + 0.5) * RADIUS_WIDTH - 0.5 + 4
        y = polar / np.pi * RADIUS_HEIGHT - 0.5
        return ndimage.map_coordinates(padded, [y, x], order=1, mode="nearest")


def _texture_maps(
    mean: np.ndarray, uv: np.ndarray, triangles: np.ndarray, masks: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Head position and masks of every texture pixel; pixels off the head copy the nearest."""
    span = np.ptp(uv[triangles][..., 0], axis=1)
    kept = np.ascontiguousarray(triangles[span < TEXTURE_SIZE * 0.2])
    radius = np.hypot(mean[:, 0], mean[:, 2] - CYLINDER_Z)
    plain = np.full(len(kept), PLAIN)
    ids, bary = rasterize(uv, (5 - radius) / 10, kept, plain, TEXTURE_SIZE, TEXTURE_SIZE)
    corners = kept[np.maximum(ids, 0)]
    position = (mean[corners] * bary[..., None]).sum(2)
    mask = (masks[corners] * bary[..., None]).sum(2)
    rows, columns = ndimage.distance_transform_edt(
        ids < 0, return_distances=False, return_indices=True
    )
    return position[rows, columns], mask[rows, columns]


def _scalp_maps(
    mean: np.ndarray, triangles: np.ndarray, masks: np.ndarray, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Polar angle of every vertex and the smooth radius map (RADIUS_HEIGHT, RADIUS_WIDTH)."""
    offset = mean - SCALP_CENTRE
    radius = np.linalg.norm(offset, axis=1) + 1e-9
    up, forward, side = SCALP_AXES
    polar = np.arccos(np.clip(offset @ up / radius, -1, 1))
    azimuth = np.arctan2(offset @ side, offset @ forward)
    x, y = (azimuth / (2 * np.pi) + 0.5) * RADIUS_WIDTH, polar / np.pi * RADIUS_HEIGHT
    kept = (
        (np.ptp(x[triangles], axis=1) < RADIUS_WIDTH * 0.3)
        & (masks[triangles][:, :, EARS].max(1) < 0.15)
        & (masks[triangles][:, :, INSIDE_MOUTH].max(1) < 0.2)
        & (weight[triangles].min(1) > 0.5)
    )
    kept_triangles = np.ascontiguousarray(triangles[kept])
    ids, bary = rasterize(
        np.stack([x, y], 1),
        (5 - radius) / 10,
        kept_triangles,
        np.full(len(kept_triangles), PLAIN),
        RADIUS_HEIGHT,
        RADIUS_WIDTH,
    )
    known = (ids >= 0).astype(np.float32)
    values = (radius[kept_triangles[np.maximum(ids, 0)]] * bary).sum(2) * known
    filled = np.where(known > 0, values, np.nan)

    def wrapped_blur(picture: np.ndarray, sigma: float) -> np.ndarray:
        return gaussian_blur(np.hstack([picture] * 3), sigma)[:, RADIUS_WIDTH : 2 * RADIUS_WIDTH]

    for sigma in (3.0, 8.0, 20.0):
        share = wrapped_blur(known, sigma)
        guess = wrapped_blur(values, sigma) / np.maximum(share, 1e-6)
        filled = np.where(np.isnan(filled) & (share > 0.02), guess, filled)
    filled = np.where(np.isnan(filled), np.nanmean(filled), filled)
    return polar, wrapped_blur(filled.astype(np.float32), 2.0)


def _lash_levels(
    mean: np.ndarray, tri: np.ndarray, material: np.ndarray, masks: np.ndarray, eye_height: float
) -> np.ndarray:
    """0 at the lid to 1 at the tip for upper lashes; lower lashes are left out (1)."""
    lash = np.unique(tri[material == LASH])
    body = np.unique(tri[material == SKIN])
    body = body[masks[body, FACE] > 0.5]
    distance = cKDTree(mean[body]).query(mean[lash])[0]
    upper = mean[lash, 1] > eye_height - 0.02
    level = np.ones(len(mean), np.float32)
    level[lash] = np.where(upper, np.clip(distance / distance.max(), 0, 1) * 1.15, 1.0)
    return level


@functools.lru_cache(maxsize=2)
def load_head_asset(path: Path = ASSET_PATH) -> HeadAsset:
    """Read and prepare the head bundle (about half a second)."""
    with np.load(path) as bundle:
        d = {key: bundle[key] for key in bundle.files}
    mean = d["mean"].astype(np.float32)
    masks = d["masks"].astype(np.float32) / 255
    weight = d["hw"].astype(np.float32) / 255
    all_triangles, all_material = d["tri"].astype(np.int64), d["tm"].astype(np.int64)
    keep = all_material != EYE
    triangles, material = all_triangles[keep], all_material[keep]
    skin = triangles[material == SKIN]
    # The group named R is the person's right eye, the one at the picture's left.
    eyes = (d["eyeR"].astype(np.int64), d["eyeL"].astype(np.int64))
    uv = cylinder_uv(mean).astype(np.float32)
    position, texture_masks = _texture_maps(mean, uv, skin, masks)
    polar, radius = _scalp_maps(mean, skin, masks, weight)
    return HeadAsset(
        mean=mean,
        identity_basis=d["B"].astype(np.float32) / 127 * d["Bs"][:, None, None],
        expression_basis=d["E"].astype(np.float32) / 127 * d["Es"][:, None, None],
        triangles=triangles,
        material=material,
        masks=masks,
        head_weight=weight,
        weight_index=d["hw"].astype(np.uint8),
        transfer=d["T"].astype(np.float32),
        landmark_vertices=d["lm68"].astype(np.int64),
        mesh_positions=d["pos468"].astype(np.float32),
        eye_vertices=eyes,
        codes=d["codes"].astype(np.float32),
        code_meta=d["meta"].astype(np.float32),
        uv=uv,
        lash_vertex=np.isin(np.arange(len(mean)), triangles[material == LASH]),
        lash_level=_lash_levels(mean, triangles, material, masks, mean[eyes[0], 1].mean()),
        texture_position=position,
        texture_masks=texture_masks,
        scalp_polar=polar,
        scalp_radius=radius,
    )
