"""A person in the pose of one frame: the mesh that is rasterised, and the points of the strands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reenact.data.synthetic.geometry import (
    NECK_PIVOT,
    graded_rotations,
    pose_points,
    rotation_matrix,
    vertex_normals,
)
from reenact.data.synthetic.head_asset import HeadAsset
from reenact.data.synthetic.prepared import Prepared
from reenact.data.synthetic.solids import SolidArrays, moves
from reenact.data.synthetic.strand_shader import move_strands
from reenact.data.synthetic.surface_shader import Mesh


@dataclass(frozen=True)
class PosedSolids:
    """Normals (V, 3) of the solids' vertices, and their spheres (K, 4)."""

    normals: np.ndarray
    spheres: np.ndarray


@dataclass(frozen=True)
class Posed:
    """The person in the pose of one frame."""

    mesh: Mesh
    rotation: np.ndarray
    eyes: np.ndarray
    """(5, 3): eyeball centres, then the eye rotation matrix."""
    strand_points: np.ndarray
    solids: PosedSolids | None

    def normals(self) -> np.ndarray:
        """Normals (V, 3) of all vertices of the mesh."""
        mesh = self.mesh
        normals = np.empty_like(mesh.points)
        normals[: mesh.num_body] = mesh.attributes[:, :3]
        for k in range(2):
            start = mesh.num_body + k * mesh.num_eyeball
            ball = slice(start, start + mesh.num_eyeball)
            normals[ball] = mesh.points[ball] - self.eyes[k]
            normals[ball] /= np.linalg.norm(normals[ball], axis=1, keepdims=True)
        if self.solids is not None:
            normals[mesh.num_body + 2 * mesh.num_eyeball :] = self.solids.normals
        return normals


def pose_person(
    asset: HeadAsset,
    prepared: Prepared,
    face: dict[str, np.ndarray],
    moment: int,
    attributes: np.ndarray,
) -> Posed:
    """The person of `prepared` with one face's parameters, in frame `moment` of the clip.

    The normals are written to the first columns of `attributes`, see `surface_shader`.
    """
    ball = prepared.sphere_points
    num_body, num_sphere = len(asset.mean), len(ball)
    moved = face["expression"] @ asset.expression_basis.reshape(len(face["expression"]), -1)
    moved = moved.reshape(-1, 3).astype(np.float32)
    rotations = graded_rotations(face["rotation"])
    rotation = rotation_matrix(*(float(a) for a in face["rotation"]))
    solids = prepared.solids
    start = num_body + 2 * num_sphere
    points = np.empty((start + (0 if solids is None else len(solids.points)), 3), np.float32)
    pose_points(prepared.rest + moved, asset.weight_index, rotations, points[:num_body])
    normals = np.empty((num_body, 3), np.float32)
    vertex_normals(points[:num_body], asset.triangles, normals)
    points[:num_body] += normals * prepared.cloth_lift
    pivot = np.array(NECK_PIVOT)
    centres = (prepared.eye_centres - pivot) @ rotation.T + pivot
    gaze = rotation @ rotation_matrix(float(face["gaze"][0]), float(face["gaze"][1]), 0.0)
    turned = ball @ gaze.T
    for k in range(2):
        first = num_body + k * num_sphere
        points[first : first + num_sphere] = centres[k] + prepared.eye_radii[k] * turned
    attributes[:, :3] = normals
    posed_solids = None
    if solids is not None:
        posed_solids = _pose_solids(solids, rotations, moment, points[start:])
    mesh = Mesh(prepared.triangles, prepared.material, points, attributes, num_body, num_sphere)
    strands = prepared.strands
    unposed = np.empty_like(strands.points)
    move_strands(strands.points, strands.anchor, strands.share, moved, unposed)
    strand_points = np.empty_like(unposed)
    pose_points(unposed, strands.weight_index, rotations, strand_points)
    eyes = np.concatenate([centres, gaze])
    return Posed(mesh, rotation, eyes, strand_points, posed_solids)


def _pose_solids(
    solids: SolidArrays, rotations: np.ndarray, moment: int, points: np.ndarray
) -> PosedSolids:
    """Write the posed vertices of the solids to `points`."""
    offsets = moves(solids, moment).astype(np.float32)
    pose_points(solids.points + offsets[solids.owner], solids.weight_index, rotations, points)
    normals = np.empty_like(points)
    vertex_normals(points, solids.triangles, normals)
    spheres = solids.spheres.copy()
    middles = solids.spheres[:, :3] + offsets[solids.sphere_owner]
    posed = np.empty_like(middles)
    pose_points(middles, solids.sphere_weight, rotations, posed)
    spheres[:, :3] = posed
    return PosedSolids(normals, spheres)
