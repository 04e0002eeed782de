"""Solids: meshes that a person wears or holds, such as hoods, hands and microphones.

Points are in dm on the unposed head, triangles are anticlockwise from outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CONTACT = 0.8
"""Share of the soft light that a sphere takes away where it touches the skin."""


@dataclass(frozen=True, kw_only=True)
class Solid:
    """One mesh of V vertices and T triangles."""

    points: np.ndarray
    """(V, 3)."""
    triangles: np.ndarray
    """(T, 3)."""
    colours: np.ndarray
    """(V, 3) linear reflectance."""
    openness: np.ndarray
    """(V,) share of the surroundings' light that reaches the point, in [0, 1]."""
    gloss: np.ndarray
    """(V,) 0 is dull, skin has about 0.5."""
    cloth: np.ndarray
    """(V,) 0 where light leaks around edges, as it does on skin; 1 where it does not."""
    weight: np.ndarray
    """(V,) head weight in [0, 1]."""
    head: np.ndarray
    """(V,) 1 on parts of the head, such as a hood; 0 on clothes and on things before the face."""
    before: bool
    """Whether it lies before the face, such as a hand or a microphone. It then does not count as
    head or clothes."""
    grain: np.ndarray
    """(V, 3): two texture coordinates (radians) and the strength of the grain they make."""
    spheres: np.ndarray
    """(K, 4) centres and radii of spheres that take the place of the mesh when it shades the skin.
    """
    shade: np.ndarray | None = None
    """(B,) share of the soft light that it leaves to each vertex of the head."""
    path: np.ndarray | None = None
    """(N, 3) how far it is moved in each frame of the clip; None = it stays."""


@dataclass(frozen=True)
class SolidArrays:
    """All solids of one person as flat arrays of V vertices, T triangles and K spheres."""

    points: np.ndarray
    triangles: np.ndarray
    weight_index: np.ndarray
    constants: np.ndarray
    """(V, 10): colour, openness, gloss, cloth, head, before the face; grain has its own array."""
    grain: np.ndarray
    owner: np.ndarray
    """(V,) the solid of each vertex."""
    spheres: np.ndarray
    sphere_owner: np.ndarray
    sphere_weight: np.ndarray
    shade: np.ndarray | None
    paths: tuple[np.ndarray | None, ...]


def join(solids: Sequence[Solid]) -> SolidArrays | None:
    """All solids of a person; None when there are none."""
    if not solids:
        return None
    starts = np.cumsum([0, *(len(s.points) for s in solids)])
    owners = range(len(solids))
    constants = [
        np.column_stack(
            [s.colours, s.openness, s.gloss, s.cloth, s.head, np.full(len(s.points), s.before)]
        )
        for s in solids
    ]
    triangles = [s.triangles + start for s, start in zip(solids, starts, strict=False)]
    weights = [s.weight for s in solids]
    shades = [s.shade for s in solids if s.shade is not None]
    # A sphere turns with the vertex that is nearest to it.
    nearest = [
        s.weight[((s.points[None] - s.spheres[:, None, :3]) ** 2).sum(-1).argmin(1)] for s in solids
    ]
    return SolidArrays(
        points=np.concatenate([s.points for s in solids]).astype(np.float32),
        triangles=np.concatenate(triangles).astype(np.int64),
        weight_index=_index(np.concatenate(weights)),
        constants=np.concatenate(constants).astype(np.float32),
        grain=np.concatenate([s.grain for s in solids]).astype(np.float32),
        owner=np.repeat(owners, [len(s.points) for s in solids]),
        spheres=np.concatenate([s.spheres for s in solids]).astype(np.float32),
        sphere_owner=np.repeat(owners, [len(s.spheres) for s in solids]),
        sphere_weight=_index(np.concatenate(nearest)),
        shade=np.prod(shades, axis=0).astype(np.float32)[:, None] if shades else None,
        paths=tuple(s.path for s in solids),
    )


def _index(weight: np.ndarray) -> np.ndarray:
    return np.rint(weight * 255).astype(np.uint8)


def moves(solids: SolidArrays, moment: int) -> np.ndarray:
    """How far each solid is moved in frame `moment` of the clip, (num_solids, 3)."""
    still = np.zeros(3)
    return np.stack([still if path is None else path[moment] for path in solids.paths])


def shaded_by_spheres(points: np.ndarray, normals: np.ndarray, spheres: np.ndarray) -> np.ndarray:
    """Share (V, 1) of the soft light that spheres (K, 4) leave to points (V, 3).

    A sphere of radius r at distance d before a surface hides the cosine times r squared over
    d squared of its surroundings.
    """
    left = np.ones((len(points), 1), np.float32)
    for x, y, z, radius in spheres:
        to = np.array([x, y, z], np.float32) - points
        distance = np.sqrt((to * to).sum(1)) + 1e-6
        facing = np.clip((to * normals).sum(1) / distance, 0, 1)
        hidden = facing * np.minimum(1, (radius / distance) ** 2)
        left *= (1 - CONTACT * hidden)[:, None]
    return left
