import math

import numpy as np
import pytest
import torch

from reenact.evaluation.measuring import formulas
from reenact.models.lpips_net import LpipsNet


def images(count: int = 2, size: int = 24) -> torch.Tensor:
    return torch.rand(count, 3, size, size) * 2 - 1


def test_l1_of_a_constant_shift():
    a = torch.zeros(2, 3, 8, 8)
    b = a + torch.tensor([0.5, -0.2]).view(2, 1, 1, 1)
    torch.testing.assert_close(formulas.l1(a, b), torch.tensor([0.25, 0.1]))


def test_psnr_of_a_constant_shift_and_of_equal_images():
    a = torch.zeros(2, 3, 8, 8)
    b = torch.stack([a[0] + 0.2, a[1]])  # .1 on the [0, 1] scale: 20 dB
    torch.testing.assert_close(formulas.psnr(a, b), torch.tensor([20.0, formulas.PSNR_CAP]))


def test_psnr_falls_by_six_decibels_when_the_error_doubles():
    a, noise = images(), torch.randn(2, 3, 24, 24) * 0.01
    fall = formulas.psnr(a, a + noise) - formulas.psnr(a, a + 2 * noise)
    torch.testing.assert_close(fall, torch.full((2,), 20 * math.log10(2)))


def test_ssim_of_equal_and_of_constant_images():
    a = images()
    torch.testing.assert_close(formulas.ssim(a, a), torch.ones(2))
    x, y = 0.3, 0.7  # constant images: only the luminance term is left
    expected = (2 * x * y + 0.01**2) / (x * x + y * y + 0.01**2)
    shape = (1, 3, 16, 16)
    score = formulas.ssim(torch.full(shape, 2 * x - 1), torch.full(shape, 2 * y - 1))
    torch.testing.assert_close(score, torch.tensor([expected]))


