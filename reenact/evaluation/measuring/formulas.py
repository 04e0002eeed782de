"""The formulas of the metrics: numbers of pictures, embeddings and face parameters.

Images are float (B, 3, H, W) in [-1, 1]. ↑ means that more is better, ↓ that less is better.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from reenact.device import exact

PSNR_CAP = 100.0  # decibels, reached by equal images: keeps means finite
SSIM_SIGMA, SSIM_RADIUS = 1.5, 5
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2
OUTER_EYE_CORNERS = (36, 45)  # of the 68 landmarks


def l1(prediction: Tensor, reference: Tensor) -> Tensor:
    """Mean absolute difference ↓ on the [0, 1] scale (half of that of the [-1, 1] images). (B,)."""
    return (prediction - reference).abs().mean(dim=(1, 2, 3)) / 2


def l1_in(prediction: Tensor, reference: Tensor, region: Tensor) -> Tensor:
    """`l1` over a region (B, H, W), how much of each pixel counts. (B,); 0 for an empty region."""
    difference = (prediction - reference).abs().mean(1) / 2
    return (difference * region).sum((1, 2)) / region.sum((1, 2)).clamp(min=1e-6)


def psnr(prediction: Tensor, reference: Tensor) -> Tensor:
    """Peak signal-to-noise ratio ↑ in decibels over all channels, at most PSNR_CAP. (B,)."""
    mse = ((prediction - reference) / 2).square().mean(dim=(1, 2, 3))
    return -10 * mse.clamp_min(10 ** (-PSNR_CAP / 10)).log10()


def ssim(prediction: Tensor, reference: Tensor) -> Tensor:
    """Structural similarity ↑, at most 1 (Wang et al. 2004). (B,).

    Gaussian window of 11×11 pixels with sigma 1.5, on RGB in [0, 1], averaged over the positions
    where the whole window lies inside the picture, then over the channels. Images must be at
    least 11 pixels wide and high.
    """
    a, b = (exact(prediction) + 1) / 2, (exact(reference) + 1) / 2
    offsets = torch.arange(-SSIM_RADIUS, SSIM_RADIUS + 1).to(a)
    window = torch.exp(-0.5 * (offsets / SSIM_SIGMA) ** 2)
    window = window / window.sum()

    def blur(x: Tensor) -> Tensor:
        x = x.flatten(0, 1).unsqueeze(1)
        return functional.conv2d(
            functional.conv2d(x, window.view(1, 1, 1, -1)), window.view(1, 1, -1, 1)
        )

    mean_a, mean_b = blur(a), blur(b)
    var_a = blur(a * a) - mean_a**2
    var_b = blur(b * b) - mean_b**2
    covariance = blur(a * b) - mean_a * mean_b
    score = ((2 * mean_a * mean_b + SSIM_C1) * (2 * covariance + SSIM_C2)) / (
        (mean_a**2 + mean_b**2 + SSIM_C1) * (var_a + var_b + SSIM_C2)
    )
    return score.view(len(a), -1).mean(1).to(prediction)


def csim(prediction: Tensor, source: Tensor) -> Tensor:
    """Cosine ↑ of two identity embeddings (B, D), in [-1, 1]. (B,).

    The second embedding is always the source's, in self and in cross pairs alike: the source is
    the only picture of the person that the method has seen.
    """
    return functional.cosine_similarity(prediction, source, dim=1)


def apd(prediction: Tensor, reference: Tensor) -> Tensor:
    """Average pose distance ↓: mean |Δ| of yaw, pitch and roll in degrees. (B,).

    Rotations (B, 3) in radians; differences are taken the short way round.
    """
    difference = prediction - reference
    difference = torch.remainder(difference + math.pi, 2 * math.pi) - math.pi
    return torch.rad2deg(difference.abs()).mean(1)


def aed(prediction: Tensor, reference: Tensor) -> Tensor:
    """Average expression distance ↓: 100 × mean |Δ| of the expression coefficients. (B,).

    Coefficients (B, 52) in [0, 1], so the unit is per cent of a coefficient's range. (The FOMM
    family calls another number AED: an identity distance.)
    """
    return 100 * (prediction - reference).abs().mean(1)


def gaze_direction(gaze: Tensor) -> Tensor:
    """(B, 2) yaw and pitch in radians, relative to the head, to unit directions (B, 3).

    The third axis points at the camera: rot_y(yaw) rot_x(pitch) applied to (0, 0, 1).
    """
    yaw, pitch = gaze.unbind(1)
    return torch.stack([yaw.sin() * pitch.cos(), -pitch.sin(), yaw.cos() * pitch.cos()], 1)


def gaze_error(prediction: Tensor, reference: Tensor) -> Tensor:
    """Angle ↓ in degrees between two gaze directions, each relative to its own head. (B,).

    Gazes (B, 2) yaw, pitch in radians. The head's own turn is `apd`'s business.
    """
    a, b = gaze_direction(exact(prediction)), gaze_direction(exact(reference))
    # atan2 keeps small angles exact, where the arc cosine loses half of the digits.
    angle = torch.atan2(torch.linalg.cross(a, b).norm(dim=1), (a * b).sum(1))
    return torch.rad2deg(angle).to(prediction)


def nme(prediction: Tensor, reference: Tensor) -> Tensor:
    """Normalised mean error ↓ of landmarks (B, 68, 2), in per cent of the inter-ocular distance.

    The inter-ocular distance is that of the reference's outer eye corners in the picture. (B,).
    """
    left, right = OUTER_EYE_CORNERS
    interocular = (reference[:, left] - reference[:, right]).norm(dim=1)
    return 100 * (prediction - reference).norm(dim=2).mean(1) / interocular


def correlation(x: Tensor, y: Tensor) -> float | None:
    """Pearson's correlation ↑ of two (N,) series; None below 3 points or for a constant series."""
    if len(x) < 3:
        return None
    x, y = exact(x) - exact(x).mean(), exact(y) - exact(y).mean()
    scale = x.norm() * y.norm()
    if scale < 1e-12:
        return None
    return float((x * y).sum() / scale)
