"""The head's shape below hair and hats."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from reenact.data.synthetic.head_asset import (
    EARS,
    SCALP_AXES,
    SCALP_CENTRE,
    HeadAsset,
)
from reenact.data.synthetic.imaging import smoothstep


class Scalp:
    """The head's shape below the hair, as a radius around SCALP_CENTRE in every direction."""

    def __init__(self, asset: HeadAsset, vertices: np.ndarray) -> None:
        near = (asset.head_weight > 0.9) & (asset.scalp_polar < 1.9) & (asset.masks[:, EARS] < 0.2)
        self._asset = asset
        self._moved = (vertices - asset.mean)[near]
        self._tree = cKDTree(asset.mean[near])

    def polar(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Azimuth, polar angle and distance of points (..., 3)."""
        offset = points - SCALP_CENTRE
        distance = np.linalg.norm(offset, axis=-1) + 1e-9
        up, forward, side = SCALP_AXES
        polar = np.arccos(np.clip(offset @ up / distance, -1, 1))
        return np.arctan2(offset @ side, offset @ forward), polar, distance

    def radius(self, azimuth: np.ndarray, polar: np.ndarray) -> np.ndarray:
        """Distance of the mean head's skin from SCALP_CENTRE, for angles in radians."""
        return self._asset.sample_scalp_radius(azimuth, polar)

    def pushed_out(self, points: np.ndarray, clearance: np.ndarray) -> np.ndarray:
        """Points (N, 3) at least `clearance` (N,) outside of the mean head."""
        azimuth, polar, distance = self.polar(points)
        least = self.radius(azimuth, polar) + clearance
        factor = np.maximum(1.0, least / distance)[:, None]
        return SCALP_CENTRE + (points - SCALP_CENTRE) * factor

    def pulled_in(self, points: np.ndarray, most: np.ndarray) -> np.ndarray:
        """Points (N, 3) at most `most` (N,) outside of the mean head.

        Points below the ears stay where they are.
        """
        azimuth, polar, distance = self.polar(points)
        factor = np.minimum(1.0, (self.radius(azimuth, polar) + most) / distance)[:, None]
        inside = SCALP_CENTRE + (points - SCALP_CENTRE) * factor
        high = smoothstep(-0.75, -0.25, points[:, 1])[:, None]
        return points * (1 - high) + inside * high

    def follow_identity(self, points: np.ndarray) -> np.ndarray:
        """How far the identity moves points (N, 3) near the mean head."""
        distance, index = self._tree.query(points, 6)
        weight = 1 / (distance + 0.05) ** 2
        weight /= weight.sum(1, keepdims=True)
        return (self._moved[index] * weight[..., None]).sum(1)
