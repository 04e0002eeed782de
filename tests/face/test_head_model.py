import dataclasses
import math

import numpy as np
import pytest
import torch

from reenact.face.head_model import HeadModel, project
from reenact.face.params import NECK_PIVOT, FaceParams, rotation_matrix


@pytest.fixture(scope="module")
def head() -> HeadModel:
    return HeadModel()


def posed(**changes: object) -> FaceParams:
    params = FaceParams.neutral(1)
    values = {name: torch.tensor([value]) for name, value in changes.items()}
    return dataclasses.replace(params, **values)


def test_unposed_mean_head(head):
    params = FaceParams.neutral(1)
    torch.testing.assert_close(head.vertices(params)[0], head.mean, atol=1e-6, rtol=0)
    lm = head.landmarks_3d(params)[0]
    eyes = lm[36:48].mean(0)
    assert eyes[:2].abs().max() < 0.03  # eye midpoint at the origin
    assert lm[36, 0] < 0 < lm[45, 0]  # image-left first
    assert lm[8, 1] < lm[57, 1] < lm[30, 1] < lm[27, 1]  # chin below mouth below nose
    assert lm[30, 2] > lm[27, 2] > lm[0, 2]  # nose tip in front


def test_landmarks_are_rows_of_the_mesh(head):
    g = torch.Generator().manual_seed(0)
    params = FaceParams(
        identity=torch.randn(3, 80, generator=g),
        expression=torch.rand(3, 52, generator=g),
        rotation=torch.randn(3, 3, generator=g) * 0.3,
        translation=torch.randn(3, 2, generator=g),
        scale=torch.full((3,), 70.0),
        gaze=torch.zeros(3, 2),
    )
    rows = head.vertices(params)[:, head.landmark_index]
    torch.testing.assert_close(head.landmarks_3d(params), rows, atol=1e-5, rtol=0)
    # A vertex of full weight turns rigidly about the neck.
    at = int(head.landmark_index[30])
    assert head.pose_weight[at] == 1
    still = head.vertices(dataclasses.replace(params, rotation=torch.zeros(3, 3)))[:, at]
    pivot = torch.tensor(NECK_PIVOT)
    turned = torch.einsum("bij,bj->bi", rotation_matrix(params.rotation), still - pivot) + pivot
    torch.testing.assert_close(rows[:, 30], turned, atol=1e-5, rtol=0)


def test_landmarks_turn_with_the_head(head):
    assert head.landmark_weight.min() >= 0.95


@pytest.mark.parametrize("yaw", [-30, -15, 0, 15, 30])
def test_jaw_line_has_no_zigzag(head, yaw):
    """From ear to ear the drawn line always bends the same way: anticlockwise in the picture."""
    line = head.landmarks(posed(rotation=[math.radians(yaw), 0.0, 0.0]))[0, :17]
    step = line.diff(dim=0)
    bend = step[:-1, 0] * step[1:, 1] - step[:-1, 1] * step[1:, 0]
    assert (bend < 0).all()


def test_jaw_line_is_symmetric_and_evenly_spaced(head):
    line = head.landmark_mean[:17]
    mirrored = line.flip(0) * torch.tensor([-1.0, 1.0, 1.0])
    torch.testing.assert_close(line, mirrored, atol=2e-3, rtol=0)
    length = line.diff(dim=0).norm(dim=1)
    assert length.max() < 1.8 * length.min()


def test_shoulders_stay(head):
    still = head.pose_weight == 0
    assert still.any()
    turned = head.vertices(posed(rotation=[0.6, 0.2, 0.3]))[0]
    torch.testing.assert_close(turned[still], head.mean[still], atol=1e-6, rtol=0)


def test_projection_formula():
    point = torch.tensor([[[0.5, 0.25, 0.4], [0.0, 0.0, -0.6]]])
    pixel = project(point, torch.tensor([[100.0, 80.0]]), torch.tensor([60.0]))[0]
    w = 11 / (11 - 1.0)
    np.testing.assert_allclose(pixel[0], [100 + 60 * w * 0.5, 80 - 60 * w * 0.25], rtol=1e-6)
    np.testing.assert_allclose(pixel[1], [100, 80], rtol=1e-6)


@pytest.mark.parametrize(
    ("rotation", "axis", "sign"),
    [([0.3, 0.0, 0.0], 0, 1), ([0.0, 0.3, 0.0], 1, 1), ([0.0, 0.0, 0.3], 0, -1)],
)
def test_directions(head, rotation, axis, sign):
    """Yaw + moves the nose right, pitch + down; roll + tips the crown to the picture's left."""
    change = head.landmarks(posed(rotation=rotation)) - head.landmarks(posed())
    assert sign * change[0, 30, axis] > 0.05


def test_pupils_follow_the_gaze(head):
    ahead = head.pupils(posed())[0]
    assert ahead[0, 0] < 0 < ahead[1, 0]
    right = head.pupils(posed(gaze=[0.4, 0.0]))[0] - ahead
    down = head.pupils(posed(gaze=[0.0, 0.4]))[0] - ahead
    assert (right[:, 0] > 0.04).all()
    assert (down[:, 1] > 0.04).all()
    # With closed-form geometry: the pupil lies one radius from the eyeball's centre.
    centre, radius = head.eyeballs(torch.zeros(1, 80))
    gap = (head.pupils_3d(posed(gaze=[0.3, -0.2])) - centre).norm(dim=-1)
    torch.testing.assert_close(gap, radius)
    assert radius.min() > 0.13
    assert radius.max() < 0.18


def test_expressions_move_the_right_points(head):
    from reenact.face.expressions import EXPRESSION_NAMES

    def change(name: str) -> torch.Tensor:
        expression = [float(n == name) for n in EXPRESSION_NAMES]
        return (head.landmarks(posed(expression=expression)) - head.landmarks(posed()))[0]

    jaw = change("jawOpen")
    assert jaw[66, 1] - jaw[62, 1] > 0.1
    assert jaw[8, 1] > 0.1
    blink = change("eyeBlinkLeft")  # the person's left eye is on the picture's right
    assert blink[43:45, 1].mean() > 0.05
    assert blink[37:39].abs().max() < 0.02


def test_gradients_reach_every_field(head):
    params = posed(scale=50.0)
    leaves = {n: v.clone().requires_grad_() for n, v in params.tensors().items()}
    params = FaceParams(**leaves)
    (head.landmarks(params).square().sum() + head.pupils(params).square().sum()).backward()
    for name, value in leaves.items():
        assert value.grad is not None, name
        assert torch.isfinite(value.grad).all()
        assert value.grad.abs().sum() > 0, name
