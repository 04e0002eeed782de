"""Head rotation and the picture projection, in numpy.

Unit 1 = 1 dm, X to the picture's right, Y up, Z towards the camera, eye midpoint of the unposed
head at the origin. The camera always points at the head's origin from `CAMERA_DISTANCE`.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

NECK_PIVOT = (0.0, -0.95, -1.12)
CAMERA_DISTANCE = 11.0
DEPTH_ORIGIN = -0.6
"""The plane z = DEPTH_ORIGIN is drawn at exactly `scale` pixels per dm."""
NUM_WEIGHTS = 256
"""Head weights are stored in steps of 1/255."""


def rotation_matrix(
    yaw: np.ndarray | float, pitch: np.ndarray | float, roll: np.ndarray | float
) -> np.ndarray:
    """R = Rz(roll) @ Ry(yaw) @ Rx(pitch), radians; broadcasts to (..., 3, 3) float64."""
    yaw, pitch, roll = np.broadcast_arrays(*(np.asarray(a, np.float64) for a in (yaw, pitch, roll)))
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    cr, sr = np.cos(roll), np.sin(roll)
    out = np.empty((*yaw.shape, 3, 3))
    out[..., 0, 0] = cr * cy
    out[..., 0, 1] = cr * sy * sp - sr * cp
    out[..., 0, 2] = cr * sy * cp + sr * sp
    out[..., 1, 0] = sr * cy
    out[..., 1, 1] = sr * sy * sp + cr * cp
    out[..., 1, 2] = sr * sy * cp - cr * sp
    out[..., 2, 0] = -sy
    out[..., 2, 1] = cy * sp
    out[..., 2, 2] = cy * cp
    return out


def graded_rotations(rotation: np.ndarray) -> np.ndarray:
    """Rotations (256, 3, 3) float32 of head weights 0/255 to 255/255 for yaw, pitch, roll (3,).

    All three angles are scaled by the weight: shoulders stay upright, the neck turns in between.
    """
    share = np.arange(NUM_WEIGHTS) / (NUM_WEIGHTS - 1)
    yaw, pitch, roll = (float(angle) for angle in rotation)
    return rotation_matrix(yaw * share, pitch * share, roll * share).astype(np.float32)


def unit_vectors(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., 3), scaled to length 1."""
    unit: np.ndarray = vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-9)
    return unit


@nb.njit(cache=True, fastmath=True)
def pose_points(
    points: np.ndarray, weight: np.ndarray, rotations: np.ndarray, out: np.ndarray
) -> None:
    """Turn points (V, 3) about the neck and write them to `out`.

    Point v takes the rotation number `weight[v]`, uint8, see `graded_rotations`.
    """
    for v in range(points.shape[0]):
        m = rotations[weight[v]]
        x = points[v, 0] - NECK_PIVOT[0]
        y = points[v, 1] - NECK_PIVOT[1]
        z = points[v, 2] - NECK_PIVOT[2]
        for k in range(3):
            out[v, k] = m[k, 0] * x + m[k, 1] * y + m[k, 2] * z + NECK_PIVOT[k]


@nb.njit(cache=True, fastmath=True)
def vertex_normals(points: np.ndarray, triangles: np.ndarray, normals: np.ndarray) -> None:
    """Write area-weighted unit normals of (V, 3) points into `normals`."""
    normals[:] = 0
    for t in range(triangles.shape[0]):
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        e0 = points[b, 0] - points[a, 0]
        e1 = points[b, 1] - points[a, 1]
        e2 = points[b, 2] - points[a, 2]
        f0 = points[c, 0] - points[a, 0]
        f1 = points[c, 1] - points[a, 1]
        f2 = points[c, 2] - points[a, 2]
        x, y, z = e1 * f2 - e2 * f1, e2 * f0 - e0 * f2, e0 * f1 - e1 * f0
        for k in (a, b, c):
            normals[k, 0] += x
            normals[k, 1] += y
            normals[k, 2] += z
    for i in range(normals.shape[0]):
        x, y, z = normals[i, 0], normals[i, 1], normals[i, 2]
        length = 1.0 / (math.sqrt(x * x + y * y + z * z) + 1e-12)
        normals[i, 0] *= length
        normals[i, 1] *= length
        normals[i, 2] *= length


def project(points: np.ndarray, translation: np.ndarray, scale: np.ndarray | float) -> np.ndarray:
    """Posed points (..., V, 3) to pixels (..., V, 2); `translation` (..., 2), `scale` (...)."""
    depth = CAMERA_DISTANCE - (points[..., 2] - DEPTH_ORIGIN)
    w = np.asarray(scale)[..., None] * CAMERA_DISTANCE / depth
    translation = np.asarray(translation)[..., None, :]
    return np.stack(
        [translation[..., 0] + w * points[..., 0], translation[..., 1] - w * points[..., 1]], -1
    )


@nb.njit(cache=True, fastmath=True)
def surface_depth(
    triangle_id: np.ndarray,
    barycentric: np.ndarray,
    triangles: np.ndarray,
    depth: np.ndarray,
    far: float,
) -> np.ndarray:
    """Depth (H, W) float32 of what the rasteriser drew; `far` where it drew nothing."""
    height, width = triangle_id.shape
    out = np.full((height, width), far, np.float32)
    for y in range(height):
        for x in range(width):
            t = triangle_id[y, x]
            if t >= 0:
                z = np.float32(0)
                for k in range(3):
                    z += barycentric[y, x, k] * depth[triangles[t, k]]
                out[y, x] = z
    return out


@nb.njit(cache=True, fastmath=True)
def sample_picture(picture: np.ndarray, picture_from_pixel: np.ndarray, size: int) -> np.ndarray:
    """Bilinear colours (size, size, 3) float32 of `picture` at mapped pixel centres.

    `picture_from_pixel` (3, 3) is affine. The edges of the picture are repeated.
    """
    m = picture_from_pixel
    out = np.empty((size, size, 3), np.float32)
    for row in range(size):
        for column in range(size):
            x = m[0, 0] * (column + 0.5) + m[0, 1] * (row + 0.5) + m[0, 2] - 0.5
            y = m[1, 0] * (column + 0.5) + m[1, 1] * (row + 0.5) + m[1, 2] - 0.5
            x = min(picture.shape[1] - 1.001, max(0.0, x))
            y = min(picture.shape[0] - 1.001, max(0.0, y))
            i, j = int(x), int(y)
            fx, fy = x - i, y - j
            for k in range(3):
                top = picture[j, i, k] * (1 - fx) + picture[j, i + 1, k] * fx
                low = picture[j + 1, i, k] * (1 - fx) + picture[j + 1, i + 1, k] * fx
                out[row, column, k] = top * (1 - fy) + low * fy
    return out
