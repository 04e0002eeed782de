"""Detector of the released pipeline: golden numbers, and stub networks on drawn pictures."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from diffae import CheckpointError
from reenact.errors import UserError
from reenact.face.released import fan_points, s3fd_boxes
from reenact.face.released.landmarks import (
    LandmarkDetector,
    build_networks,
    load_weights,
    same_face,
)

Golden = Callable[[str], Any]
FACE_LEVEL = 3  # of the stub detector: stride 32, anchors of 128 px


class BrightCell(nn.Module):
    """A stub of S3FD: a face of 128 px around the brightest cell of 32 px, unless all is black."""

    def forward(self, pixels: Tensor) -> list[Tensor]:
        maps = []
        for level in range(6):
            stride = 4 << level
            bright = F.max_pool2d(pixels[:, :1], stride, ceil_mode=True)
            face = torch.full_like(bright, -9.0)
            if level == FACE_LEVEL:
                top = bright.amax((2, 3), keepdim=True)
                face = torch.where((bright == top) & (top > 1), 3.0, face)
            maps += [torch.cat([torch.zeros_like(face), face], 1), face.new_zeros(face.shape)]
            maps[-1] = maps[-1].repeat(1, 4, 1, 1)
        return maps


class BrightPoint(nn.Module):
    """A stub of FAN whose heatmaps are the crop's brightness."""

    def forward(self, crops: Tensor) -> list[Tensor]:
        heatmap = F.avg_pool2d(crops[:, :1], 4)
        return [torch.zeros_like(heatmap), heatmap.expand(-1, 68, -1, -1)]


@pytest.fixture
def stub() -> LandmarkDetector:
    return LandmarkDetector(BrightCell(), BrightPoint())


def _picture(height: int, width: int, x: int, y: int) -> Tensor:
    """Black with a white disc around pixel (x, y)."""
    rows, columns = torch.meshgrid(
        torch.arange(float(height)), torch.arange(float(width)), indexing="ij"
    )
    distance = torch.hypot(rows - y, columns - x)
    return (1 - distance / 4).clamp(0, 1).expand(3, -1, -1) * 2 - 1


def test_crop_geometry_matches_the_golden_numbers(golden: Golden) -> None:
    data = golden("fan_s3fd")
    centres, scales = fan_points.centres_and_scales(data["boxes"][:, :4])
    assert torch.equal(centres, data["center_scale"][:, :2])
    assert torch.equal(scales, data["center_scale"][:, 2])
    corners = fan_points.corners(centres, scales)
    assert torch.equal(corners[:, 0], data["crop_ul"])
    assert torch.equal(corners[:, 1], data["crop_br"])


def _check_points(data: dict[str, Tensor]) -> None:
    points = fan_points.peaks(data["heatmaps_f16"].float())
    assert torch.equal(points, data["heatmap_points"])
    centres, scales = fan_points.centres_and_scales(data["boxes"][:1, :4])
    in_picture = fan_points.to_picture(points, centres, scales, 64)
    assert torch.equal(in_picture.float(), data["landmarks"])


def test_points_of_heatmaps_match_the_golden_numbers(golden: Golden) -> None:
    _check_points(golden("fan_s3fd"))


def test_points_of_all_68_heatmaps_match_the_golden_numbers(shared: Path) -> None:
    _check_points(load_file(shared / "golden/diffusionact/fan_s3fd.safetensors"))


def test_boxes_match_the_golden_numbers(golden: Golden) -> None:
    data = golden("fan_s3fd")
    boxes = s3fd_boxes.decode_boxes(data["decode_loc"], data["decode_prior"])
    assert torch.equal(boxes, data["decode_box"])
    assert torch.equal(s3fd_boxes.suppress(data["nms_dets"], 0.3), data["nms_keep"])


