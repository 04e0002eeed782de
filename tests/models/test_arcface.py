"""ArcFace: published names, alignment, gradients, and files that are refused."""

import pytest
import torch
from torch import nn

from diffae import CheckpointError
from reenact.errors import UserError
from reenact.models.arcface import ArcFace, IResNet50

# 112 x 112 template of the literature, counted from the centre of the first pixel
TEMPLATE = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)


@pytest.fixture(scope="module")
def net() -> IResNet50:
    """Random weights whose norms know their inputs, so that the code is not all bias."""
    torch.manual_seed(0)
    net = IResNet50()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            module.momentum = None
    with torch.no_grad():
        net.train()(torch.randn(4, 3, 112, 112))
    return net.eval()


def test_it_has_the_published_names_and_size(net: IResNet50) -> None:
    names = set(net.state_dict())
    assert sum(p.numel() for p in net.parameters()) / 1e6 == pytest.approx(43.59, abs=0.005)
    assert len([n for n in names if n.endswith("conv1.weight")]) == 1 + 3 + 4 + 14 + 3
    assert {
        "prelu.weight",
        "layer1.0.downsample.0.weight",
        "layer3.13.bn3.running_var",
        "layer4.2.prelu.weight",
        "fc.bias",
        "features.running_mean",
    } <= names
    assert not any(n.startswith("layer2.1.downsample") for n in names)


def test_a_face_on_the_template_is_not_resampled(net: IResNet50) -> None:
    picture = torch.rand(2, 3, 112, 112) * 2 - 1
    points = (torch.tensor(TEMPLATE) + 0.5).expand(2, 5, 2)
    arcface = ArcFace.from_tensors(net.state_dict())
    own = arcface(picture, points)
    torch.testing.assert_close(own, nn.functional.normalize(net(picture)), rtol=1e-4, atol=1e-5)
    # where the picture lies in a larger one does not matter
    larger = nn.functional.pad(picture, (30, 10, 20, 4))
    moved = arcface(larger, points + torch.tensor([30.0, 20.0]))
    torch.testing.assert_close(moved, own, rtol=1e-3, atol=1e-4)


def test_gradients_reach_the_picture_and_nothing_else(net: IResNet50) -> None:
    picture = (torch.rand(1, 3, 112, 112) * 2 - 1).requires_grad_()
    arcface = ArcFace.from_tensors(net.state_dict())
    arcface(picture, (torch.tensor(TEMPLATE) + 0.5)[None])[0, 0].backward()
    assert picture.grad is not None
    assert picture.grad.abs().max() > 0
    assert not any(p.requires_grad for p in arcface.parameters())


def test_a_file_is_read_with_and_without_counters(net: IResNet50, tmp_path) -> None:
    tensors = {n: t.half() for n, t in net.state_dict().items() if "num_batches" not in n}
    torch.save(tensors, tmp_path / "backbone.pth")
    read = ArcFace.from_file(tmp_path / "backbone.pth").net.state_dict()
    assert torch.equal(read["fc.weight"], tensors["fc.weight"].float())


def test_missing_and_foreign_files_are_one_line_with_the_origin(net: IResNet50, tmp_path) -> None:
    with pytest.raises(
        UserError, match=r"identity_weights is not set; arcface needs .*InsightFace"
    ):
        ArcFace.from_file(None)
    with pytest.raises(UserError, match=r"none\.pth: no such file; .*non-commercial use"):
        ArcFace.from_file(tmp_path / "none.pth")
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"other\.pth: not an iresnet50 .*missing"):
        ArcFace.from_file(tmp_path / "other.pth")
    (tmp_path / "damaged.pth").write_bytes(b"PK half a file")
    with pytest.raises(CheckpointError, match=r"damaged\.pth"):
        ArcFace.from_file(tmp_path / "damaged.pth")
