"""The perceptual net: distances behave as eyes do."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from reenact.models.perceptual import POOLED_SIZE, PerceptualNet, gram_distance


@pytest.fixture(scope="module")
def net() -> PerceptualNet:
    return PerceptualNet()


@pytest.fixture(scope="module")
def photo() -> Tensor:
    frame = pytest.importorskip("skimage.data").astronaut()[16:240, 112:336, :3]
    return torch.tensor(frame / 127.5 - 1).float().permute(2, 0, 1)[None]


def _blur(image: Tensor, sigma: float) -> Tensor:
    x = torch.arange(-12.0, 13.0)
    kernel = torch.exp(-((x / sigma) ** 2) / 2)
    kernel = (kernel / kernel.sum()).expand(3, 1, 1, 25)
    padded = F.pad(image, (12, 12, 12, 12), mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel, groups=3), kernel.mT, groups=3)


def test_classifier_trunk_shapes(net: PerceptualNet, photo: Tensor) -> None:
    shapes = [tuple(m.shape[1:]) for m in net.features(photo)]
    assert shapes == [(16, 112, 112), (24, 56, 56), (40, 28, 28), (112, 14, 14), (320, 7, 7)]
    assert net.pooled(photo).shape == (1, POOLED_SIZE)
    assert not any(p.requires_grad for p in net.parameters())


def style(net: PerceptualNet, a: Tensor, b: Tensor) -> Tensor:
    return gram_distance(net.features(a), net.features(b))


@pytest.mark.parametrize("measure", [PerceptualNet.distance, style])
def test_distance_grows_with_blur_and_noise(net: PerceptualNet, photo: Tensor, measure) -> None:
    distance = partial(measure, net)
    noise = torch.randn(photo.shape)
    blurred = [distance(photo, _blur(photo, s)).item() for s in (0.5, 1, 2, 4)]
    noisy = [distance(photo, photo + s * noise).item() for s in (0.04, 0.1, 0.2, 0.4)]
    assert distance(photo, photo).item() == 0
    assert 0 < blurred[0] < blurred[1] < blurred[2] < blurred[3]
    assert 0 < noisy[0] < noisy[1] < noisy[2] < noisy[3]


def test_distance_is_symmetric_and_batched(net: PerceptualNet, photo: Tensor) -> None:
    a = torch.cat([photo, photo.flip(3)])
    b = torch.cat([_blur(photo, 1), photo])
    both = net.distance(a, b)
    assert both.shape == (2,)
    torch.testing.assert_close(both, net.distance(b, a))
    torch.testing.assert_close(both[:1], net.distance(a[:1], b[:1]), rtol=1e-3, atol=1e-5)


def test_style_does_not_see_shifts(net: PerceptualNet, photo: Tensor) -> None:
    shifted = photo.roll(32, 3)
    blurred = _blur(photo, 2)
    assert style(net, photo, shifted) < 0.3 * style(net, photo, blurred)
    assert net.distance(photo, shifted) > net.distance(photo, blurred)


@pytest.mark.parametrize("size", [32, 50, 64])
def test_gradients_flow_at_any_size(net: PerceptualNet, photo: Tensor, size: int) -> None:
    image = F.interpolate(photo, (size, size), mode="bilinear", antialias=True)
    noisy = (image + 0.1 * torch.randn(image.shape)).requires_grad_()
    (net.distance(noisy, image) + style(net, noisy, image)).sum().backward()
    assert noisy.grad is not None
    assert noisy.grad.isfinite().all()
    step = noisy.grad / noisy.grad.norm() * 0.05
    with torch.no_grad():
        assert net.distance(noisy - step, image) < net.distance(noisy, image)


def test_gradient_of_equal_images_is_zero(net: PerceptualNet, photo: Tensor) -> None:
    image = photo[..., :64, :64].clone().requires_grad_()
    net.distance(image, photo[..., :64, :64]).sum().backward()
    assert image.grad is not None
    assert image.grad.abs().max() == 0
