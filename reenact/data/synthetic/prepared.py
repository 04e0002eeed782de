"""One person's constant arrays, as the rasteriser and the shader read them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reenact.data.synthetic.hair import HAIRLINE_ANGLES
from reenact.data.synthetic.head_asset import SCALP_AXES, SCALP_CENTRE, HeadAsset
from reenact.data.synthetic.imaging import halve, smoothstep
from reenact.data.synthetic.person import Person
from reenact.data.synthetic.shade import Look
from reenact.face.surface.raster import EYE, HAIR, AlphaMaps
from reenact.face.surface.visible import UPPER_TEETH_SHIFT, upper_teeth

SPHERE_RINGS, SPHERE_SEGMENTS = 14, 24
CLOTH_THICKNESS = 0.035


@dataclass(frozen=True)
class Prepared:
    """One person's constant arrays for the rasteriser and the shader."""

    person: Person
    texture_level: int
    triangles: np.ndarray
    material: np.ndarray
    rest: np.ndarray
    """Unposed body vertices without expression."""
    eye_centres: np.ndarray
    eye_radii: np.ndarray
    cloth_lift: np.ndarray
    hair_attributes: np.ndarray
    alpha: AlphaMaps
    look: Look


def prepare(asset: HeadAsset, person: Person, level: int, sphere_triangles: np.ndarray) -> Prepared:
    """Arrays of `person` with the texture halved `level` times."""
    count, num_sphere = len(asset.mean), int(sphere_triangles.max()) + 1
    hair_offset = count + 2 * num_sphere
    eyes = [sphere_triangles + count, sphere_triangles + count + num_sphere]
    triangles = [asset.triangles, *eyes]
    material = [asset.material, np.full(2 * len(sphere_triangles), EYE)]
    hair = person.hair
    if hair is not None:
        triangles.append(hair.triangles + hair_offset)
        material.append(np.full(len(hair.triangles), HAIR))
    hair_attributes = np.zeros((1 if hair is None else len(hair.points), 6), np.float32)
    if hair is not None:
        hair_attributes[:, :3] = hair.attributes
    covered = smoothstep(-0.02, 0.05, person.clothes.collar + 0.12 - asset.mean[:, 1])
    lift = (asset.head_weight < 0.35) * covered * CLOTH_THICKNESS
    centres, radii = asset.eyeballs(person.vertices)
    strand_map = np.zeros((2, 2, 2), np.float32) if hair is None else hair.strand_map
    alpha = AlphaMaps(
        hair_offset,
        np.ascontiguousarray(hair_attributes[:, :2]),
        np.ascontiguousarray(hair_attributes[:, 2]),
        strand_map,
        0.5 if hair is None else hair.threshold,
        np.ascontiguousarray(asset.mean[:, 0]),
        asset.lash_level,
        person.lash_density,
    )
    rest = person.vertices.astype(np.float32)
    rest[upper_teeth()] += np.array(UPPER_TEETH_SHIFT, np.float32)
    return Prepared(
        person=person,
        texture_level=level,
        triangles=np.ascontiguousarray(np.concatenate(triangles)),
        material=np.ascontiguousarray(np.concatenate(material)),
        rest=rest,
        eye_centres=centres,
        eye_radii=radii,
        cloth_lift=lift.astype(np.float32)[:, None],
        hair_attributes=hair_attributes,
        alpha=alpha,
        look=_look(person, level, strand_map),
    )


def _look(person: Person, level: int, strand_map: np.ndarray) -> Look:
    texture = person.texture
    for _ in range(level):
        texture = halve(texture)
    clothes = person.clothes
    return Look(
        np.ascontiguousarray(texture, np.float32),
        1.0 / (1 << level),
        person.iris,
        person.pupil,
        person.hair_colour,
        strand_map,
        0.0 if person.hair is None else person.hair.curl,
        person.hair is not None,
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
    )
