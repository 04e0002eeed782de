"""The head's surface in a picture: which part of it each pixel shows."""

from __future__ import annotations

import functools

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from reenact.assets import asset_path
from reenact.face.head_model import HeadModel, project
from reenact.face.params import NECK_PIVOT, FaceParams, rotation_matrix
from reenact.face.raster import SKIN, rasterize

BALL_RINGS, BALL_SEGMENTS = 8, 16
STILL_EYES, LASHES = 1, 4
"""Materials of `head_model.npz` that are left out: eyeballs that do not turn, and strips thinner
than a pixel.
"""
BALLS = 5
"""The part number of our own eyeballs; other parts have their material's."""


def unit_sphere(rings: int, segments: int) -> tuple[np.ndarray, np.ndarray]:
    """Unit sphere with its pole, the first point, on +Z: points (V, 3) and triangles (T, 3)."""
    polar = np.linspace(0, np.pi, rings + 1)[:, None]
    around = np.linspace(0, 2 * np.pi, segments + 1)[None]
    x, y = np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around)
    points = np.stack([x, y, np.broadcast_to(np.cos(polar), x.shape)], -1).reshape(-1, 3)
    row = segments + 1
    corner = (np.arange(rings)[:, None] * row + np.arange(segments)).reshape(-1)
    first = np.stack([corner, corner + row, corner + 1], 1)
    second = np.stack([corner + row, corner + row + 1, corner + 1], 1)
    return points.astype(np.float32), np.stack([first, second], 1).reshape(-1, 3)


@functools.cache
def _eyeball() -> tuple[np.ndarray, np.ndarray]:
    return unit_sphere(BALL_RINGS, BALL_SEGMENTS)


@functools.cache
def surface_triangles() -> np.ndarray:
    """Corners (T, 3) int32 of the triangles of `surface_points`, anticlockwise from outside."""
    with np.load(asset_path("head_model.npz")) as archive:
        head = archive["tri"][~np.isin(archive["tm"], (STILL_EYES, LASHES))]
        num_vertices = len(archive["mean"])
    points, ball = _eyeball()
    eyes = [ball + num_vertices, ball + num_vertices + len(points)]
    return np.ascontiguousarray(np.concatenate([head, *eyes]), dtype=np.int32)


@functools.cache
def surface_parts() -> np.ndarray:
    """Which part each vertex of `surface_points` belongs to (V,) float32: skin, teeth, tongue or
    eyeballs. No triangle joins two.
    """
    with np.load(asset_path("head_model.npz")) as archive:
        parts = np.zeros(len(archive["mean"]), np.float32)
        parts[archive["tri"].reshape(-1)] = archive["tm"].repeat(3)
    return np.concatenate([parts, np.full(2 * len(_eyeball()[0]), BALLS, np.float32)])


@functools.cache
def _opposite_vertices() -> np.ndarray:
    """For each vertex the one on the other half of the head (V,)."""
    with np.load(asset_path("head_model.npz")) as archive:
        mean = archive["mean"]
    _, head = cKDTree(mean).query(mean * [-1, 1, 1])
    ball, _ = _eyeball()
    _, around = cKDTree(ball).query(ball * [-1, 1, 1])
    first, second = len(mean), len(mean) + len(ball)
    return np.concatenate([head, around + second, around + first])


def mirrored(points: np.ndarray) -> np.ndarray:
    """What each vertex of `surface_points` (B, V, 3) has on the other half of the head."""
    return points[:, _opposite_vertices()]


def surface_points(model: HeadModel, params: FaceParams) -> Tensor:
    """Head and eyeballs (B, V, 3): pixels x and y, and the depth in dm, smaller is nearer."""
    centre, radius = model.eyeballs(params.identity)
    head = rotation_matrix(params.rotation)
    pivot = head.new_tensor(NECK_PIVOT)
    centre = torch.einsum("bij,bnj->bni", head, centre - pivot) + pivot
    gaze = torch.cat([params.gaze, torch.zeros_like(params.gaze[:, :1])], -1)
    ball = torch.from_numpy(_eyeball()[0]).to(head) @ (head @ rotation_matrix(gaze)).mT
    eyes = centre[:, :, None] + radius[..., None, None] * ball[:, None]
    points = torch.cat([model.vertices(params), eyes.flatten(1, 2)], 1)
    return torch.cat([project(points, params.translation, params.scale), -points[..., 2:]], -1)


def draw_surface(
    points: np.ndarray, values: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one surface with a depth buffer.

    Args:
        points: (V, 3) of `surface_points`.
        values: (V, K) of each vertex.
        size: side of the picture.

    Returns:
        The values of each pixel's centre (size, size, K), 0 where no surface is, and whether one
        is there (size, size).
    """
    triangles = surface_triangles()
    single_sided = np.full(len(triangles), SKIN)
    index, weights = rasterize(points[:, :2], points[:, 2], triangles, single_sided, size, size)
    is_drawn = index >= 0
    corners, weights = triangles[index[is_drawn]], weights[is_drawn]
    drawn = np.zeros((size, size, values.shape[1]), np.float32)
    drawn[is_drawn] = sum(weights[:, k, None] * values[corners[:, k]] for k in range(3))
    return drawn, is_drawn
