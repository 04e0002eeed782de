"""Smooth, speech-like motion of one head: pose, gaze and the 52 expression coefficients.

All curves are sampled at `fps`; every function takes its own random generator.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from reenact.face.expressions import EXPRESSION_NAMES

YAW_LIMIT, PITCH_LIMIT, ROLL_LIMIT = 0.7, 0.35, 0.25
GAZE_LIMIT = 0.5
LID_GAZE_PITCH, LID_GAZE_YAW = 0.5, 0.6
"""Gaze angle (radians) at which the eyeLook units are fully on."""

# Names without Left/Right stand for both sides.
VISEMES: tuple[dict[str, float], ...] = (
    {},
    {"jawOpen": 0.55, "mouthLowerDown": 0.25, "mouthUpperUp": 0.15},
    {"jawOpen": 0.35, "mouthStretch": 0.35, "mouthUpperUp": 0.3, "mouthLowerDown": 0.35},
    {"jawOpen": 0.12, "mouthSmile": 0.35, "mouthStretch": 0.3, "mouthLowerDown": 0.45},
    {"jawOpen": 0.35, "mouthFunnel": 0.7},
    {"jawOpen": 0.12, "mouthPucker": 0.85, "mouthFunnel": 0.2},
    {"mouthPress": 0.5, "mouthRollLower": 0.35, "mouthRollUpper": 0.3},
    {"jawOpen": 0.1, "mouthRollLower": 0.6, "mouthUpperUp": 0.35},
    {"jawOpen": 0.1, "mouthUpperUp": 0.35, "mouthLowerDown": 0.5, "mouthStretch": 0.15},
    {"jawOpen": 0.22, "mouthLowerDown": 0.35, "mouthUpperUp": 0.25},
    {"jawOpen": 0.75, "mouthLowerDown": 0.3, "mouthUpperUp": 0.25},
)
"""Rest, a, ae, i, o, u, m/b/p, f/v, s/z, d/n/l, loud a."""

EMOTIONS: tuple[tuple[float, dict[str, float]], ...] = (
    (7.0, {"mouthSmile": 0.75, "cheekSquint": 0.35, "mouthDimple": 0.2}),
    (
        4.0,
        {
            "mouthSmile": 0.9,
            "cheekSquint": 0.6,
            "mouthUpperUp": 0.5,
            "mouthLowerDown": 0.4,
            "jawOpen": 0.2,
        },
    ),
    (2.5, {"browInnerUp": 0.6, "browOuterUp": 0.5}),
    (0.8, {"browInnerUp": 0.9, "browOuterUp": 0.8, "eyeWide": 0.5, "jawOpen": 0.3}),
    (0.5, {"browDown": 0.7, "eyeSquint": 0.4}),
    (0.2, {"browDown": 0.9, "eyeSquint": 0.45, "noseSneer": 0.4, "mouthPress": 0.35}),
    (0.3, {"mouthFrown": 0.7, "browInnerUp": 0.7, "mouthShrugLower": 0.35}),
    (0.1, {"noseSneer": 0.8, "mouthUpperUp": 0.5, "browDown": 0.4, "eyeSquint": 0.4}),
    (0.7, {"mouthPress": 0.5, "mouthRollLower": 0.3, "mouthDimple": 0.3}),
    (0.4, {"mouthPucker": 0.9, "browInnerUp": 0.3}),
    (0.4, {"browOuterUpLeft": 0.9, "mouthSmileLeft": 0.4, "browDownRight": 0.2}),
    (0.7, {"mouthSmileRight": 0.6, "mouthLeft": 0.2, "mouthDimpleRight": 0.3}),
    (0.2, {"cheekPuff": 0.8, "mouthPress": 0.4}),
    (0.2, {"mouthLeft": 0.7, "jawLeft": 0.4}),
    (0.2, {"mouthRight": 0.7, "jawRight": 0.4}),
    (0.4, {"eyeSquint": 0.7, "cheekSquint": 0.5}),
)
"""(how often, units at full strength)."""

VIVID_SHARE = 0.15
"""Share of the clips with strong expressions of every kind, rare ones too."""
RESTING_UNITS = (
    ("mouthSmile", 0.6, 0.22),
    ("browInnerUp", 0.25, 0.12),
    ("browOuterUp", 0.25, 0.12),
    ("eyeSquint", 0.3, 0.2),
    ("eyeWide", 0.2, 0.15),
    ("browDown", 0.15, 0.2),
    ("mouthPress", 0.2, 0.15),
    ("mouthFrown", 0.08, 0.2),
    ("jawOpen", 0.15, 0.06),
)
"""(unit, share of the clips that have it at rest, largest value)."""


@dataclass(frozen=True, kw_only=True)
class HeadMotion:
    """N frames; angles in radians, place in dm, `expression` (N, 52) in [0, 1]."""

    rotation: np.ndarray
    gaze: np.ndarray
    expression: np.ndarray
    place: np.ndarray
    """(N, 2) sideways and upward move of the whole person, dm."""
    log_scale: np.ndarray
    """(N,) log of the size relative to the clip's size."""


