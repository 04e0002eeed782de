"""SFace: parity, alignment, and people told apart."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from reenact.face.identity import _TEMPLATE, IdentityNet, align_transform
from reenact.face.open.tracker import FaceTracker
from reenact.face.points import five_points_from_points478

GOLDEN = Path(__file__).resolve().parents[1] / "golden/tracker"


@pytest.fixture(scope="module")
def net() -> IdentityNet:
    return IdentityNet()


@pytest.fixture(scope="module")
def tracker() -> FaceTracker:
    return FaceTracker()


def _embed(net: IdentityNet, tracker: FaceTracker, images: Tensor) -> Tensor:
    with torch.no_grad():
        faces = tracker.track_images(images)
        assert faces.found.all()
        return net(images, five_points_from_points478(faces.points))


def test_net_matches_the_onnx_reference(net: IdentityNet) -> None:
    with np.load(GOLDEN / "sface.npz") as golden:
        small, expected = torch.from_numpy(golden["input"]), torch.from_numpy(golden["output"])
    (embedding,) = net.net(small.float().repeat_interleave(8, 2).repeat_interleave(8, 3))
    torch.testing.assert_close(embedding, expected, atol=1e-4, rtol=0)


def test_alignment_finds_a_similarity() -> None:
    template = torch.tensor(_TEMPLATE)
    angle, scale = 0.4, 2.5
    turn = scale * torch.tensor(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    )
    points = template @ turn.T + torch.tensor([30.0, -7.0])
    (transform,) = align_transform(points[None])
    mapped = (template / 112) @ transform[:, :2].T + transform[:, 2]
    torch.testing.assert_close(mapped, points, atol=1e-3, rtol=0)


def test_same_photo_changed_is_the_same_person(net: IdentityNet, tracker: FaceTracker) -> None:
    frame = pytest.importorskip("skimage.data").astronaut()[:256, 96:352, :3]
    image = tracker.images(np.ascontiguousarray(frame))
    mirrored, darker = image.flip(3), (image + 1) * 0.6 - 1
    small = F.interpolate(image, (128, 128), mode="bilinear", antialias=True)
    reference = _embed(net, tracker, image)
    torch.testing.assert_close(reference.norm(dim=1), torch.ones(1))
    for other in (mirrored, darker, small):
        assert (reference * _embed(net, tracker, other)).sum() > 0.7


def test_people_are_told_apart(net: IdentityNet, tracker: FaceTracker, shared: Path) -> None:
    """Two moments of one man against each other and against other people."""
    av, images = pytest.importorskip("av"), []
    for name in ("clip_man_25fps.mp4", "clip_night_audio_25fps.mp4", "clip_wide_audio_30fps.mp4"):
        path = shared / "samples" / name
        if not path.exists():
            pytest.skip(f"needs {name}")
        with av.open(str(path)) as container:
            some = itertools.islice(container.decode(video=0), 0, 61, 60)
            frames = [frame.to_ndarray(format="rgb24") for frame in some]
        images.append([tracker.images(frames[i]) for i in (0, -1)])
    codes = [[_embed(net, tracker, image)[0] for image in pair] for pair in images]
    same = [float(a @ b) for a, b in codes]
    different = [float(codes[i][0] @ codes[j][1]) for i in range(3) for j in range(3) if i != j]
    assert min(same) > 0.5
    assert max(different) < 0.4


def test_batch_equals_single_and_gradients_flow(net: IdentityNet) -> None:
    images = torch.rand(2, 3, 96, 96, requires_grad=True)
    points = torch.tensor(_TEMPLATE)[None] * torch.tensor([[[0.7]], [[0.5]]]) + 4
    together = net(images, points)
    alone = torch.cat([net(images[i : i + 1], points[i : i + 1]) for i in range(2)])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=0)
    together[:, :3].sum().backward()
    assert images.grad is not None
    assert images.grad.isfinite().all()
    assert images.grad.abs().amax((1, 2, 3)).min() > 0
