"""Fréchet distances of two sets of features, in float64: what FID and FVD are made of."""

import torch
from torch import Tensor


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Squared Fréchet distance ↓ of the Gaussians fitted to features a (N, D) and b (M, D).

    |mean_a - mean_b|² + tr(C_a + C_b - 2 (C_a C_b)^½) with the unbiased covariances (Heusel et al.
    2017). At least 2 rows each. With fewer rows than columns the covariances are singular and the
    number is too large: compare only numbers of equally many rows.
    """
    if min(len(a), len(b)) < 2:
        raise ValueError(f"a Fréchet distance needs 2 samples a side, got {len(a)} and {len(b)}")
    a, b = a.double(), b.double()
    factor_a, factor_b = _factor(a), _factor(b)
    # With C = F^T F the trace of the root is the sum of the singular values of F_a F_b^T: no root
    # of a matrix that is not symmetric, and nothing to repair when a covariance is singular.
    root = torch.linalg.svdvals(factor_a @ factor_b.mT).sum()
    traces = factor_a.square().sum() + factor_b.square().sum()
    return max(0.0, float((a.mean(0) - b.mean(0)).square().sum() + traces - 2 * root))


def video_features(frames: Tensor) -> Tensor:
    """Features of one video from those of its frames (T, D), T at least 2: (2 D,).

    The mean over time, and the mean size of the change from frame to frame.
    """
    return torch.cat([frames.mean(0), frames.diff(dim=0).abs().mean(0)])


def _factor(features: Tensor) -> Tensor:
    """F with F^T F = covariance, with as few rows as it takes."""
    centred = (features - features.mean(0)) / (len(features) - 1) ** 0.5
    if len(centred) <= centred.shape[1]:
        return centred
    values, vectors = torch.linalg.eigh(centred.mT @ centred)
    return values.clamp_min(0).sqrt()[:, None] * vectors.mT
