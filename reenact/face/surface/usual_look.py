"""What teeth, the inside of the mouth and eyes usually look like, for where a photo hides them."""

import numpy as np

from reenact.face.surface.raster import TEETH, TONGUE
from reenact.face.surface.visible import BALLS, INSIDE

USUAL_PARTS = (TEETH, TONGUE, BALLS, INSIDE)
"""Parts that look much alike in all people."""

# Levels of 255: the means of 900 rendered pictures, teeth a little lighter.
ENAMEL, TONGUE_COLOUR, INSIDE_COLOUR = (175, 157, 147), (95, 53, 50), (45, 28, 25)
PUPIL_COLOUR, IRIS_COLOUR, SCLERA_COLOUR = (20, 18, 17), (80, 56, 42), (165, 154, 150)

DARK_TEETH = 0.24
"""dm to the side, where teeth are at about a third of their light."""
TEETH_PER_RADIAN, ARCH_CENTRE = 7.5, -0.35
"""Front teeth around the middle of their arch (its depth in dm), and how dark it is between two."""
GAP_WIDTH, GAP_SHADE = 0.1, 0.3
PUPIL_ANGLE, IRIS_ANGLE = 0.2, 0.5
"""Radians from the middle of the pupil."""


def usual_colours(part: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Colours (N, 3) in [-1, 1] of pixels of a drawn surface, by their parts (N,) and their places
    at rest (N, 3), see `rest_points`; 0 for all but USUAL_PARTS.
    """
    colours = np.full((len(part), 3), 127.5)
    for which, colour in ((TONGUE, TONGUE_COLOUR), (INSIDE, INSIDE_COLOUR)):
        colours[part == which] = colour
    teeth, balls = part == TEETH, part == BALLS
    colours[teeth] = ENAMEL * _light_on_teeth(rest[teeth])[:, None]
    colours[balls] = _eye(rest[balls])
    return colours / 127.5 - 1


def _light_on_teeth(rest: np.ndarray) -> np.ndarray:
    x, _, z = rest.T
    phase = np.arctan2(x, z - ARCH_CENTRE) * TEETH_PER_RADIAN + 0.5
    off_gap = (phase - np.floor(phase) - 0.5) / GAP_WIDTH
    return (1 - GAP_SHADE * np.exp(-(off_gap**2))) * np.exp(-((x / DARK_TEETH) ** 2))


def _eye(rest: np.ndarray) -> np.ndarray:
    # Between two vertices a drawn place is inside of the sphere.
    length = np.linalg.norm(rest, axis=1).clip(min=1e-6)
    angle = np.arccos((rest[:, 2] / length).clip(-1, 1))[:, None]
    outside = np.where(angle < IRIS_ANGLE, IRIS_COLOUR, SCLERA_COLOUR)
    return np.where(angle < PUPIL_ANGLE, PUPIL_COLOUR, outside)