def test_overlap_counts_both_ends_of_a_box() -> None:
    # 10 x 10 pixels each, 5 columns shared: 50 / 150. Without the "+1" it would be 36 / 126 < 0.3.
    dets = torch.tensor([[0.0, 0, 9, 9, 0.9], [5.0, 0, 14, 9, 0.8]])
    assert s3fd_boxes.suppress(dets, 0.3).tolist() == [0]
    assert s3fd_boxes.suppress(dets, 0.34).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("cell", "neighbours", "point"),
    [
        ((5, 7), {}, (5.5, 7.5)),
        ((5, 7), {(6, 7): 0.5, (5, 6): 0.5}, (5.75, 7.25)),
        ((0, 7), {(1, 7): 0.5, (0, 8): 0.5}, (0.5, 7.5)),  # a border: not moved, along y neither
        ((63, 63), {(62, 63): 0.5}, (63.5, 63.5)),
        ((5, 7), {(9, 9): 1.0}, (5.5, 7.5)),  # the first of two maxima
    ],
)
def test_peak_moves_a_quarter_towards_the_higher_neighbour(
    cell: tuple[int, int],
    neighbours: dict[tuple[int, int], float],
    point: tuple[float, float],
) -> None:
    heatmap = torch.zeros(1, 1, 64, 64)
    for (x, y), value in {cell: 1.0, **neighbours}.items():
        heatmap[0, 0, y, x] = value
    assert fan_points.peaks(heatmap)[0, 0].tolist() == list(point)


@pytest.mark.parametrize("corner", [(-100, -30), (200, 50), (300, 300), (-400, 0)])
def test_crop_is_zero_outside_the_picture(corner: tuple[int, int]) -> None:
    picture = torch.rand(3, 200, 240) + 1
    left, top = corner
    corners = torch.tensor([[left, top], [left + 256, top + 256]])
    crop = fan_points.crop(picture, corners, antialias=True)
    rows = torch.arange(256) + top
    columns = torch.arange(256) + left
    inside = ((rows >= 0) & (rows < 200))[:, None] & ((columns >= 0) & (columns < 240))
    assert crop.shape == (3, 256, 256)
    assert torch.equal(crop[0] > 0, inside)
    padded = F.pad(picture, (400, 400, 400, 400))
    expected = padded[:, top + 400 : top + 656, left + 400 : left + 656]
    torch.testing.assert_close(crop, expected, rtol=1e-6, atol=0)


def test_boxes_beyond_reason_are_no_faces() -> None:
    maps = BrightCell()(torch.full((1, 3, 256, 256), 255.0))
    best = s3fd_boxes.faces(maps, 256, 256)[0]
    assert len(best) > 1
    assert best[0, 4] == pytest.approx(1 / (1 + torch.e**-3), abs=1e-6)
    for size in (100.0, -100.0, torch.inf, torch.nan):
        for locations in maps[1::2]:
            locations[:, 2:] = size
        assert s3fd_boxes.faces(maps, 256, 256)[0].shape == (0, 5)


@pytest.mark.parametrize(
    ("size", "at"),
    [
        ((256, 256), (130, 120)),
        ((256, 256), (3, 250)),  # the crop reaches over two borders
        ((640, 360), (300, 600)),
        ((97, 131), (60, 50)),  # sides that no stride divides
    ],
)
def test_point_comes_back_where_it_was_drawn(
    stub: LandmarkDetector, size: tuple[int, int], at: tuple[int, int]
) -> None:
    result = stub.detect(_picture(*size, *at)[None])
    assert result.points.shape == (1, 68, 2)
    assert torch.equal(result.points, result.points.trunc())
    # A cell of the heatmap is about two pixels; half of it, the truncation and the crop's shift.
    assert (result.points[0] - torch.tensor(at)).abs().max() <= 3


def test_batch_equals_one_by_one_with_a_picture_without_face(stub: LandmarkDetector) -> None:
    black = torch.full((3, 256, 256), -1.0)
    images = torch.stack([_picture(256, 256, 60, 70), black, _picture(256, 256, 200, 140)])
    together = stub.detect(images)
    assert together.found.tolist() == [True, False, True]
    assert together.points[1].isnan().all()
    for i, image in enumerate(images):
        alone = stub.detect(image[None])
        assert alone.found[0] == together.found[i]
        torch.testing.assert_close(
            alone.points[0], together.points[i], rtol=0, atol=0, equal_nan=True
        )


