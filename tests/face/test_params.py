import math

import numpy as np
import pytest
import torch

from reenact.face.head_model import HeadModel
from reenact.face.params import FaceParams, retarget, retarget_relative, rotation_matrix


@pytest.fixture(scope="module")
def head() -> HeadModel:
    return HeadModel()


def random_params(count: int, seed: int = 0) -> FaceParams:
    g = torch.Generator().manual_seed(seed)
    return FaceParams(
        identity=torch.randn(count, 80, generator=g),
        expression=torch.rand(count, 52, generator=g) * 0.3,
        rotation=(torch.rand(count, 3, generator=g) - 0.5) * torch.tensor([1.2, 0.6, 0.6]),
        translation=100 + 60 * torch.rand(count, 2, generator=g),
        scale=50 + 40 * torch.rand(count, generator=g),
        gaze=(torch.rand(count, 2, generator=g) - 0.5) * 0.6,
    )


def similarity(zoom: float, degrees: float, x: float, y: float) -> np.ndarray:
    c, s = zoom * math.cos(math.radians(degrees)), zoom * math.sin(math.radians(degrees))
    return np.array([[c, -s, x], [s, c, y], [0, 0, 1]])


def moved(points: torch.Tensor, matrix: np.ndarray) -> torch.Tensor:
    m = torch.as_tensor(matrix, dtype=points.dtype)
    return points @ m[:2, :2].T + m[:2, 2]


def test_rotation_matrix_is_roll_yaw_pitch():
    yaw, pitch, roll = torch.tensor([0.3, -0.2, 0.5])
    angles = (yaw, pitch, roll)
    cy, sy, cp, sp, cr, sr = (float(f(a)) for a in angles for f in (torch.cos, torch.sin))
    ry = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    rx = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    rz = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    ours = rotation_matrix(torch.stack([yaw, pitch, roll]))
    np.testing.assert_allclose(ours.numpy(), rz @ ry @ rx, atol=1e-6)


def test_shift_and_zoom_are_exact(head):
    params = random_params(6)
    matrix = similarity(0.37, 0, -20, 11)
    error = head.landmarks(params.transformed(matrix)) - moved(head.landmarks(params), matrix)
    assert error.abs().max() < 1e-3
    error = head.pupils(params.transformed(matrix)) - moved(head.pupils(params), matrix)
    assert error.abs().max() < 1e-3


@pytest.mark.parametrize(("degrees", "percent"), [(10, 0.4), (-20, 0.8), (45, 1.8)])
def test_picture_rotation_becomes_roll(head, degrees, percent):
    params = random_params(64)
    matrix = similarity(1.3, degrees, 40, -30)
    turned = params.transformed(matrix)
    truth = moved(head.landmarks(params), matrix)
    distance = (head.landmarks(turned) - truth).norm(dim=-1)
    eyes = (truth[:, 36] - truth[:, 45]).norm(dim=-1)
    error = 100 * distance[:, 17:] / eyes[:, None]
    assert error.mean() < percent
    assert error.max() < 4 * percent
    jaw_error = 100 * distance[:, :17] / eyes[:, None]
    assert jaw_error.mean() < 3 * percent
    # The picture turns clockwise (y points down), so the roll falls by the angle.
    change = torch.rad2deg(turned.rotation[:, 2] - params.rotation[:, 2])
    torch.testing.assert_close(change, torch.full((64,), float(-degrees)), atol=1e-3, rtol=0)


def test_transform_and_back_restores_the_parameters():
    params = random_params(5)
    matrix = similarity(0.5, 33, 10, -4)
    back = params.transformed(matrix).transformed(np.linalg.inv(matrix))
    for name, value in params.tensors().items():
        tolerance = 0.5 if name == "translation" else 1e-4
        torch.testing.assert_close(value, getattr(back, name), atol=tolerance, rtol=1e-5)


def test_one_matrix_per_face():
    params = random_params(2)
    matrices = np.stack([similarity(2, 0, 1, 2), similarity(3, 0, 4, 5)])
    both = params.transformed(matrices)
    for i in range(2):
        alone = params[i].transformed(matrices[i])
        torch.testing.assert_close(both[i].translation, alone.translation)


@pytest.mark.parametrize("matrix", [np.diag([1.0, -1.0, 1.0]), np.diag([1.0, 2.0, 1.0])])
def test_only_similarities(matrix):
    with pytest.raises(ValueError, match="not a similarity"):
        random_params(1).transformed(matrix)


def test_retarget_keeps_source_identity_and_target_rest():
    source, target = random_params(1, seed=1), random_params(4, seed=2)
    mixed = retarget(source, target)
    assert (mixed.identity == source.identity).all()
    for name in ("expression", "rotation", "translation", "scale", "gaze"):
        assert torch.equal(getattr(mixed, name), getattr(target, name))
    for name, value in retarget(target, target).tensors().items():
        assert torch.equal(value, getattr(target, name))


def test_relative_motion_from_neutral_gives_source():
    source, target = random_params(1, seed=1), random_params(3, seed=2)
    still = retarget_relative(source, target[[0, 0]], target[0])
    for name, value in still.tensors().items():
        expected = getattr(source, name)
        torch.testing.assert_close(value, expected.expand_as(value), atol=1e-4, rtol=1e-5)


def test_indexing_and_arrays():
    params = random_params(5)
    assert len(params[2]) == len(params[-1]) == 1
    assert torch.equal(params[-1].identity[0], params.identity[4])
    assert len(params[1:4]) == 3
    assert len(params[torch.tensor([True, False, True, False, False])]) == 2
    with pytest.raises(IndexError):
        params[5]
    back = FaceParams.from_numpy(params.numpy())
    joined = FaceParams.cat([back[:2], back[2:]])
    assert all(torch.equal(v, getattr(joined, n)) for n, v in params.tensors().items())
