"""What of the source reaches the result, on fields and pictures made by hand."""

import pytest
import torch

from reenact.face.surface.motion_field import MotionField, pixel_centres
from reenact.inference.carried import SourceDetail, with_detail

SIZE = 128


def still_field(sure: torch.Tensor) -> MotionField:
    one = torch.ones(1, 1, SIZE, SIZE)
    grid = pixel_centres(SIZE, torch.device("cpu")).permute(0, 2, 3, 1)
    return MotionField(grid=grid, seen=one, sure=sure * one, fill=torch.zeros(1, 4, SIZE, SIZE))


def detail_of(source: torch.Tensor, autoencoded: torch.Tensor) -> SourceDetail:
    return SourceDetail(source=source, lost=source - autoencoded)


def stripes(period: int) -> torch.Tensor:
    wave = torch.sin(2 * torch.pi * torch.arange(SIZE) / period)
    return 0.3 * wave.expand(1, 3, SIZE, SIZE)


def test_on_the_head_fine_features_are_the_sources_and_light_the_networks():
    autoencoded, networks = (torch.full((1, 3, SIZE, SIZE), value) for value in (-0.5, 0.4))
    field, inner = still_field(torch.ones(1)), (..., slice(16, -16))
    fine = with_detail(networks, detail_of(stripes(4) - 0.5, autoencoded), field)
    torch.testing.assert_close(fine[inner], (networks + stripes(4))[inner], atol=1e-3, rtol=0)
    lost = with_detail(networks, detail_of(stripes(64) - 0.5, autoencoded), field)
    torch.testing.assert_close(lost[inner], (networks + stripes(64))[inner], atol=0.02, rtol=0)


def test_beside_the_head_the_source_stays_where_the_networks_see_no_change():
    """Left half: as they drew the source. Right half: something else is there now."""
    source, autoencoded = stripes(4), torch.zeros(1, 3, SIZE, SIZE)
    networks = autoencoded.clone()
    networks[..., SIZE // 2 :] = 0.5
    detail = detail_of(source, autoencoded)
    drawn = with_detail(networks, detail, still_field(torch.zeros(1)))
    edge, reach = SIZE // 2, 8
    torch.testing.assert_close(drawn[..., : edge - reach], source[..., : edge - reach])
    torch.testing.assert_close(drawn[..., edge + reach :], networks[..., edge + reach :])


@pytest.mark.parametrize("sure", [0.0, 0.4, 1.0])
def test_without_any_change_the_source_comes_back(sure):
    source = torch.rand(1, 3, SIZE, SIZE) * 2 - 1
    autoencoded = torch.rand(1, 3, SIZE, SIZE) * 2 - 1
    detail = detail_of(source, autoencoded)
    drawn = with_detail(autoencoded, detail, still_field(torch.full((1,), sure)))
    torch.testing.assert_close(drawn, source, atol=1e-3, rtol=0)


def test_several_sources_are_put_together_and_chosen():
    pictures = torch.rand(3, 3, 8, 8)
    detail = detail_of(pictures, torch.zeros(3, 3, 8, 8))
    again = SourceDetail.cat([detail[[0]], detail[1:]])
    assert again.source.equal(pictures)
    assert again.lost.equal(detail.lost)
