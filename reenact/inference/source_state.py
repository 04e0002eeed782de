"""What is computed once per source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from reenact.inference.carried import SourceDetail
from reenact.inference.layers import Layers


@dataclass(frozen=True, kw_only=True)
class SourceState:
    """What is computed once per source, for B sources.

    params: B faces in the terms of the crop.
    image: (B, 3, S, S) in [-1, 1].
    x_T: (B, 3, S, S), or None where it depends on the motion and is made for each frame.
    detail: the source's own detail, if it is carried and there are no layers.
    layers: the source photo in layers; then B = 1.
    """

    params: Any
    image: Tensor
    x_T: Tensor | None
    detail: SourceDetail | None = None
    layers: Layers | None = None

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, rows: slice | list[int]) -> SourceState:
        return SourceState(
            params=self.params[rows],
            image=self.image[rows],
            x_T=None if self.x_T is None else self.x_T[rows],
            detail=None if self.detail is None else self.detail[rows],
            layers=self.layers,
        )

    @classmethod
    def cat(cls, states: Sequence[SourceState]) -> SourceState:
        """The sources of several states (at least one, none with layers) as one."""
        starts = [state.x_T for state in states if state.x_T is not None]
        details = [state.detail for state in states if state.detail is not None]
        return cls(
            params=type(states[0].params).cat([state.params for state in states]),
            image=torch.cat([state.image for state in states]),
            x_T=torch.cat(starts) if starts else None,
            detail=SourceDetail.cat(details) if details else None,
        )

    def matching(self, rows: slice) -> SourceState:
        """The state for these targets: one source serves all, several sources go row by row."""
        return self if len(self) == 1 else self[rows]
