"""The source's own detail, moved into the result (ours). It is for crops without their photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from reenact.face.surface.motion_field import MotionField, filled, warp
from reenact.inference.smoothing import smooth

FINE = 1 / 32
"""On the head, details smaller than this share of the image side come from the moved source.
Coarser content, above all the light, comes from the networks.
"""
AGREEMENT = 0.07
"""Beside the head the result is the moved source if the networks draw the same picture there for
the source and for the result. A difference of this much, of values in [-1, 1], is not the same.
"""
AGREEMENT_REACH = 3 / 256
"""The difference is averaged over this share of the image side."""
LEAST_WEIGHT = 0.02


@dataclass(frozen=True, kw_only=True)
class SourceDetail:
    """What is moved into the result, for B sources.

    source: the source pictures (B, 3, S, S) in [-1, 1].
    lost: the source pictures minus the networks' rendering of them with their own motion. It is
        what the networks cannot draw.
    """

    source: Tensor
    lost: Tensor

    def __getitem__(self, rows: slice | list[int]) -> SourceDetail:
        return SourceDetail(source=self.source[rows], lost=self.lost[rows])

    @classmethod
    def cat(cls, details: Sequence[SourceDetail]) -> SourceDetail:
        """The sources of several details (at least one) as one."""
        return cls(
            source=torch.cat([detail.source for detail in details]),
            lost=torch.cat([detail.lost for detail in details]),
        )


def with_detail(images: Tensor, detail: SourceDetail, field: MotionField) -> Tensor:
    """The networks' pictures (B, 3, S, S) with the source's own detail, moved by `field`.

    On the head the source gives the details that are smaller than `FINE`. What the networks lose of
    the source is added, smoothed. Where the field is not sure, the result is the moved source if
    the networks agree. Without any motion the result is the source itself.
    """
    source, lost = warp(detail.source, field), warp(detail.lost, field)
    missing = filled(source, field) - images
    on_head = missing + smooth(lost - missing, field.sure, FINE, least_weight=LEAST_WEIGHT)
    agreed = _agreement(images, source - lost)
    beside = field.untorn * (1 - field.unknown) * agreed * missing
    return images + field.sure * on_head + (1 - field.sure) * beside


def _agreement(images: Tensor, moved: Tensor) -> Tensor:
    """How much two pictures (B, 3, S, S) agree at each pixel: (B, 1, S, S), 1 for equal ones."""
    everywhere = torch.ones_like(images[:, :1])
    difference = smooth(images - moved, everywhere, AGREEMENT_REACH, least_weight=LEAST_WEIGHT)
    return torch.exp(-(difference.abs().mean(1, keepdim=True) / AGREEMENT).square())
