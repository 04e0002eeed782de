"""Rebuilds reenact/assets/motions: a few short motions of the mean head, drawn as curves.

No person was filmed. Every motion starts and ends with the neutral face, at 25 frames a second, so
it can be repeated. Run from the repository root: `python -m tools.build_motions`.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import torch

from reenact.errors import exit_code
from reenact.face.control import Sliders, posed
from reenact.face.crop import crop_from_landmarks
from reenact.face.expressions import EXPRESSION_NAMES
from reenact.face.head_model import HeadModel
from reenact.face.params import FaceParams
from reenact.face.stack import TargetMotion
from reenact.inference.motion import Motion
from reenact.inference.motion_file import SUFFIX, save_motion
from reenact.media.timeline import constant_timeline
from tools.asset_file import ASSETS

SIZE, RATE = 128, 25
VOWELS = ((0.5, 0.1, 0.0), (0.15, 0.6, 0.0), (0.25, 0.0, 0.7), (0.6, 0.15, 0.1), (0.1, 0.0, 0.75))
"""Opening of the jaw, smile and rounding of the lips for each vowel."""


def bump(t: np.ndarray, at: float, width: float) -> np.ndarray:
    """A smooth rise from 0 to 1 at the time `at`, and a fall back to 0, `width` seconds each."""
    return np.where(np.abs(t - at) < width, 0.5 + 0.5 * np.cos(np.pi * (t - at) / width), 0.0)


# Each motion takes the times (N,) in seconds and returns curves (N,), see `MOTIONS`.


def nod(t: np.ndarray) -> dict[str, np.ndarray]:
    return {"pitch": -14 * np.sin(2 * np.pi * t / 0.8) * bump(t, 1.2, 1.2)}


def shake(t: np.ndarray) -> dict[str, np.ndarray]:
    return {"yaw": 18 * np.sin(2 * np.pi * t / 0.9) * bump(t, 1.35, 1.35)}


def smile(t: np.ndarray) -> dict[str, np.ndarray]:
    strength = bump(t, 1.5, 1.4)
    return {"smile": 0.85 * strength, "pitch": 3 * strength, "blink": bump(t, 1.3, 0.14)}


def speak(t: np.ndarray) -> dict[str, np.ndarray]:
    length = t[-1]
    jaw, wide, round_ = (np.zeros_like(t) for _ in range(3))
    for i, start in enumerate(np.arange(0.3, length - 0.3, 0.22)):
        shape = VOWELS[i * 7 % len(VOWELS)]
        here = bump(t, start, 0.2)
        jaw, wide, round_ = (
            old + s * here for old, s in zip((jaw, wide, round_), shape, strict=True)
        )
    sway = bump(t, length / 2, length / 2)
    return {
        "open_mouth": jaw.clip(0, 1),
        "smile": 0.5 * wide.clip(0, 1),
        "mouthPucker": round_.clip(0, 1),
        "blink": bump(t, 0.9, 0.14) + bump(t, 2.9, 0.14),
        "yaw": 5 * sway * np.sin(2 * np.pi * t / 3.1),
        "pitch": 3 * sway * np.sin(2 * np.pi * t / 1.9),
        "brow": 0.3 * bump(t, 2, 0.5),
    }


def look(t: np.ndarray) -> dict[str, np.ndarray]:
    yaw = 18 * (bump(t, 0.9, 0.6) - bump(t, 2.3, 0.6))
    return {
        "gaze_yaw": yaw,
        "gaze_pitch": 10 * bump(t, 3.5, 0.5),
        "yaw": 0.5 * yaw,
        "blink": bump(t, 1.6, 0.14),
    }


def blink(t: np.ndarray) -> dict[str, np.ndarray]:
    return {"blink": bump(t, 0.5, 0.16) + bump(t, 1.5, 0.16)}


MOTIONS: dict[str, tuple[float, Callable[[np.ndarray], dict[str, np.ndarray]]]] = {
    "nod": (2.4, nod),
    "shake": (2.7, shake),
    "smile": (3.0, smile),
    "speak": (4.0, speak),
    "look": (4.0, look),
    "blink": (2.0, blink),
}
"""The length in seconds, and the function that makes the curves. A curve has the name of a slider
(degrees or strength) or of an expression."""


def make(seconds: float, curves: dict[str, np.ndarray]) -> Motion:
    """The motion of the mean head, in crops of SIZE pixels."""
    head = HeadModel()
    neutral = replace(FaceParams.neutral(), scale=torch.tensor([100.0]))
    crop = crop_from_landmarks(head.landmarks(neutral)[0].numpy(), SIZE)
    neutral = neutral.transformed(crop.crop_from_frame)
    count = round(seconds * RATE) + 1
    faces = []
    for i in range(count):
        values = {name: float(curve[i]) for name, curve in curves.items()}
        sliders = {name: v for name, v in values.items() if name not in EXPRESSION_NAMES}
        face = posed(neutral, Sliders(**sliders))
        expression = face.expression.clone()
        for name in values.keys() - sliders.keys():
            expression[:, EXPRESSION_NAMES.index(name)] = values[name]
        faces.append(replace(face, expression=expression))
    tracked = TargetMotion(
        params=FaceParams.cat(faces),
        crops=[crop] * count,
        windows=[crop] * count,
        found=np.ones(count, bool),
        person=np.zeros(count, int),
        shot=np.zeros(count, int),
        crop_followed=np.zeros(count, bool),
    )
    return Motion(tracked=tracked, timeline=constant_timeline(count, Fraction(RATE)), size=SIZE)


def build() -> None:
    """Write all motions."""
    folder = ASSETS / "motions"
    folder.mkdir(exist_ok=True)
    for name, (seconds, curves) in MOTIONS.items():
        t = np.arange(round(seconds * RATE) + 1) / RATE
        path = folder / f"{name}{SUFFIX}"
        save_motion(make(seconds, curves(t)), path)
        print(f"{path.name}: {path.stat().st_size} bytes")


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    build()


if __name__ == "__main__":
    raise SystemExit(exit_code(main))
