import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from reenact.face.released.config import ReleasedConfig
from reenact.face.released.files import ReleasedFiles
from reenact.face.released.flame import Flame
from reenact.face.released.landmarks import Landmarks
from reenact.face.released.params import (
    FlameParams,
    axis_angle_from_matrix,
    matrix_from_axis_angle,
    retarget,
    retarget_relative,
)
from reenact.face.released.stack import ReleasedFaceStack, steadied

CONFIG = ReleasedConfig(files=ReleasedFiles(), chunk=2)


class MarkedPoints(nn.Module):
    """Finds the face that a picture carries in its top left pixels: a mark, then nothing."""

    def __init__(self, points: torch.Tensor) -> None:
        super().__init__()
        self.points = points

    def detect(self, images: torch.Tensor, previous: torch.Tensor | None = None) -> Landmarks:
        count, side = len(images), images.shape[-1]
        # Scaled to the picture, so that a face of a larger frame is larger, too.
        points = (self.points * (side / 256)).trunc().expand(count, -1, -1).clone()
        found = images.mean((1, 2, 3)) > -0.9
        boxes = torch.cat([points.amin(1), points.amax(1)], 1)
        return Landmarks(points=points, found=found, boxes=boxes)


class MeanColours(nn.Module):
    """Codes that follow the picture's mean colours."""

    def encode(self, images: torch.Tensor) -> FlameParams:
        means = images.mean((2, 3))
        zeros = torch.zeros(len(images), 1)
        cam = torch.tensor([[7.0, 0.01, -0.01]]).expand(len(images), 3)
        pose = torch.cat([0.1 * means, zeros.expand(-1, 3)], 1)
        return FlameParams(
            shape=means[:, :1].expand(-1, 100),
            expression=means[:, 1:2].expand(-1, 50),
            pose=pose,
            cam=cam,
            gaze=zeros.expand(-1, 2),
        )


class NoGaze(nn.Module):
    def forward(self, crops: torch.Tensor) -> torch.Tensor:
        return 0.1 * crops.mean((2, 3))[:, :2]


@pytest.fixture(scope="module")
def face_points() -> torch.Tensor:
    """68 points of a face in the middle of 256 pixels."""
    angle = torch.linspace(0.2, 2.9, 17)
    contour = torch.stack([128 - 60 * angle.cos(), 128 + 70 * angle.sin()], 1)
    points = torch.full((68, 2), 128.0)
    points[:17] = contour
    for start, x, y in ((36, 100, 110), (42, 156, 110)):
        ring = torch.linspace(0, 5.2, 6)
        points[start : start + 6] = torch.stack([x - 10 * ring.cos(), y - 4 * ring.sin()], 1)
    points[48], points[54] = torch.tensor([108.0, 170.0]), torch.tensor([148.0, 170.0])
    return points


@pytest.fixture
def stack(face_points, flame_tensors):
    def make(config: ReleasedConfig = CONFIG) -> ReleasedFaceStack:
        flame = Flame.from_tensors(flame_tensors)
        nets = (MarkedPoints(face_points), MeanColours(), flame, NoGaze())
        return ReleasedFaceStack(*nets, config, torch.device("cpu"))

    return make


