"""What is computed once per source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from reenact.inference.layers import Layers


@dataclass(frozen=True, kw_only=True)
class SourceState:
    """What is computed once per source, for B sources.

    params: B faces in the terms of the crop.
    image: (B, 3, S, S) in [-1, 1].
    x_T: (B, 3, S, S), or None where it depends on the motion and is made for each frame.
    layers: the B source photos in layers; None where results are not composed of layers.
    """

    params: Any
    image: Tensor
    x_T: Tensor | None
    layers: tuple[Layers, ...] | None = None

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, rows: slice | list[int]) -> SourceState:
        return SourceState(
            params=self.params[rows],
            image=self.image[rows],
            x_T=None if self.x_T is None else self.x_T[rows],
            layers=None if self.layers is None else self._layers(rows),
        )

    def _layers(self, rows: slice | list[int]) -> tuple[Layers, ...]:
        assert self.layers is not None
        return self.layers[rows] if isinstance(rows, slice) else tuple(self.layers[i] for i in rows)

    @classmethod
    def cat(cls, states: Sequence[SourceState]) -> SourceState:
        """The sources of several states (at least one, all of one reenactor) as one."""
        starts = [state.x_T for state in states if state.x_T is not None]
        layers = [state.layers for state in states if state.layers is not None]
        return cls(
            params=type(states[0].params).cat([state.params for state in states]),
            image=torch.cat([state.image for state in states]),
            x_T=torch.cat(starts) if starts else None,
            layers=sum(layers, ()) if layers else None,
        )

    def matching(self, rows: slice | list[int]) -> SourceState:
        """The state for these targets: one source serves all, several sources go row by row."""
        return self if len(self) == 1 else self[rows]
