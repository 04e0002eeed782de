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
from reenact.face.surface.raster import EYE, LASH, SKIN, TEETH, rasterize

BALL_RINGS, BALL_SEGMENTS = 8, 16
LEFT_OUT = (EYE, LASH)
"""The head model's own eyeballs, which do not turn, and lashes, strips thinner than a pixel."""
BALLS, INSIDE = 5, 6
"""Parts of ours: eyeballs that turn, and the skin inside the mouth. Other parts have their
material's number.
"""
NUM_PARTS = INSIDE + 1
INSIDE_MASK = 3
"""The column of `masks` in `head_model.npz` that is 255 inside the mouth."""
UPPER_TEETH_SHIFT = (0.0, -0.05, 0.045)
"""The base mesh hides the upper teeth behind the lip; people show them when they speak (dm)."""


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
        head = archive["tri"][~np.isin(archive["tm"], LEFT_OUT)]
        num_vertices = len(archive["mean"])
    points, ball = _eyeball()
    eyes = [ball + num_vertices, ball + num_vertices + len(points)]
    return np.ascontiguousarray(np.concatenate([head, *eyes]), dtype=np.int32)


@functools.cache
def surface_parts() -> np.ndarray:
    """Which part each of `surface_triangles` belongs to (T,) int."""
    with np.load(asset_path("head_model.npz")) as archive:
        material = archive["tm"].astype(int)
        inside = archive["masks"][archive["tri"], INSIDE_MASK].mean(1) > 204
    parts = np.where((material == SKIN) & inside, INSIDE, material)
    parts = parts[~np.isin(material, LEFT_OUT)]
    return np.concatenate([parts, np.full(2 * len(_eyeball()[1]), BALLS)])


@functools.cache
def rest_points() -> np.ndarray:
    """Where the vertices of `surface_points` are on the mean head at rest, in dm, and those of an
    eyeball on the unit sphere around +Z, its pupil: (V, 3) float32.
    """
    with np.load(asset_path("head_model.npz")) as archive:
        mean = archive["mean"]
    return np.concatenate([mean, _eyeball()[0], _eyeball()[0]])


def num_head_vertices() -> int:
    """How many of `rest_points` are the head's; those of the eyeballs follow."""
    return len(rest_points()) - 2 * len(_eyeball()[0])


@functools.cache
def upper_teeth() -> np.ndarray:
    """The head model's vertices of the teeth that stay when the jaw opens."""
    with np.load(asset_path("head_model.npz")) as archive:
        teeth = np.unique(archive["tri"][archive["tm"] == TEETH]).astype(int)
        k = list(archive["names"]).index("jawOpen")
        jaw = archive["E"][k, teeth].astype(np.float32) / 127 * archive["Es"][k]
    return teeth[np.abs(jaw).sum(1) < 0.1]


@functools.cache
def lid_share() -> np.ndarray:
    """For each vertex of `surface_points` from 0 to 1 (V,) float32: how far it follows the edge of
    the upper lid, when an eye closes.
    """
    with np.load(asset_path("head_model.npz")) as archive:
        rows = [list(archive["names"]).index(f"eyeBlink{side}") for side in ("Left", "Right")]
        fall = -archive["E"][rows, :, 1].astype(np.float32)
    follows = (fall / fall.max(1, keepdims=True)).clip(min=0).max(0)
    return np.concatenate([follows, np.zeros(2 * len(_eyeball()[0]), np.float32)])


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
    shaped = model.vertices(params)
    shaped[:, upper_teeth()] += (head @ head.new_tensor(UPPER_TEETH_SHIFT))[:, None]
    points = torch.cat([shaped, eyes.flatten(1, 2)], 1)
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
        The values of each pixel's centre (size, size, K), 0 where no surface is, and the part that
        it shows (size, size) int, -1 where none.
    """
    triangles = surface_triangles()
    single_sided = np.full(len(triangles), SKIN)
    index, weights = rasterize(points[:, :2], points[:, 2], triangles, single_sided, size, size)
    drawn = np.zeros((size, size, values.shape[1]), np.float32)
    part = np.full((size, size), -1)
    values = np.ascontiguousarray(values, np.float32)
    _interpolate(index, weights, triangles, surface_parts(), values, drawn, part)
    return drawn, part


@nb.njit(cache=True, nogil=True)
def _interpolate(
    index: np.ndarray,
    weights: np.ndarray,
    triangles: np.ndarray,
    parts: np.ndarray,
    values: np.ndarray,
    drawn: np.ndarray,
    part: np.ndarray,
) -> None:
    """Fills `drawn` and `part` where a triangle is."""
    for y in range(index.shape[0]):
        for x in range(index.shape[1]):
            t = index[y, x]
            if t < 0:
                continue
            part[y, x] = parts[t]
            for k in range(3):
                corner, weight = triangles[t, k], weights[y, x, k]
                for v in range(values.shape[1]):
                    drawn[y, x, v] += weight * values[corner, v]
