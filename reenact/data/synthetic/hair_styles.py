"""Which hair a person has: style, hairline, colour, cut and comb."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

HAIRLINE_ANGLES = np.radians([0, 18, 36, 52, 64, 74, 82, 92, 104, 120, 150, 180])
HAIRLINE_HEIGHTS = np.array(
    [0.63, 0.63, 0.58, 0.41, 0.18, -0.05, -0.22, 0.14, 0.05, -0.35, -0.75, -0.85]
)
"""Height (dm) of the hairline over the angle from the forehead to the nape."""
STYLES = ("bald", "ring", "buzz", "short", "swept", "crop", "mid", "long", "tied", "curls", "afro")


@dataclass(frozen=True, kw_only=True)
class HairTraits:
    """What hair is grown from."""

    style: str
    male: bool
    hairline: np.ndarray
    """Heights at HAIRLINE_ANGLES."""
    colour: np.ndarray
    """Linear reflectance (3,) of the coloured hairs."""
    grey: float
    """Share of grey hairs."""


def choose_style(rng: np.random.Generator, *, male: bool, oldness: float, tone: float) -> str:
    """One of STYLES, about as likely as people wear them."""
    shares: dict[str, float]
    if male:
        shares = {
            "bald": 0.05 + 0.08 * oldness,
            "ring": 0.02 + 0.18 * oldness,
            "buzz": 0.14,
            "short": 0.30,
            "swept": 0.16,
            "crop": 0.12,
            "mid": 0.07,
            "long": 0.03,
            "curls": 0.07,
            "tied": 0.02,
        }
    else:
        shares = {
            "buzz": 0.02,
            "short": 0.06 + 0.2 * oldness,
            "crop": 0.04,
            "mid": 0.22,
            "long": 0.36 * (1 - 0.6 * oldness),
            "tied": 0.16,
            "curls": 0.13,
        }
    if tone > 0.55:
        shares = {"buzz": 0.3, "afro": 0.2, "bald": 0.06, "curls": 0.15, "tied": 0.12} | (
            {"short": 0.15} if male else {"mid": 0.12, "long": 0.18, "buzz": 0.06}
        )
    names = list(shares)
    weights = np.array([shares[name] for name in names])
    return str(rng.choice(names, p=weights / weights.sum()))


def draw_hairline(rng: np.random.Generator, *, male: bool, oldness: float) -> np.ndarray:
    """Hairline heights, receding on some men."""
    recession = float(np.clip(rng.normal(0.10 + 0.22 * oldness, 0.12), 0, 0.45)) if male else 0.0
    heights = HAIRLINE_HEIGHTS + rng.normal(0, 0.03)
    heights[1:4] += recession * np.array([0.25, 0.55, 0.35]) * 0.6
    heights[0] += recession * 0.15
    return heights


def strand_colours(
    rng: np.random.Generator, colour: np.ndarray, grey: float, shape: tuple[int, int]
) -> np.ndarray:
    """Reflectance (N, P, 3) of strands, for `shape` (N, P).

    Each strand has its own tone, some are grey, and tips are lighter than roots.
    """
    count, num_points = shape
    tone = np.exp(rng.normal(0, 0.22, (count, 1)))
    tone = tone * (1 + rng.normal(0, 0.05, (count, 1)) * np.array([1.0, 0.0, -1.0]))
    strand = colour * tone
    silver = np.array([0.52, 0.51, 0.50]) * np.exp(rng.normal(0, 0.2, (count, 1)))
    faded = np.clip(1.25 * grey + rng.normal(0, 0.28, (count, 1)) * min(1.0, 4 * grey), 0, 1)
    strand = strand * (1 - faded) + silver * faded
    along = np.linspace(0.85, 1.15, num_points)[None, :, None]
    return np.clip(strand[:, None] * along, 0.004, 0.9)


@dataclass(frozen=True, kw_only=True)
class Cut:
    """How a style grows. Lengths in dm."""

    length: float
    side_length: float
    """Length at the sides and the back of the head."""
    lift: float
    """How far the hair stands off the head."""
    gravity: float
    stiffness: float
    """Share of the direction that each step keeps."""
    curl: float
    """Radius (dm) of the curls."""
    curl_length: float
    clumping: float
    frizz: float
    looseness: float
    """How far (dm) a strand may stand off the head beyond `lift`."""
    outwards: float
    """How much strands grow away from the skin rather than along it."""


def draw_cut(rng: np.random.Generator, traits: HairTraits) -> Cut:
    """A random cut of the person's style."""
    u = rng.uniform
    straight = {"curl": 0.0 if rng.random() < 0.5 else u(0.004, 0.025), "curl_length": u(0.35, 0.8)}
    cuts: dict[str, dict[str, float]] = {
        "ring": {"length": u(0.08, 0.2), "side_length": u(0.08, 0.2), "lift": 0.05, "gravity": 0.2},
        "buzz": {
            "length": u(0.04, 0.09),
            "side_length": u(0.03, 0.07),
            "lift": 0.0,
            "gravity": 0.0,
        },
        "short": {"length": u(0.2, 0.42), "side_length": u(0.08, 0.22), "lift": u(0.04, 0.12)},
        "swept": {"length": u(0.45, 0.8), "side_length": u(0.08, 0.3), "lift": u(0.08, 0.22)},
        "crop": {"length": u(0.35, 0.65), "side_length": u(0.15, 0.4), "lift": u(0.05, 0.12)},
        "mid": {"length": u(1.2, 1.8), "side_length": u(0.7, 1.5), "lift": u(0.08, 0.18)},
        "long": {"length": u(2.2, 3.2), "side_length": u(1.8, 2.8), "lift": u(0.07, 0.16)},
        "tied": {"length": 3.0, "side_length": 3.0, "lift": u(0.02, 0.06), "gravity": 0.0},
        "curls": {"length": u(0.6, 2.0), "side_length": u(0.5, 1.8), "lift": u(0.15, 0.3)},
        "afro": {"length": u(0.3, 0.75), "side_length": u(0.2, 0.7), "lift": 0.0, "gravity": 0.0},
    }
    base: dict[str, float] = {
        "gravity": u(0.25, 0.5),
        "stiffness": 0.82,
        "clumping": u(0.2, 0.7),
        "frizz": u(0.004, 0.016),
        "outwards": u(0.25, 0.6),
        "looseness": u(0.02, 0.08),
    }
    values = base | straight | cuts[traits.style]
    if traits.style in ("mid", "long"):
        values |= {"outwards": u(0.1, 0.3), "gravity": u(0.45, 0.8)}
    if traits.style == "curls":
        values |= {"curl": u(0.03, 0.08), "curl_length": u(0.18, 0.4), "clumping": u(0.6, 0.9)}
        values |= {"outwards": u(0.4, 0.8), "frizz": u(0.012, 0.03), "looseness": u(0.1, 0.35)}
    if traits.style == "afro":
        values |= {"curl": u(0.025, 0.045), "curl_length": u(0.09, 0.16), "outwards": 1.0}
        values |= {"clumping": u(0.1, 0.4), "frizz": u(0.02, 0.04), "looseness": 1.0}
    if traits.style in ("short", "swept", "crop"):
        values |= {"looseness": u(0.05, 0.3)}
    if traits.style in ("buzz", "ring"):
        values |= {"outwards": 0.5, "curl": 0.0}
    if traits.style == "tied":
        values |= {"outwards": 0.0, "curl": 0.0, "frizz": u(0.002, 0.008)}
    return Cut(**values)


