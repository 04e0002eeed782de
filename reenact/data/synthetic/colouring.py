"""Colours of skin, hair and eyes, as they go with age, sex and origin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reenact.data.synthetic.facial_hair import draw_beard, draw_brows
from reenact.data.synthetic.head_asset import HeadAsset
from reenact.data.synthetic.identity import Identity
from reenact.data.synthetic.skin import SkinTraits, linear

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
SILVER = np.array([0.55, 0.54, 0.53])
"""Linear colour of grey hair."""
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


@dataclass(frozen=True, kw_only=True)
class Colouring:
    """Skin, hair and eyes of a person. Colours of hair and eyes are linear."""

    skin: SkinTraits
    natural_hair: np.ndarray
    """(3,) colour of the hairs that are not grey."""
    grey: float
    """Share of grey hairs."""
    iris: np.ndarray
    """(3,)"""


def skin_colour(tone: float) -> np.ndarray:
    """sRGB colour (3,) of skin in a photo, for a tone from 0 (lightest) to 1 (darkest)."""
    steps = np.arange(len(SKIN_ANCHORS)) / (len(SKIN_ANCHORS) - 1)
    return np.array([np.interp(tone, steps, SKIN_ANCHORS[:, k]) for k in range(3)])


def draw_colouring(rng: np.random.Generator, asset: HeadAsset, who: Identity) -> Colouring:
    """Skin, brows, beard and colours that go with age, sex and origin."""
    male = who.maleness > 0.5
    origin = who.caucasian * 0.12 + who.asian * 0.30 + who.african * 0.80
    tone = float(np.clip(origin + rng.normal(0, 0.09) + 0.05, 0, 1))
    oldness = float(np.clip((who.age - 0.68) / 0.3, 0, 1))
    hair_colour, grey = _hair_colour(rng, who, tone, oldness)
    fair = tone < 0.35 and who.asian < 0.5
    iris = IRIS_COLOURS[rng.choice(7, p=IRIS_SHARES) if fair else rng.choice(3)]
    beard = draw_beard(rng, male=male, age=who.age)
    brows = draw_brows(rng, asset, male=male)
    brow_colour = (hair_colour * (1 - 0.6 * grey) + 0.6 * grey * SILVER) * 0.6
    undertone = rng.uniform(-1, 1)
    skin = SkinTraits(
        male=male,
        age=who.age,
        oldness=oldness,
        tone=tone,
        base=skin_colour(tone) * (1 + undertone * UNDERTONE) * (1 + rng.normal(0, 0.02, 3)),
        hair_colour=hair_colour * (1 - grey) + SILVER * grey,
        brow_colour=np.clip(brow_colour, 0.006, 0.4),
        beard=beard,
        brows=brows,
    )
    return Colouring(skin=skin, natural_hair=hair_colour, grey=grey, iris=linear(iris))


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
