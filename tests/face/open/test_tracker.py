"""The tracker as a whole: against the MediaPipe runtime, batches, gradients, videos."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from reenact.face.open.following import VideoTracker
from reenact.face.open.tracker import (
    EXPRESSION_NAMES,
    FaceTracker,
    TrackedFaces,
    rois_from_points,
)

GOLDEN = Path(__file__).resolve().parents[2] / "golden/tracker"


@pytest.fixture(scope="module")
def tracker() -> FaceTracker:
    return FaceTracker()


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    """A NASA photo of a woman, 512 x 512."""
    return np.ascontiguousarray(pytest.importorskip("skimage.data").astronaut()[..., :3])


@pytest.fixture(scope="module")
def tracked(tracker: FaceTracker, astronaut: np.ndarray) -> TrackedFaces:
    with torch.no_grad():
        return tracker.track_images(tracker.images(astronaut))


def _read_video(path: Path, limit: int | None = None) -> np.ndarray:
    av = pytest.importorskip("av")
    frames = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            frames.append(frame.to_ndarray(format="rgb24"))
            if len(frames) == limit:
                break
    return np.stack(frames)


def _points_of(tracked: TrackedFaces) -> np.ndarray:
    return tracked.points[0].numpy()


def test_points_match_the_mediapipe_runtime(tracked: TrackedFaces) -> None:
    golden = np.load(GOLDEN / "astronaut_landmarks.npy") * 512
    error = np.abs(_points_of(tracked) - golden)
    assert tracked.found.tolist() == [True]
    assert error[:, :2].mean() < 0.5
    assert error[:, :2].max() < 2.5
    assert error[:, 2].mean() < 1.0


def test_blendshapes_match_the_mediapipe_runtime(tracked: TrackedFaces) -> None:
    golden = np.load(GOLDEN / "astronaut_blendshapes.npy")
    error = np.abs(tracked.blendshapes[0, :51].numpy() - golden[1:])
    assert error.mean() < 0.02
    assert error.max() < 0.1
    assert tracked.blendshapes[0, EXPRESSION_NAMES.index("mouthSmileLeft")] > 0.5
    assert tracked.blendshapes[0, EXPRESSION_NAMES.index("tongueOut")] == 0


def test_blendshapes_of_the_runtimes_own_points(tracker: FaceTracker) -> None:
    points = torch.from_numpy(np.load(GOLDEN / "astronaut_landmarks.npy")).float() * 512
    golden = np.load(GOLDEN / "astronaut_blendshapes.npy")[1:]
    scores = tracker.mesh.blendshapes(points[None])[0, :51]
    np.testing.assert_allclose(scores.numpy(), golden, atol=1e-4)


def test_results_do_not_depend_on_the_batch(tracker: FaceTracker, astronaut: np.ndarray) -> None:
    images = tracker.images(astronaut)
    blank = torch.zeros_like(images)
    moved = images.roll((40, -30), (2, 3))
    batch = torch.cat([images, blank, moved])
    with torch.no_grad():
        together = tracker.track_images(batch)
        alone = TrackedFaces.cat([tracker.track_images(image[None]) for image in batch])
    assert together.found.tolist() == alone.found.tolist() == [True, False, True]
    torch.testing.assert_close(together.points, alone.points, atol=1e-2, rtol=0)
    torch.testing.assert_close(together.blendshapes, alone.blendshapes, atol=1e-3, rtol=0)
    assert together[2].points.shape == (1, 478, 3)


def test_points_move_with_the_picture(
    tracker: FaceTracker, astronaut: np.ndarray, tracked: TrackedFaces
) -> None:
    with torch.no_grad():
        moved = tracker.track_images(tracker.images(np.roll(astronaut, (32, 64), (0, 1))))
    shift = _points_of(moved) - _points_of(tracked)
    np.testing.assert_allclose(shift.mean(0)[:2], [64, 32], atol=0.5)


def test_mesh_is_differentiable_in_the_images(
    tracker: FaceTracker, tracked: TrackedFaces, astronaut: np.ndarray
) -> None:
    images = tracker.images(astronaut).requires_grad_()
    faces = tracker.mesh_from_rois(images, tracked.rois)
    (faces.points.mean() + faces.blendshapes.sum()).backward()
    assert images.grad is not None
    assert images.grad.isfinite().all()
    cx, cy, side, _ = tracked.rois[0].tolist()
    inside = images.grad[..., int(cy - side / 4) : int(cy), int(cx - side / 4) : int(cx)]
    assert inside.abs().max() > 0
    assert images.grad[..., 400:, :100].abs().max() == 0


def test_mesh_gradient_is_the_slope(tracker: FaceTracker, astronaut: np.ndarray) -> None:
    """Along the gradient of the mouth's opening the points change as it promises."""
    images = tracker.images(astronaut[40:200, 140:300]).requires_grad_()
    rois = torch.tensor([[84.6, 84.7, 160.0, 0.05]])

    def gap(x: Tensor) -> Tensor:
        points = tracker.mesh_from_rois(x, rois).points
        return (points[:, 14, 1] - points[:, 13, 1]).sum()

    (slope,) = torch.autograd.grad(gap(images), images)
    step = slope / slope.norm() * 0.02
    with torch.no_grad():
        measured = (gap(images + step) - gap(images - step)) / 2
    assert measured == pytest.approx((slope * step).sum().item(), rel=0.2)


