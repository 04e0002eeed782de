"""A synthetic person: head shape, skin, eyes, hair and clothes, all from one seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reenact.data.synthetic.colouring import Colouring, draw_colouring
from reenact.data.synthetic.facial_hair import (
    Skin,
    grow_beard,
    grow_brows,
    grow_lashes,
)
from reenact.data.synthetic.hair import grow_hair, under_hat
from reenact.data.synthetic.hair_styles import HairTraits, choose_style, draw_hairline
from reenact.data.synthetic.head_asset import HeadAsset, load_head_asset
from reenact.data.synthetic.identity import Identity, draw_identity
from reenact.data.synthetic.skin import linear, paint_skin
from reenact.data.synthetic.solids import Solid
from reenact.data.synthetic.strands import Strands
from reenact.data.synthetic.worn import RIMS, draw_worn, dress

CLOTH_COLOURS = np.array(
    [
        [0.12, 0.13, 0.16],
        [0.85, 0.85, 0.83],
        [0.2, 0.3, 0.5],
        [0.55, 0.12, 0.14],
        [0.25, 0.35, 0.25],
        [0.6, 0.55, 0.45],
        [0.35, 0.35, 0.38],
        [0.7, 0.45, 0.3],
        [0.45, 0.3, 0.5],
        [0.1, 0.2, 0.35],
    ]
)


@dataclass(frozen=True, kw_only=True)
class Clothes:
    """A shirt; heights and depths in dm on the mean head."""

    colour: np.ndarray
    collar: float
    v_neck: float
    stripe: float
    """Stripes (positive) or checks (negative) per dm; 0 for plain cloth."""
    phase: float
    jacket: float
    """Half width (dm) of the opening of a jacket at the collar; 0 for none."""
    jacket_colour: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Person:
    """Everything that stays the same over a clip."""

    seed: int
    identity: Identity
    vertices: np.ndarray
    """Neutral head (V, 3)."""
    texture: np.ndarray
    """(512, 512, 6), see `paint_skin`."""
    iris: np.ndarray
    pupil: float
    """Angle (radians) the pupil covers, measured from its centre."""
    sclera: np.ndarray
    """(3,) linear colour of the white of the eye."""
    strands: tuple[Strands, ...]
    """Lashes, brows, beard and hair."""
    has_hair: bool
    hairline: np.ndarray
    hair_colour: np.ndarray
    scalp_tint: float
    clothes: Clothes
    description: str
    solids: tuple[Solid, ...] = ()
    """Hood or head scarf, and things before the face."""
    lenses: np.ndarray | None = None
    """(2, P, 3) closed outlines of the lenses of glasses."""
    glint: float = 0.0
    """How strongly the lenses mirror the surroundings; 1 is clear glass with a coating."""


def _draw_clothes(rng: np.random.Generator) -> Clothes:
    colour = CLOTH_COLOURS[rng.integers(len(CLOTH_COLOURS))] * rng.uniform(0.8, 1.1)
    if rng.random() < 0.5:
        colour = np.clip(rng.uniform(0.05, 0.9) + rng.normal(0, 0.09, 3), 0.02, 0.93)
    return Clothes(
        colour=linear(colour),
        collar=float(rng.uniform(-1.62, -1.42)),
        v_neck=float(rng.uniform(0, 0.9) * (rng.random() < 0.5)),
        stripe=float(rng.uniform(8, 20) * rng.choice([0.0, 1.0, -0.5], p=[0.7, 0.15, 0.15])),
        phase=float(rng.random() * 6),
        jacket=float(rng.uniform(0.15, 0.45) * (rng.random() < 0.28)),
        jacket_colour=linear(rng.uniform(0.05, 0.6) + rng.normal(0, 0.06, 3)),
    )


def make_person(seed: int, split: str, asset: HeadAsset | None = None) -> Person:
    """The person of `seed`; the head shape comes from the split's identity codes only.

    Raises ValueError for an unknown split.
    """
    asset = load_head_asset() if asset is None else asset
    who = draw_identity(seed, split, asset)
    # Hair, skin, clothes and things on the face have random streams of their own. A change of one
    # of them leaves the others as they are.
    rng = np.random.default_rng([seed, 2])
    look = draw_colouring(rng, asset, who)
    traits = look.skin
    style = choose_style(rng, male=traits.male, oldness=traits.oldness, tone=traits.tone)
    hairline = draw_hairline(rng, male=traits.male, oldness=traits.oldness)
    vertices = asset.identity_vertices(who.code)
    sclera = np.array([0.54, 0.48, 0.45]) * (1 - 0.15 * traits.tone) * rng.uniform(0.9, 1.1)
    hair = grow_hair(
        asset,
        HairTraits(
            style=style,
            male=traits.male,
            hairline=hairline,
            colour=look.natural_hair,
            grey=look.grey,
        ),
        vertices,
        np.random.default_rng([seed, 4]),
    )
    on_face = np.random.default_rng([seed, 6])
    clothes = _draw_clothes(np.random.default_rng([seed, 5]))
    worn = draw_worn(on_face, male=traits.male, oldness=traits.oldness)
    if worn.hat and hair is not None:
        hair = under_hat(hair)
    grown = (*_grow_on_face(on_face, asset, vertices, look), hair)
    dressed = dress(asset, worn, vertices, clothes.colour, on_face)
    sex = "male" if traits.male else "female"
    return Person(
        seed=seed,
        identity=who,
        vertices=vertices,
        texture=paint_skin(asset, traits, np.random.default_rng([seed, 3])),
        iris=look.iris,
        pupil=0.19 + 0.035 * float(np.clip(rng.normal(), -1.5, 1.5)),
        sclera=sclera,
        strands=tuple(strands for strands in (*grown, *dressed) if strands is not None),
        has_hair=hair is not None,
        hairline=hairline,
        hair_colour=traits.hair_colour,
        scalp_tint=_scalp_tint(rng, style),
        clothes=clothes,
        description=f"{sex} age {who.age:.2f} tone {traits.tone:.2f} {style}",
        lenses=dressed[0].points[list(RIMS)] if worn.glasses else None,
    )


def _grow_on_face(
    rng: np.random.Generator, asset: HeadAsset, vertices: np.ndarray, look: Colouring
) -> tuple[Strands | None, ...]:
    """Lashes, brows and beard."""
    skin, place, grey = look.skin, Skin(asset, vertices), look.grey
    beard_colour = np.minimum(look.natural_hair * 1.1, 0.5)
    return (
        grow_lashes(asset, vertices, 0.7 if skin.male else rng.uniform(0.8, 1.5), rng),
        grow_brows(place, skin.brows, skin.brow_colour, 0.5 * grey, rng),
        grow_beard(place, skin.beard, beard_colour, grey, rng),
    )


def _scalp_tint(rng: np.random.Generator, style: str) -> float:
    """How much the hair's colour shows on the scalp."""
    if style in ("bald", "ring"):
        return float(rng.uniform(0, 0.35))
    return 0.75 if style == "buzz" else 0.93
