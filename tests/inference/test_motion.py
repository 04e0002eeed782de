import dataclasses

import numpy as np
import torch

from reenact.face.params import FaceParams
from reenact.inference.compose import paste_masks
from reenact.inference.motion import driving_params, hold_last, target_motion


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


def _motion(found: np.ndarray) -> tuple[FaceParams, object]:
    from reenact.face.head_model import HeadModel

    params = walk(len(found))
    landmarks = HeadModel().landmarks(params).double().numpy()
    target = target_motion(params, landmarks, found, 25.0, size=64, output_size=128)
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


def test_paste_masks_cover_the_old_and_the_new_place_of_the_head():
    source, driven = FaceParams.neutral(), FaceParams.neutral(2)
    for params, x in ((source, [28.0]), (driven, [28.0, 40.0])):
        params.translation[:, 0], params.translation[:, 1] = torch.tensor(x), 32
        params.scale[:] = 8
    still, moved = paste_masks(source, driven, 64)
    assert still[32, 28] == 1
    assert moved[32, 28] == moved[32, 40] == 1
    assert still[32, 47] == 0
    assert (moved >= still).all()
    assert max(moved[0].max(), moved[:, 0].max()) < 0.01
