"""The person mask against the LiteRT runtime, analytic cases and a picture with a known outline."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from reenact.face.crop import FaceCrop
from reenact.face.person_mask import PersonMask, guided_filter
from reenact.media.images import image_from_frame

GOLDEN = Path(__file__).resolve().parents[1] / "golden/tracker"


@pytest.fixture(scope="module")
def net() -> PersonMask:
    return PersonMask()


@pytest.fixture(scope="module")
def person() -> Tensor:
    """A rendered person (1, 3, 256, 256)."""
    with Image.open(GOLDEN / "person.png") as picture:
        return image_from_frame(np.array(picture.convert("RGB")))


def test_mask_matches_litert(net: PersonMask, person: Tensor) -> None:
    with np.load(GOLDEN / "person_mask.npz") as golden:
        blocks = torch.from_numpy(golden["blocks"]).permute(2, 0, 1)[None] / 127.5 - 1
        blocks = blocks.repeat_interleave(16, 2).repeat_interleave(16, 3)
        for images, key in ((blocks, "blocks_person"), (person, "demo_person")):
            expected = torch.from_numpy(golden[key])[None, None]
            torch.testing.assert_close(net(images)[..., ::4, ::4], expected, atol=3e-4, rtol=0)


def test_guided_filter_keeps_what_is_linear_in_the_colours() -> None:
    guide = torch.rand(2, 3, 24, 30, generator=torch.Generator().manual_seed(0))
    mask = guide @ torch.eye(30) * torch.tensor([0.2, 0.5, 0.1])[:, None, None]
    mask = mask.sum(1, keepdim=True) + 0.1
    torch.testing.assert_close(guided_filter(guide, mask, 4, 1e-7), mask, atol=1e-3, rtol=0)


def test_guided_filter_without_edges_is_a_mean() -> None:
    flat, mask = torch.full((1, 3, 9, 9), 0.4), torch.zeros(1, 1, 9, 9)
    mask[..., 4, 4] = 1
    smooth = guided_filter(flat, mask, 1, 1e-4)
    expected = torch.outer(*[torch.tensor([0, 0, 1, 2, 3, 2, 1, 0, 0]) / 9] * 2)
    torch.testing.assert_close(smooth[0, 0], expected, atol=1e-5, rtol=0)


def test_the_person_of_a_small_crop_is_the_same(net: PersonMask, person: Tensor) -> None:
    small = torch.nn.functional.interpolate(person, (128, 128), mode="bilinear", antialias=True)
    mask, probability = net.of_crops(small.repeat(2, 1, 1, 1)), net(person)
    assert mask.shape == (2, 1, 128, 128)
    assert mask.min() >= 0
    assert mask.max() <= 1
    expected = torch.nn.functional.avg_pool2d((probability > 0.5).float(), 2)
    assert (mask[1:] - expected).abs().mean() < 0.02


def test_the_person_of_a_photo_is_found_at_any_place(net: PersonMask, person: Tensor) -> None:
    """The photo in a larger one: the same mask, and none of the rest."""
    crop = FaceCrop(crop_from_frame=np.diag([1.0, 1.0, 1.0]), size=256)
    alone = net.of_photo(person, crop)
    assert alone[0, 0, 128, 128] == 1
    assert alone[0, 0, 0, 0] == alone[0, 0, 0, -1] == 0
    # The wall goes on around the photo as the window's border does.
    large = torch.nn.functional.pad(person, (60, 40, 20, 0), mode="replicate")
    moved = FaceCrop(crop_from_frame=np.array([[1.0, 0, -60], [0, 1, -20], [0, 0, 1]]), size=256)
    again = net.of_photo(large, moved)
    assert again.shape == (1, 1, 276, 356)
    difference = (again[..., 20:, 60:316] - alone).abs()
    assert difference[..., 10:-10, 10:-10].max() < 0.05
