"""One person's constant arrays, as the rasteriser and the shaders read them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reenact.data.synthetic.hair_styles import HAIRLINE_ANGLES
from reenact.data.synthetic.head_asset import SCALP_AXES, SCALP_CENTRE, HeadAsset
from reenact.data.synthetic.imaging import halve, smoothstep
from reenact.data.synthetic.materials import Appearance
from reenact.data.synthetic.person import Person
from reenact.data.synthetic.solids import SolidArrays, join
from reenact.data.synthetic.strands import StrandArrays, flatten
from reenact.face.surface.raster import EYE, LASH, PLAIN
from reenact.face.surface.visible import UPPER_TEETH_SHIFT, unit_sphere, upper_teeth

SPHERE_RINGS, SPHERE_SEGMENTS = 14, 24
CLOTH_THICKNESS = 0.035
ALL_STRANDS_SIZE = 256
THINNING = 1.3
"""Crops of ALL_STRANDS_SIZE show all strands; smaller ones show fewer and wider ones."""


@dataclass(frozen=True)
class Prepared:
    """One person's constant arrays for the rasteriser and the shaders."""

    person: Person
    size: int
    triangles: np.ndarray
    material: np.ndarray
    rest: np.ndarray
    """Unposed body vertices without expression."""
    eye_centres: np.ndarray
    eye_radii: np.ndarray
    cloth_lift: np.ndarray
    sphere_points: np.ndarray
    """Vertices of an eyeball of radius 1."""
    solids: SolidArrays | None
    strands: StrandArrays
    strand_weight: float
    """How many strands of the whole hair each drawn strand stands for."""
    look: Appearance


def prepare(asset: HeadAsset, person: Person, level: int, size: int) -> Prepared:
    """Arrays of `person` for crops of `size`, with the texture halved `level` times."""
    sphere_points, sphere_triangles = unit_sphere(SPHERE_RINGS, SPHERE_SEGMENTS)
    count, num_sphere = len(asset.mean), len(sphere_points)
    drawn = asset.material != LASH
    eyes = [sphere_triangles + count, sphere_triangles + count + num_sphere]
    triangles = [asset.triangles[drawn], *eyes]
    material = [asset.material[drawn], np.full(2 * len(sphere_triangles), EYE)]
    solids = join(person.solids)
    if solids is not None:
        triangles.append(solids.triangles + count + 2 * num_sphere)
        material.append(np.full(len(solids.triangles), PLAIN))
    covered = smoothstep(-0.02, 0.05, person.clothes.collar + 0.12 - asset.mean[:, 1])
    lift = (asset.head_weight < 0.35) * covered * CLOTH_THICKNESS
    centres, radii = asset.eyeballs(person.vertices)
    rest = person.vertices.astype(np.float32)
    rest[upper_teeth()] += np.array(UPPER_TEETH_SHIFT, np.float32)
    kept = min(1.0, (size / ALL_STRANDS_SIZE) ** THINNING)
    return Prepared(
        person=person,
        size=size,
        triangles=np.ascontiguousarray(np.concatenate(triangles)),
        material=np.ascontiguousarray(np.concatenate(material)),
        rest=rest,
        eye_centres=centres,
        eye_radii=radii,
        cloth_lift=lift.astype(np.float32)[:, None],
        sphere_points=sphere_points,
        solids=solids,
        strands=flatten(person.strands, kept),
        strand_weight=1 / kept,
        look=_look(person, level),
    )


def _look(person: Person, level: int) -> Appearance:
    texture = person.texture
    for _ in range(level):
        texture = halve(texture)
    clothes = person.clothes
    return Appearance(
        np.ascontiguousarray(texture, np.float32),
        1.0 / (1 << level),
        person.iris,
        person.pupil,
        person.sclera,
        person.hair_colour,
        person.has_hair,
        HAIRLINE_ANGLES,
        person.hairline,
        person.scalp_tint,
        SCALP_CENTRE.astype(np.float64),
        SCALP_AXES.astype(np.float64),
        clothes.collar,
        clothes.v_neck,
        clothes.stripe,
        clothes.phase,
        clothes.colour,
        clothes.jacket,
        clothes.jacket_colour,
    )
