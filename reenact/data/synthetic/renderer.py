"""Draws one person in one pose, straight into the pixels of a face crop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reenact.data.synthetic.camera import Camera, develop, record
from reenact.data.synthetic.eye_shader import shade_eyes
from reenact.data.synthetic.frame_light import draw_shadows, light_frame
from reenact.data.synthetic.geometry import (
    CAMERA_DISTANCE,
    DEPTH_ORIGIN,
    project,
    sample_picture,
    surface_depth,
)
from reenact.data.synthetic.head_asset import TEXTURE_SIZE, HeadAsset, load_head_asset
from reenact.data.synthetic.light import Light
from reenact.data.synthetic.person import Person
from reenact.data.synthetic.posing import Posed, PosedSolids, pose_person
from reenact.data.synthetic.prepared import Prepared, prepare
from reenact.data.synthetic.rooms import Background
from reenact.data.synthetic.shadows import light_seen
from reenact.data.synthetic.solid_shader import shade_solids, solid_attributes
from reenact.data.synthetic.solids import SolidArrays, shaded_by_spheres
from reenact.data.synthetic.strand_shader import (
    blend_layers,
    draw_strands,
    light_strands,
)
from reenact.data.synthetic.strands import ON_FACE
from reenact.data.synthetic.surface_shader import NUM_ATTRIBUTES, Mesh, shade_surface
from reenact.data.synthetic.surface_truth import FirstView, hidden_in_first, surface_normals
from reenact.face.expressions import EXPRESSION_NAMES
from reenact.face.params import FaceParams
from reenact.face.surface.raster import FAR, rasterize

NEAR_PLANE, DEPTH_RANGE = 4.0, 20.0
MOUTH_OPENERS = {
    "jawOpen": 1.6,
    "mouthUpperUpLeft": 0.5,
    "mouthUpperUpRight": 0.5,
    "mouthLowerDownLeft": 0.4,
    "mouthLowerDownRight": 0.4,
    "mouthFunnel": 0.4,
}
PLAIN_CAMERA = Camera()


@dataclass(frozen=True, kw_only=True)
class Masks:
    """Coverage (S, S) uint8, 0 to 255.

    `foreground` is the whole person, `head` the person without clothes, `hair` the hair of the
    skull, `face` the face with mouth, eyes, brows and beard, without what hangs before it.
    `occluder` is the hand or microphone before the face.
    """

    face: np.ndarray
    foreground: np.ndarray
    hair: np.ndarray
    head: np.ndarray
    occluder: np.ndarray
    surface: SurfaceTruth | None = None
    """Only for frames that are compared with the first view of their clip."""


@dataclass(frozen=True, kw_only=True)
class SurfaceTruth:
    """`normals` (S, S, 3) int8 and `hidden` (S, S) uint8, see `surface_truth`."""

    normals: np.ndarray
    hidden: np.ndarray


class Renderer:
    """Renders persons; keeps the last one's prepared arrays. Not safe to share between threads."""

    def __init__(self, asset: HeadAsset | None = None) -> None:
        self.asset = load_head_asset() if asset is None else asset
        count = len(self.asset.mean)
        self._attributes = np.zeros((count, NUM_ATTRIBUTES), np.float32)
        self._attributes[:, 3:6] = self.asset.mean
        self._attributes[:, 11] = np.clip(self.asset.transfer[:, 0] / 0.2821, 0, 1)
        self._attributes[:, 12:17] = self.asset.masks
        self._attributes[:, 17:19] = self.asset.uv
        self._attributes[:, 19] = self.asset.head_weight
        self._openers = np.array([MOUTH_OPENERS.get(n, 0.0) for n in EXPRESSION_NAMES])
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
        camera: Camera = PLAIN_CAMERA,
        shot: int = 0,
        moment: int = 0,
        reach: int = 1,
        first: FirstView | None = None,
    ) -> tuple[np.ndarray, Masks]:
        """One frame (reach * size, reach * size, 3) uint8 and its masks.

        `params` holds one face in crop pixels whose identity is the person's; the background is
        seen through `crop_from_frame` (3, 3); `shot` seeds the camera's noise; `moment` is the
        frame of the clip that a moving hand is drawn for. `reach` shows what lies around the crop,
        too: the crop is in the middle. `first` is what frame 0 shows; with it the masks have the
        truth of the surface. Raises ValueError for another identity or batch.
        """
        face = _one_face(person, params)
        prepared = self._prepare(person, size)
        posed = pose_person(self.asset, prepared, face, moment, self._attributes)
        margin, side = size * (reach - 1) / 2, size * reach
        if reach > 1:
            face["translation"] = face["translation"] + margin
            shift = np.array([[1.0, 0, margin], [0, 1, margin], [0, 0, 1]])
            crop_from_frame = shift @ crop_from_frame
        image = self.plate(background, crop_from_frame, side)
        coverage, surface = self._draw(
            prepared, posed, face, light, side, supersample, image, first
        )
        picture = record(develop(image, camera, light.exposure, reach), camera, shot, reach)
        person_cover, face_cover, hair, head, before = (
            _to_bytes(coverage[..., k]) for k in range(5)
        )
        masks = Masks(
            face=face_cover,
            foreground=person_cover,
            hair=hair,
            head=head,
            occluder=before,
            surface=surface,
        )
        return _to_bytes(picture), masks

    def first_view(
        self, person: Person, params: FaceParams, size: int, reach: int, supersample: int = 2
    ) -> FirstView:
        """What a picture (reach * size, reach * size) of frame 0 shows of the person."""
        face = _one_face(person, params)
        prepared = self._prepare(person, size)
        mesh = pose_person(self.asset, prepared, face, 0, self._attributes).mesh
        middle = face["translation"] + size * (reach - 1) / 2
        xy = project(mesh.points, middle, float(face["scale"])) * supersample
        depth, side = _depth(mesh.points), size * reach * supersample
        ids, bary = rasterize(xy, depth, mesh.triangles, mesh.material, side, side)
        nearest = surface_depth(ids, bary, mesh.triangles, depth, FAR)
        return FirstView(xy=xy, depth=depth, nearest=nearest)

    def plate(self, background: Background, crop_from_frame: np.ndarray, size: int) -> np.ndarray:
        """Radiance (size, size, 3) float32 of the background alone."""
        to_picture = background.picture_from_frame @ np.linalg.inv(crop_from_frame)
        return sample_picture(background.colours, to_picture, size)

    def developed_plate(
        self,
        background: Background,
        light: Light,
        crop_from_frame: np.ndarray,
        size: int,
        camera: Camera = PLAIN_CAMERA,
    ) -> np.ndarray:
        """The background (size, size, 3) uint8 as the camera shows it, without noise."""
        plate = self.plate(background, crop_from_frame, size)
        return _to_bytes(develop(plate, camera, light.exposure))

    def _prepare(self, person: Person, size: int) -> Prepared:
        level = 0
        while TEXTURE_SIZE >> (level + 1) >= 2 * size:
            level += 1
        cached = self._prepared
        if cached is None or cached.person is not person or cached.size != size:
            cached = prepare(self.asset, person, level, size)
            self._prepared = cached
        return cached

    def _shade_skin(self, solids: SolidArrays, posed: PosedSolids, mesh: Mesh) -> None:
        """Take the soft light away that the solids keep from the skin."""
        skin = mesh.points[: mesh.num_body]
        mesh.attributes[:, 6:9] *= shaded_by_spheres(skin, mesh.attributes[:, :3], posed.spheres)
        if solids.shade is not None:
            mesh.attributes[:, 6:9] *= solids.shade

    def _draw(
        self,
        prepared: Prepared,
        posed: Posed,
        face: dict[str, np.ndarray],
        light: Light,
        size: int,
        supersample: int,
        image: np.ndarray,
        first: FirstView | None,
    ) -> tuple[np.ndarray, SurfaceTruth | None]:
        """Draw the person over the radiance `image`; returns the coverage planes (S, S, 5)."""
        mesh, strands = posed.mesh, prepared.strands
        casting = posed.strand_points[strands.kind != ON_FACE]
        shadows = draw_shadows(light, mesh, casting, prepared.strand_weight)
        opening = float(face["expression"] @ self._openers)
        scene = light_frame(self.asset, mesh, light, shadows, posed.rotation, posed.eyes, opening)
        xy = project(mesh.points, face["translation"], float(face["scale"]))
        side = size * supersample
        depth = _depth(mesh.points)
        ids, bary = rasterize(xy * supersample, depth, mesh.triangles, mesh.material, side, side)
        nearest = surface_depth(ids, bary, mesh.triangles, depth, FAR)
        surface = np.zeros((size, size, 3), np.float32)
        coverage = np.zeros((size, size, 5), np.float32)
        plate_cover = np.zeros((size, size, 3), np.float32)
        solids = prepared.solids
        if solids is not None and posed.solids is not None:
            self._shade_skin(solids, posed.solids, mesh)
            points, normals = mesh.points[-len(solids.points) :], posed.solids.normals
            table = solid_attributes(solids, points, normals, scene, shadows)
            shade_solids(ids, bary, mesh, table, scene, supersample, surface, coverage)
        shade_surface(
            ids, bary, nearest, mesh, scene, prepared.look, supersample, surface, coverage
        )
        shade_eyes(ids, bary, mesh, scene, prepared.look, supersample, surface, coverage)
        seen = np.stack(
            [light_seen(s, posed.strand_points, 0.0) if s else _full(posed) for s in shadows], -1
        )
        radiance = np.empty_like(posed.strand_points)
        light_strands(
            posed.strand_points,
            strands.colours,
            strands.normals,
            strands.openness,
            strands.gloss,
            strands.tangent_start,
            scene.camera,
            posed.rotation,
            scene.light_directions,
            scene.light_colours,
            seen,
            scene.soft,
            radiance,
        )
        draw_strands(
            project(posed.strand_points, face["translation"], float(face["scale"])),
            _depth(posed.strand_points),
            strands.width * np.float32(face["scale"]),
            radiance,
            strands.kind,
            strands.segments,
            nearest,
            supersample,
            image,
            plate_cover,
            surface,
            coverage,
        )
        blend_layers(image, plate_cover, surface, coverage)
        if first is None:
            return coverage, None
        shown = (ids, bary, mesh.triangles)
        num_shown = len(mesh.triangles) - (0 if solids is None else len(solids.triangles))
        truth = SurfaceTruth(
            normals=surface_normals(
                *shown, mesh.points, posed.normals(), scene.camera, supersample
            ),
            hidden=hidden_in_first(
                *shown, num_shown, first.xy, first.depth, first.nearest, supersample
            ),
        )
        return coverage, truth


def _one_face(person: Person, params: FaceParams) -> dict[str, np.ndarray]:
    if len(params) != 1:
        raise ValueError(f"params: {len(params)} faces, one is drawn at a time")
    face = {name: value[0] for name, value in params.numpy().items()}
    if not np.allclose(face["identity"], person.identity.code, atol=1e-4):
        raise ValueError("params: identity is not the person's")
    return face


def _full(posed: Posed) -> np.ndarray:
    return np.ones(len(posed.strand_points), np.float32)


def _depth(points: np.ndarray) -> np.ndarray:
    return (CAMERA_DISTANCE - (points[:, 2] - DEPTH_ORIGIN) - NEAR_PLANE) / DEPTH_RANGE


def _to_bytes(picture: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(picture * 255), 0, 255).astype(np.uint8)
