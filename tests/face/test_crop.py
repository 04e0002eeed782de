import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from reenact.face.crop import (
    FaceCrop,
    crop_from_landmarks,
    crops_for_video,
    feathered_mask,
    keep_heads_inside,
    paste_back,
    warp_to_crop,
)
from reenact.face.head_model import HeadModel
from reenact.face.params import FaceParams


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    """68 landmarks of the mean head, 60 pixels per dm, around pixel (150, 140)."""
    lm = HeadModel().landmarks(FaceParams.neutral(1))[0].numpy()
    return lm.astype(np.float64) * 60 + (150, 140)


def turned(points: np.ndarray, degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    centre = points.mean(0)
    return (points - centre) @ np.array([[c, s], [-s, c]]) + centre


def smooth_picture(height: int, width: int, sigma: float = 4.0) -> np.ndarray:
    rng = np.random.default_rng(0)
    picture = gaussian_filter(rng.standard_normal((height, width, 3)), (sigma, sigma, 0))
    return np.clip(128 + picture / picture.std() * 30, 0, 255).astype(np.uint8)


def test_matches_the_published_quad(face):
    """Corners of the crop = the FFHQ quad, computed here step by step."""
    eye_left, eye_right = face[36:42].mean(0), face[42:48].mean(0)
    mouth = (face[48] + face[54]) / 2
    e, d = (eye_left + eye_right) / 2, eye_right - eye_left
    q = mouth - e
    x = np.array([d[0] + q[1], d[1] - q[0]])
    x = x / np.hypot(*x) * max(2 * np.hypot(*d), 1.8 * np.hypot(*q))
    y = np.array([-x[1], x[0]])
    c = e + 0.1 * q
    crop = crop_from_landmarks(face, 64)
    corners = crop.points_to_frame(np.array([[0, 0], [0, 64], [64, 64], [64, 0]]))
    np.testing.assert_allclose(corners, [c - x - y, c - x + y, c + x + y, c + x - y], atol=1e-9)


def test_golden_alignment(shared):
    """Against the released code's aligned pictures, up to resampling."""
    safetensors = pytest.importorskip("safetensors.numpy")
    path = shared / "golden/diffusionact/ffhq_align.safetensors"
    golden = safetensors.load_file(path)
    for i in range(5):
        image, aligned = golden[f"image_{i}"], golden[f"aligned_{i}"]
        # The released code counts pixel centres from 0 and then adds half a pixel.
        landmarks = golden[f"landmarks_{i}"].reshape(68, 2) + 0.5
        ours = warp_to_crop(image, crop_from_landmarks(landmarks, 256))
        inside = crop_from_landmarks(landmarks, 256).points_to_frame(np.full((1, 2), 128.0))
        assert (inside > 0).all()
        if aligned.std() > 1:
            middle = slice(96, 160)
            error = np.abs(ours.astype(int) - aligned.astype(int))[middle, middle]
            assert error.mean() < 6, (i, error.mean())


def test_crop_is_upright_and_scale_free(face):
    upright = crop_from_landmarks(face, 128).points_from_frame(face)
    changed = turned(face, 35) * 3.5 + 20
    again = crop_from_landmarks(changed, 128).points_from_frame(changed)
    np.testing.assert_allclose(upright, again, atol=1e-6)
    assert upright.min() > 5
    assert upright.max() < 123


def test_refuses_degenerate_landmarks():
    with pytest.raises(ValueError, match="landmarks"):
        crop_from_landmarks(np.zeros((68, 2)), 64)
    with pytest.raises(ValueError, match="landmarks"):
        crop_from_landmarks(np.full((68, 2), np.nan), 64)


def test_jitter_is_removed(face):
    rng = np.random.default_rng(0)
    clip = face + rng.normal(0, 1.5, (100, 1, 1)) + rng.normal(0, 0.5, (100, 68, 2))
    crops = crops_for_video(clip, np.ones(100, bool), 256, 25)
    nose = np.stack([c.points_from_frame(face[30]) for c in crops])
    raw = np.stack([crop_from_landmarks(f, 256).points_from_frame(face[30]) for f in clip])
    assert np.diff(nose, axis=0).std() < 0.05 * np.diff(raw, axis=0).std()


def test_head_motion_stays_and_drift_is_followed(face):
    time = np.arange(250) / 25
    nod = 12 * np.sin(2 * np.pi * time / 2)
    rolling = np.stack([turned(face, a) for a in nod])
    crops = crops_for_video(rolling, np.ones(250, bool), 256, 25)
    inside = np.stack([c.points_from_frame(f) for c, f in zip(crops, rolling, strict=True)])
    eyes = inside[:, 45] - inside[:, 36]
    seen = np.degrees(np.arctan2(eyes[:, 1], eyes[:, 0]))[50:200]
    assert np.ptp(seen) > 0.85 * np.ptp(nod)

    drift = face + np.stack([time * 20, time * -8], 1)[:, None]
    crops = crops_for_video(drift, np.ones(250, bool), 256, 25)
    nose = np.stack([c.points_from_frame(f[30]) for c, f in zip(crops, drift, strict=True)])
    assert np.ptp(nose[50:-50], axis=0).max() < 0.5


def test_with_one_angle_a_slow_roll_stays_in_each_shot(face):
    angles = np.concatenate([np.linspace(-10, 14, 100), np.linspace(92, 98, 50)])
    clip = np.stack([turned(face, a) for a in angles])
    shots = np.repeat([0, 1], [100, 50])
    crops = crops_for_video(clip, np.ones(150, bool), 256, 25, shots=shots, one_angle=True)
    inside = np.stack([c.points_from_frame(f) for c, f in zip(crops, clip, strict=True)])
    eyes = inside[:, 45] - inside[:, 36]
    rolls = np.degrees(np.arctan2(eyes[:, 1], eyes[:, 0]))
    for shot in (0, 1):
        here = shots == shot
        expected = angles[here] - np.median(angles[here])
        np.testing.assert_allclose(rolls[here] - np.median(rolls[here]), expected, atol=0.01)
        assert abs(np.median(rolls[here])) < 3


def test_gaps_are_bridged(face):
    clip = face + np.arange(20)[:, None, None]
    found = np.ones(20, bool)
    found[[0, 1, 8, 9, 10, 19]] = False
    broken = clip.copy()
    broken[~found] = np.nan
    crops = crops_for_video(broken, found, 64, 25, smoothing=0)
    expected = crop_from_landmarks(clip[9], 64).crop_from_frame
    np.testing.assert_allclose(crops[9].crop_from_frame, expected, atol=1e-9)
    np.testing.assert_allclose(crops[0].crop_from_frame, crops[2].crop_from_frame)
    with pytest.raises(ValueError, match="no frame has a face"):
        crops_for_video(clip, np.zeros(20, bool), 64, 25)


def test_every_shot_has_its_own_calm_crops(face):
    shots = np.repeat([0, 1, 2, 3], [30, 30, 5, 20])
    clip = face + np.repeat([[0, 0], [300, 40], [0, 0], [-50, 0]], [30, 30, 5, 20], axis=0)[:, None]
    found = shots != 2
    crops = crops_for_video(clip, found, 64, 25, shots=shots)
    for shot in (0, 1, 3):
        alone = crop_from_landmarks(clip[shots == shot][0], 64).crop_from_frame
        for i in np.flatnonzero(shots == shot):
            np.testing.assert_allclose(crops[i].crop_from_frame, alone, atol=1e-9)
    for i in np.flatnonzero(shots == 2):  # nobody is seen: the crop of before stays
        assert np.array_equal(crops[i].crop_from_frame, crops[59].crop_from_frame)


def test_a_crop_follows_a_head_that_would_leave_it(face):
    step = np.zeros((200, 1, 2))
    step[100:] = (150, -100)
    clip = face * np.where(np.arange(200) < 100, 1, 3)[:, None, None] + step
    found = np.ones(200, bool)
    found[101] = False
    calm = crops_for_video(clip, found, 64, 25)
    crops, changed = keep_heads_inside(calm, clip, found)
    assert changed.any()
    assert not changed[[0, 101, 199]].any()
    for crop, before, points, moved in zip(crops, calm, clip, changed, strict=True):
        inside = crop.points_from_frame(points) / 64
        middle = (inside.min(0) + inside.max(0)) / 2
        if moved:
            assert (inside.max(0) - inside.min(0)).max() < 0.9 + 1e-6
            assert (middle > (0.25 - 1e-6, 0.42 - 1e-6)).all()
            assert (middle < (0.75 + 1e-6, 0.8 + 1e-6)).all()
            assert crop.zoom <= before.zoom + 1e-9
        else:
            assert crop is before


def test_angle_does_not_jump_when_upside_down(face):
    clip = np.stack([turned(face, 178 + i) for i in range(6)])
    crops = crops_for_video(clip, np.ones(6, bool), 64, 25)
    zooms = [c.crop_from_frame[0, 0] for c in crops]
    assert max(zooms) < 0  # all stay upside down instead of passing through upright


def test_identity_crop_is_exact():
    picture = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    crop = FaceCrop(crop_from_frame=np.eye(3), size=40)
    assert np.array_equal(warp_to_crop(picture, crop), picture)


def test_half_pixel_convention():
    ramp = np.tile((np.arange(64) * 4)[None, :, None], (64, 1, 3)).astype(np.uint8)
    crop = FaceCrop(crop_from_frame=np.diag([0.25, 0.25, 1]), size=16)
    # Each crop pixel is the mean of 4 columns.
    expected = ramp[0, :, 0].reshape(16, 4).mean(1)
    assert np.abs(warp_to_crop(ramp, crop)[8, :, 0] - expected).max() <= 1


def test_shrinking_is_antialiased():
    board = np.zeros((256, 256, 3), np.uint8)
    board[::2, ::2] = board[1::2, 1::2] = 255
    crop = FaceCrop(crop_from_frame=np.diag([0.11, 0.11, 1]), size=28)
    inner = warp_to_crop(board, crop)[1:-1, 1:-1].astype(int)
    assert np.abs(inner - 127).max() < 20


def test_the_border_is_repeated_and_nothing_is_invented_beyond():
    picture = smooth_picture(30, 30)
    shift = np.eye(3)
    shift[:2, 2] = 40
    out = warp_to_crop(picture, FaceCrop(crop_from_frame=shift, size=110))
    np.testing.assert_array_equal(out[40:70, 40:70], picture)
    np.testing.assert_array_equal(out[:40, 40:70], np.broadcast_to(picture[:1], (40, 30, 3)))
    np.testing.assert_array_equal(out[50, :40], np.broadcast_to(picture[10, 0], (40, 3)))
    np.testing.assert_array_equal(out[50, 70:], np.broadcast_to(picture[10, -1], (40, 3)))


@pytest.mark.parametrize("degrees", [0, 20])
def test_unedited_crop_restores_the_frame(face, degrees):
    frame = smooth_picture(300, 320)
    crop = crop_from_landmarks(turned(face, degrees), 512)
    assert crop.zoom > 1
    cut = warp_to_crop(frame, crop)
    mask = feathered_mask(512)
    result = paste_back(frame, cut, crop, mask)
    assert np.abs(result.astype(int) - frame.astype(int)).max() <= 2
    painted = paste_back(frame, np.full_like(cut, 255), crop, np.zeros((512, 512), np.float32))
    assert np.array_equal(painted, frame)


def test_paste_back_covers_where_the_mask_says(face):
    frame = smooth_picture(300, 320)
    crop = crop_from_landmarks(face, 64)
    mask = np.zeros((64, 64), np.float32)
    mask[20:44, 20:44] = 1
    result = paste_back(frame, np.zeros((64, 64, 3), np.uint8), crop, mask)
    x, y = np.floor(crop.points_to_frame(np.array([32.0, 32.0]))).astype(int)
    assert (result[y, x] == 0).all()
    x, y = np.floor(crop.points_to_frame(np.array([10.0, 32.0]))).astype(int)
    assert np.array_equal(result[y, x], frame[y, x])
    far = FaceCrop(crop_from_frame=np.array([[1, 0, 900.0], [0, 1, 0], [0, 0, 1]]), size=64)
    assert np.array_equal(paste_back(frame, np.zeros((64, 64, 3), np.uint8), far), frame)
