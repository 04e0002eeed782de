"""Meshes from formulas: tubes, sheets, and the surface of a distance function."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Distance = Callable[[np.ndarray], np.ndarray]
"""Signed distances (N,) of points (N, 3), negative inside."""
GRADIENT_STEP = 1e-3
PROJECTIONS = 2
"""Newton steps that bring a vertex to the surface."""
BLOCK = 4
"""The distance is looked up once for blocks of so many cells a side that the surface avoids."""


def sheet(rows: int, columns: int, *, closed: bool) -> np.ndarray:
    """Triangles (T, 3) of a grid of points in row-major order; `closed` joins the last column to
    the first one.
    """
    last = columns if closed else columns - 1
    corner = np.arange(rows - 1)[:, None] * columns + np.arange(last)
    right = np.arange(rows - 1)[:, None] * columns + (np.arange(last) + 1) % columns
    first = np.stack([corner, corner + columns, right], -1)
    second = np.stack([corner + columns, right + columns, right], -1)
    return np.concatenate([first.reshape(-1, 3), second.reshape(-1, 3)])


def tube(path: np.ndarray, radius: np.ndarray, sides: int) -> tuple[np.ndarray, np.ndarray]:
    """A tube of `radius` (P,) along `path` (P, 3): points (P * sides, 3) and triangles.

    It is closed where the radius is 0.
    """
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    mean = along.mean(0)
    helper = np.eye(3)[np.argmin(np.abs(mean))]
    across = np.cross(along, helper)
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    other = np.cross(along, across)
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)[None, :, None]
    ring = np.cos(angle) * across[:, None] + np.sin(angle) * other[:, None]
    points = path[:, None] + radius[:, None, None] * ring
    return points.reshape(-1, 3), outward(
        points.reshape(-1, 3), sheet(len(path), sides, closed=True)
    )


def outward(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """The triangles of a closed surface, anticlockwise from outside."""
    a, b, c = (points[triangles[:, k]] - points.mean(0) for k in range(3))
    volume = (np.cross(a, b) * c).sum()
    return triangles if volume > 0 else triangles[:, ::-1]


def polygonised(
    distance: Distance, low: np.ndarray, high: np.ndarray, cell: float
) -> tuple[np.ndarray, np.ndarray]:
    """Points (V, 3) and triangles (T, 3) of the surface where `distance` is 0 (surface nets).

    low, high: (3,) corners of the box that is searched with cells of side `cell`.
    """
    blocks = [int(np.ceil((b - a) / (cell * BLOCK))) for a, b in zip(low, high, strict=True)]
    coarse = np.stack(np.meshgrid(*(np.arange(n) for n in blocks), indexing="ij"), -1)
    middles = low + cell * (BLOCK * coarse + (BLOCK - 1) / 2)
    values = distance(middles.reshape(-1, 3)).reshape(blocks)
    for axis in range(3):
        values = np.repeat(values, BLOCK, axis)
    fine = np.stack(np.meshgrid(*(np.arange(n) for n in values.shape), indexing="ij"), -1)
    grid = low + cell * fine
    near = np.abs(values) < cell * BLOCK
    values[near] = distance(grid[near])
    inside = values < 0
    count = np.zeros([n - 1 for n in inside.shape], int)
    for corner in np.ndindex(2, 2, 2):
        part = tuple(slice(k, k + n) for k, n in zip(corner, count.shape, strict=True))
        count += inside[part]
    crossed = (count > 0) & (count < 8)
    number = np.full(count.shape, -1)
    number[crossed] = np.arange(crossed.sum())
    points = grid[:-1, :-1, :-1][crossed] + cell / 2
    for _ in range(PROJECTIONS):
        value, slope = distance(points), gradient(distance, points)
        points = points - slope * (value / ((slope * slope).sum(1) + 1e-6))[:, None]
    quads = []
    for axis in range(3):
        # An edge of the grid along `axis` whose ends differ is crossed: its four cells are joined.
        first, second = np.moveaxis(inside, axis, 0)[:-1], np.moveaxis(inside, axis, 0)[1:]
        changes = np.argwhere((first != second)[:, 1:-1, 1:-1]) + np.array([0, 1, 1])
        cells = np.moveaxis(number, axis, 0)
        i, j, k = changes.T
        quad = np.stack(
            [cells[i, j - 1, k - 1], cells[i, j, k - 1], cells[i, j, k], cells[i, j - 1, k]], 1
        )
        # Taking Y to the front turns the order of the other two axes round.
        leaves = first[i, j, k] if axis != 1 else ~first[i, j, k]
        quad[~leaves] = quad[~leaves][:, ::-1]
        quads.append(quad)
    joined = np.concatenate(quads)
    triangles = np.concatenate([joined[:, [0, 1, 2]], joined[:, [0, 2, 3]]])
    return points, outward(points, triangles)


def gradient(distance: Distance, points: np.ndarray) -> np.ndarray:
    """Gradient (N, 3) of the distance."""
    here = distance(points)
    steps = np.eye(3) * GRADIENT_STEP
    return np.stack([(distance(points + step) - here) / GRADIENT_STEP for step in steps], 1)
