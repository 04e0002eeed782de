"""Draws one person in one pose, straight into the pixels of a face crop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reenact.data.synthetic.camera import Camera, develop, record
from reenact.data.synthetic.canvas import (
    new_canvas,
    pixels,
    point_depth,
    rasterised,
    strand_pass,
    surface_pass,
)
from reenact.data.synthetic.frame_light import draw_shadows, light_frame
from reenact.data.synthetic.geometry import (
    sample_picture,
)
from reenact.data.synthetic.head_asset import TEXTURE_SIZE, HeadAsset, load_head_asset
from reenact.data.synthetic.light import Light
from reenact.data.synthetic.person import Person
from reenact.data.synthetic.posing import Posed, pose_person
from reenact.data.synthetic.prepared import Prepared, prepare
from reenact.data.synthetic.rooms import Background
from reenact.data.synthetic.strand_shader import (
    blend_layers,
)
from reenact.data.synthetic.strands import ON_FACE
from reenact.data.synthetic.surface_shader import NUM_ATTRIBUTES
from reenact.data.synthetic.surface_truth import FirstView, SurfaceTruth, surface_truth
from reenact.face.expressions import EXPRESSION_NAMES
from reenact.face.params import FaceParams

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


class Renderer:
    """Renders persons. It keeps the prepared arrays of the last person.

    A renderer must not be shared between threads.
    """

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

        Args:
            person: whom to draw.
            params: one face in crop pixels, with the identity of the person.
            light: the light on the person.
            background: what is behind the person, seen through `crop_from_frame`.
            crop_from_frame: (3, 3), pixels of the film to pixels of the crop.
            size: side of the crop in pixels.
            supersample: samples of the surface along the side of a pixel.
            camera: lens, noise and compression.
            shot: seeds the camera's noise.
            moment: the frame of the clip; a hand moves with it.
            reach: the picture is a square so many times as wide as the crop in its middle.
            first: what frame 0 shows of the person; with it the masks have the `surface`.

        Raises:
            ValueError: not exactly one face, or the identity of another person.
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
        coverage, surface = self._draw(prepared, posed, face, light, supersample, image, first)
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
        """What frame 0, a picture of reach * size pixels a side, shows of the person."""
        face = _one_face(person, params)
        prepared = self._prepare(person, size)
        mesh = pose_person(self.asset, prepared, face, 0, self._attributes).mesh
        face["translation"] = face["translation"] + size * (reach - 1) / 2
        xy, depth = pixels(mesh.points, face) * supersample, point_depth(mesh.points)
        _, _, nearest = rasterised(mesh, xy, depth, size * reach * supersample)
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

    def _draw(
        self,
        prepared: Prepared,
        posed: Posed,
        face: dict[str, np.ndarray],
        light: Light,
        supersample: int,
        plate: np.ndarray,
        first: FirstView | None,
    ) -> tuple[np.ndarray, SurfaceTruth | None]:
        """Draw the person over the radiance `plate` (S, S, 3), in place.

        Returns the coverage planes (S, S, 5), see `Canvas`, and the truth of the surface if there
        is a first view.
        """
        mesh = posed.mesh
        casting = posed.strand_points[prepared.strands.kind != ON_FACE]
        shadows = draw_shadows(light, mesh, casting, prepared.strand_weight)
        opening = float(face["expression"] @ self._openers)
        scene = light_frame(self.asset, mesh, light, shadows, posed.rotation, posed.eyes, opening)
        canvas = new_canvas(mesh, face, supersample, plate)
        surface_pass(canvas, prepared, posed, face, scene, shadows)
        strand_pass(canvas, prepared.strands, posed, face, scene, shadows)
        blend_layers(canvas.plate, canvas.plate_cover, canvas.surface, canvas.coverage)
        if first is None:
            return canvas.coverage, None
        solids = prepared.solids
        num_shown = len(mesh.triangles) - (0 if solids is None else len(solids.triangles))
        truth = surface_truth(
            canvas.ids,
            canvas.bary,
            mesh,
            posed.normals(),
            scene.camera,
            num_shown,
            first,
            supersample,
        )
        return canvas.coverage, truth


def _one_face(person: Person, params: FaceParams) -> dict[str, np.ndarray]:
    if len(params) != 1:
        raise ValueError(f"params: {len(params)} faces, one is drawn at a time")
    face = {name: value[0] for name, value in params.numpy().items()}
    if not np.allclose(face["identity"], person.identity.code, atol=1e-4):
        raise ValueError("params: identity is not the person's")
    return face


def _to_bytes(picture: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(picture * 255), 0, 255).astype(np.uint8)