def test_large_pictures_are_averaged_not_skipped(
    tracker: FaceTracker, astronaut: np.ndarray, tracked: TrackedFaces
) -> None:
    """A face four times as large as the net's input is read from averaged pixels."""
    face = tracker.images(astronaut[20:228, 120:328])
    large = torch.nn.functional.interpolate(face, scale_factor=6, mode="bicubic")
    rois = rois_from_points(tracked.points)
    rois = torch.cat(
        [(rois[:, :2] - rois.new_tensor([120, 20])) * 6, rois[:, 2:3] * 6, rois[:, 3:]], 1
    )
    with torch.no_grad():
        points = tracker.mesh_from_rois(large.clamp(-1, 1), rois).points[0, :, :2] / 6
    expected = tracked.points[0, :, :2] - torch.tensor([120.0, 20.0])
    assert (points - expected).abs().mean() < 0.7


@pytest.mark.parametrize("size", [64, 256])
def test_tight_crops_are_found(tracker: FaceTracker, astronaut: np.ndarray, size: int) -> None:
    face = tracker.images(astronaut[20:228, 120:328])
    small = torch.nn.functional.interpolate(face, (size, size), mode="bilinear", antialias=True)
    with torch.no_grad():
        assert tracker.track_images(small).found.all()


def test_a_small_face_in_a_wide_scene_is_found(tracker: FaceTracker, astronaut: np.ndarray) -> None:
    scene = np.full((900, 1600, 3), 120, np.uint8)
    scene[600:728, 1300:1428] = astronaut[:512:4, :512:4]
    with torch.no_grad():
        faces = tracker.track_images(tracker.images(scene))
    assert faces.found.all()
    x, y = faces.points[0, 4, :2].tolist()
    assert abs(x - 1356) < 6
    assert abs(y - 632) < 6


def test_the_largest_face_wins(tracker: FaceTracker, astronaut: np.ndarray) -> None:
    scene = np.full((512, 1024, 3), 120, np.uint8)
    scene[:512, 512:] = astronaut
    scene[128:384, 128:384] = astronaut[::2, ::2]
    with torch.no_grad():
        assert tracker.track_images(tracker.images(scene)).rois[0, 0] > 512


def _chunks(frames: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(frames), size):
        yield frames[start : start + size]


def _moving_face(astronaut: np.ndarray) -> np.ndarray:
    """Twelve frames: the face moves, is gone in frames 5 and 6, and comes back."""
    small = astronaut[:384:2, 64:448:2]
    frames = [np.roll(small, (2 * i, 3 * i), (0, 1)) for i in range(12)]
    frames[5] = frames[6] = np.full_like(small, 90)
    return np.stack(frames)


def test_video_does_not_depend_on_the_batch(tracker: FaceTracker, astronaut: np.ndarray) -> None:
    frames = _moving_face(astronaut)
    results = []
    for size in (1, 5, 12):
        video = VideoTracker(tracker)
        results.append(TrackedFaces.cat([video.update(chunk) for chunk in _chunks(frames, size)]))
    assert results[0].found.tolist() == [True] * 5 + [False] * 2 + [True] * 5
    for other in results[1:]:
        assert other.found.equal(results[0].found)
        torch.testing.assert_close(other.points, results[0].points, atol=1e-4, rtol=0)
        torch.testing.assert_close(other.blendshapes, results[0].blendshapes, atol=1e-3, rtol=0)


def test_video_agrees_with_images(tracker: FaceTracker, astronaut: np.ndarray) -> None:
    frames = _moving_face(astronaut)[:4]
    faces = VideoTracker(tracker).update(frames)
    with torch.no_grad():
        single = tracker.track_images(tracker.images(frames))
    error = (faces.points - single.points)[..., :2].norm(dim=-1).mean(1)
    assert error.max() < 0.5


@pytest.mark.parametrize(
    "name", ["clip_man_25fps.mp4", "clip_fullbody_small_face.mp4", "clip_wide_audio_30fps.mp4"]
)
def test_video_clips_are_tracked(tracker: FaceTracker, shared: Path, name: str) -> None:
    path = shared / "samples" / name
    if not path.exists():
        pytest.skip(f"needs {name}")
    frames = _read_video(path, limit=40)
    faces = VideoTracker(tracker).update(frames)
    assert faces.found.float().mean() >= 0.99
    nose = faces.points[:, 4, :2]
    assert (nose[1:] - nose[:-1]).norm(dim=-1).max() < 0.25 * faces.rois[:, 2].min()


@pytest.mark.slow
def test_every_frame_of_the_clips_is_tracked(tracker: FaceTracker, shared: Path) -> None:
    for path in sorted((shared / "samples").glob("*.mp4")):
        found = VideoTracker(tracker).update(_read_video(path)).found
        assert found.float().mean() >= 0.99, path.name


def test_a_dog_is_not_a_face(tracker: FaceTracker, shared: Path) -> None:
    path = shared / "samples/dog_no_face.jpg"
    if not path.exists():
        pytest.skip("needs dog_no_face.jpg")
    image = pytest.importorskip("PIL.Image").open(path).convert("RGB")
    with torch.no_grad():
        faces = tracker.track_images(tracker.images(np.asarray(image)))
    assert faces.found.tolist() == [False]
    assert faces.points.isfinite().all()


@pytest.mark.parametrize("name", ["painting_child.jpg", "painting_tall.jpg", "statue.jpg"])
def test_art_is_found(tracker: FaceTracker, shared: Path, name: str) -> None:
    path = shared / "samples" / name
    if not path.exists():
        pytest.skip(f"needs {name}")
    image = pytest.importorskip("PIL.Image").open(path).convert("RGB")
    with torch.no_grad():
        assert tracker.track_images(tracker.images(np.asarray(image))).found.all()
