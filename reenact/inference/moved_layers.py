"""Moved layers of source photos: where rendering starts, and the finished pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from reenact.face.batch import FaceBatch
from reenact.face.person_mask import PersonMask
from reenact.face.sampling import sample_patches
from reenact.face.stack import FaceModel
from reenact.face.surface.layer_field import LayerField
from reenact.face.surface.motion_field import resampled
from reenact.inference.canvas import SourceView
from reenact.inference.layered import draft, layered
from reenact.inference.layers import Layers, make_layers

FIELD_SIZE = 256
"""The motion of layers is drawn with at most this many pixels for the side of the face crop. For
larger pictures it is enlarged.
"""


def photo_layers(
    face: FaceModel[Any], view: SourceView, faces: FaceBatch, size: int, device: torch.device
) -> tuple[Layers, ...]:
    """The layers of B photos.

    view: B rows. faces: B faces as the view's crop of side `size` shows them.
    """
    rows = [view[i : i + 1] for i in range(len(view))]
    canvas = view.canvas
    side = round(canvas.size * min(1, max(size, FIELD_SIZE) / (size * canvas.zoom)))
    layers = []
    for i, row in enumerate(rows):
        picture = resampled(row.inner(row.picture[:, :3]), side).to(device)
        cut = (resampled(row.cut, side) > 0.5).to(picture)
        source = face.layer_source(faces[i], size, canvas.resized(side), picture, cut)
        layers.append(make_layers(row, source))
    return tuple(layers)


@dataclass(frozen=True, kw_only=True)
class MovedLayers:
    """The layers of source photos, and their motion to the B pictures to be made.

    layers, fields: one of each for every picture; or a single one of each for all pictures. All
        canvases have D pixels, and all fields R.
    """

    layers: Sequence[Layers]
    fields: Sequence[LayerField]

    def drafts(self, size: int) -> Tensor:
        """The face crops (B, 3, size, size) of the moved person over the plate, without networks.

        What the source hides of a face is as on the other half of the face.
        """
        crops = []
        for layers, field in zip(self.layers, self.fields, strict=True):
            picture = draft(layers, field)[:, :3]
            matrix = layers.canvas.resized(picture.shape[-1]).crop_from_frame[:2].copy()
            matrix[:, :2] *= layers.face.size
            place = picture.new_tensor(matrix).expand(len(picture), -1, -1)
            crops.append(sample_patches(picture, place, size))
        return torch.cat(crops)

    def __getitem__(self, rows: Sequence[int]) -> MovedLayers:
        """The layers of these pictures."""
        if len(self.fields) == 1:
            return MovedLayers(layers=self.layers, fields=[self.fields[0][list(rows)]])
        layers = self.layers if len(self.layers) == 1 else [self.layers[i] for i in rows]
        return MovedLayers(layers=layers, fields=[self.fields[i] for i in rows])

    @property
    def drawn_rows(self) -> list[int]:
        """The pictures in which the networks' pictures have a part: a part of a face is hidden, or
        the head turns far.
        """
        is_drawn = [(field.hidden + field.behind).flatten(1).any(1) for field in self.fields]
        return torch.cat(is_drawn).nonzero().flatten().tolist()

    def composed(self, images: Tensor, net: PersonMask) -> Tensor:
        """The finished pictures (B, 3, D, D) from the networks' pictures (B, 3, S, S).

        net: finds the people in the networks' pictures where a head turns far.
        """
        counts = [len(field.grid) for field in self.fields]
        people: Sequence[Tensor | None] = [None] * len(counts)
        if any(bool(field.behind.any()) for field in self.fields):
            people = net.of_crops(images).split(counts)
        parts = zip(images.split(counts), self.layers, self.fields, people, strict=True)
        return torch.cat([layered(*part) for part in parts])

    def decided(self) -> Tensor:
        """How much of each pixel of the moved person the networks' pictures decide: (B, 1, D, D)
        in [0, 1].
        """
        size = self.layers[0].canvas.size
        parts = [torch.maximum(field.hidden, field.slanted) for field in self.fields]
        return resampled(torch.cat(parts), size)
