"""What is drawn for the networks. Training and inference draw the same."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from reenact.face.batch import FaceBatch
from reenact.face.stack import FaceModel
from reenact.face.surface.motion_field import MotionField
from reenact.inference.layers import Layers
from reenact.inference.moved_layers import MovedLayers


class Drawings:
    """Drawings of B pairs of a source face and the wanted face.

    They have no gradients, and they are float32 whatever the number format of a training step.
    Motion fields take time: they are drawn once, when they are asked for.
    """

    def __init__(
        self,
        face: FaceModel[Any],
        source: FaceBatch,
        target: FaceBatch,
        *,
        size: int,
        device: torch.device,
        layers: Sequence[Layers] | None = None,
    ) -> None:
        """
        Args:
            source: B faces, or one for all.
            target: B faces, whose identity is not used.
            size: the side S of the crops in whose pixels the faces are given.
            device: where the drawings are needed.
            layers: those of the sources' photos, if there are some: B, or one for all.
        """
        self.face, self.source, self.size, self.device = face, source, size, device
        self.wanted = face.retarget(source, target)
        self.layers = layers
        self._field: MotionField | None = None
        self._moved: MovedLayers | None = None

    def __getitem__(self, rows: Sequence[int]) -> Drawings:
        """The drawings of these pairs."""
        rows, part = list(rows), copy.copy(self)
        part.wanted = self.wanted[rows]
        part.source = self.source if len(self.source) == 1 else self.source[rows]
        if self.layers is not None and len(self.layers) > 1:
            part.layers = [self.layers[i] for i in rows]
        part._field = None
        part._moved = None if self._moved is None else self._moved[rows]
        return part

    def landmark_map(self, *, of_source: bool = False) -> Tensor:
        """The drawing (B, 3, S, S) of the source person with the target's motion.

        of_source: the source as it is.
        """
        with self._exact():
            params = self.source if of_source else self.wanted
            return self.face.landmark_map(params, self.size).to(self.device)

    def motion(self, *, of_source: bool = False) -> Tensor:
        """The motion vector (B, 120) from the source to the target, for E_r's motion head.

        of_source: from the source to itself.
        """
        with self._exact():
            wanted = self.source if of_source else self.wanted
            return self.face.motion_vector(self.source, wanted, self.size)

    def head_region(self) -> Tensor:
        """Where the source's head and hair are: (B, 1, S, S) in [0, 1]."""
        with self._exact():
            return self.face.head_region(self.source, self.size).to(self.device)

    def motion_field(self) -> MotionField:
        """The motion from the wanted picture back to the source, of side S."""
        if self._field is None:
            with self._exact():
                self._field = self.face.motion_field(self.source, self.wanted, self.size, self.size)
        return self._field

    def moved_layers(self) -> MovedLayers:
        """The layers of the sources' photos with the wanted motion."""
        assert self.layers is not None
        if self._moved is None:
            sources = [layers.face for layers in self.layers]
            with self._exact():
                if len(sources) == 1:
                    fields = [self.face.layer_field(sources[0], self.wanted)]
                else:
                    fields = [
                        self.face.layer_field(s, self.wanted[i]) for i, s in enumerate(sources)
                    ]
            self._moved = MovedLayers(layers=self.layers, fields=fields)
        return self._moved

    @contextmanager
    def _exact(self) -> Iterator[None]:
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            yield
