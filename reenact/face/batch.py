"""The base of all batches of face parameters, whichever head model they belong to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor


class FaceBatch(ABC):
    """Base of frozen dataclasses whose fields are float tensors with the batch as first axis.

    `WIDTHS` names the fields and gives the shape of one face in each.
    """

    WIDTHS: ClassVar[Mapping[str, tuple[int, ...]]]

    def __post_init__(self) -> None:
        for name, width in self.WIDTHS.items():
            shape = tuple(getattr(self, name).shape)
            assert shape == (len(self), *width), f"{name}: {shape}, batch {len(self)}"

    def __len__(self) -> int:
        return int(getattr(self, next(iter(self.WIDTHS))).shape[0])

    def __getitem__(self, index: int | slice | Sequence[int] | np.ndarray | Tensor) -> Self:
        """The chosen faces, always as a batch: an int gives a batch of one."""
        if isinstance(index, int | np.integer):
            at = int(index)
            if not -len(self) <= at < len(self):
                raise IndexError(f"face {at} of {len(self)}")
            index = slice(at, at + 1 if at != -1 else None)
        elif not isinstance(index, slice):
            device = getattr(self, next(iter(self.WIDTHS))).device
            index = torch.as_tensor(index, device=device)
        return type(self)(**{name: value[index] for name, value in self.tensors().items()})

    @abstractmethod
    def head_angles_deg(self) -> Tensor:
        """(B, 3) yaw, pitch and roll in degrees; signs and zero are the head model's own."""

    def tensors(self) -> dict[str, Tensor]:
        """The fields by name."""
        return {name: getattr(self, name) for name in self.WIDTHS}

    def to(self, device: torch.device | str | torch.dtype) -> Self:
        return type(self)(**{name: value.to(device) for name, value in self.tensors().items()})

    def detach(self) -> Self:
        return type(self)(**{name: value.detach() for name, value in self.tensors().items()})

    def numpy(self) -> dict[str, np.ndarray]:
        return {name: value.detach().cpu().numpy() for name, value in self.tensors().items()}

    @classmethod
    def from_numpy(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """Inverse of `numpy`. Other keys of `arrays` are ignored."""
        return cls(
            **{n: torch.from_numpy(np.array(arrays[n], dtype=np.float32)) for n in cls.WIDTHS}
        )

    @classmethod
    def cat(cls, parts: Sequence[Self]) -> Self:
        return cls(**{n: torch.cat([getattr(p, n) for p in parts]) for n in cls.WIDTHS})
