"""Bakes soft self-shadowing of the head as order-2 spherical harmonics per vertex."""

from __future__ import annotations

import numpy as np

from reenact.data.synthetic.light import spherical_harmonics
from reenact.face.surface.raster import PLAIN, rasterize

NUM_DIRECTIONS = 220
MAP_SIZE = 256
SHADOW_BIAS = 0.036 / 40


def _normals(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    corner = points[triangles]
    face = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    normals = np.zeros_like(points)
    for k in range(3):
        np.add.at(normals, triangles[:, k], face)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def _sphere_directions() -> np.ndarray:
    """Evenly spread unit vectors (a Fibonacci spiral)."""
    i = np.arange(NUM_DIRECTIONS) + 0.5
    polar, around = np.arccos(1 - 2 * i / NUM_DIRECTIONS), np.pi * (1 + 5**0.5) * i
    return np.stack(
        [np.cos(around) * np.sin(polar), np.cos(polar), np.sin(around) * np.sin(polar)], 1
    )


def _visibility(points: np.ndarray, triangles: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Share (V,) of five shadow-map samples that see the light from direction `w`."""
    up = np.array([0.0, 1, 0]) if abs(w[1]) < 0.9 else np.array([1.0, 0, 0])
    a = np.cross(up, w)
    a /= np.linalg.norm(a)
    b = np.cross(w, a)
    k = MAP_SIZE / 5.5
    x, y = points @ a * k + MAP_SIZE / 2, -(points @ b + 0.6) * k + MAP_SIZE / 2
    z = (10 - points @ w) / 40
    plain = np.full(len(triangles), PLAIN)
    ids, bary = rasterize(np.stack([x, y], 1), z, triangles, plain, MAP_SIZE, MAP_SIZE)
    depth = (z[triangles[np.maximum(ids, 0)]] * bary).sum(-1)
    depth = np.where(ids < 0, 9.0, depth)
    seen = np.zeros(len(points))
    for dx, dy in ((0, 0), (0.7, 0), (-0.7, 0), (0, 0.7), (0, -0.7)):
        column = np.clip((x + dx).astype(int), 0, MAP_SIZE - 1)
        row = np.clip((y + dy).astype(int), 0, MAP_SIZE - 1)
        seen += z < depth[row, column] + SHADOW_BIAS
    return seen / 5


def bake_transfer(
    points: np.ndarray, triangles: np.ndarray, casts_shadow: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Transfer (V, 9) with and without shadow for points (V, 3); `casts_shadow` (T,) bool."""
    shadow = np.ascontiguousarray(triangles[casts_shadow])
    normals = _normals(points, triangles)
    with_shadow, without = np.zeros((len(points), 9)), np.zeros((len(points), 9))
    for w in _sphere_directions():
        cosine = np.maximum(normals @ w, 0)
        basis = spherical_harmonics(w[None]) * 4 / NUM_DIRECTIONS
        with_shadow += (cosine * _visibility(points, shadow, w))[:, None] * basis
        without += cosine[:, None] * basis
    pairs = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    pairs = np.concatenate([pairs, pairs[:, ::-1]])
    smooth, count = with_shadow.copy(), np.ones(len(points))
    np.add.at(smooth, pairs[:, 0], with_shadow[pairs[:, 1]])
    np.add.at(count, pairs[:, 0], 1)
    return smooth / count[:, None], without
