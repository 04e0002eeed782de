"""Plans clips without drawing them: person, face parameters, crops and cross targets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reenact.data.synthetic.geometry import NECK_PIVOT, project, rotation_matrix
from reenact.data.synthetic.head_asset import HeadAsset, load_head_asset
from reenact.data.synthetic.identity import SPLIT_CODES, Identity, draw_identity
from reenact.data.synthetic.motion import draw_motion
from reenact.errors import UserError
from reenact.face.crop import crops_for_video
from reenact.face.params import FaceParams

SPLIT_SEEDS = {"train": 0, "val": 1, "test": 2}
HEAD_HEIGHT = 2.4
"""Chin to crown of the mean head, dm."""
MAX_SIZE = 4096
HEAD_PIXELS = (170.0, 260.0)


@dataclass(frozen=True, kw_only=True)
class SyntheticConfig:
    """A data set of clips.

    out: folder of the clips.
    clips: number of clips.
    frames: frames of a clip.
    size: side of the crops in pixels.
    split: train, val or test. The people of two splits have different identity codes.
    seed: the same seed gives the same clips.
    workers: processes that draw clips.
    cross: cross frames of a clip.
    fps: frames a second of the motion.
    stride: a clip shows every `stride`-th frame of the motion.
    frame_size: side in pixels of the frame that the crops are cut from.
    layers: write hair, head and background beside each frame.
    covered: share of the clips with a hood, a head scarf, or a hand or microphone before the face.
        If it is not 0, glasses mirror their surroundings.

    Raises UserError for an unknown split and for numbers out of range.
    """

    out: Path
    clips: int
    frames: int = 16
    size: int = 64
    split: str = "train"
    seed: int = 0
    workers: int = 2
    cross: int = 8
    fps: int = 25
    stride: int = 6
    frame_size: int = 512
    layers: bool = False
    covered: float = 0.0

    def __post_init__(self) -> None:
        if self.split not in SPLIT_CODES:
            raise UserError(f"split: {self.split!r}, expected one of {', '.join(SPLIT_CODES)}")
        for name in ("clips", "frames", "size", "workers", "fps", "stride"):
            if getattr(self, name) < 1:
                raise UserError(f"{name}: {getattr(self, name)}, expected at least 1")
        for name in ("cross", "seed"):
            if getattr(self, name) < 0:
                raise UserError(f"{name}: {getattr(self, name)}, expected at least 0")
        if not 0 <= self.covered <= 1:
            raise UserError(f"covered: {self.covered}, expected a share from 0 to 1")
        if self.size > MAX_SIZE:
            raise UserError(f"size: {self.size}, expected at most {MAX_SIZE}")


@dataclass(frozen=True, kw_only=True)
class ClipPlan:
    """One clip of N frames.

    params: in crop pixels.
    landmarks, pupils: (N, 68, 2) and (N, 2, 2) in crop pixels.
    crop_from_frame: (N, 3, 3), pixels of the frame to pixels of the crop.
    """

    name: str
    person_seed: int
    identity: Identity
    params: FaceParams
    landmarks: np.ndarray
    pupils: np.ndarray
    crop_from_frame: np.ndarray


def clip_name(config: SyntheticConfig, index: int) -> str:
    """The name of the clip's folder."""
    return f"{config.split}_{index:06d}"


def clip_rng(config: SyntheticConfig, index: int, part: int) -> np.random.Generator:
    """Random generator of one part of one clip. It does not depend on other clips and parts."""
    return np.random.default_rng([config.seed, SPLIT_SEEDS[config.split], index, part])


def person_seed(config: SyntheticConfig, index: int) -> int:
    """Seed of the clip's person; every clip of every split has another one."""
    return int(clip_rng(config, index, 0).integers(1, 2**31 - 1))