def unit_vector(units: dict[str, float]) -> np.ndarray:
    """Expression vector (52,); names without a side set both sides.

    Raises KeyError for a name that is no unit.
    """
    vector = np.zeros(len(EXPRESSION_NAMES), np.float32)
    for name, value in units.items():
        sides = (name,) if name in EXPRESSION_NAMES else (f"{name}Left", f"{name}Right")
        for side in sides:
            if side not in EXPRESSION_NAMES:
                raise KeyError(name)
            vector[EXPRESSION_NAMES.index(side)] = value
    return vector


def minimum_jerk(t: np.ndarray) -> np.ndarray:
    """Position between 0 and 1 of a point-to-point movement at time t in [0, 1]."""
    t = np.clip(t, 0, 1)
    return t**3 * (10 - 15 * t + 6 * t * t)


def ornstein_uhlenbeck(
    rng: np.random.Generator, num_frames: int, dims: int, correlation: float
) -> np.ndarray:
    """Smooth stationary noise (N, dims), unit variance, `correlation` in frames."""
    decay = np.exp(-1 / correlation)
    kicks = rng.standard_normal((num_frames, dims)) * np.sqrt(1 - decay * decay)
    kicks[0] = rng.standard_normal(dims)
    out = np.empty_like(kicks)
    value = np.zeros(dims)
    for n in range(num_frames):
        value = decay * value + kicks[n]
        out[n] = value
    return gaussian_filter1d(out, min(2.0, correlation / 4), axis=0, mode="nearest")


def _reaches(
    rng: np.random.Generator,
    num_frames: int,
    fps: float,
    targets: np.ndarray,
    hold: tuple[float, float],
) -> np.ndarray:
    """Minimum-jerk movements through `targets` (M, D) with rests of `hold` seconds between."""
    path = np.empty((num_frames, targets.shape[1]))
    at = targets[0]
    frame = 0
    for target in np.concatenate([targets[1:]] * 50):
        rest = int(rng.uniform(*hold) * fps)
        move = max(3, int(fps * (0.25 + 0.6 * rng.random())))
        times = np.arange(rest + move)
        blend = minimum_jerk((times - rest + 1) / move)[:, None]
        end = min(num_frames, frame + rest + move)
        path[frame:end] = (at + (target - at) * blend)[: end - frame]
        at, frame = target, end
        if frame >= num_frames:
            break
    return path


def head_pose(rng: np.random.Generator, num_frames: int, fps: float) -> np.ndarray:
    """Yaw, pitch, roll (N, 3): turns to points of interest, sway and nods."""
    num_targets = 24
    liveliness = rng.uniform(0.75, 1.35)
    targets = rng.normal(0, [0.40, 0.18, 0.12], (num_targets, 3)) * liveliness
    # Most turns cross the middle, so that short clips see both sides.
    for n in range(1, num_targets):
        if targets[n, 0] * targets[n - 1, 0] > 0 and rng.random() < 0.6:
            targets[n, 0] *= -1
    targets[:, 2] -= 0.15 * targets[:, 0] * rng.normal(0, 1)
    pose = _reaches(rng, num_frames, fps, targets, (0.05, 0.6))
    pose += ornstein_uhlenbeck(rng, num_frames, 3, 0.6 * fps) * np.array([0.035, 0.025, 0.02])
    time = np.arange(num_frames) / fps
    nod = np.sin(2 * np.pi * (rng.uniform(1.2, 2.4) * time + rng.random()))
    pose[:, 1] += (
        nod * 0.05 * np.clip(ornstein_uhlenbeck(rng, num_frames, 1, 1.2 * fps)[:, 0], 0, 2)
    )
    limits = np.array([YAW_LIMIT, PITCH_LIMIT, ROLL_LIMIT])
    # A soft limit keeps the movement smooth where a clip would cut it off.
    return limits * np.tanh(pose / limits * 0.95)