def test_a_video_stays_with_its_face() -> None:
    boxes = torch.tensor([[100.0, 10, 140, 50], [10, 10, 50, 50], [60, 60, 64, 64]])
    faces = torch.cat([boxes, torch.tensor([[0.9], [0.8], [0.7]])], 1)
    assert same_face(faces, torch.tensor([14.0, 12, 54, 52])) == 1
    assert same_face(faces, torch.tensor([200.0, 200, 220, 220])) == 0
    assert same_face(faces, torch.full((4,), torch.nan)) == 0


def test_no_face_at_all(stub: LandmarkDetector) -> None:
    result = stub.detect(torch.full((2, 3, 64, 64), -1.0))
    assert not result.found.any()
    assert result.points.shape == (2, 68, 2)


def test_a_picture_too_small_is_named(stub: LandmarkDetector) -> None:
    with pytest.raises(UserError, match="40 x 15 px is too small"):
        stub.detect(torch.zeros(1, 3, 15, 40))


def _relative(value: Tensor, reference: Tensor) -> float:
    return float((value - reference).abs().max() / reference.abs().max())


def test_networks_match_the_golden_numbers(
    golden: Golden, fill_state: Callable[..., dict[str, Tensor]]
) -> None:
    data = golden("detector_nets")
    pixels = data["image_u8"].permute(2, 0, 1)[None].float()
    s3fd, fan = (net.eval() for net in build_networks())
    s3fd.load_state_dict(fill_state(s3fd, "s3fd:"))
    fan.load_state_dict(fill_state(fan, "fan:"))
    with torch.no_grad():
        maps, heatmaps = s3fd(pixels), fan(pixels / 255)
    for i, value in enumerate(maps):
        kept = value[..., ::4, ::4] if i < 4 else value
        assert _relative(kept, data[f"s3fd_{i}"]) < 5e-5, i
    points = data.get("fan_points", torch.arange(68))  # the cut in the repository has some
    assert _relative(heatmaps[0][:, points, ::8, ::8], data["fan_first_sub8"]) < 5e-5
    assert _relative(heatmaps[-1][:, points, ::4, ::4], data["fan_last_sub4"]) < 5e-5
    assert torch.equal(heatmaps[-1].flatten(2).argmax(-1), data["fan_last_argmax"])


def test_keys_are_those_of_the_released_files(golden: Golden) -> None:
    keys = golden("keys.json")
    for net, name in zip(build_networks(), ("s3fd", "fan_2dfan4"), strict=True):
        shapes = {key: list(value.shape) for key, value in net.state_dict().items()}
        assert shapes == keys[name]


def _small_net() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


@pytest.mark.parametrize("wrapped", [False, True])
def test_weights_come_with_or_without_wrapping(tmp_path: Path, wrapped: bool) -> None:
    net, path = _small_net(), tmp_path / "net.pth"
    state = dict(net.state_dict())
    del state["1.num_batches_tracked"]  # as in files older than the count
    prefixed = {f"module.{key}": value for key, value in state.items()}
    torch.save({"state_dict": prefixed, "epoch": 3} if wrapped else state, path)
    other = _small_net()
    load_weights(other, path, "a small network")
    for key, value in net.state_dict().items():
        assert torch.equal(other.state_dict()[key], value), key


def test_another_networks_file_is_refused_in_one_line(tmp_path: Path) -> None:
    state = _small_net().state_dict()
    state["extra.weight"] = state.pop("0.weight")
    state["1.bias"] = torch.zeros(7)
    path = tmp_path / "net.pth"
    torch.save(state, path)
    with pytest.raises(CheckpointError, match="1 missing") as caught:
        load_weights(_small_net(), path, "a small network")
    message = str(caught.value)
    assert "\n" not in message
    for part in (str(path), "a small network", "0.weight", "extra.weight", "1.bias"):
        assert part in message
    torch.save([1, 2], path)
    with pytest.raises(CheckpointError, match="no table of tensors"):
        load_weights(_small_net(), path, "a small network")


def test_missing_and_damaged_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "s3fd.pth"
    with pytest.raises(CheckpointError, match="s3fd"):
        LandmarkDetector.from_files(path, tmp_path / "fan.pth.tar", "cpu")
    torch.save(_small_net().state_dict(), path)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(CheckpointError, match="s3fd"):
        LandmarkDetector.from_files(path, tmp_path / "fan.pth.tar", "cpu")
