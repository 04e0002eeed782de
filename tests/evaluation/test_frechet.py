import numpy as np
import pytest
import scipy.linalg
import torch
from torch import nn

from reenact.evaluation.measuring.frechet import frechet_distance, video_features


def by_scipy(a: torch.Tensor, b: torch.Tensor) -> float:
    """The formula with scipy's root of a matrix."""
    x, y = a.double().numpy(), b.double().numpy()
    root = scipy.linalg.sqrtm(np.cov(x, rowvar=False) @ np.cov(y, rowvar=False))
    mean = np.square(x.mean(0) - y.mean(0)).sum()
    return mean + np.trace(np.cov(x, rowvar=False) + np.cov(y, rowvar=False) - 2 * root.real)


@pytest.mark.parametrize(("rows", "columns"), [(200, 12), (40, 39), (500, 64)])
def test_agrees_with_scipy(rows, columns):
    mix = torch.randn(columns, columns)
    a, b = torch.randn(rows, columns) @ mix, 0.7 * torch.randn(rows + 9, columns) + 0.3
    assert frechet_distance(a, b) == pytest.approx(by_scipy(a, b), rel=1e-9)


def test_agrees_with_torchmetrics():
    image = pytest.importorskip("torchmetrics.image.fid")

    class Flat(nn.Module):
        num_features = 12

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.flatten(1).float() / 255

    a, b = (torch.randint(0, high, (150, 3, 2, 2), dtype=torch.uint8) for high in (255, 200))
    fid = image.FrechetInceptionDistance(feature=Flat(), normalize=False)
    fid.set_dtype(torch.float64)
    fid.update(a, real=True)
    fid.update(b, real=False)
    ours = frechet_distance(Flat()(a), Flat()(b))
    assert ours == pytest.approx(fid.compute().item(), rel=1e-5)


def test_gaussians_on_axes_have_a_closed_form():
    rows = torch.randn(400, 3).double()
    rows = rows - rows.mean(0)
    rows = rows @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(rows.T))).T  # unit covariance
    shift, scale = torch.tensor([1.0, -2.0, 0.5]).double(), torch.tensor([2.0, 0.5, 3.0]).double()
    expected = shift.square().sum() + (scale - 1).square().sum()
    assert frechet_distance(rows, rows * scale + shift) == pytest.approx(expected.item(), rel=1e-9)


def test_a_set_has_no_distance_from_itself_also_with_few_rows():
    for shape in ((5, 300), (300, 5)):
        a = torch.randn(shape)
        # Directions in which nothing varies cost half of float64's digits.
        assert frechet_distance(a, a.flip(0)) == pytest.approx(0, abs=1e-6)


def test_few_rows_agree_with_the_formula_in_the_space_they_span():
    basis = torch.linalg.qr(torch.randn(50, 6).double())[0]
    a, b = torch.randn(20, 6).double(), torch.randn(30, 6).double() * 2 + 1
    inside = frechet_distance(a, b)
    assert frechet_distance(a @ basis.T, b @ basis.T) == pytest.approx(inside, rel=1e-9)


def test_one_row_has_no_covariance():
    with pytest.raises(ValueError, match="needs 2 samples a side, got 1 and 4"):
        frechet_distance(torch.zeros(1, 3), torch.zeros(4, 3))


def test_video_features_see_appearance_and_change():
    still, moving = torch.ones(4, 3), torch.tensor([[0.0], [2.0], [0.0], [2.0]]).expand(4, 3)
    torch.testing.assert_close(video_features(still), torch.tensor([1.0] * 3 + [0.0] * 3))
    torch.testing.assert_close(video_features(moving), torch.tensor([1.0] * 3 + [2.0] * 3))
