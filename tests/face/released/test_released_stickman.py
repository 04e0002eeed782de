import sys

import numpy as np
import pytest
import torch

from reenact.errors import UserError
from reenact.face.released.stickman import draw, stickman

pytest.importorskip("cv2", exc_type=ImportError)


@pytest.fixture(scope="module")
def numbers(golden):
    return golden("stickman")


@pytest.fixture(scope="module")
def face(numbers) -> np.ndarray:
    return numbers["landmarks"][0].numpy()


def pupils(numbers) -> torch.Tensor:
    return torch.stack([numbers["left_eye"], numbers["right_eye"]], 1)


@pytest.mark.parametrize("i", range(6))
def test_golden(numbers, i):
    """To the pixel; in sets 3 to 5 points lie outside of the canvas."""
    drawn = draw(numbers["landmarks"][i].numpy(), pupils(numbers)[i].numpy())
    np.testing.assert_array_equal(drawn, numbers[f"drawn_{i}"].numpy())


def test_golden_without_pupils(numbers, face):
    np.testing.assert_array_equal(draw(face, None), numbers["no_pupils_0"].numpy())


def test_lines_are_opencvs_own(face):
    """Inside the canvas a line is that of `polylines`."""
    cv2 = pytest.importorskip("cv2")
    rng = np.random.default_rng(0)
    for _ in range(50):
        points = np.full((68, 2), 100.0)
        points[:17] = rng.uniform(10, 245, (17, 2))
        expected = np.ones((256, 256, 3), np.uint8)
        line = [points[:17].astype(np.int32)]
        cv2.polylines(expected, line, False, (255, 255, 255), 2, cv2.LINE_8)
        dot = np.zeros((256, 256), bool)
        dot[98:103, 98:103] = True
        same = (draw(points, None) == expected).all(-1) | dot
        assert same.all()


def test_batch_in_the_range_of_images(numbers):
    drawn = stickman(numbers["landmarks"], pupils(numbers))
    assert drawn.shape == (6, 3, 256, 256)
    assert drawn.dtype == torch.float32
    one = torch.from_numpy(draw(numbers["landmarks"][2].numpy(), pupils(numbers)[2].numpy()))
    assert torch.equal(drawn[2], (one.permute(2, 0, 1).float() / 255 - 0.5) * 2)
    assert drawn[0, :, 0, 0].tolist() == pytest.approx([-0.992157] * 3, abs=1e-6)
    assert drawn.max() == 1
    assert stickman(torch.zeros(0, 68, 2), torch.zeros(0, 2, 2)).shape == (0, 3, 256, 256)


def test_truncates_towards_zero(face):
    """-0.9 and 0.9 are both drawn at 0."""
    drawn = [draw(face, np.array([[x, x], [200.0, 200.0]])) for x in (-0.9, 0.0, 0.9)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    np.testing.assert_array_equal(drawn[0], drawn[2])
    assert (draw(face, np.array([[-1.0, -1.0], [200.0, 200.0]])) != drawn[0]).any()


def test_empty_canvas_where_the_face_is_far_outside(face):
    for far in (300.0, 1e4, 1e6, 1e30):
        assert (draw(face + far, None) == 1).all()
        assert (draw(face - 2 * far, np.full((2, 2), -far)) == 1).all()


def test_refuses_what_is_not_finite(face):
    for bad in (np.nan, np.inf):
        broken = face.copy()
        broken[3, 1] = bad
        with pytest.raises(ValueError, match="landmarks: not finite"):
            draw(broken, None)
        with pytest.raises(ValueError, match="pupils: not finite"):
            draw(face, np.full((2, 2), bad))
    with pytest.raises(ValueError, match="expected \\(68, 2\\)"):
        draw(face[:5], None)


def test_says_what_to_install(face, monkeypatch):
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(UserError, match="pip install opencv-python-headless"):
        draw(face, None)
