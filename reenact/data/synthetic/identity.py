"""The head shape of a synthetic person, drawn from the identity codes of a split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reenact.data.synthetic.head_asset import HeadAsset

SPLIT_CODES = {"train": (0, 1200), "val": (1200, 1350), "test": (1350, 1500)}
"""Rows of the head model's identity codes that belong to each split."""
BLEND_FRACTION = 0.5


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