def test_ssim_agrees_with_scikit_image():
    skimage = pytest.importorskip("skimage.metrics")
    a = images(3, 32)
    b = (a + 0.3 * torch.randn_like(a)).clamp(-1, 1)
    b[2] = -a[2]
    expected = [
        skimage.structural_similarity(
            (x.permute(1, 2, 0).double().numpy() + 1) / 2,
            (y.permute(1, 2, 0).double().numpy() + 1) / 2,
            data_range=1.0,
            channel_axis=2,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for x, y in zip(a, b, strict=True)
    ]
    np.testing.assert_allclose(formulas.ssim(a, b).numpy(), expected, atol=1e-6)


def test_agrees_with_torchmetrics():
    reference = pytest.importorskip("torchmetrics.functional")
    image = pytest.importorskip("torchmetrics.functional.image")
    a = images(5, 40).double()
    b = (a + 0.4 * torch.randn_like(a)).clamp(-1, 1)
    options = {"data_range": (-1.0, 1.0), "reduction": "none"}
    expected = image.peak_signal_noise_ratio(b, a, dim=(1, 2, 3), **options)
    torch.testing.assert_close(formulas.psnr(b, a), expected)
    # Its own mean takes in the mirrored border, that of the paper only whole windows.
    _, scores = image.structural_similarity_index_measure(
        (b + 1) / 2, (a + 1) / 2, data_range=1.0, return_full_image=True
    )
    torch.testing.assert_close(formulas.ssim(b, a), scores[..., 5:-5, 5:-5].mean((1, 2, 3)))
    torch.testing.assert_close(
        formulas.l1(b, a).mean(), reference.mean_absolute_error(b, a) / 2, atol=1e-7, rtol=0
    )
    x, y = torch.randn(2, 4, 32)
    torch.testing.assert_close(
        formulas.csim(x, y), reference.cosine_similarity(x, y, reduction="none")
    )
    pearson = reference.pearson_corrcoef(x[0].double(), y[0].double())
    assert formulas.correlation(x[0], y[0]) == pytest.approx(pearson.item())


def test_csim_is_the_cosine():
    a = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    b = torch.tensor([[2.0, 0.0], [-1.0, 0.0], [0.0, 3.0]])
    torch.testing.assert_close(formulas.csim(a, b), torch.tensor([1.0, -1.0, math.sqrt(0.5)]))


def test_apd_averages_degrees_and_goes_the_short_way_round():
    a = torch.deg2rad(torch.tensor([[3.0, -6.0, 0.0], [0.0, 0.0, 179.0]]))
    b = torch.deg2rad(torch.tensor([[0.0, 0.0, 9.0], [0.0, 0.0, -178.0]]))
    torch.testing.assert_close(formulas.apd(a, b), torch.tensor([6.0, 1.0]), atol=1e-4, rtol=0)


def test_aed_is_one_hundred_times_the_mean_difference():
    a, b = torch.zeros(1, 52), torch.zeros(1, 52)
    b[0, 7], b[0, 30] = 0.26, -0.26
    torch.testing.assert_close(formulas.aed(a, b), torch.tensor([1.0]))


def test_gaze_error_is_the_angle_between_directions():
    a = torch.tensor([[0.0, 0.0], [0.1, 0.0], [0.0, -0.2], [0.4, 0.3], [0.0, 1e-5]])
    b = torch.tensor([[0.0, 0.0], [0.3, 0.0], [0.0, 0.1], [0.4, 0.3], [0.0, 0.0]])
    expected = torch.tensor([0.0, math.degrees(0.2), math.degrees(0.3), 0.0, math.degrees(1e-5)])
    torch.testing.assert_close(formulas.gaze_error(a, b), expected, atol=1e-6, rtol=1e-4)


def test_gaze_direction_is_the_third_axis_of_the_rotation():
    from reenact.face.params import rotation_matrix

    gaze = torch.tensor([[0.3, -0.2], [-0.5, 0.4]])
    rotation = torch.cat([gaze, torch.zeros(2, 1)], 1)
    torch.testing.assert_close(
        formulas.gaze_direction(gaze), rotation_matrix(rotation)[:, :, 2], atol=1e-6, rtol=0
    )


def test_nme_of_a_shift_is_relative_to_the_outer_eye_corners():
    reference = torch.rand(1, 68, 2) * 40
    reference[0, 36], reference[0, 45] = torch.tensor([10.0, 20.0]), torch.tensor([40.0, 60.0])
    shift = torch.tensor([3.0, 4.0])  # 5 pixels, of an inter-ocular distance of 50
    torch.testing.assert_close(formulas.nme(reference + shift, reference), torch.tensor([10.0]))


def test_nme_does_not_change_with_the_size_of_the_picture():
    reference, prediction = torch.rand(2, 68, 2) * 64, torch.rand(2, 68, 2) * 64
    torch.testing.assert_close(
        formulas.nme(prediction, reference), formulas.nme(4 * prediction, 4 * reference)
    )


def test_correlation():
    x = torch.tensor([1.0, 2.0, 4.0, 8.0])
    assert formulas.correlation(x, 3 * x + 5) == pytest.approx(1)
    assert formulas.correlation(x, -x) == pytest.approx(-1)
    expected = np.corrcoef(x.numpy(), [2, 1, 5, 3])[0, 1]
    assert formulas.correlation(x, torch.tensor([2.0, 1, 5, 3])) == pytest.approx(expected)
    assert formulas.correlation(x, torch.ones(4)) is None
    assert formulas.correlation(x[:2], x[:2]) is None


def test_regions_count_their_own_pixels_alone():
    a, b = images(2), images(2)
    halves = torch.zeros(2, 2, *a.shape[-2:])
    halves[:, 0, : a.shape[-2] // 2], halves[:, 1, a.shape[-2] // 2 :] = 1, 1
    parts = [formulas.l1_in(a, b, halves[:, k]) for k in (0, 1)]
    torch.testing.assert_close(sum(parts) / 2, formulas.l1(a, b))
    top = slice(a.shape[-2] // 2)
    torch.testing.assert_close(parts[0], formulas.l1(a[..., top, :], b[..., top, :]))
    assert formulas.l1_in(a, b, torch.zeros_like(halves[:, 0])).abs().max() == 0


def test_lpips_of_the_whole_picture_is_that_of_its_only_region():
    net, a, b = LpipsNet("alex"), torch.rand(2, 3, 64, 64) * 2 - 1, torch.rand(2, 3, 64, 64) * 2 - 1
    regions = torch.zeros(2, 2, 64, 64)
    regions[:, 0] = 1
    regions[:, 1, :, 32:] = 1
    whole, right = net.distances_in(a, b, regions).unbind(1)
    torch.testing.assert_close(whole, net.distance(a, b), atol=1e-5, rtol=1e-4)
    same = net.distances_in(a, torch.cat([b[..., :32], a[..., 32:]], -1), regions)[:, 1]
    assert (same < 0.3 * right).all(), "a change outside of a region hardly counts in it"


def test_results_do_not_depend_on_the_batch():
    a, b = images(4), images(4)
    for metric in (formulas.l1, formulas.psnr, formulas.ssim):
        single = torch.cat([metric(x[None], y[None]) for x, y in zip(a, b, strict=True)])
        torch.testing.assert_close(metric(a, b), single)