@dataclass(frozen=True, kw_only=True)
class Comb:
    """Where the hair is combed to."""

    part: float
    """X (dm) of the parting. A value beyond the head combs all hair to one side."""
    sideways: float
    back: float
    fringe: float
    """Half width (dm) of the hair that falls on the forehead; 0 for none."""
    fringe_end: float
    """Height (dm) at which the fringe ends."""
    tie: np.ndarray
    """Where tied hair meets."""


def draw_comb(rng: np.random.Generator, traits: HairTraits) -> Comb:
    """A random way to comb the person's style."""
    style = traits.style
    part = float(rng.choice([0.0, 0.35, -0.35]) + rng.normal(0, 0.06))
    fringe = 0.0
    if style in ("mid", "long", "tied", "curls") and rng.random() < (0.1 if traits.male else 0.3):
        fringe = rng.uniform(0.35, 0.6)
    sideways, back = rng.uniform(0.5, 1.0), rng.uniform(0.0, 0.8)
    if style == "swept":
        sideways, back = rng.uniform(0.0, 0.5), rng.uniform(0.8, 1.3)
    if style == "crop":
        fringe, sideways, back = 0.9, rng.uniform(-0.2, 0.3), -rng.uniform(0.6, 1.0)
    if style == "short":
        part = float(rng.choice([0.45, -0.45, 3.0, -3.0]))
        sideways, back = rng.uniform(0.1, 0.8), rng.uniform(-0.7, 0.7)
    height = rng.uniform(-0.2, 1.0)
    return Comb(
        part=part,
        sideways=sideways,
        back=back,
        fringe=fringe,
        fringe_end=rng.uniform(0.26, 0.5),
        tie=np.array([0.0, height, -1.95 + 0.3 * max(0.0, height - 0.4)]),
    )
