import dataclasses
import math

import pytest
import torch

from reenact import losses
from reenact.face.head_model import HeadModel
from reenact.face.params import FaceParams
from reenact.training.loss_terms import LossWeights


def images(*values: float) -> torch.Tensor:
    return torch.stack([torch.full((3, 8, 8), v) for v in values])


def test_pixel_is_l1_per_sample():
    assert losses.pixel(images(0.5, -0.25), images(0.0, 0.0)).tolist() == [0.5, 0.25]


def test_background_ignores_the_face_and_averages_over_the_rest():
    prediction, reference = images(0.0), images(0.0)
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :4] = 1
    prediction[..., :4] = 9
    prediction[..., 4:] = 0.3
    assert losses.background(prediction, reference, mask).item() == pytest.approx(0.3)
    assert losses.background(prediction, reference, torch.ones(1, 1, 8, 8)).item() == 0


def test_features_are_the_eyes_and_the_mouth():
    landmarks = HeadModel().landmarks(
        dataclasses.replace(
            FaceParams.neutral(),
            translation=torch.tensor([[32.0, 32.0]]),
            scale=torch.tensor([24.0]),
        )
    )
    mask = losses.feature_mask(landmarks, 64)
    assert mask.shape == (1, 1, 64, 64)
    values = [mask[0, 0, int(y), int(x)].item() for x, y in landmarks[0]]
    assert all(value > 0.9 for value in values[36:60])
    assert values[0] == values[8] == values[16] == 0  # ears and chin
    assert mask.mean() < 0.2
    prediction = torch.zeros(1, 3, 64, 64)
    assert losses.masked_pixel(prediction, prediction + 0.3, mask).item() == pytest.approx(0.3)


def test_identity_is_one_minus_cosine():
    a = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    b = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    assert losses.identity(a, b).tolist() == pytest.approx([0, 1, 2])


def test_gaze_is_the_angle_distance_with_a_finite_slope_at_zero():
    prediction = torch.tensor([[0.3, 0.4], [0.0, 0.0]], requires_grad=True)
    values = losses.gaze(prediction, torch.zeros(2, 2))
    assert values.tolist() == pytest.approx([0.5, 0.0], abs=2e-3)
    values.sum().backward()
    assert prediction.grad is not None
    assert torch.isfinite(prediction.grad).all()


def test_head_pose_goes_the_short_way_round():
    near_pi = math.pi - 0.1
    values = losses.head_pose(
        torch.tensor([[near_pi, 0.0, 0.0], [0.3, -0.3, 0.0]]),
        torch.tensor([[-near_pi, 0.0, 0.0], [0.0, 0.0, 0.0]]),
    )
    assert values.tolist() == pytest.approx([0.2 / 3, 0.2], abs=1e-6)


def mesh() -> torch.Tensor:
    """478 points with the outer eye corners 50 px apart and everything else spread out."""
    points = torch.rand(1, 478, 3, generator=torch.Generator().manual_seed(0)) * 100
    points[0, 33] = torch.tensor([10.0, 20.0, 0.0])
    points[0, 263] = torch.tensor([60.0, 20.0, 0.0])
    return points


def test_shape_of_a_shifted_face_is_the_shift_in_eye_distances():
    shift = torch.tensor([3.0, -4.0, 100.0])  # depth is not compared
    assert losses.shape(mesh() + shift, mesh()).item() == pytest.approx(7 / 50, rel=1e-4)


def test_shape_counts_an_opened_mouth_more_than_its_one_point():
    opened = mesh()
    opened[0, 14, 1] += 10
    moved = mesh()
    moved[0, 200, 1] += 10
    plain = 10 / 50 / 478
    assert losses.shape(moved, mesh()).item() == pytest.approx(plain, rel=1e-3)
    assert losses.shape(opened, mesh()).item() > 2 * plain


def test_landmark_shape_leaves_out_the_contour():
    landmarks = torch.rand(1, 68, 2) * 50
    landmarks[0, 36], landmarks[0, 45] = torch.tensor([0.0, 0.0]), torch.tensor([30.0, 40.0])
    contour = landmarks.clone()
    contour[:, :17] += 10
    assert losses.landmark_shape(contour, landmarks).item() == 0
    assert losses.landmark_shape(landmarks + 5, landmarks).item() == pytest.approx(0.2, rel=1e-4)


def test_active_leaves_out_weights_of_zero():
    weights = LossWeights(style=0.0, gaze=0.0, pixel=7.0)
    assert weights.active() == {
        "pixel": 7.0,
        "perceptual": 5.0,
        "identity": 10.0,
        "background": 10.0,
        "shape": 0.5,
        "head_pose": 1.0,
    }
