"""Fréchet distances of two sets of features, in float64: the last step of FID and FVD."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from reenact.device import exact
from reenact.media.images import image_from_frame


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Squared Fréchet distance ↓ of the Gaussians fitted to features a (N, D) and b (M, D).

    |mean_a - mean_b|² + tr(C_a + C_b - 2 (C_a C_b)^½) with the unbiased covariances (Heusel et al.
    2017). Each set needs at least 2 rows. With fewer rows than columns the covariances are singular
    and the number is too large. Compare only numbers from equally many rows.
    """
    if min(len(a), len(b)) < 2:
        raise ValueError(f"a Fréchet distance needs 2 samples a side, got {len(a)} and {len(b)}")
    a, b = exact(a), exact(b)
    factor_a, factor_b = _factor(a), _factor(b)
    # With C = F^T F, the trace of the root is the sum of the singular values of F_a F_b^T. This
    # avoids the root of a matrix that is not symmetric, and it also works for singular covariances.
    root = torch.linalg.svdvals(factor_a @ factor_b.mT).sum()
    traces = factor_a.square().sum() + factor_b.square().sum()
    return max(0.0, float((a.mean(0) - b.mean(0)).square().sum() + traces - 2 * root))


def video_features(frames: Tensor) -> Tensor:
    """Features of one video from those of its frames (T, D), T at least 2: (2 D,).

    The mean over time, and the mean size of the change from frame to frame.
    """
    return torch.cat([frames.mean(0), frames.diff(dim=0).abs().mean(0)])


def windows(frames: Sequence[np.ndarray], length: int) -> Iterator[Tensor]:
    """Whole windows of frames, one after the other: (1, 3, length, S, S) in [-1, 1]."""
    for start in range(0, len(frames) - length + 1, length):
        images = image_from_frame(np.stack(frames[start : start + length]))
        yield images.permute(1, 0, 2, 3).unsqueeze(0)


def _factor(features: Tensor) -> Tensor:
    """A matrix F with F^T F = covariance, with as few rows as possible."""
    centred = (features - features.mean(0)) / (len(features) - 1) ** 0.5
    if len(centred) <= centred.shape[1]:
        return centred
    values, vectors = torch.linalg.eigh(centred.mT @ centred)
    return values.clamp_min(0).sqrt()[:, None] * vectors.mT
