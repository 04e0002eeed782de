"""Differences of angles."""

import torch
from torch import Tensor


def angle_difference_deg(a: Tensor, b: Tensor) -> Tensor:
    """|a - b| in degrees, the short way round."""
    half = 180.0
    return (torch.remainder(a - b + half, 2 * half) - half).abs()
