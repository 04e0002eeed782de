import numpy as np
import pytest

from reenact.face.crop import FaceCrop, crop_from_landmarks
from reenact.face.released.alignment import (
    align_quad,
    crop_from_quad,
    quad_from_crop,
    quad_from_landmarks,
    requantised,
)


@pytest.fixture(scope="module")
def numbers(golden):
    return {key: value.numpy() for key, value in golden("ffhq_align").items()}


def square(x: float, y: float, half: float, degrees: float = 0.0) -> np.ndarray:
    """Quad around (x, y), turned."""
    c, s = half * np.cos(np.radians(degrees)), half * np.sin(np.radians(degrees))
    right, down, centre = np.array([c, s]), np.array([-s, c]), np.array([x, y])
    corners = [centre - right - down, centre - right + down, centre + right + down]
    return np.stack([*corners, centre + right - down])


def landmarks_around(x: float, y: float, eyes: float) -> np.ndarray:
    """Landmarks of an upright face: (x, y) between the eyes, `eyes` pixels apart."""
    points = np.full((68, 2), (x, y), dtype=np.float32)
    points[36:42, 0] -= eyes / 2
    points[42:48, 0] += eyes / 2
    points[48] = (x - eyes / 3, y + eyes)
    points[54] = (x + eyes / 3, y + eyes)
    return points


def waves(height: int, width: int) -> np.ndarray:
    """Channels 0 and 1 rise and fall with x and y by one grey level a pixel."""
    frame = np.zeros((height, width, 3), dtype=np.uint8)
    frame[..., 0] = 255 - np.abs(np.arange(width) % 510 - 255)
    frame[..., 1] = 255 - np.abs(np.arange(height)[:, None] % 510 - 255)
    return frame


def wave_error(aligned: np.ndarray, crop: FaceCrop) -> np.ndarray:
    """Mean difference in frame pixels between what was read and what lies at the crop's pixels."""
    steps = np.arange(crop.size) + 0.5
    centres = np.stack(np.meshgrid(steps, steps), -1)
    index = crop.points_to_frame(centres) - 0.5
    errors = []
    for axis in (0, 1):
        expected = 255 - np.abs(index[..., axis] % 510 - 255)
        sign = np.where(index[..., axis] % 510 < 255, 1, -1)
        # Near a fold the picture is not straight.
        straight = (expected > 25) & (expected < 230)
        # Pillow cuts the fraction off: half a grey level on average.
        error = sign * (aligned[..., axis] + 0.5 - expected)
        errors.append(error[straight].mean())
    return np.array(errors)


def test_golden(numbers):
    aligned = align_quad(numbers["image_0"], quad_from_landmarks(numbers["landmarks_0"]))
    np.testing.assert_array_equal(aligned, numbers["aligned_0"])


def test_golden_all_cases(shared):
    """Four with a blurred border, one without."""
    safetensors = pytest.importorskip("safetensors.numpy")
    golden = safetensors.load_file(shared / "golden/diffusionact/ffhq_align.safetensors")
    for i in range(5):
        quad = quad_from_landmarks(golden[f"landmarks_{i}"])
        aligned = align_quad(golden[f"image_{i}"], quad)
        np.testing.assert_array_equal(aligned, golden[f"aligned_{i}"])


def test_golden_through_a_crop(numbers):
    """The crop and back to the quad lose nothing."""
    crop = crop_from_quad(quad_from_landmarks(numbers["landmarks_0"]), 256)
    aligned = align_quad(numbers["image_0"], quad_from_crop(crop))
    np.testing.assert_array_equal(aligned, numbers["aligned_0"])


def test_golden_grey_levels(numbers):
    levels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(requantised(levels), numbers["u8_roundtrip_lut"])
    frame = np.stack([levels.reshape(16, 16)] * 3, -1)
    kept = frame.copy()
    assert requantised(frame).shape == (16, 16, 3)
    np.testing.assert_array_equal(frame, kept)


def test_square_of_an_upright_face():
    """Eyes 60 apart, mouth 60 below: half a side is max(2 * 60, 1.8 * 60) = 120."""
    quad = quad_from_landmarks(landmarks_around(200, 150, 60))
    np.testing.assert_allclose(quad, square(200, 156, 120), atol=1e-4)


