"""A synthetic person: head shape, skin, eyes, hair and clothes, all from one seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reenact.data.synthetic.hair import (
    Hair,
    HairTraits,
    choose_style,
    draw_hairline,
    grow_hair,
)
from reenact.data.synthetic.head_asset import HeadAsset, load_head_asset
from reenact.data.synthetic.skin import SkinTraits, linear, paint_skin

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
HAIR_COLOURS = {
    "black": (0.014, 0.011, 0.010),
    "dark": (0.042, 0.025, 0.017),
    "brown": (0.105, 0.058, 0.033),
    "light": (0.30, 0.19, 0.10),
    "blond": (0.48, 0.32, 0.15),
    "red": (0.36, 0.13, 0.05),
    "grey": (0.30, 0.29, 0.285),
    "white": (0.60, 0.59, 0.57),
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
    phase: float


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
    lash_density: float
    hair: Hair | None
    hairline: np.ndarray
    hair_colour: np.ndarray
    scalp_tint: float
    clothes: Clothes
    description: str


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


def _hair_colours(
    rng: np.random.Generator, who: Identity, tone: float, oldness: float
) -> tuple[np.ndarray, np.ndarray]:
    """Linear colours of hair and brows, greying with age."""
    r = rng.random()
    if tone > 0.5:
        name = "black" if r < 0.75 else "dark"
    elif who.asian > 0.5:
        name = "black" if r < 0.6 else "dark" if r < 0.9 else "brown"
    else:
        name = FAIR_HAIR[rng.choice(len(FAIR_HAIR), p=FAIR_HAIR_SHARES)]
    colour = np.array(HAIR_COLOURS[name]) * (1 + rng.normal(0, 0.08))
    brow = np.array(HAIR_COLOURS[name]) * 0.75
    grey = float(np.clip(oldness * 1.3 + rng.normal(-0.25, 0.2), 0, 1))
    old = np.array(HAIR_COLOURS["white" if rng.random() < oldness * 0.6 else "grey"])
    colour = colour * (1 - grey) + old * grey
    brow = brow * (1 - 0.6 * grey) + old * 0.6 * grey
    return np.clip(colour, 0.008, 0.9), np.clip(brow * 0.8, 0.006, 0.5)


def _draw_beard(rng: np.random.Generator, male: bool, age: float) -> tuple[float, bool]:
    """Density and whether it is a goatee."""
    if not male or age <= 0.52:
        return 0.0, False
    r = rng.random()
    beard = 0.0 if r < 0.35 else rng.uniform(0.15, 0.5) if r < 0.7 else rng.uniform(0.7, 0.95)
    return float(beard), bool(beard > 0.6 and rng.random() < 0.35)


def _draw_clothes(rng: np.random.Generator) -> Clothes:
    colour = CLOTH_COLOURS[rng.integers(len(CLOTH_COLOURS))] * rng.uniform(0.8, 1.1)
    return Clothes(
        colour=linear(colour),
        collar=float(rng.uniform(-1.62, -1.42)),
        v_neck=float(rng.uniform(0, 0.9) * (rng.random() < 0.5)),
        stripe=float(rng.uniform(8, 20) * (rng.random() < 0.2)),
        phase=float(rng.random() * 6),
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
    hair_colour, brow_colour = _hair_colours(rng, who, tone, oldness)
    fair = tone < 0.35 and who.asian < 0.5
    iris = IRIS_COLOURS[rng.choice(7, p=IRIS_SHARES) if fair else rng.choice(3)]
    beard, goatee = _draw_beard(rng, male, who.age)
    traits = SkinTraits(
        male=male,
        age=who.age,
        oldness=oldness,
        tone=tone,
        base=base * (1 + rng.normal(0, 0.03, 3)),
        hair_colour=hair_colour,
        brow_colour=brow_colour,
        beard=beard,
        goatee=goatee,
    )
    style = choose_style(rng, male=male, oldness=oldness, tone=tone)
    hairline = draw_hairline(rng, male=male, oldness=oldness)
    vertices = asset.identity_vertices(who.code)
    hair_traits = HairTraits(style=style, male=male, hairline=hairline)
    return Person(
        seed=seed,
        identity=who,
        vertices=vertices,
        texture=paint_skin(asset, traits, np.random.default_rng([seed, 3])),
        iris=linear(iris),
        pupil=0.205 + 0.03 * float(np.clip(rng.normal(), -1.5, 1.5)),
        lash_density=0.30 if male else 0.62,
        hair=grow_hair(asset, hair_traits, vertices, np.random.default_rng([seed, 4])),
        hairline=hairline,
        hair_colour=hair_colour,
        scalp_tint=0.9 if style != "bald" else float(rng.uniform(0, 0.35)),
        clothes=_draw_clothes(np.random.default_rng([seed, 5])),
        description=f"{'male' if male else 'female'} age {who.age:.2f} tone {tone:.2f} {style}",
    )
