"""Geometry of the 478 points: analytic cases and the tracker's own measure of a real face."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from reenact.assets import load_tensors
from reenact.face.points import (
    eye_mouth_openings,
    five_points_from_points478,
    landmarks_from_points,
    rois_from_landmarks68,
    rois_from_points,
)
from reenact.face.pose import euler_angles, gaze_from_points, pose_from_points
from reenact.face.sampling import roi_transform, sample_patches

GOLDEN = Path(__file__).resolve().parents[2] / "golden/tracker"


@pytest.fixture
def points() -> Tensor:
    """The MediaPipe runtime's points of a NASA photo, (1, 478, 3) px."""
    return torch.from_numpy(np.load(GOLDEN / "astronaut_landmarks.npy"))[None].float() * 512


def _rotation(yaw: float, pitch: float, roll: float) -> Tensor:
    cy, sy, cp, sp = math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch)
    cr, sr = math.cos(roll), math.sin(roll)
    about_y = torch.tensor([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = torch.tensor([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = torch.tensor([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def _turned_in_picture(points: Tensor, angle: float) -> Tensor:
    """Turns the picture clockwise (y is down)."""
    cos, sin = math.cos(angle), math.sin(angle)
    turn = torch.tensor([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    return (points - 200) @ turn.T + 200


def test_euler_angles_invert_the_rotation() -> None:
    angles = (0.5, -0.3, 0.2)
    assert euler_angles(_rotation(*angles)[None])[0].tolist() == pytest.approx(angles, abs=1e-6)


def test_pose_of_the_turned_canonical_face() -> None:
    """The canonical face itself, turned: differences of the pose are the turns."""
    canonical = load_tensors("tracker.safetensors")["canonical_points"]
    faces = []
    for angles in ((0.0, 0.0, 0.0), (0.4, 0.0, 0.0), (0.0, 0.3, 0.0), (0.0, 0.0, 0.25)):
        turned = canonical @ _rotation(*angles).T * torch.tensor([10.0, -10.0, -10.0 / 0.8])
        faces.append(torch.cat([turned + 100, turned[:10]]))
    pose = pose_from_points(torch.stack(faces))
    assert pose[0, 0] == pytest.approx(0, abs=1e-3)
    assert pose[0, 2] == pytest.approx(0, abs=1e-3)
    assert pose[1, 0] > 0.35
    assert (pose[2, 1] - pose[0, 1]).item() == pytest.approx(0.3, abs=1e-3)
    assert (pose[3, 2] - pose[0, 2]).item() == pytest.approx(0.25, abs=0.01)


def test_roll_follows_the_picture(points: Tensor) -> None:
    before, after = pose_from_points(points), pose_from_points(_turned_in_picture(points, 0.4))
    # Clockwise on the screen is a negative turn about Z to the camera.
    assert (after - before)[0].tolist() == pytest.approx([0, 0, -0.4], abs=1e-3)
    torch.testing.assert_close(
        gaze_from_points(_turned_in_picture(points, 0.4)),
        gaze_from_points(points),
        atol=1e-3,
        rtol=0,
    )


def test_gaze_follows_the_pupils(points: Tensor) -> None:
    right, down = points.clone(), points.clone()
    right[:, [468, 473], 0] += 2.0
    down[:, [468, 473], 1] += 2.0
    straight = gaze_from_points(points)
    assert (gaze_from_points(right) - straight)[0, 0] > 0.1
    assert (gaze_from_points(down) - straight)[0, 1] > 0.1


def test_pose_and_gaze_are_differentiable(points: Tensor) -> None:
    points.requires_grad_()
    (pose_from_points(points).sum() + gaze_from_points(points).sum()).backward()
    assert points.grad is not None
    assert points.grad.isfinite().all()
    assert points.grad.abs().max() > 0


def test_openings_are_unit_free(points: Tensor) -> None:
    openings = eye_mouth_openings(points)
    torch.testing.assert_close(eye_mouth_openings(_turned_in_picture(points * 3, 1.0)), openings)
    shut = points.clone()
    shut[:, 145] = shut[:, 159]
    assert eye_mouth_openings(shut)[0, 0] == 0
    assert openings[0, 1] > 0.05


def test_rois_turn_with_the_face(points: Tensor) -> None:
    (roi,), (turned,) = rois_from_points(points), rois_from_points(_turned_in_picture(points, 0.5))
    assert turned[2].item() == pytest.approx(roi[2].item(), rel=1e-4)
    assert (turned[3] - roi[3]).item() == pytest.approx(0.5, abs=1e-4)


def test_rois_from_68_points_are_close(points: Tensor) -> None:
    landmarks = landmarks_from_points(points)
    full, few = rois_from_points(points)[0], rois_from_landmarks68(landmarks)[0]
    assert (few[:2] - full[:2]).norm() < 0.05 * full[2]
    assert few[2].item() == pytest.approx(full[2].item(), rel=0.08)
    assert few[3].item() == pytest.approx(full[3].item(), abs=1e-5)


def test_five_points_are_ordered(points: Tensor) -> None:
    five = five_points_from_points478(points)[0]
    assert five[0, 0] < five[2, 0] < five[1, 0]
    assert five[3, 0] < five[4, 0]
    assert five[:2, 1].max() < five[2, 1] < five[3:, 1].min()


def test_roi_transform_maps_corners() -> None:
    transform = roi_transform(torch.tensor([[10.0, 20.0, 8.0, math.pi / 2]]))[0]
    # A quarter turn clockwise: the patch's top left corner lies at the top right.
    corner = transform @ torch.tensor([0.0, 0.0, 1.0])
    assert corner.tolist() == pytest.approx([14, 16], abs=1e-5)


def test_patch_of_a_ramp_is_exact() -> None:
    x = torch.arange(32).float() + 0.5
    images = torch.stack([x.expand(32, 32), x[:, None].expand(32, 32), torch.ones(32, 32)])[None]
    patch = sample_patches(images, roi_transform(torch.tensor([[16.0, 15.0, 8.0, 0.3]])), 4)
    ticks = (torch.arange(4) + 0.5) / 4 - 0.5
    cos, sin = 8 * math.cos(0.3), 8 * math.sin(0.3)
    torch.testing.assert_close(patch[0, 0], 16 + ticks * cos - ticks[:, None] * sin)
    torch.testing.assert_close(patch[0, 1], 15 + ticks * sin + ticks[:, None] * cos)
