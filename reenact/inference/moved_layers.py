"""Moved layers of source photos: where rendering starts, and the finished pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from reenact.face.sampling import sample_patches
from reenact.face.surface.layer_field import LayerField
from reenact.inference.layers import Layers, draft, layered


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
            picture = draft(layers, field)
            matrix = layers.canvas.resized(picture.shape[-1]).crop_from_frame[:2].copy()
            matrix[:, :2] *= layers.face.size
            place = picture.new_tensor(matrix).expand(len(picture), -1, -1)
            crops.append(sample_patches(picture, place, size))
        return torch.cat(crops)

    def composed(self, images: Tensor) -> Tensor:
        """The finished pictures (B, 3, D, D) from the networks' pictures (B, 3, S, S)."""
        rows = images.split([len(field.grid) for field in self.fields])
        parts = zip(rows, self.layers, self.fields, strict=True)
        return torch.cat([layered(*part) for part in parts])

    def hidden(self) -> Tensor:
        """(B, 1, R, R): how much of each pixel the networks' pictures decide."""
        return torch.cat([field.hidden for field in self.fields])
