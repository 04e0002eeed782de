"""Clip plans: splits, motion, landmarks, cross targets. Nothing is drawn here."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from reenact.data.synthetic.clips import (
    SyntheticConfig,
    cross_targets,
    person_seed,
    plan_clip,
)
from reenact.data.synthetic.head_asset import load_head_asset
from reenact.data.synthetic.identity import SPLIT_CODES, draw_identity
from reenact.data.synthetic.motion import draw_motion, minimum_jerk, unit_vector
from reenact.face.expressions import EXPRESSION_NAMES
from reenact.face.head_model import HeadModel


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return SyntheticConfig(out=tmp_path_factory.mktemp("clips"), clips=12, frames=16)


@pytest.fixture(scope="module")
def plans(config):
    return [plan_clip(config, index) for index in range(6)]


def test_splits_use_disjoint_identity_codes():
    asset = load_head_asset()
    rows = {
        split: {row for seed in range(300) for row in draw_identity(seed, split, asset).rows}
        for split in SPLIT_CODES
    }
    for split, (low, high) in SPLIT_CODES.items():
        assert min(rows[split]) >= low
        assert max(rows[split]) < high
    assert not rows["train"] & rows["val"]
    assert not rows["train"] & rows["test"]
    assert not rows["val"] & rows["test"]
    ranges = sorted(SPLIT_CODES.values())
    assert ranges[-1][1] == len(asset.codes)
    assert all(a[1] == b[0] for a, b in itertools.pairwise(ranges))


def test_blends_keep_both_rows_and_unit_variance():
    asset = load_head_asset()
    drawn = [draw_identity(seed, "train", asset) for seed in range(300)]
    blends = [d for d in drawn if len(d.rows) == 2]
    assert 0.3 < len(blends) / len(drawn) < 0.7
    spread = np.stack([d.code for d in drawn]).std(0).mean()
    assert spread == pytest.approx(1.0, abs=0.2)


def test_unknown_split_is_refused(tmp_path):
    with pytest.raises(ValueError, match="unknown split"):
        draw_identity(0, "dev", load_head_asset())
    with pytest.raises(ValueError, match="expected one of"):
        SyntheticConfig(out=tmp_path, clips=1, split="dev")
    with pytest.raises(ValueError, match="at least 1"):
        SyntheticConfig(out=tmp_path, clips=0)


def test_persons_differ_between_clips_and_splits(config):
    seeds = {
        person_seed(dataclasses.replace(config, split=split, seed=seed), index)
        for split in SPLIT_CODES
        for seed in (0, 1)
        for index in range(50)
    }
    assert len(seeds) == 300


def test_plan_depends_on_seed_and_index_alone(config, plans):
    larger = dataclasses.replace(config, clips=500, workers=1)
    again = plan_clip(larger, 3)
    np.testing.assert_array_equal(again.landmarks, plans[3].landmarks)
    np.testing.assert_array_equal(
        again.params.expression.numpy(), plans[3].params.expression.numpy()
    )
    other = plan_clip(dataclasses.replace(config, seed=1), 3)
    assert not np.array_equal(other.landmarks, plans[3].landmarks)


def test_landmarks_equal_those_of_the_torch_head_model(plans):
    model = HeadModel()
    for plan in plans[:3]:
        with torch.no_grad():
            landmarks, pupils = model.landmarks(plan.params), model.pupils(plan.params)
        assert np.abs(landmarks.numpy() - plan.landmarks).max() < 0.05
        assert np.abs(pupils.numpy() - plan.pupils).max() < 0.05


def test_pupils_lie_between_the_eye_corners_image_left_first(plans):
    for plan in plans:
        for n in np.flatnonzero(np.abs(plan.params.rotation[:, 0].numpy()) < 0.3):
            for eye, (outer, inner) in enumerate(((36, 39), (42, 45))):
                low, high = sorted(plan.landmarks[n, [outer, inner], 0])
                assert low < plan.pupils[n, eye, 0] < high


def test_parameters_are_in_range_and_poses_differ(config, plans):
    for plan in plans:
        p = plan.params.numpy()
        assert p["expression"].min() >= 0
        assert p["expression"].max() <= 1
        assert np.abs(p["rotation"][:, 0]).max() < 1.0
        assert np.ptp(p["rotation"][:, 0]) > 0.2
        centre = plan.landmarks.mean(1)
        assert (centre > 0.15 * config.size).all()
        assert (centre < 0.95 * config.size).all()
    closed = np.concatenate([p.params.expression.numpy() for p in plans])
    assert closed[:, EXPRESSION_NAMES.index("jawOpen")].max() > 0.4
    assert closed[:, EXPRESSION_NAMES.index("eyeBlinkLeft")].max() > 0.7
    assert closed[:, EXPRESSION_NAMES.index("tongueOut")].max() == 0


def test_motion_is_smooth_at_video_rate():
    motion = draw_motion(np.random.default_rng(0), 250, 25)
    speed = np.abs(np.diff(motion.rotation, axis=0)) * 25
    # A quick human head turn reaches about 7 rad/s.
    assert speed.max() < 7
    jumps = np.abs(np.diff(motion.expression, axis=0))
    assert jumps.max() < 0.75
    assert np.quantile(jumps, 0.99) < 0.25


def test_most_frames_are_near_rest_and_smiles_are_commoner_than_frowns():
    frames = [draw_motion(np.random.default_rng(seed), 100, 25).expression for seed in range(40)]
    together = np.concatenate(frames)

    def unit(name):
        return together[:, EXPRESSION_NAMES.index(name)]

    assert (unit("browDownLeft") > 0.3).mean() < 0.12
    assert (unit("mouthSmileLeft") > 0.4).mean() > 0.15
    assert (unit("mouthSmileLeft") > 0.4).mean() > 2 * (unit("mouthFrownLeft") > 0.4).mean()
    assert np.median(unit("browDownLeft")) < 0.05
    # Rare expressions still occur.
    for name in ("cheekPuff", "noseSneerLeft", "jawLeft", "mouthPucker"):
        assert unit(name).max() > 0.3


def test_minimum_jerk_ends_at_rest():
    t = np.array([-1.0, 0.0, 0.5, 1.0, 2.0])
    np.testing.assert_allclose(minimum_jerk(t), [0, 0, 0.5, 1, 1])


def test_unit_vector_sets_both_sides_and_knows_the_names():
    vector = unit_vector({"mouthSmile": 0.5, "jawOpen": 1.0})
    assert vector.sum() == pytest.approx(2.0)
    with pytest.raises(KeyError):
        unit_vector({"mouthGrin": 1.0})


def test_cross_targets_are_other_clips_of_the_set(config):
    for index in range(config.clips):
        targets = cross_targets(config, index)
        assert len(targets) == config.cross
        assert all(clip != index and clip < config.clips for clip, _ in targets)
        assert all(0 <= frame < config.frames for _, frame in targets)
        assert len(set(targets)) == len(targets)
    assert cross_targets(dataclasses.replace(config, clips=1), 0) == []
    assert cross_targets(dataclasses.replace(config, cross=0), 0) == []
