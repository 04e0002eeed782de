"""What the simulated Apple device refuses, and the whole way from photo to result on it."""

import av
import numpy as np
import pytest
import torch
from PIL import Image

from reenact import losses
from reenact.assets import asset_path
from reenact.evaluation.measuring.formulas import gaze_error, ssim
from reenact.evaluation.measuring.frechet import frechet_distance
from reenact.face.open.tracker import FaceTracker
from reenact.face.params import FaceParams
from reenact.face.points import landmarks_from_points
from reenact.face.pose import gaze_from_points, pose_from_points
from reenact.face.sampling import roi_transform, sample_patches
from reenact.inference.config import ReenactorConfig
from reenact.inference.reenactor import Reenactor


def test_it_refuses_what_the_real_device_cannot(mps: torch.device):
    ones = torch.ones(2, 2, device=mps)
    with pytest.raises(RuntimeError, match="on mps and on the CPU"):
        ones + torch.ones(2, 2)
    with pytest.raises(TypeError, match="float64"):
        ones.double()
    with pytest.raises(TypeError, match="float64"):
        torch.zeros(1).double().to(mps)
    with pytest.raises(NotImplementedError, match="linalg_eig"):
        torch.linalg.eig(ones)


def test_it_computes_with_gradients(mps: torch.device):
    weight = torch.tensor([1.0, 2.0], device=mps).requires_grad_()
    (weight * torch.full((2,), 3.0, device=mps)).square().sum().backward()
    assert weight.grad is not None
    assert weight.grad.device.type == "mps"
    assert weight.grad.tolist() == [18.0, 36.0]


def test_lists_of_numbers_choose_rows(mps: torch.device):
    values = torch.arange(24.0).reshape(2, 4, 3)
    on_mps = values.to(mps)
    assert torch.equal(on_mps[:, (3, 0)].cpu(), values[:, (3, 0)])
    assert torch.equal(on_mps[[1]].cpu(), values[[1]])
    on_mps[:, [1, 2]] = 0.0
    assert on_mps.cpu()[:, 1:3].abs().sum() == 0


def test_patches_and_moved_faces_need_no_float64(mps: torch.device):
    face = FaceParams.neutral()
    zoom = np.diag([2.0, 2.0, 1.0])
    moved = face.to(mps).transformed(zoom)
    assert moved.scale.device.type == "mps"
    assert torch.equal(moved.scale.cpu(), face.transformed(zoom).scale)
    images, rois = torch.rand(1, 3, 64, 64), torch.tensor([[30.0, 32.0, 40.0, 0.1]])
    on_cpu = sample_patches(images, roi_transform(rois), 16)
    on_mps = sample_patches(images.to(mps), roi_transform(rois.to(mps)), 16)
    assert torch.equal(on_mps.cpu(), on_cpu)


@pytest.mark.slow
def test_a_photo_moves_as_on_the_cpu(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
):
    photo = np.asarray(Image.open(asset_path("demo_source.png")).convert("RGB"))
    with av.open(str(asset_path("demo_target.mp4"))) as file:
        frames = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)][:40:20]
    config = ReenactorConfig(precision="fp32")
    on_cpu = list(Reenactor.load(device="cpu", config=config).animate(photo, frames))
    request.getfixturevalue("mps")
    # The simulated device is there in this thread only.
    one_thread = "reenact.inference.frame_reenactor.read_ahead"
    monkeypatch.setattr(one_thread, lambda items, count: (item for item in items))
    on_mps = list(Reenactor.load(device="mps", config=config).animate(photo, frames))
    assert len(on_mps) == 2
    difference = np.abs(np.stack(on_cpu).astype(int) - np.stack(on_mps)).max(-1)
    assert difference.mean() < 0.01
    # Compiled loops round in another way. A few pixels at the edge of a mask then fall outside.
    assert (difference > 1).mean() < 1e-3
    assert difference.max() < 10


def test_metrics_need_no_float64(mps: torch.device):
    a, b = torch.rand(2, 3, 32, 32) * 2 - 1, torch.rand(2, 3, 32, 32) * 2 - 1
    gazes = torch.tensor([[0.1, 0.2], [0.3, 0.1]])
    for metric, (x, y) in ((ssim, (a, b)), (gaze_error, (gazes, gazes.flip(0)))):
        on_mps = metric(x.to(mps), y.to(mps))
        assert on_mps.device.type == "mps"
        assert torch.equal(on_mps.cpu(), metric(x, y))
    features = torch.rand(8, 4)
    assert frechet_distance(features.to(mps), 2 * features.to(mps)) > 0


def test_losses_of_tracked_points_have_the_gradients_of_the_cpu(mps: torch.device):
    generator = torch.Generator().manual_seed(0)
    pictures = torch.rand(2, 2, 3, 32, 32, generator=generator) * 2 - 1
    wanted = 32 * torch.rand(2, 68, 2, generator=generator)
    rois = torch.tensor([[16.0, 18.0, 30.0, 0.1], [15.0, 14.0, 20.0, -0.1]])

    def gradients(device: torch.device) -> list[torch.Tensor]:
        tracker = FaceTracker().to(device).eval()
        image = pictures[0].to(device).requires_grad_()
        points = tracker.mesh_from_rois(image, rois.to(device)).points
        truth = tracker.mesh_from_rois(pictures[1].to(device), rois.to(device)).points
        values = [
            losses.shape(points, truth),
            losses.landmark_shape(landmarks_from_points(points), wanted.to(device)),
            losses.gaze(gaze_from_points(points), gaze_from_points(truth)),
            losses.head_pose(pose_from_points(points), pose_from_points(truth)),
        ]
        return [torch.autograd.grad(v.sum(), image, retain_graph=True)[0].cpu() for v in values]

    on_cpu, on_mps = gradients(torch.device("cpu")), gradients(mps)
    for expected, result in zip(on_cpu, on_mps, strict=True):
        assert expected.abs().max() > 1e-4
        torch.testing.assert_close(result, expected, rtol=1e-3, atol=1e-5)