def test_agrees_with_the_projects_own_crop():
    """Same square; the other counts from the corner of the first pixel."""
    points = landmarks_around(211.3, 147.8, 63.7) + np.random.default_rng(0).normal(size=(68, 2))
    ours = crop_from_quad(quad_from_landmarks(points), 256).crop_from_frame
    theirs = crop_from_landmarks(points + 0.5, 256).crop_from_frame
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("degrees", [0, 25, -140])
def test_crop_says_where_the_pixels_come_from(degrees):
    quad = square(290.3, 310.8, 120.6, degrees)
    crop = crop_from_quad(quad, 256)
    aligned = align_quad(waves(600, 640), quad)
    assert np.abs(wave_error(aligned, crop)).max() < 0.05
    np.testing.assert_allclose(quad_from_crop(crop), quad, atol=1e-8)


def test_crop_beyond_the_border():
    """Where the padding begins outside, the middle of the face still lies in its place."""
    quad = square(40, 60, 100, 10)
    crop = crop_from_quad(quad, 256)
    aligned = align_quad(waves(512, 512), quad).astype(float)
    centres = np.stack(np.meshgrid(np.arange(140, 220) + 0.5, np.arange(140, 220) + 0.5), -1)
    expected = crop.points_to_frame(centres) - 0.5
    assert expected.min() > 25
    error = aligned[140:220, 140:220, :2] + 0.5 - expected
    assert np.abs(error.mean((0, 1))).max() < 0.02


def test_large_face_is_shrunk_first():
    """A side of 2500 pixels shrinks the picture 4 times; the crop knows about the half pixel."""
    quad = square(1400, 1390, 1250)
    crop = crop_from_quad(quad, 256)
    aligned = align_quad(waves(2800, 2800), quad)
    assert np.abs(wave_error(aligned, crop)).max() < 0.25
    np.testing.assert_allclose(quad_from_crop(crop), quad, atol=1e-8)


def test_quad_in_a_resized_picture():
    quad = square(100, 90, 40, 10)
    crop = crop_from_quad(quad, 64)
    half = quad_from_crop(crop, np.diag([0.5, 0.5, 1.0]))
    np.testing.assert_allclose(half + 0.5, (quad + 0.5) / 2, atol=1e-8)


def test_only_the_surroundings_of_the_face_count():
    """A face in the middle of a large frame reads the same as from its cut."""
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (700, 1200, 3), dtype=np.uint8)
    quad = square(610.3, 350.6, 90, 20)
    inner = frame[150:550, 400:820]
    cut = align_quad(inner, quad - (400, 150))
    np.testing.assert_array_equal(align_quad(frame, quad), cut)


def test_padding_of_a_face_larger_than_the_picture():
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)
    aligned = align_quad(frame, square(12, 10, 300))
    assert aligned.shape == (256, 256, 3)
    # Far outside everything has become the median.
    assert np.ptp(aligned[:8].reshape(-1, 3), axis=0).max() <= 4
    huge = align_quad(frame, square(12, 10, 1e7))
    assert huge.shape == (256, 256, 3)


def test_grey_picture_stays_grey():
    frame = np.full((120, 90, 3), 117, dtype=np.uint8)
    assert (align_quad(frame, square(10, 100, 60, 30)) == 117).all()


def test_refuses_degenerate_landmarks():
    with pytest.raises(ValueError, match="on one point"):
        quad_from_landmarks(np.full((68, 2), 50.0))
    for bad in (np.nan, np.inf):
        broken = landmarks_around(200, 150, 60)
        broken[40, 0] = bad
        with pytest.raises(ValueError, match="not finite"):
            quad_from_landmarks(broken)
    with pytest.raises(ValueError, match="expected \\(68, 2\\)"):
        quad_from_landmarks(np.zeros((5, 2)))


def test_refuses_a_face_outside():
    frame = np.zeros((100, 100, 3), dtype=np.uint8)
    for x, y in ((-500, 50), (700, 50), (50, -500), (50, 1e9), (np.nan, 50)):
        with pytest.raises(ValueError, match="outside of the 100 x 100 picture"):
            align_quad(frame, square(x, y, 60))
