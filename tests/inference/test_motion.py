import dataclasses

import numpy as np
import pytest
import torch

from reenact.face.params import FaceParams
from reenact.inference.motion import driving_params, hold_last, smooth_pose, target_motion


def walk(count: int) -> FaceParams:
    params = FaceParams.cat([FaceParams.neutral() for _ in range(count)])
    steps = torch.arange(count, dtype=torch.float32)
    return dataclasses.replace(
        params,
        translation=torch.stack([40 + steps, 50 - steps], 1),
        scale=20 * 1.01**steps,
        rotation=torch.stack([0.01 * steps, -0.02 * steps, 0 * steps], 1),
        expression=torch.rand(count, 52),
    )


def test_hold_last():
    found = np.array([False, True, False, False, True, False])
    assert hold_last(found).tolist() == [1, 1, 1, 1, 4, 4]


def test_smoothing_keeps_a_steady_motion_and_the_expression():
    params = walk(41)
    smooth = smooth_pose(params, np.arange(41), sigma=2.0)
    for name in ("rotation", "translation", "scale"):
        before, after = getattr(params, name)[10:31], getattr(smooth, name)[10:31]
        torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-5)
    assert torch.equal(smooth.expression, params.expression)
    assert smooth_pose(params, np.arange(41), sigma=0.0) is params


def test_smoothing_takes_out_shaking():
    params = FaceParams.cat([FaceParams.neutral() for _ in range(200)])
    params.translation[:] += torch.randn(200, 2)
    smooth = smooth_pose(params, np.arange(200), sigma=1.0)
    # White noise under a Gaussian of sigma 1: variance 1 / (2 sqrt(pi)) = 0.282.
    assert smooth.translation[5:-5].var().item() == pytest.approx(0.282, rel=0.25)


def test_smoothing_crosses_half_a_turn():
    params = FaceParams.cat([FaceParams.neutral() for _ in range(10)])
    params.rotation[:, 2] = torch.tensor([3.1, -3.1] * 5)
    roll = smooth_pose(params, np.arange(10), sigma=1.0).rotation[:, 2]
    assert (torch.cos(roll) < -0.99).all()


def test_frames_across_a_gap_do_not_count():
    params, frames = walk(8), np.array([0, 1, 2, 3, 50, 51, 52, 53])
    smooth = smooth_pose(params, frames, sigma=1.0)
    alone = smooth_pose(params[:4], frames[:4], sigma=1.0)
    torch.testing.assert_close(smooth.translation[:4], alone.translation)


def _motion(found: np.ndarray) -> tuple[FaceParams, object]:
    from reenact.face.head_model import HeadModel

    params = walk(len(found))
    landmarks = HeadModel().landmarks(params).double().numpy()
    target = target_motion(
        params, landmarks, found, 25.0, size=64, output_size=128, pose_smoothing=0.04
    )
    return params, target


def test_a_missing_face_holds_the_pose_and_keeps_the_crops_moving():
    found = np.array([False, True, True, False, False, True, True])
    _, target = _motion(found)
    assert (len(target), target.num_missing, target.first_found) == (7, 3, 1)
    x = target.params.translation[:, 0].tolist()
    assert x[0] == x[1]
    assert x[2] == x[3] == x[4]
    assert len(set(x)) == 4
    assert [crop.size for crop in target.crops] == [128] * 7


def test_absolute_motion_takes_the_pose_and_leaves_the_identity():
    _, target = _motion(np.ones(5, bool))
    source = dataclasses.replace(FaceParams.neutral(), identity=torch.randn(1, 80))
    driven = driving_params(source, target, "absolute")
    assert torch.equal(driven.rotation, target.params.rotation)
    assert torch.equal(driven.identity, source.identity.expand(5, -1))


def test_relative_motion_starts_at_the_source():
    _, target = _motion(np.array([False, True, True, True]))
    source = dataclasses.replace(
        FaceParams.neutral(), rotation=torch.tensor([[0.3, 0.1, 0.0]]), scale=torch.tensor([15.0])
    )
    driven = driving_params(source, target, "relative")
    torch.testing.assert_close(driven.rotation[1:2], source.rotation)
    torch.testing.assert_close(driven.scale[1:2], source.scale)
    moved = target.params.rotation[3] - target.params.rotation[1]
    torch.testing.assert_close(driven.rotation[3], source.rotation[0] + moved)