def eye_gaze(rng: np.random.Generator, num_frames: int, fps: float, pose: np.ndarray) -> np.ndarray:
    """Gaze yaw, pitch (N, 2) relative to the head: saccades, partly held against head turns."""
    gaze = np.empty((num_frames, 2))
    frame, at = 0, rng.normal(0, [0.15, 0.08])
    while frame < num_frames:
        end = min(num_frames, frame + max(2, int(fps * rng.uniform(0.2, 1.4))))
        target = np.zeros(2) if rng.random() < 0.3 else rng.normal(0, [0.24, 0.12])
        blend = minimum_jerk((np.arange(end - frame) + 1) / max(1.0, 0.06 * fps))[:, None]
        counter = -0.5 * (pose[frame:end, :2] - pose[frame, :2])
        gaze[frame:end] = at + (target - at) * blend + counter
        at, frame = gaze[end - 1], end
    contact = -rng.uniform(0.0, 0.5) * pose[:, :2]
    limits = np.array([GAZE_LIMIT, 0.7 * GAZE_LIMIT])
    return limits * np.tanh((gaze + contact) / limits)


def speech(rng: np.random.Generator, num_frames: int, fps: float) -> np.ndarray:
    """Mouth units (N, 52) of babbled speech with pauses."""
    shapes = np.stack([unit_vector(v) for v in VISEMES])
    path = np.zeros((num_frames, shapes.shape[1]))
    loudness = rng.uniform(0.6, 1.35)
    talks = rng.random() < 0.75
    frame = 0
    while frame < num_frames:
        phrase_end = frame + int(fps * rng.uniform(0.6, 3.0))
        while talks and frame < min(phrase_end, num_frames):
            end = frame + max(1, round(fps * rng.uniform(0.07, 0.2)))
            shape = shapes[rng.integers(1, len(shapes))]
            path[frame:end] = shape * loudness * rng.uniform(0.6, 1.15)
            frame = end
        frame = max(frame, phrase_end if not talks else frame) + int(fps * rng.uniform(0.1, 0.9))
        talks = rng.random() < 0.75
    return gaussian_filter1d(path, 0.045 * fps, axis=0, mode="nearest")


def _bump(num_frames: int, onset: int, attack: int, hold: int, release: int) -> np.ndarray:
    """0, rising to 1, held, falling back (N,)."""
    n = np.arange(num_frames)
    rise = minimum_jerk((n - onset) / max(attack, 1))
    return rise * (1 - minimum_jerk((n - onset - attack - hold) / max(release, 1)))


def emotions(rng: np.random.Generator, num_frames: int, fps: float) -> np.ndarray:
    """Expressions with onset, hold and release (N, 52), with neutral pauses between them."""
    share = np.array([weight for weight, _ in EMOTIONS])
    vivid = rng.random() < VIVID_SHARE
    # A vivid clip shows all expressions equally often and without pauses.
    share = np.ones_like(share) if vivid else share
    pause = (-0.3, 0.8) if vivid else (0.2, 2.4)
    path = np.zeros((num_frames, len(EXPRESSION_NAMES)))
    frame = int(-fps * rng.uniform(0, 1.5)) if vivid else int(fps * rng.uniform(-1.5, 3.0))
    while frame < num_frames:
        units = unit_vector(EMOTIONS[rng.choice(len(EMOTIONS), p=share / share.sum())][1])
        strength = rng.uniform(0.35, 1.15) if vivid else rng.uniform(0.3, 1.1)
        wobble = np.clip(1 + 0.25 * rng.standard_normal(len(units)), 0.3, 1.6)
        attack, hold, release = (
            int(fps * rng.uniform(a, b)) for a, b in ((0.2, 0.5), (0.3, 2.4), (0.3, 0.7))
        )
        path += _bump(num_frames, frame, attack, hold, release)[:, None] * units * wobble * strength
        frame += attack + hold + int(fps * rng.uniform(*pause)) + release
    return path


