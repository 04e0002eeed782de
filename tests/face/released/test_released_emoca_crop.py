import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from reenact.face.released.emoca_crop import crop, crop_matrices


@pytest.fixture(scope="module")
def numbers(golden):
    return golden("emoca_crop")


def landmarks_in(left: float, top: float, right: float, bottom: float) -> Tensor:
    points = torch.empty(1, 68, 2)
    points[..., 0] = torch.linspace(left, right, 68)
    points[..., 1] = torch.linspace(top, bottom, 68)
    return points


def test_golden_matrices(numbers):
    landmarks = torch.stack([numbers[f"landmarks_{k}"] for k in range(4)])
    matrices = crop_matrices(landmarks)
    for k, matrix in enumerate(matrices):
        torch.testing.assert_close(matrix, numbers[f"matrix_{k}"], atol=1e-12, rtol=0)
        size, x, y, _ = numbers[f"size_center_{k}"].tolist()
        assert 223 / matrix[0, 0].item() == pytest.approx(size, abs=1e-9)
        middle = matrix @ torch.tensor([x, y, 1.0]).double()
        torch.testing.assert_close(middle[:2], torch.full((2,), 111.5).double())


def test_golden_pictures(numbers):
    image = numbers["image_u8"].permute(2, 0, 1)[None].float() / 127.5 - 1
    landmarks = torch.stack([numbers[f"landmarks_{k}"] for k in range(4)])
    crops = crop(image.expand(4, -1, -1, -1), landmarks)
    for k in (0, 1):
        expected = numbers[f"warped_{k}_every_8th"]
        torch.testing.assert_close(crops[k, :, ::8, ::8], expected, atol=5e-6, rtol=0)
    for k in (2, 3):
        expected = numbers[f"warped_{k}_80_to_144_every_4th"]
        torch.testing.assert_close(crops[k, :, 80:144:4, 80:144:4], expected, atol=5e-6, rtol=0)


def test_ramp_is_read_where_the_matrix_says():
    ramp = torch.linspace(-1, 1, 256).repeat(1, 3, 256, 1)
    ramp[:, 1] = ramp[:, 0].mT
    landmarks = landmarks_in(80, 70, 180, 190)
    matrix = crop_matrices(landmarks)[0]
    read = crop(ramp, landmarks)[0] * (1 + 5e-6) * 255
    x = (torch.arange(224) - matrix[0, 2]) / matrix[0, 0]
    y = (torch.arange(224) - matrix[1, 2]) / matrix[1, 1]
    torch.testing.assert_close(read[0], x.float().expand(224, 224), atol=1e-3, rtol=0)
    torch.testing.assert_close(read[1], y.float().expand(224, 224).mT, atol=1e-3, rtol=0)


def test_corners_of_the_box_become_corners_of_the_crop():
    """Width 100 and height 120 give a side of int(110 * 1.375) = 151 around (130, 130)."""
    matrix = crop_matrices(landmarks_in(80, 70, 180, 190))[0]
    corners = torch.tensor([[130 - 75.5, 130 - 75.5, 1], [130 + 75.5, 130 + 75.5, 1]]).double()
    expected = torch.tensor([[0, 0, 1], [223, 223, 1]]).double()
    torch.testing.assert_close(corners @ matrix.T, expected)


def test_side_is_truncated():
    for extent in range(1, 200):
        matrix = crop_matrices(landmarks_in(0, 0, extent, extent + 1))[0]
        side = 223 / matrix[0, 0].item()
        assert side == pytest.approx(11 * (2 * extent + 1) // 16)


def test_black_outside_and_range():
    white = torch.ones(1, 3, 256, 256)
    beyond = crop(white, landmarks_in(-400, -400, -300, -300))
    assert beyond.abs().max() == 0
    inside = crop(2 * white, landmarks_in(80, 80, 180, 180))
    torch.testing.assert_close(inside, torch.full_like(inside, 2 / (2 + 1e-5)))
    assert crop(white, landmarks_in(-1e7, -1e7, 1e7, 1e7)).isfinite().all()


def test_whole_picture_for_landmarks_that_are_not_finite():
    whole = crop_matrices(torch.full((1, 68, 2), float("nan")))
    one_lost = landmarks_in(80, 80, 180, 180).repeat(2, 1, 1)
    one_lost[1, 7, 0] = float("inf")
    matrices = crop_matrices(one_lost)
    assert torch.equal(matrices[1:], whole)
    assert torch.equal(matrices[:1], crop_matrices(one_lost[:1]))


def test_refuses_a_face_without_extent():
    with pytest.raises(ValueError, match="smaller than a pixel"):
        crop_matrices(torch.full((1, 68, 2), 7.0))


def test_gradient_reaches_the_image():
    image = torch.zeros(1, 3, 256, 256, requires_grad=True)
    crop(image, landmarks_in(100, 100, 150, 150)).sum().backward()
    reached = F.max_pool2d(image.grad[:, :1], 8)[0, 0] > 0
    assert reached[15, 15]
    assert not reached[0, 0]
