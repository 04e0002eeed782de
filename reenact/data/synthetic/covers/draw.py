"""Covers a person with a hood, a scarf, a hand or a microphone, and moves hands in a clip."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from reenact.data.synthetic.covers.hands import draw_pose, make_hand
from reenact.data.synthetic.covers.head_covers import hood, scarf
from reenact.data.synthetic.covers.microphones import headset, held, stand
from reenact.data.synthetic.head_asset import HeadAsset
from reenact.data.synthetic.motion import minimum_jerk
from reenact.data.synthetic.person import Person
from reenact.data.synthetic.solids import Solid

KINDS = {
    "cheek": 0.14,
    "chin": 0.12,
    "mouth": 0.10,
    "wave": 0.12,
    "stand": 0.10,
    "held": 0.10,
    "headset": 0.07,
    "hood": 0.13,
    "scarf": 0.12,
}
"""How often each kind is drawn."""
SHOWN_FIRST = 0.6
"""Share of the clips whose frame 0, the photo, shows the hand."""
AWAY = np.array([1.6, -3.0, 0.8])
"""Where a hand goes (dm; X to its own side) when it leaves the face."""
MOVE_FRAMES = (2, 7)
"""How many frames of the clip a hand takes to come or to leave."""


def cover_person(
    person: Person, asset: HeadAsset, rng: np.random.Generator, num_frames: int
) -> Person:
    """The person with a random one of KINDS. Hoods and scarves hide hair."""
    names = list(KINDS)
    shares = np.array([KINDS[name] for name in names])
    kind = str(rng.choice(names, p=shares / shares.sum()))
    if kind in ("hood", "scarf"):
        cover = (hood if kind == "hood" else scarf)(person, asset, rng)
        return replace(
            person,
            solids=(cover.solid,),
            strands=cover.strands,
            has_hair=cover.has_hair,
            description=f"{person.description} {kind}",
        )
    solids: list[Solid]
    if kind in ("stand", "headset"):
        solids = (stand if kind == "stand" else headset)(person, asset, rng)
    elif kind == "held":
        solids = held(person, asset, rng)
        path = draw_path(rng, num_frames, np.sign(solids[-1].points[:, 0].mean()))
        solids = [replace(solid, path=path) for solid in solids]
    else:
        pose = draw_pose(kind, person, asset, rng)
        path = draw_path(rng, num_frames, pose.side)
        solids = [replace(make_hand(pose, person, rng), path=path)]
    return replace(person, solids=tuple(solids), description=f"{person.description} {kind}")


def draw_path(rng: np.random.Generator, num_frames: int, side: float) -> np.ndarray:
    """How far (num_frames, 3) a hand is from its place. It comes or leaves at most twice."""
    shown = rng.random() < SHOWN_FIRST
    away = np.full(num_frames, 0.0 if shown else 1.0)
    # A hand that frame 0 does not show comes later.
    num_moves = rng.integers(0 if shown else 1, 3)
    for start in np.sort(rng.integers(1, max(2, num_frames), num_moves)):
        frames = np.arange(num_frames) - start + 1
        moved = minimum_jerk(frames / rng.integers(*MOVE_FRAMES))
        goal = 1.0 if away[start - 1] < 0.5 else 0.0
        away = np.where(frames > 0, away + (goal - away) * moved, away)
    sway = np.cumsum(rng.normal(0, 0.012, (num_frames, 3)), 0)
    return away[:, None] * AWAY * [side, 1, 1] + sway - sway[:1]
