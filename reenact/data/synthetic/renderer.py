"""Draws one person in one pose, straight into the pixels of a face crop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reenact.data.synthetic.geometry import (
    CAMERA_DISTANCE,
    DEPTH_ORIGIN,
    NECK_PIVOT,
    graded_rotations,
    pose_points,
    project,
    rotation_matrix,
)
from reenact.data.synthetic.head_asset import TEXTURE_SIZE, HeadAsset, load_head_asset
from reenact.data.synthetic.person import Person
from reenact.data.synthetic.prepared import (
    SPHERE_RINGS,
    SPHERE_SEGMENTS,
    Prepared,
    prepare,
)
from reenact.data.synthetic.scene import Background, Light, spherical_harmonics
from reenact.data.synthetic.shade import (
    NUM_ATTRIBUTES,
    NUM_SHARP_LIGHTS,
    Mesh,
    Scene,
    shade,
    vertex_normals,
)
from reenact.face.params import FaceParams
from reenact.face.surface.raster import rasterize
from reenact.face.surface.visible import unit_sphere

NEAR_PLANE, DEPTH_RANGE = 4.0, 20.0


@dataclass(frozen=True, kw_only=True)
class Masks:
    """Coverage (S, S) uint8, 0 to 255: face region, and foreground (head, hair, clothes)."""

    face: np.ndarray
    foreground: np.ndarray


class Renderer:
    """Renders persons; keeps the last one's prepared arrays. Not safe to share between threads."""

    def __init__(self, asset: HeadAsset | None = None) -> None:
        self.asset = load_head_asset() if asset is None else asset
        self._sphere_points, self._sphere_triangles = unit_sphere(SPHERE_RINGS, SPHERE_SEGMENTS)
        self._expression = self.asset.expression_basis.reshape(len(self.asset.expression_names), -1)
        count = len(self.asset.mean)
        self._attributes = np.zeros((count, NUM_ATTRIBUTES), np.float32)
        self._attributes[:, 3:6] = self.asset.mean
        self._attributes[:, 12:17] = self.asset.masks
        self._attributes[:, 17:19] = self.asset.uv
        self._attributes[:, 19] = self.asset.head_weight
        self._prepared: Prepared | None = None

    def render(
        self,
        person: Person,
        params: FaceParams,
        light: Light,
        background: Background,
        crop_from_frame: np.ndarray,
        size: int,
        supersample: int = 2,
    ) -> tuple[np.ndarray, Masks]:
        """One frame (size, size, 3) uint8 and its masks.

        `params` holds one face in crop pixels whose identity is the person's; the background is
        seen through `crop_from_frame` (3, 3). Raises ValueError for another identity or batch.
        """
        if len(params) != 1:
            raise ValueError(f"params: {len(params)} faces, one is drawn at a time")
        face = {name: value[0] for name, value in params.numpy().items()}
        if not np.allclose(face["identity"], person.identity.code, atol=1e-4):
            raise ValueError("params: identity is not the person's")
        prepared = self._prepare(person, size)
        mesh, xy, depth, eyes, rotation = self._pose(prepared, face, light)
        side = size * supersample
        scene = _scene(light, background, crop_from_frame, supersample, eyes, rotation)
        alpha = prepared.alpha
        ids, bary = rasterize(
            xy * supersample, depth, mesh.triangles, mesh.material, side, side, alpha
        )
        image = np.zeros((size, size, 3), np.float32)
        coverage = np.zeros((size, size, 3), np.float32)
        shade(ids, bary, mesh, scene, prepared.look, supersample, image, coverage)
        face_cover, foreground = _to_bytes(coverage[..., 1]), _to_bytes(coverage[..., 0])
        return _to_bytes(image), Masks(face=face_cover, foreground=foreground)

    def _prepare(self, person: Person, size: int) -> Prepared:
        level = 0
        while TEXTURE_SIZE >> (level + 1) >= 4 * size:
            level += 1
        cached = self._prepared
        if cached is None or cached.person is not person or cached.texture_level != level:
            cached = prepare(self.asset, person, level, self._sphere_triangles)
            self._prepared = cached
        return cached

    def _pose(
        self, prepared: Prepared, face: dict[str, np.ndarray], light: Light
    ) -> tuple[Mesh, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Posed mesh, its crop pixels (V, 2) and depth (V,), eye frame (5, 3), head rotation."""
        asset, person = self.asset, prepared.person
        num_body, num_sphere = len(asset.mean), len(self._sphere_points)
        shaped = prepared.rest + (face["expression"] @ self._expression).reshape(-1, 3)
        rotations = graded_rotations(face["rotation"])
        rotation = rotation_matrix(*(float(a) for a in face["rotation"]))
        num_hair = 0 if person.hair is None else len(person.hair.points)
        hair_offset = num_body + 2 * num_sphere
        points = np.empty((hair_offset + num_hair, 3), np.float32)
        pose_points(shaped, asset.weight_index, rotations, points[:num_body])
        normals = np.empty((num_body, 3), np.float32)
        vertex_normals(points[:num_body], asset.triangles, normals)
        points[:num_body] += normals * prepared.cloth_lift
        pivot = np.array(NECK_PIVOT)
        centres = (prepared.eye_centres - pivot) @ rotation.T + pivot
        gaze = rotation @ rotation_matrix(float(face["gaze"][0]), float(face["gaze"][1]), 0.0)
        ball = self._sphere_points @ gaze.T
        for k in range(2):
            start = num_body + k * num_sphere
            points[start : start + num_sphere] = centres[k] + prepared.eye_radii[k] * ball
        hair_normals = np.zeros((max(num_hair, 1), 3), np.float32)
        if person.hair is not None:
            pose_points(
                person.hair.points, person.hair.weight_index, rotations, points[hair_offset:]
            )
            vertex_normals(points[hair_offset:], person.hair.triangles, hair_normals)
            prepared.hair_attributes[:, 3:] = person.hair.tangents @ rotation.T
        mesh = Mesh(
            prepared.triangles,
            prepared.material,
            points,
            self._light_vertices(normals, light, rotation),
            num_body,
            num_sphere,
            hair_offset,
            hair_normals,
            prepared.hair_attributes,
        )
        xy = project(points, face["translation"], float(face["scale"]))
        depth = (CAMERA_DISTANCE - (points[:, 2] - DEPTH_ORIGIN) - NEAR_PLANE) / DEPTH_RANGE
        return mesh, xy, depth, np.concatenate([centres, gaze]), rotation

    def _light_vertices(
        self, normals: np.ndarray, light: Light, rotation: np.ndarray
    ) -> np.ndarray:
        """Fill the per-frame columns of the vertex attributes."""
        asset, attributes, sharp = self.asset, self._attributes, NUM_SHARP_LIGHTS
        # The transfer was baked on the unposed head: lights are turned into the head's frame,
        # except for the shoulders.
        still = spherical_harmonics(light.directions).T.astype(np.float32)
        turned = spherical_harmonics(light.directions @ rotation).T.astype(np.float32)
        weight = asset.head_weight[:, None]
        received = (asset.transfer @ turned) * weight + (asset.transfer @ still) * (1 - weight)
        received = np.maximum(received, 0) * np.float32(np.pi)
        free = (asset.transfer_unshadowed @ turned[:, :sharp]) * weight
        free += (asset.transfer_unshadowed @ still[:, :sharp]) * (1 - weight)
        attributes[:, :3] = normals
        attributes[:, 6:9] = received[:, sharp:] @ light.colours[sharp:].astype(np.float32)
        attributes[:, 9:11] = np.clip(received[:, :sharp] / np.maximum(free * np.pi, 0.08), 0, 1)
        attributes[:, 11] = np.clip(asset.transfer[:, 0] / 0.2821, 0, 1)
        return attributes


def _scene(
    light: Light,
    background: Background,
    crop_from_frame: np.ndarray,
    supersample: int,
    eyes: np.ndarray,
    rotation: np.ndarray,
) -> Scene:
    from_pixel = np.diag([1 / supersample, 1 / supersample, 1.0])
    to_picture = background.picture_from_frame @ np.linalg.inv(crop_from_frame) @ from_pixel
    return Scene(
        light.directions.astype(np.float64),
        light.colours.astype(np.float64),
        float(light.colours[NUM_SHARP_LIGHTS:].mean()),
        float(light.exposure),
        rotation,
        np.array([0.0, 0.0, CAMERA_DISTANCE + DEPTH_ORIGIN]),
        eyes.astype(np.float64),
        background.colours,
        np.ascontiguousarray(to_picture[:2]),
    )


def _to_bytes(picture: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(picture * 255), 0, 255).astype(np.uint8)