def resting_face(rng: np.random.Generator) -> np.ndarray:
    """What the units (52,) are at rest in one clip: small, mostly relaxed or friendly."""
    rest = np.zeros(len(EXPRESSION_NAMES))
    for name, often, most in RESTING_UNITS:
        if rng.random() < often:
            rest += unit_vector({name: rng.uniform(0, most)})
    return rest


def blinks(rng: np.random.Generator, num_frames: int, fps: float) -> np.ndarray:
    """Closure of both eyes (N,) in [0, 1]: short blinks, now and then longer closures."""
    closure = np.zeros(num_frames)
    frame = int(fps * rng.uniform(-0.5, 2.0))
    while frame < num_frames:
        hold = int(fps * rng.uniform(0.3, 0.8)) if rng.random() < 0.08 else int(fps * 0.04)
        bump = _bump(num_frames, frame, int(0.1 * fps), hold, int(0.16 * fps))
        closure = np.maximum(closure, bump * rng.uniform(0.85, 1.0))
        frame += hold + int(fps * rng.uniform(1.2, 5.0))
    return closure


def lids_follow_gaze(gaze: np.ndarray) -> np.ndarray:
    """eyeLook units (N, 52) of gaze (N, 2): positive pitch is down, positive yaw picture-right."""
    units = np.zeros((len(gaze), len(EXPRESSION_NAMES)))
    yaw, pitch = gaze[:, 0] / LID_GAZE_YAW, gaze[:, 1] / LID_GAZE_PITCH
    for names, value in (
        (("eyeLookDownLeft", "eyeLookDownRight"), pitch),
        (("eyeLookUpLeft", "eyeLookUpRight"), -pitch),
        (("eyeLookOutLeft", "eyeLookInRight"), yaw),
        (("eyeLookInLeft", "eyeLookOutRight"), -yaw),
    ):
        for name in names:
            units[:, EXPRESSION_NAMES.index(name)] = np.clip(value, 0, 1)
    return units


def draw_motion(rng: np.random.Generator, num_frames: int, fps: float) -> HeadMotion:
    """`num_frames` of motion at `fps`."""
    pose = head_pose(rng, num_frames, fps)
    gaze = eye_gaze(rng, num_frames, fps, pose)
    fidget = ornstein_uhlenbeck(rng, num_frames, len(EXPRESSION_NAMES), 0.5 * fps)
    small = np.clip(fidget * 0.05 - 0.02, 0, None)
    small[:, EXPRESSION_NAMES.index("tongueOut")] = 0
    expression = speech(rng, num_frames, fps) + emotions(rng, num_frames, fps) + small
    expression += lids_follow_gaze(gaze) + resting_face(rng)
    closure = blinks(rng, num_frames, fps)
    for side in ("Left", "Right"):
        blink = EXPRESSION_NAMES.index(f"eyeBlink{side}")
        expression[:, blink] = np.maximum(expression[:, blink], closure)
        wide = EXPRESSION_NAMES.index(f"eyeWide{side}")
        expression[:, wide] *= 1 - closure
        # A looking-down lid is already half closed.
        down = expression[:, EXPRESSION_NAMES.index(f"eyeLookDown{side}")]
        expression[:, blink] *= 1 - 0.35 * np.clip(down, 0, 1)
    sway = ornstein_uhlenbeck(rng, num_frames, 3, 1.2 * fps)
    place = gaussian_filter1d(sway[:, :2], 0.12 * fps, axis=0, mode="nearest") * [0.22, 0.10]
    place[:, 0] += 0.35 * pose[:, 2] * rng.uniform(-1.0, 0.2)
    return HeadMotion(
        rotation=pose,
        gaze=gaze,
        expression=np.clip(expression, 0, 1),
        place=place,
        log_scale=gaussian_filter1d(sway[:, 2], 0.3 * fps, mode="nearest") * 0.05,
    )
