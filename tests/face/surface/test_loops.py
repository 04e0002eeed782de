"""Compiled loops on the CPU give what torch's own functions give."""

import pytest
import torch
import torch.nn.functional as F

from reenact.face import box
from reenact.face.box import box_max, box_mean
from reenact.face.surface import continuation
from reenact.face.surface.continuation import filled_in

SIZES = [(1, 1), (3, 2), (7, 12), (33, 64), (65, 50)]


@pytest.fixture
def without_loops(monkeypatch: pytest.MonkeyPatch):
    def use_torch() -> None:
        for module in (box, continuation):
            monkeypatch.setattr(module, "takes_loops", lambda image: False)

    return use_torch


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("radius", [1, 4, 40])
def test_box_functions_agree_with_torch(size, radius, without_loops):
    if radius > min(size):
        radius = min(size)
    image = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    # a part of a larger tensor: its rows do not follow each other in memory
    image = F.pad(image, (2, 1))[..., 2:-1]
    ours = box_mean(image, radius), box_max(image, radius)
    without_loops()
    torch.testing.assert_close(ours[0], box_mean(image, radius), atol=1e-6, rtol=0)
    assert torch.equal(ours[1], box_max(image, radius))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("share", [0.0, 0.05, 0.6, 1.0])
def test_filling_agrees_with_torch(size, share, without_loops):
    generator = torch.Generator().manual_seed(0)
    value = torch.randn(2, 3, *size, generator=generator)
    known = (torch.rand(2, 1, *size, generator=generator) < share).float()
    ours = filled_in(value, known, 5)
    without_loops()
    torch.testing.assert_close(ours, filled_in(value, known, 5), atol=1e-5, rtol=0)
    assert torch.equal(torch.where(known > 0, ours, 0), torch.where(known > 0, value, 0))


def test_gradients_pass_through_the_box_functions():
    image = torch.randn(1, 1, 5, 5, requires_grad=True)
    (box_mean(image, 1).sum() + box_max(image, 1).sum()).backward()
    assert image.grad is not None
    assert torch.isfinite(image.grad).all()
