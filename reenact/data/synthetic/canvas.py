"""The pixels of one frame, and the two passes that draw a person into them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from reenact.data.synthetic.eye_shader import shade_eyes
from reenact.data.synthetic.geometry import CAMERA_DISTANCE, DEPTH_ORIGIN, project, surface_depth
from reenact.data.synthetic.lens_shader import shade_lenses
from reenact.data.synthetic.posing import Posed, PosedSolids
from reenact.data.synthetic.prepared import Prepared
from reenact.data.synthetic.shading_math import Surroundings
from reenact.data.synthetic.shadows import ShadowMap, light_seen
from reenact.data.synthetic.solid_shader import shade_solids, solid_attributes
from reenact.data.synthetic.solids import SolidArrays, shaded_by_spheres
from reenact.data.synthetic.strand_shader import draw_strands, light_strands
from reenact.data.synthetic.strands import StrandArrays
from reenact.data.synthetic.surface_shader import Mesh, shade_surface
from reenact.face.surface.raster import FAR, rasterize

NEAR_PLANE, DEPTH_RANGE = 4.0, 20.0


class Canvas(NamedTuple):
    """The pixels of one frame while it is drawn: S pixels of ss x ss samples a side."""

    ids: np.ndarray
    """(S ss, S ss) triangle that each sample shows, -1 for none."""
    bary: np.ndarray
    """(S ss, S ss, 3) where in the triangle, as barycentric coordinates."""
    nearest: np.ndarray
    """(S ss, S ss) depth of the surface, FAR for none."""
    supersample: int
    plate: np.ndarray
    """(S, S, 3) radiance of the background."""
    plate_cover: np.ndarray
    """(S, S, 3) how much of the background strands cover, see `draw_strands`."""
    surface: np.ndarray
    """(S, S, 3) radiance of the surface times its coverage."""
    coverage: np.ndarray
    """(S, S, 5) person, face, hair, head, things before the face."""


def new_canvas(
    mesh: Mesh, face: dict[str, np.ndarray], supersample: int, plate: np.ndarray
) -> Canvas:
    """The rasterised mesh over the background `plate`, not yet shaded."""
    size = len(plate)
    xy = pixels(mesh.points, face) * supersample
    ids, bary, nearest = rasterised(mesh, xy, point_depth(mesh.points), size * supersample)
    return Canvas(
        ids=ids,
        bary=bary,
        nearest=nearest,
        supersample=supersample,
        plate=plate,
        plate_cover=np.zeros((size, size, 3), np.float32),
        surface=np.zeros((size, size, 3), np.float32),
        coverage=np.zeros((size, size, 5), np.float32),
    )


def surface_pass(
    canvas: Canvas,
    prepared: Prepared,
    posed: Posed,
    face: dict[str, np.ndarray],
    scene: Surroundings,
    shadows: list[ShadowMap | None],
) -> None:
    """Shade solids, skin, clothes and eyes, and add what glasses mirror."""
    mesh, solids, person = posed.mesh, prepared.solids, prepared.person
    ids, bary, supersample = canvas.ids, canvas.bary, canvas.supersample
    surface, coverage = canvas.surface, canvas.coverage
    if solids is not None and posed.solids is not None:
        _shade_skin(solids, posed.solids, mesh)
        points, normals = mesh.points[-len(solids.points) :], posed.solids.normals
        table = solid_attributes(solids, points, normals, scene, shadows)
        shade_solids(ids, bary, mesh, table, scene, supersample, surface, coverage)
    look = prepared.look
    shade_surface(ids, bary, canvas.nearest, mesh, scene, look, supersample, surface, coverage)
    shade_eyes(ids, bary, mesh, scene, look, supersample, surface, coverage)
    if person.lenses is not None and person.glint > 0:
        rims = posed.on_head(person.lenses)
        outlines, middles = pixels(rims, face) * supersample, rims.mean(1)
        depth, nearest = point_depth(middles), canvas.nearest
        shade_lenses(outlines, middles, depth, person.glint, scene, nearest, supersample, surface)


def _shade_skin(solids: SolidArrays, posed: PosedSolids, mesh: Mesh) -> None:
    """Take the soft light away that the solids keep from the skin."""
    skin = mesh.points[: mesh.num_body]
    mesh.attributes[:, 6:9] *= shaded_by_spheres(skin, mesh.attributes[:, :3], posed.spheres)
    if solids.shade is not None:
        mesh.attributes[:, 6:9] *= solids.shade


def strand_pass(
    canvas: Canvas,
    strands: StrandArrays,
    posed: Posed,
    face: dict[str, np.ndarray],
    scene: Surroundings,
    shadows: list[ShadowMap | None],
) -> None:
    """Light the strands and draw them over the background and over the surface."""
    points = posed.strand_points
    lit = np.ones(len(points), np.float32)
    seen = np.stack([lit if s is None else light_seen(s, points, 0.0) for s in shadows], -1)
    radiance = np.empty_like(points)
    light_strands(
        points,
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
        pixels(points, face),
        point_depth(points),
        strands.width * np.float32(face["scale"]),
        radiance,
        strands.kind,
        strands.segments,
        canvas.nearest,
        canvas.supersample,
        canvas.plate,
        canvas.plate_cover,
        canvas.surface,
        canvas.coverage,
    )


def rasterised(
    mesh: Mesh, xy: np.ndarray, depth: np.ndarray, side: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`ids`, `bary` and `nearest` of a `Canvas`, with `side` samples a side.

    xy: (V, 2) of the mesh's points, in samples. depth: (V,).
    """
    ids, bary = rasterize(xy, depth, mesh.triangles, mesh.material, side, side)
    return ids, bary, surface_depth(ids, bary, mesh.triangles, depth, FAR)


def pixels(points: np.ndarray, face: dict[str, np.ndarray]) -> np.ndarray:
    """Where posed points (..., 3) are seen, (..., 2) in pixels."""
    return project(points, face["translation"], float(face["scale"]))


def point_depth(points: np.ndarray) -> np.ndarray:
    """Depth (...) of posed points (..., 3), 0 at the near plane; smaller = nearer."""
    return (CAMERA_DISTANCE - (points[:, 2] - DEPTH_ORIGIN) - NEAR_PLANE) / DEPTH_RANGE
