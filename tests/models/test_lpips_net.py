"""LPIPS against the formula of the paper and published distances."""

import urllib.error
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from reenact.errors import UserError
from reenact.models import lpips_net
from reenact.models.lpips_net import LpipsNet
from reenact.models.perceptual import gram_distance

pytest.importorskip("lpips")
torchvision_models = pytest.importorskip("torchvision.models")
GOLDEN = Path(__file__).resolve().parents[1] / "golden/lpips"
MEAN, STD = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


@pytest.fixture(scope="module")
def trunk() -> nn.Module:
    torch.manual_seed(0)
    return torchvision_models.alexnet(weights=None).eval()


@pytest.fixture(scope="module")
def net(trunk: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> LpipsNet:
    path = tmp_path_factory.mktemp("lpips") / "alexnet.pth"
    torch.save(trunk.state_dict(), path)
    return LpipsNet("alex", path)


def test_the_distance_is_the_papers(net: LpipsNet, trunk: nn.Module) -> None:
    """Eq. 1 of the paper with the trunk's own layers and the published linear weights."""
    a, b = torch.rand(2, 2, 3, 64, 64) * 2 - 1
    shift, scale = (torch.tensor(v)[:, None, None] for v in (MEAN, STD))
    expected = torch.zeros(2)
    maps = [(a - shift) / scale, (b - shift) / scale]
    first = 0
    for index, last in enumerate((2, 5, 8, 10, 12)):
        maps = [trunk.features[first:last](m) for m in maps]
        unit = [m / (m.norm(dim=1, keepdim=True) + 1e-10) for m in maps]
        weight = net.net.lins[index].model[-1].weight[0]
        expected += ((unit[0] - unit[1]).square() * weight).sum(1).mean((1, 2))
        first = last
    torch.testing.assert_close(net.distance(a, b), expected)
    assert expected.min() > 0


def test_equal_pictures_have_no_distance_and_gradients_flow(net: LpipsNet) -> None:
    a = torch.rand(2, 3, 64, 64) * 2 - 1
    assert net.distance(a, a).abs().max() == 0
    maps = net.features(a)
    assert gram_distance(maps, maps).abs().max() == 0
    other = (a + 0.1 * torch.randn_like(a)).requires_grad_()
    other_maps = net.features(other)
    (net.distance_of(other_maps, maps) + gram_distance(other_maps, maps)).sum().backward()
    assert other.grad is not None
    assert torch.isfinite(other.grad).all()
    assert other.grad.abs().max() > 0
    assert not any(p.requires_grad for p in net.parameters())


def test_missing_weights_are_one_line_with_file_and_origin(tmp_path, monkeypatch) -> None:
    with pytest.raises(UserError, match=r"none\.pth: no such file; lpips_vgg needs https://"):
        LpipsNet("vgg", tmp_path / "none.pth")
    torch.save({"features.0.bias": torch.zeros(64)}, tmp_path / "half.pth")
    with pytest.raises(UserError, match=r"lack 'features\.0\.weight'; expected https://"):
        LpipsNet("alex", tmp_path / "half.pth")

    def offline(*args: object, **kwargs: object) -> None:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(lpips_net.torch.hub, "download_url_to_file", offline)
    with pytest.raises(UserError, match=r"cannot download .*vgg16-397923af\.pth.*hub"):
        LpipsNet("vgg")


def test_the_shipped_alexnet_gives_the_published_distances() -> None:
    """Golden numbers of the published LPIPS 0.1; float16 weights change them by 3e-4."""
    golden = load_file(GOLDEN / "alex.safetensors")
    net = LpipsNet("alex")
    for other in ("b", "c"):
        distance = net.distance(golden["a"], golden[other])
        torch.testing.assert_close(distance, golden[f"alex_a{other}"], rtol=3e-4, atol=0)