def picture(seed: int, height: int = 256, width: int = 256) -> np.ndarray:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(60, 250, (8, 8, 3), dtype=np.uint8)
    return np.kron(coarse, np.ones((height // 8, width // 8, 1), np.uint8))


def test_an_aligned_pair_is_read_and_drawn_like_the_published_one(golden, released_faces):
    numbers = golden("pipeline")
    face, faces = released_faces
    for role, params in faces.items():
        for ours, theirs in (("expression", "expcode"), ("pose", "posecode"), ("cam", "cam")):
            expected = numbers[f"{role}.{theirs}"]
            torch.testing.assert_close(getattr(params, ours), expected, atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(
        faces["source"].shape, numbers["source.shapecode"], atol=2e-5, rtol=1e-4
    )
    mixed = face.retarget(faces["source"], faces["target"])
    for params, name in ((faces["source"], "source"), (mixed, "target")):
        drawn = (face.landmark_map(params, 256) + 1) * 127.5
        assert torch.equal(drawn.round().to(torch.uint8), numbers[f"stickman_{name}_u8"])


def test_one_source_and_many_frames(stack):
    face = stack()
    source = face.source_face(picture(0), 256)
    assert source.crop_frame.shape == (256, 256, 3)
    [(found, same)] = face.source_faces(picture(0), 256)
    assert found.number == 1
    assert np.array_equal(same.crop_frame, source.crop_frame)
    black = np.zeros((256, 256, 3), np.uint8)
    frames = [black, picture(1), picture(1), black, picture(1) // 2, picture(1) // 2]
    seen = []
    motion = face.target_motion(frames, 25.0, 256, lambda passed, what: seen.append(what) or passed)
    assert seen == ["finding faces", "reading faces"]
    assert motion.found.tolist() == [False, True, True, False, True, True]
    assert (len(motion), motion.num_missing, motion.first_found) == (6, 2, 1)
    shape, pose = motion.params.shape, motion.params.pose
    assert (shape == shape[0]).all()
    torch.testing.assert_close(pose[0], pose[1], atol=1e-3, rtol=0)
    assert face.landmark_map(face.retarget(source.params, motion.params), 256).shape[0] == 6
    assert face.head_region(motion.params, 256).shape == (6, 1, 256, 256)
    assert face.target_motion([black, black], 25.0, 256) is None
    assert face.source_face(black, 256) is None
    assert face.source_faces(black, 256) == []
    with pytest.raises(ValueError, match="no frames"):
        face.target_motion([], 25.0, 256)
    with pytest.raises(ValueError, match="256 pixels, not at 64"):
        face.source_face(picture(0), 64)


def test_frames_stand_alone_with_compat(stack):
    face = stack(dataclasses.replace(CONFIG, compat=True))
    frames = [picture(i) for i in range(5)]
    together = face.target_motion(frames, 25.0, 256)
    for i in (0, 3):
        alone = face.target_motion([frames[i]], 25.0, 256)
        for name, value in alone.params.tensors().items():
            torch.testing.assert_close(value[0], together.params.tensors()[name][i])


def test_compat_squeezes_and_the_default_keeps_the_aspect(stack):
    wide = picture(5, 256, 512)
    sides = {}
    for compat in (False, True):
        face = stack(dataclasses.replace(CONFIG, compat=compat, search_side=512))
        crop = face.source_face(wide, 256).crop
        corners = crop.points_to_frame(np.array([[0.0, 0], [256, 0], [0, 256]]))
        across, down = corners[1] - corners[0], corners[2] - corners[0]
        sides[compat] = np.linalg.norm(across) / np.linalg.norm(down)
    assert sides[False] == pytest.approx(1)
    assert sides[True] == pytest.approx(2, rel=1e-3)


def test_the_cut_of_a_crop_shows_what_the_networks_saw(stack):
    face = stack()
    photo = picture(6)
    source = face.source_face(photo, 256)
    assert np.array_equal(face.cut(photo, source.crop), source.crop_frame)
    half = face.cut(photo, source.crop.resized(128))
    small = source.crop_frame.reshape(128, 2, 128, 2, 3).mean((1, 3))
    assert np.abs(half - small).mean() < 4


def faces(count: int) -> FlameParams:
    g = torch.Generator().manual_seed(1)
    widths = {"shape": 100, "expression": 50, "pose": 6, "cam": 3, "gaze": 2}
    values = {name: 0.3 * torch.randn(count, n, generator=g) for name, n in widths.items()}
    values["cam"][:, 0] = values["cam"][:, 0].abs() + 5
    return FlameParams(**values)


def test_retargeting_keeps_the_shape_and_nothing_else():
    source, target = faces(1), faces(4)[1:4]
    mixed = retarget(source, target)
    assert torch.equal(mixed.shape, source.shape.expand(3, -1))
    assert torch.equal(mixed.pose, target.pose)
    same = retarget(source, source)
    assert all(torch.equal(a, b) for a, b in zip(*map(_values, (same, source)), strict=True))


def _values(params: FlameParams) -> list[torch.Tensor]:
    return list(params.tensors().values())


def test_relative_motion_starts_at_the_source():
    source, target = faces(1), faces(5)[1:5]
    driven = retarget_relative(source, target, target[0])
    for ours, own in zip(_values(driven[0]), _values(source), strict=True):
        torch.testing.assert_close(ours, own, atol=2e-6, rtol=1e-5)
    again = retarget_relative(target[0], target, target[0])
    torch.testing.assert_close(again.pose, target.pose, atol=2e-6, rtol=1e-5)


def test_rotations_go_there_and_back():
    vectors = torch.randn(50, 3, generator=torch.Generator().manual_seed(2))
    vectors[0] = 0
    vectors[1] *= 1e-5
    matrices = matrix_from_axis_angle(vectors)
    torch.testing.assert_close(matrices @ matrices.mT, torch.eye(3).expand(50, -1, -1))
    back = axis_angle_from_matrix(matrices)
    below_pi = vectors.norm(dim=1) < 3
    torch.testing.assert_close(back[below_pi], vectors[below_pi], atol=2e-5, rtol=1e-4)


def test_steadying_calms_jitter_and_can_be_off():
    params = faces(1)[torch.zeros(40, dtype=torch.long)]
    noise = 0.005 * torch.randn(40, 6, generator=torch.Generator().manual_seed(3))
    noisy = dataclasses.replace(params, pose=params.pose + noise)
    calm = steadied(noisy, 1.5)
    assert calm.pose.diff(dim=0).std() < 0.5 * noisy.pose.diff(dim=0).std()
    assert torch.equal(steadied(noisy, 0).pose, noisy.pose)


def test_cuts_part_the_film_unless_the_published_way_is_asked_for(stack):
    one, other = picture(1), picture(7)
    frames = [one, one - 10, other, other - 10, one - 5]
    motion = stack().target_motion(frames, 25.0, 256)
    assert motion.shot.tolist() == [0, 0, 1, 1, 2]
    assert motion.found.all()
    published = stack(dataclasses.replace(CONFIG, compat=True)).target_motion(frames, 25.0, 256)
    assert published.num_cuts == 0
    assert not published.crop_followed.any()
