import numpy as np
import torch

from reenact.face.crop import FaceCrop, crop_from_landmarks
from reenact.face.head_model import HeadModel
from reenact.face.head_region import head_region
from reenact.face.params import FaceParams
from reenact.inference.compose import moved, paste_mask, resized_frames, stretched_frames


def test_the_paste_mask_covers_the_old_and_the_new_place_of_the_head():
    faces = FaceParams.neutral(2)
    faces.translation[:] = torch.tensor([[28.0, 32.0], [40.0, 32.0]])
    faces.scale[:] = 8
    before, after = (head_region(faces[i], 64) for i in range(2))
    still, turned = paste_mask(before, before, 64), paste_mask(before, after, 64)
    assert still[32, 28] == 1
    assert turned[32, 28] == turned[32, 40] == 1
    assert still[32, 47] == 0
    assert (turned >= still).all()
    assert max(turned[0].max(), turned[:, 0].max()) < 0.01
    large = paste_mask(before, after, 128)
    assert large.shape == (128, 128)
    assert large[64, 56] == 1


def test_stretched_levels_reach_both_ends():
    image = torch.linspace(-0.5, 0.3, 3 * 16).view(1, 3, 4, 4)
    frame = resized_frames(image, 4, "stretched")
    assert (frame.min(), frame.max()) == (0, 255)
    assert np.array_equal(frame, stretched_frames(0.6 * image + 0.1))
    assert resized_frames(image, 4).max() < 170
    assert (stretched_frames(torch.full((1, 3, 4, 4), 0.2)) == 0).all()


def test_a_result_moves_with_the_window():
    faces = FaceParams.neutral(2)
    faces.translation[:] = torch.tensor([[50.0, 50.0], [56.0, 53.0]])
    faces.scale[:] = 20
    landmarks = HeadModel().landmarks(faces).double().numpy()
    crop, window = (crop_from_landmarks(points, 64) for points in landmarks)
    dot = np.zeros((64, 64, 3), np.uint8)
    dot[30:34, 30:34] = 255
    shifted = moved(dot, crop, window)
    offset = window.points_from_frame(crop.points_to_frame(np.array([32.0, 32.0])))
    rows, columns = np.nonzero(shifted[..., 0] > 128)
    assert abs(columns.mean() + 0.5 - offset[0]) < 0.6
    assert abs(rows.mean() + 0.5 - offset[1]) < 0.6
    assert moved(dot, crop, crop) is dot


def test_a_resized_crop_shows_the_same_square():
    crop = FaceCrop(crop_from_frame=np.array([[2.0, 0, 3], [0, 2, -4], [0, 0, 1]]), size=64)
    points = np.array([[5.0, 7.0]])
    np.testing.assert_allclose(
        crop.resized(96).points_from_frame(points), 1.5 * crop.points_from_frame(points)
    )
