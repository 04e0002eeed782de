from dataclasses import replace

import numpy as np
import pytest
import torch

from reenact.face.open.stack import OpenFaceStack, StackConfig, steadied
from reenact.face.params import FaceParams
from reenact.face.shots import hold_last
from reenact.face.stack import chunks


def test_chunks_keep_every_frame_in_order():
    frames = [np.full((1, 1, 3), i, np.uint8) for i in range(7)]
    lengths = [[int(frame[0, 0, 0]) for frame in chunk] for chunk in chunks(frames, 3)]
    assert lengths == [[0, 1, 2], [3, 4, 5], [6]]


def moving(count: int, jitter: float) -> FaceParams:
    g = torch.Generator().manual_seed(0)
    params = FaceParams.neutral(count)
    time = torch.arange(count) / 25
    rotation = torch.zeros(count, 3)
    rotation[:, 0] = 0.4 * torch.sin(2 * torch.pi * time / 1.5)
    rotation += jitter * torch.randn(count, 3, generator=g)
    expression = torch.zeros(count, 52)
    expression[20:23, 8] = 1.0  # a blink of three frames
    return replace(params, rotation=rotation, expression=expression, scale=params.scale * 80)


def test_steadying_calms_jitter_and_keeps_motion():
    still, noisy = moving(100, 0.0), moving(100, 0.004)
    calm = steadied(noisy, 25, StackConfig())
    before = (noisy.rotation[:, 1:]).diff(dim=0).std()
    after = (calm.rotation[:, 1:]).diff(dim=0).std()
    assert after < 0.4 * before
    assert (calm.rotation[:, 0] - still.rotation[:, 0]).abs()[5:-5].max() < 0.02
    assert calm.expression[21, 8] > 0.95
    assert torch.equal(calm.identity, noisy.identity)


def test_steadying_can_be_switched_off():
    params = moving(10, 0.01)
    assert steadied(params, 25, StackConfig(steadying=0)) is params


def test_steadying_survives_the_turn_of_the_angle():
    params = FaceParams.neutral(6)
    roll = torch.tensor([3.12, 3.13, 3.14, -3.14, -3.13, -3.12])
    rotation = torch.stack([torch.zeros(6), torch.zeros(6), roll], 1)
    calm = steadied(replace(params, rotation=rotation), 25, StackConfig()).rotation[:, 2]
    away = torch.remainder(calm - roll + torch.pi, 2 * torch.pi) - torch.pi
    assert away.abs().max() < 0.05


@pytest.fixture(scope="module")
def stack() -> OpenFaceStack:
    return OpenFaceStack()


def test_no_frames_and_no_face(stack):
    with pytest.raises(ValueError, match="no frames"):
        stack.track_video(iter([]), 25)
    blank = np.full((64, 64, 3), 128, np.uint8)
    result = stack.track_video([blank, blank], 25)
    assert not result.found.any()
    assert len(result.params) == len(result) == 2
    assert result.landmarks.shape == (2, 68, 2)
    single = stack.track_image(blank)
    assert not single.found.any()
    assert np.isfinite(single.landmarks).all()


def test_a_missing_face_holds_the_pose_and_keeps_the_crops_moving(stack, monkeypatch):
    found = np.array([False, True, True, False, False, True, True])
    params = replace(
        FaceParams.neutral(7),
        translation=torch.stack([40 + torch.arange(7.0), 50 - torch.arange(7.0)], 1),
        scale=torch.full((7,), 20.0),
    )
    tracked = stack._result(params[hold_last(found)], found)
    monkeypatch.setattr(stack, "track_video", lambda *given: tracked)
    seen = []
    motion = stack.target_motion([], 25.0, 64, lambda frames, what: seen.append(what) or frames)
    assert (len(motion), motion.num_missing, motion.first_found) == (7, 3, 1)
    x = motion.params.translation[:, 0].tolist()
    assert x[0] == x[1]
    assert x[2] == x[3] == x[4]
    assert len(set(x)) == 4
    assert [crop.size for crop in motion.crops] == [64] * 7
    assert motion.windows is motion.crops
    assert seen == ["tracking"]
    monkeypatch.setattr(stack, "track_video", lambda *given: replace(tracked, found=found & False))
    assert stack.target_motion([], 25.0, 64) is None


def test_photo_and_video_of_it(stack, shared):
    from reenact.media.images import read_frame

    photo = read_frame(shared / "samples/photo_grey.jpg")
    blank = np.full_like(photo, 127)
    alone = stack.track_image(photo)
    assert alone.found.all()
    frames = [blank, photo, photo, blank, photo]
    clip = stack.track_video(iter(frames), 25)
    assert clip.found.tolist() == [False, True, True, False, True]
    assert (clip.params.identity == clip.params.identity[0]).all()
    eyes = np.linalg.norm(alone.landmarks[0, 36] - alone.landmarks[0, 45])
    for k in range(5):
        error = np.linalg.norm(clip.landmarks[k] - alone.landmarks[0], axis=-1)
        assert error.mean() < 0.05 * eyes
    picture = stack.landmark_map(alone.params, 128)
    assert picture.shape == (1, 3, 128, 128)
    code = stack.identity(stack.tracker.images(np.stack([photo, blank])))
    torch.testing.assert_close(code.norm(dim=1), torch.tensor([1.0, 0.0]), atol=1e-4, rtol=0)
