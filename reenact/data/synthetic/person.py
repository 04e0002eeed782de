"""A synthetic person: head shape, skin, eyes, hair and clothes, all from one seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reenact.data.synthetic.facial_hair import (
    Skin,
    draw_beard,
    draw_brows,
    grow_beard,
    grow_brows,
    grow_lashes,
)
from reenact.data.synthetic.hair import grow_hair, under_hat
from reenact.data.synthetic.hair_styles import HairTraits, choose_style, draw_hairline
from reenact.data.synthetic.head_asset import HeadAsset, load_head_asset
from reenact.data.synthetic.skin import SkinTraits, linear, paint_skin
from reenact.data.synthetic.solids import Solid
from reenact.data.synthetic.strands import Strands
from reenact.data.synthetic.worn import draw_worn, dress

SPLIT_CODES = {"train": (0, 1200), "val": (1200, 1350), "test": (1350, 1500)}
"""Rows of the head model's identity codes that belong to each split."""
BLEND_FRACTION = 0.5

SKIN_ANCHORS = (
    np.array(
        [
            [244, 212, 192],
            [236, 196, 170],
            [220, 174, 142],
            [198, 148, 114],
            [164, 114, 82],
            [124, 82, 58],
            [88, 58, 42],
            [64, 42, 32],
        ]
    )
    / 255
)
UNDERTONE = np.array([0.0, 0.025, -0.05])
"""How warm, yellowish skin differs from neutral skin. Cool, pink skin differs the other way."""
HAIR_COLOURS = {
    "black": (0.014, 0.011, 0.010),
    "dark": (0.042, 0.025, 0.017),
    "brown": (0.105, 0.058, 0.033),
    "light": (0.30, 0.19, 0.10),
    "blond": (0.48, 0.32, 0.15),
    "red": (0.36, 0.13, 0.05),
}
FAIR_HAIR = ("black", "dark", "brown", "light", "blond", "red")
FAIR_HAIR_SHARES = (0.15, 0.25, 0.26, 0.14, 0.14, 0.06)
IRIS_COLOURS = np.array(
    [
        [0.30, 0.17, 0.08],
        [0.20, 0.11, 0.05],
        [0.14, 0.08, 0.05],
        [0.33, 0.27, 0.12],
        [0.28, 0.36, 0.24],
        [0.30, 0.44, 0.55],
        [0.38, 0.47, 0.52],
    ]
)
IRIS_SHARES = (0.2, 0.25, 0.15, 0.1, 0.1, 0.12, 0.08)
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
class Identity:
    """Head shape alone: code (80,) and what is known of it."""

    code: np.ndarray
    maleness: float
    caucasian: float
    asian: float
    african: float
    age: float
    rows: tuple[int, ...]
    """The code rows it was made of."""


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


def draw_identity(seed: int, split: str, asset: HeadAsset) -> Identity:
    """A code row of the split, or the blend of two of the same sex.

    Raises ValueError for an unknown split.
    """
    if split not in SPLIT_CODES:
        raise ValueError(f"unknown split {split!r}, expected one of {sorted(SPLIT_CODES)}")
    rng = np.random.default_rng([seed, 1])
    low, high = SPLIT_CODES[split]
    first = int(rng.integers(low, high))
    rows: tuple[int, ...] = (first,)
    code, meta = asset.codes[first], asset.code_meta[first]
    if rng.random() < BLEND_FRACTION:
        sex = asset.code_meta[low:high, 0] > 0.5
        second = low + int(rng.choice(np.flatnonzero(sex == (meta[0] > 0.5))))
        share = rng.uniform(0.3, 0.7)
        code = share * code + (1 - share) * asset.codes[second]
        meta = share * meta + (1 - share) * asset.code_meta[second]
        # A blend lies closer to the mean; half of the lost variance is given back.
        code = code * (share**2 + (1 - share) ** 2) ** -0.25
        rows = (first, second)
    male, caucasian, asian, african, age = (float(v) for v in meta[:5])
    return Identity(
        code=code.astype(np.float32),
        maleness=male,
        caucasian=caucasian,
        asian=asian,
        african=african,
        age=age,
        rows=rows,
    )