def project_landmarks(params: FaceParams, asset: HeadAsset) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks (N, 68, 2) and pupils (N, 2, 2), image-left eye first, in pixels."""
    p = {name: value.astype(np.float64) for name, value in params.numpy().items()}
    at = asset.landmark_vertices
    points = asset.mean[at] + np.tensordot(p["identity"], asset.identity_basis[:, at], 1)
    points = points + np.tensordot(p["expression"], asset.expression_basis[:, at], 1)
    share = asset.head_weight[at].astype(np.float64)
    pivot = np.array(NECK_PIVOT)
    turn = rotation_matrix(*(p["rotation"][:, k, None] * share for k in range(3)))
    posed = np.einsum("nvij,nvj->nvi", turn, points - pivot) + pivot
    landmarks = project(posed, p["translation"], p["scale"])
    head = rotation_matrix(*p["rotation"].T)
    axis = (head @ rotation_matrix(p["gaze"][:, 0], p["gaze"][:, 1], 0.0))[..., 2]
    pupils = np.empty((len(params), 2, 3))
    for n in range(len(params)):
        if n == 0 or not np.array_equal(p["identity"][n], p["identity"][n - 1]):
            code = p["identity"][n].astype(np.float32)
            eyes = np.concatenate(asset.eye_vertices)
            vertices = asset.mean.copy()
            vertices[eyes] += np.tensordot(code, asset.identity_basis[:, eyes], 1)
            centres, radii = asset.eyeballs(vertices)
        pupils[n] = (centres - pivot) @ head[n].T + pivot + radii[:, None] * axis[n]
    return landmarks, project(pupils, p["translation"], p["scale"])


def _frame_params(config: SyntheticConfig, index: int, identity: Identity) -> FaceParams:
    """Parameters of every motion frame in the virtual frame."""
    rng = clip_rng(config, index, 1)
    num = config.frames * config.stride
    motion = draw_motion(rng, num, config.fps)
    scale = rng.uniform(*HEAD_PIXELS) / HEAD_HEIGHT * config.frame_size / 512
    # The person sits somewhere near the middle and may be seen by a tilted camera.
    middle = config.frame_size * (0.5 + rng.uniform(-0.12, 0.12, 2))
    tilt = np.array([rng.normal(0, 0.08), rng.normal(0, 0.05), 0.0])
    scales = scale * np.exp(motion.log_scale)
    translation = middle + motion.place * [1, -1] * scales[:, None]
    arrays = {
        "identity": np.repeat(identity.code[None], num, 0),
        "expression": motion.expression,
        "rotation": motion.rotation + tilt,
        "translation": translation,
        "scale": scales,
        "gaze": motion.gaze,
    }
    return FaceParams.from_numpy(arrays)


def plan_clip(config: SyntheticConfig, index: int, asset: HeadAsset | None = None) -> ClipPlan:
    """Parameters and crops of clip `index`. This takes some milliseconds."""
    asset = load_head_asset() if asset is None else asset
    seed = person_seed(config, index)
    identity = draw_identity(seed, config.split, asset)
    whole = _frame_params(config, index, identity)
    landmarks, _ = project_landmarks(whole, asset)
    found = np.ones(len(whole), bool)
    crops = crops_for_video(landmarks, found, config.size, config.fps)
    matrices = np.stack([crop.crop_from_frame for crop in crops])[:: config.stride]
    params = whole[:: config.stride].transformed(matrices)
    landmarks, pupils = project_landmarks(params, asset)
    return ClipPlan(
        name=clip_name(config, index),
        person_seed=seed,
        identity=identity,
        params=params,
        landmarks=landmarks.astype(np.float32),
        pupils=pupils.astype(np.float32),
        crop_from_frame=matrices,
    )


def cross_targets(config: SyntheticConfig, index: int) -> list[tuple[int, int]]:
    """(clip, frame) whose pose the cross frames of clip `index` take.

    Two frames of each of `cross / 2` other clips among the first `config.clips`.
    """
    others = [i for i in range(min(config.clips, index)) if i != index]
    others += list(range(index + 1, config.clips))
    if not others or config.cross == 0:
        return []
    rng = clip_rng(config, index, 2)
    num_clips = (config.cross + 1) // 2
    chosen = rng.choice(others, num_clips, replace=len(others) < num_clips)
    per_clip = min(2, config.frames)
    targets = []
    for clip in chosen:
        for frame in rng.choice(config.frames, per_clip, replace=False):
            targets.append((int(clip), int(frame)))
    return targets[: config.cross]
