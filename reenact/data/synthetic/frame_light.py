"""The light of one frame: shadow maps, light on every vertex of the head, and the scene."""

from __future__ import annotations

import numpy as np

from reenact.data.synthetic.geometry import CAMERA_DISTANCE, DEPTH_ORIGIN
from reenact.data.synthetic.head_asset import HeadAsset
from reenact.data.synthetic.light import NUM_SHARP_LIGHTS, Light, spherical_harmonics
from reenact.data.synthetic.shading_math import Surroundings
from reenact.data.synthetic.shadows import ShadowMap, draw_shadow_map, light_seen
from reenact.data.synthetic.surface_shader import Mesh

SHADOW_SOFTNESS = 1.6
"""Reach of the shadow's soft edge on the skin, in pixels of the shadow map."""
EYE_SOFTNESS, EYE_LIFT = 2.5, 0.15
"""The same for the eyes, and how far (dm) before an eyeball's centre its shadow is looked up."""
SKIN_LIFT = 0.02
"""How far (dm) before the skin its shadow is looked up."""
FAINT_LIGHT = 0.10
"""A sharp light below this share of all light on the face casts no shadow."""
CAMERA_PLACE = np.array([0.0, 0.0, CAMERA_DISTANCE + DEPTH_ORIGIN])
BANDS = np.array([1, *[2 / 3] * 3, *[1 / 4] * 5])
"""Clamped cosine in order-2 harmonics (Ramamoorthi and Hanrahan 2001), divided by pi."""
CLOSED_MOUTH, OPEN_MOUTH = 0.36, 0.91
"""Share of the light that reaches the teeth."""


def draw_shadows(
    light: Light, mesh: Mesh, hair: np.ndarray, hair_weight: float
) -> list[ShadowMap | None]:
    """Shadow maps of the sharp lights; None for faint ones.

    `hair` (V, 3) are posed points of strands, each of which stands for `hair_weight` strands.
    """
    total = float(np.clip(light.directions[:, 2], 0, None) @ light.colours.mean(1)) + 1e-9
    maps: list[ShadowMap | None] = []
    for k in range(NUM_SHARP_LIGHTS):
        faint = float(light.colours[k].mean()) < FAINT_LIGHT * total
        direction, points = light.directions[k], mesh.points
        drawn = None
        if not faint:
            drawn = draw_shadow_map(direction, points, mesh.triangles, hair, hair_weight)
        maps.append(drawn)
    return maps


def light_frame(
    asset: HeadAsset,
    mesh: Mesh,
    light: Light,
    shadows: list[ShadowMap | None],
    rotation: np.ndarray,
    eyes: np.ndarray,
    mouth_opening: float,
) -> Surroundings:
    """Fill the light columns of the mesh's vertex attributes; returns the frame's surroundings.

    rotation: (3, 3), of the head. eyes: (5, 3), as in `Surroundings`. mouth_opening: 0 when closed,
    1 or more when open.
    """
    attributes, sharp = mesh.attributes, NUM_SHARP_LIGHTS
    directions, colours = light.directions[sharp:], light.colours[sharp:].astype(np.float32)
    # The transfer was baked on the unposed head: lights are turned into the head's frame, except
    # for the shoulders.
    still = spherical_harmonics(directions).T.astype(np.float32) @ colours
    turned = spherical_harmonics(directions @ rotation).T.astype(np.float32) @ colours
    weight = asset.head_weight[:, None]
    received = (asset.transfer @ turned) * weight + (asset.transfer @ still) * (1 - weight)
    attributes[:, 6:9] = np.maximum(received, 0) * np.float32(np.pi)
    skin = mesh.points[: mesh.num_body]
    eyes_seen = np.ones((2, sharp))
    forward = (eyes[:2] + EYE_LIFT * rotation[:, 2]).astype(np.float32)
    for k, shadow in enumerate(shadows):
        if shadow is None:
            attributes[:, 9 + k] = asset.transfer[:, 0] / 0.2821
        else:
            lifted = skin + attributes[:, :3] * np.float32(SKIN_LIFT)
            attributes[:, 9 + k] = light_seen(shadow, lifted, SHADOW_SOFTNESS)
            eyes_seen[:, k] = light_seen(shadow, forward, EYE_SOFTNESS)
    face = spherical_harmonics(rotation[:, 2][None])[0]
    front = np.maximum((face * BANDS) @ still * np.pi, 0.02)
    opened = min(1.0, mouth_opening)
    return Surroundings(
        light.directions[:sharp].astype(np.float64),
        light.colours[:sharp].astype(np.float64),
        still.astype(np.float64),
        light.environment,
        front,
        rotation,
        CAMERA_PLACE,
        eyes.astype(np.float64),
        eyes_seen,
        CLOSED_MOUTH + (OPEN_MOUTH - CLOSED_MOUTH) * opened,
    )
