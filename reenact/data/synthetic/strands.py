"""Strands: hair and worn things as many thin lines, and all strands of one person."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

HAIR, ON_FACE, ON_HEAD, CLOTH = range(4)
"""Kinds of strands. HAIR grows on the skull. ON_FACE are brows, lashes, beards and glasses, ON_HEAD
hats and earrings, CLOTH collars and scarves."""


@dataclass(frozen=True, kw_only=True)
class Strands:
    """N strands of P points each on the unposed head.

    The strands are in random order, so the first ones are a fair sample of all.
    """

    points: np.ndarray
    """(N, P, 3) dm, root first."""
    colours: np.ndarray
    """(N, P, 3) linear reflectance."""
    normals: np.ndarray
    """(N, P, 3) outward direction of the whole hair."""
    openness: np.ndarray
    """(N, P) share of the surroundings' light that reaches the point, in [0, 1]."""
    width: np.ndarray
    """(N, P) dm."""
    weight: np.ndarray
    """(N, P) head weight in [0, 1]."""
    anchor: np.ndarray
    """(N, P, 3) vertices of the head whose expression moves the point."""
    share: np.ndarray
    """(N, P, 3) how much each anchor moves the point; 0 for hair on the skull."""
    gloss: float
    kind: int
    """HAIR, ON_FACE, ON_HEAD or CLOTH."""
    thinned: bool = True
    """Whether small pictures may show fewer and wider strands."""

    def chosen(self, which: np.ndarray) -> Strands:
        """The strands where `which` (N,) bool is true."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self)}
        cut = {k: v[which] for k, v in arrays.items() if isinstance(v, np.ndarray)}
        return replace(self, **cut)


@dataclass(frozen=True)
class StrandArrays:
    """All strands of one person as flat arrays of V points, for the numba functions."""

    points: np.ndarray
    colours: np.ndarray
    normals: np.ndarray
    openness: np.ndarray
    width: np.ndarray
    weight_index: np.ndarray
    anchor: np.ndarray
    share: np.ndarray
    gloss: np.ndarray
    kind: np.ndarray
    segments: np.ndarray
    """(M,) first point of each segment; the second one is the next point."""
    tangent_start: np.ndarray
    """(V,) first point of the segment that gives a point its direction."""


def flatten(groups: Sequence[Strands], kept: float) -> StrandArrays:
    """Join groups of strands, of which only a share is kept.

    kept: the share in (0, 1] of each group. The kept strands are made wider, so that they cover the
        same area.
    """
    parts: dict[str, list[np.ndarray]] = {f.name: [] for f in fields(StrandArrays)}
    start = 0
    for group in groups:
        count, num_points = group.points.shape[:2]
        used = min(count, max(1, math.ceil(kept * count))) if group.thinned else count
        total = used * num_points
        for name in ("points", "colours", "normals", "share", "anchor"):
            parts[name].append(getattr(group, name)[:used].reshape(total, 3))
        parts["openness"].append(group.openness[:used].reshape(-1))
        parts["width"].append(group.width[:used].reshape(-1) * (count / used))
        parts["weight_index"].append(np.rint(group.weight[:used].reshape(-1) * 255))
        parts["gloss"].append(np.full(total, group.gloss))
        parts["kind"].append(np.full(total, group.kind))
        first = start + np.arange(used)[:, None] * num_points + np.arange(num_points - 1)
        parts["segments"].append(first.reshape(-1))
        nearest = np.minimum(np.arange(num_points), num_points - 2)
        parts["tangent_start"].append((first[:, :1] + nearest).reshape(-1))
        start += total
    kinds = {
        "weight_index": np.uint8,
        "anchor": np.int32,
        "kind": np.uint8,
        "segments": np.int32,
        "tangent_start": np.int32,
    }
    shapes = {"points": 3, "colours": 3, "normals": 3, "share": 3, "anchor": 3}
    arrays: dict[str, np.ndarray] = {}
    for name, values in parts.items():
        empty = np.zeros((0, shapes[name]) if name in shapes else 0)
        joined = np.concatenate(values) if values else empty
        arrays[name] = np.ascontiguousarray(joined, kinds.get(name, np.float32))
    return StrandArrays(**arrays)
