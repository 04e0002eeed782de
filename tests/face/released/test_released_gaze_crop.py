import math

import pytest
import torch
from torch import Tensor

from reenact.face.points import fit_similarity
from reenact.face.released.gaze_crop import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    TEMPLATE,
    crop,
    crop_affines,
    pupils,
)


@pytest.fixture(scope="module")
def numbers(golden):
    return golden("gaze_position")


def landmarks_at(five: Tensor) -> Tensor:
    """Landmarks (1, 68, 2) whose five points are `five` (5, 2)."""
    points = torch.zeros(1, 68, 2)
    points[:, 36:42], points[:, 42:48] = five[0], five[1]
    points[:, [30, 48, 54]] = five[2:]
    return points


def test_golden_pupils(numbers):
    found = pupils(numbers["landmarks_3dmm"], numbers["gaze_pitch_yaw"]).double()
    expected = torch.stack([numbers["pupil_left"], numbers["pupil_right"]], 1)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_golden_affines(numbers):
    affines = crop_affines(numbers["landmarks_image"])
    torch.testing.assert_close(affines.float(), numbers["affine_norm"], atol=1e-6, rtol=0)


def test_golden_picture(numbers):
    image = numbers["image_u8"].permute(2, 0, 1)[None].float() / 127.5 - 1
    crops = crop(image, numbers["landmarks_image"][:1])
    patch = crops[0, :, 96:128, 96:128]
    torch.testing.assert_close(patch, numbers["net_input_patch"], atol=1e-4, rtol=0)
    torch.testing.assert_close(crops.mean((2, 3)), numbers["net_input_mean"], atol=1e-5, rtol=0)
    mean, std = (torch.tensor(v)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))
    warped = ((crops * std + mean) * 2 - 1)[..., ::8, ::8]
    expected = numbers["warped224_every_8th"].float()
    torch.testing.assert_close(warped, expected, atol=5e-4, rtol=0)


def test_similarity_is_found_exactly():
    template = torch.tensor(TEMPLATE).double()
    angle, zoom, shift = 0.7, 1.8, torch.tensor([30.0, -12.0]).double()
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    turn = zoom * turn.double()
    found = fit_similarity(template, (template @ turn.T + shift)[None])[0]
    torch.testing.assert_close(found, torch.cat([turn, shift[:, None]], 1))


def test_similarity_is_the_least_squares_one():
    """No nearby similarity fits better, also for points that a mirror image would fit best."""
    template = torch.tensor(TEMPLATE).double()
    mirrored = template.flip(1)[None] + torch.randn(1, 5, 2).double()

    def misfit(cos: Tensor, sin: Tensor, shift: Tensor) -> Tensor:
        turn = torch.stack([torch.stack([cos, -sin]), torch.stack([sin, cos])])
        return (template @ turn.T + shift - mirrored[0]).square().sum()

    best = fit_similarity(template, mirrored)[0]
    values = [v.clone().requires_grad_() for v in (best[0, 0], best[1, 0], best[:, 2])]
    for gradient in torch.autograd.grad(misfit(*values), values):
        torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-8, rtol=0)


def test_a_face_on_the_template_fills_the_crop():
    """Twice the template: the crop's corner (0, 0) is the picture's, its far corner (224, 224)."""
    affine = crop_affines(landmarks_at(2 * torch.tensor(TEMPLATE)))[0]
    corners = torch.tensor([[-1.0, -1.0, 1.0], [1.0, 1.0, 1.0]]).double() @ affine.T
    expected = torch.tensor([[-1.0, -1.0], [224 / 128 - 1, 224 / 128 - 1]]).double()
    torch.testing.assert_close(corners, expected, atol=1e-6, rtol=0)


def test_mid_grey_outside():
    white = torch.ones(1, 3, 256, 256)
    crops = crop(white, landmarks_at(torch.tensor(TEMPLATE) + 5000))
    for channel, (mean, std) in enumerate(zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)):
        assert crops[:, channel].unique().tolist() == pytest.approx([(0.5 - mean) / std])


def test_refuses_what_is_not_finite():
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match="not finite"):
            crop_affines(torch.full((2, 68, 2), bad))


def test_pupils_follow_the_gaze(numbers):
    landmarks = numbers["landmarks_3dmm"][:1]
    eyes = landmarks[:, 36:48].unflatten(1, (2, 6))
    ahead = pupils(landmarks, torch.zeros(1, 2))
    torch.testing.assert_close(ahead, eyes.mean(2))
    up = pupils(landmarks, torch.tensor([[0.3, 0.0]])) - ahead
    aside = pupils(landmarks, torch.tensor([[0.0, 0.3]])) - ahead
    assert up[..., 0].abs().max() < 1e-4
    assert (up[..., 1] < 0).all()
    assert (aside[..., 0] < 0).all()
    width = eyes[..., 0].amax(2) - eyes[..., 0].amin(2)
    torch.testing.assert_close(aside[..., 0], -width / 2 * math.sin(0.3), atol=1e-4, rtol=0)


def test_pupils_are_differentiable(numbers):
    landmarks = numbers["landmarks_3dmm"].clone().requires_grad_()
    gaze = numbers["gaze_pitch_yaw"].clone().requires_grad_()
    pupils(landmarks, gaze).sum().backward()
    assert (gaze.grad.abs().sum(1) > 0).all()
    assert (landmarks.grad[:, 36:48].abs().sum((1, 2)) > 0).all()
