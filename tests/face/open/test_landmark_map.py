import numpy as np
import pytest
import torch

from reenact.face.head_model import HeadModel
from reenact.face.open.landmark_map import landmark_map
from reenact.face.params import FaceParams

COLOURS = {
    8: (255, 255, 255),
    19: (255, 0, 0),
    24: (0, 255, 0),
    28: (0, 0, 255),
    36: (255, 0, 255),
    45: (0, 255, 255),
    51: (255, 255, 0),
}


@pytest.fixture(scope="module")
def face() -> tuple[torch.Tensor, torch.Tensor]:
    """Landmarks and pupils of the mean head in a 256 picture."""
    head, params = HeadModel(), FaceParams.neutral(1)
    shift = torch.tensor([128.0, 110.0])
    return head.landmarks(params) * 80 + shift, head.pupils(params) * 80 + shift


def test_against_the_released_drawing(shared):
    """Same parts, colours and order; the released lines are not anti-aliased."""
    loader = pytest.importorskip("safetensors.torch")
    golden = loader.load_file(shared / "golden/diffusionact/stickman.safetensors")
    # The released code truncates coordinates and counts pixel centres from 0.
    points = golden["landmarks"].trunc() + 0.5
    # "right_eye" is the pupil of points 42-47.
    pupils = torch.stack([golden["left_eye"], golden["right_eye"]], 1).trunc() + 0.5
    ours = landmark_map(points, pupils, 256)
    truth = golden["stickman_u8"].float() / 255 * 2 - 1
    error = (ours - truth).abs().mean((1, 2, 3))
    assert error[:3].max() < 0.02  # faces
    assert error.max() < 0.15  # points all over the canvas, lines 2 px wide where OpenCV's are 3
    for colour in COLOURS.values():
        theirs, mine = _shows(truth[:5], colour), _shows(ours[:5], colour)
        assert (theirs & mine).sum() > 0.99 * mine.sum(), colour
    for colour in ((255, 165, 0), (128, 0, 128)):
        theirs, mine = _shows(truth[:4], colour), _shows(ours[:4], colour)
        assert (theirs & mine).sum() > 0.8 * theirs.sum(), colour


def _shows(image: torch.Tensor, colour: tuple[int, int, int]) -> torch.Tensor:
    wanted = torch.tensor(colour)[:, None, None] / 255 * 2 - 1
    return (image - wanted).abs().amax(1) < 0.05


def test_colours_and_background(face):
    picture = landmark_map(*face, 256)[0]
    assert picture.shape == (3, 256, 256)
    torch.testing.assert_close(picture[:, 0, 0], torch.full((3,), 2 / 255 - 1))
    for point, colour in COLOURS.items():
        x, y = face[0][0, point].floor().long().tolist()
        seen = (picture[:, y, x] + 1) / 2 * 255
        assert (seen - torch.tensor(colour)).abs().max() < 130, point
    for k, colour in enumerate([(255, 165, 0), (128, 0, 128)]):
        x, y = face[1][0, k].floor().long().tolist()
        seen = (picture[:, y, x] + 1) / 2 * 255
        torch.testing.assert_close(seen, torch.tensor(colour).float(), atol=0.1, rtol=0)


def brute_force(start: np.ndarray, end: np.ndarray, half: float, size: int) -> np.ndarray:
    y, x = np.mgrid[:size, :size] + 0.5
    axis = end - start
    t = ((x - start[0]) * axis[0] + (y - start[1]) * axis[1]) / (axis @ axis)
    t = np.clip(t, 0, 1)
    distance = np.hypot(x - start[0] - t * axis[0], y - start[1] - t * axis[1])
    return np.clip(half + 0.5 - distance, 0, 1)


@pytest.mark.parametrize("size", [64, 128])
def test_coverage_is_the_distance_to_the_line(size):
    """One long contour line, everything else far outside: compared pixel by pixel."""
    points = torch.full((1, 68, 2), -1000.0)
    points[0, :17] = torch.tensor([3.3, 5.1])
    points[0, 16] = torch.tensor([size - 4.2, size * 0.7])
    picture = landmark_map(points, torch.full((1, 2, 2), -1000.0), size)[0, 0].numpy()
    half = max(2 * size / 256, 1) / 2
    cover = brute_force(points[0, 0].numpy(), points[0, 16].numpy(), half, size)
    expected = (1 / 255 + cover * 254 / 255) * 2 - 1
    np.testing.assert_allclose(picture, expected, atol=1e-4)


def test_batch_and_size(face):
    both = [torch.cat([t, t + 3.7, t - 300]) for t in face]
    together = landmark_map(*both, 256)
    for i in range(3):
        alone = landmark_map(both[0][i : i + 1], both[1][i : i + 1], 256)
        torch.testing.assert_close(together[i : i + 1], alone)
    small = landmark_map(face[0] / 4, face[1] / 4, 64)
    big = torch.nn.functional.avg_pool2d(landmark_map(*face, 256), 4)
    correlation = np.corrcoef(small.flatten(), big.flatten())[0, 1]
    assert correlation > 0.9
    assert landmark_map(face[0][:0], face[1][:0], 64).shape == (0, 3, 64, 64)


def test_moves_smoothly_and_differentiably(face):
    landmarks, pupils = (t / 4 for t in face)
    moved = landmark_map(landmarks + 0.01, pupils + 0.01, 64) - landmark_map(landmarks, pupils, 64)
    assert 0 < moved.abs().max() < 0.05
    leaf = pupils.clone().requires_grad_()
    landmark_map(landmarks, leaf, 64).square().sum().backward()
    assert torch.isfinite(leaf.grad).all()
    assert leaf.grad.abs().sum() > 0