def _hair_colour(
    rng: np.random.Generator, who: Identity, tone: float, oldness: float
) -> tuple[np.ndarray, float]:
    """Linear colour of hair and the share of grey hairs, which grows with age."""
    r = rng.random()
    if tone > 0.5:
        name = "black" if r < 0.75 else "dark"
    elif who.asian > 0.5:
        name = "black" if r < 0.6 else "dark" if r < 0.9 else "brown"
    else:
        name = FAIR_HAIR[rng.choice(len(FAIR_HAIR), p=FAIR_HAIR_SHARES)]
    colour = np.array(HAIR_COLOURS[name]) * np.exp(rng.normal(0, 0.15))
    grey = float(np.clip(oldness * 1.3 + rng.normal(-0.25, 0.2), 0, 1))
    return np.clip(colour, 0.008, 0.9), grey


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
    rng = np.random.default_rng([seed, 2])
    male = who.maleness > 0.5
    origin = who.caucasian * 0.12 + who.asian * 0.30 + who.african * 0.80
    tone = float(np.clip(origin + rng.normal(0, 0.09) + 0.05, 0, 1))
    steps = np.arange(len(SKIN_ANCHORS)) / (len(SKIN_ANCHORS) - 1)
    base = np.array([np.interp(tone, steps, SKIN_ANCHORS[:, k]) for k in range(3)])
    oldness = float(np.clip((who.age - 0.68) / 0.3, 0, 1))
    hair_colour, grey = _hair_colour(rng, who, tone, oldness)
    fair = tone < 0.35 and who.asian < 0.5
    iris = IRIS_COLOURS[rng.choice(7, p=IRIS_SHARES) if fair else rng.choice(3)]
    beard = draw_beard(rng, male=male, age=who.age)
    brows = draw_brows(rng, asset, male=male)
    silver = np.array([0.55, 0.54, 0.53])
    faded = hair_colour * (1 - grey) + silver * grey
    brow_colour = np.clip((hair_colour * (1 - 0.6 * grey) + 0.6 * grey * silver) * 0.6, 0.006, 0.4)
    undertone = rng.uniform(-1, 1)
    traits = SkinTraits(
        male=male,
        age=who.age,
        oldness=oldness,
        tone=tone,
        base=base * (1 + undertone * UNDERTONE) * (1 + rng.normal(0, 0.02, 3)),
        hair_colour=faded,
        brow_colour=brow_colour,
        beard=beard,
        brows=brows,
    )
    style = choose_style(rng, male=male, oldness=oldness, tone=tone)
    hairline = draw_hairline(rng, male=male, oldness=oldness)
    vertices = asset.identity_vertices(who.code)
    sclera = np.array([0.54, 0.48, 0.45]) * (1 - 0.15 * tone) * rng.uniform(0.9, 1.1)
    hair = grow_hair(
        asset,
        HairTraits(style=style, male=male, hairline=hairline, colour=hair_colour, grey=grey),
        vertices,
        np.random.default_rng([seed, 4]),
    )
    on_face = np.random.default_rng([seed, 6])
    place = Skin(asset, vertices)
    clothes = _draw_clothes(np.random.default_rng([seed, 5]))
    worn = draw_worn(on_face, male=male, oldness=oldness)
    if worn.hat:
        hair = None if hair is None else under_hat(hair)
    grown = (
        grow_lashes(asset, vertices, 0.7 if male else on_face.uniform(0.8, 1.5), on_face),
        grow_brows(place, brows, brow_colour, 0.5 * grey, on_face),
        grow_beard(place, beard, np.minimum(hair_colour * 1.1, 0.5), grey, on_face),
        hair,
        *dress(asset, worn, vertices, clothes.colour, on_face),
    )
    return Person(
        seed=seed,
        identity=who,
        vertices=vertices,
        texture=paint_skin(asset, traits, np.random.default_rng([seed, 3])),
        iris=linear(iris),
        pupil=0.19 + 0.035 * float(np.clip(rng.normal(), -1.5, 1.5)),
        sclera=sclera,
        strands=tuple(strands for strands in grown if strands is not None),
        has_hair=hair is not None,
        hairline=hairline,
        hair_colour=faded,
        scalp_tint=_scalp_tint(rng, style),
        clothes=clothes,
        description=f"{'male' if male else 'female'} age {who.age:.2f} tone {tone:.2f} {style}",
    )


def _scalp_tint(rng: np.random.Generator, style: str) -> float:
    """How much the hair's colour shows on the scalp."""
    if style in ("bald", "ring"):
        return float(rng.uniform(0, 0.35))
    return 0.75 if style == "buzz" else 0.93
