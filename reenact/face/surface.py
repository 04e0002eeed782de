"""The head's surface in a picture: which part of it each pixel shows."""

from __future__ import annotations

import functools

import numba as nb
import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from reenact.assets import asset_path
from reenact.face.head_model import HeadModel, project
from reenact.face.params import NECK_PIVOT, FaceParams, rotation_matrix

BALL_RINGS, BALL_SEGMENTS = 8, 16
STILL_EYES, LASHES = 1, 4
"""Materials of `head_model.npz` that are left out: eyeballs that do not turn, and strips thinner
than a pixel.
"""
BALLS = 5
"""The part number of our own eyeballs; other parts have their material's."""
FAR = 1e9


@functools.cache
def _eyeball() -> tuple[Tensor, np.ndarray]:
    """Unit sphere with its pole, the pupil, on +Z: points (V, 3), triangles (T, 3)."""
    polar = torch.linspace(0, np.pi, BALL_RINGS + 1)[:, None]
    around = torch.linspace(0, 2 * np.pi, BALL_SEGMENTS + 1)[None]
    x, y = polar.sin() * around.cos(), polar.sin() * around.sin()
    points = torch.stack([x, y, polar.cos().expand_as(x)], -1).reshape(-1, 3)
    row = BALL_SEGMENTS + 1
    corner = (np.arange(BALL_RINGS)[:, None] * row + np.arange(BALL_SEGMENTS)).reshape(-1)
    first = np.stack([corner, corner + row, corner + 1], 1)
    second = np.stack([corner + row, corner + row + 1, corner + 1], 1)
    return points, np.stack([first, second], 1).reshape(-1, 3)


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
    ball = _eyeball()[0].numpy()
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
    ball = _eyeball()[0].to(head) @ (head @ rotation_matrix(gaze)).mT
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
        The values of each pixel's centre (size, size, K), 0 where no surface is, and its depth
        (size, size), FAR there.
    """
    depth = np.full((size, size), FAR, np.float32)
    drawn = np.zeros((size, size, values.shape[1]), np.float32)
    points = np.ascontiguousarray(points, np.float32)
    _draw(points, surface_triangles(), np.ascontiguousarray(values, np.float32), depth, drawn)
    return drawn, depth


@nb.njit(cache=True, nogil=True)
def _draw(
    points: np.ndarray,
    triangles: np.ndarray,
    values: np.ndarray,
    depth: np.ndarray,
    drawn: np.ndarray,
) -> None:
    height, width = depth.shape
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        x0, x1, x2 = points[a, 0], points[b, 0], points[c, 0]
        y0, y1, y2 = points[a, 1], points[b, 1], points[c, 1]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if area >= -1e-9:  # seen from inside, or on edge; y points down
            continue
        left = max(0, int(np.ceil(min(x0, x1, x2) - 0.5)))
        right = min(width - 1, int(np.floor(max(x0, x1, x2) - 0.5)))
        top = max(0, int(np.ceil(min(y0, y1, y2) - 0.5)))
        bottom = min(height - 1, int(np.floor(max(y0, y1, y2) - 0.5)))
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                x, y = column + 0.5, row + 0.5
                wa = ((x1 - x) * (y2 - y) - (x2 - x) * (y1 - y)) / area
                wb = ((x2 - x) * (y0 - y) - (x0 - x) * (y2 - y)) / area
                wc = 1.0 - wa - wb
                if wa < -1e-5 or wb < -1e-5 or wc < -1e-5:
                    continue
                z = wa * points[a, 2] + wb * points[b, 2] + wc * points[c, 2]
                if z >= depth[row, column]:
                    continue
                depth[row, column] = z
                for k in range(values.shape[1]):
                    drawn[row, column, k] = (
                        wa * values[a, k] + wb * values[b, k] + wc * values[c, k]
                    )
