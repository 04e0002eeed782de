"""A face in the terms of EMOCA and FLAME."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

_WIDTHS = {"shape": 100, "expression": 50, "pose": 6, "cam": 3, "gaze": 2}


@dataclass(frozen=True, kw_only=True, eq=False)
class FlameParams:
    """A batch of faces; every field is a float tensor (B, width).

    shape (100) and expression (50): FLAME coefficients; pose (6): global and jaw rotation as axis
    times angle in radians; cam (3): scale, t_x, t_y of the orthographic camera in the EMOCA crop;
    gaze (2): pitch, yaw in radians, in the normalised eye picture.
    """

    shape: Tensor
    expression: Tensor
    pose: Tensor
    cam: Tensor
    gaze: Tensor

    def __post_init__(self) -> None:
        for name, width in _WIDTHS.items():
            got = tuple(getattr(self, name).shape)
            assert got == (len(self), width), f"{name}: {got}, batch {len(self)}"

    def __len__(self) -> int:
        return int(self.shape.shape[0])

    def __getitem__(self, index: int | slice | Sequence[int] | np.ndarray | Tensor) -> FlameParams:
        """The chosen faces, always as a batch: an int gives a batch of one."""
        if isinstance(index, int | np.integer):
            at = int(index)
            if not -len(self) <= at < len(self):
                raise IndexError(f"face {at} of {len(self)}")
            index = slice(at, at + 1 if at != -1 else None)
        elif not isinstance(index, slice):
            index = torch.as_tensor(index, device=self.shape.device)
        return FlameParams(**{name: value[index] for name, value in self.tensors().items()})

    def tensors(self) -> dict[str, Tensor]:
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def to(self, device: torch.device | str | torch.dtype) -> FlameParams:
        return FlameParams(**{name: value.to(device) for name, value in self.tensors().items()})

    def numpy(self) -> dict[str, np.ndarray]:
        return {name: value.detach().cpu().numpy() for name, value in self.tensors().items()}

    @classmethod
    def from_numpy(cls, arrays: Mapping[str, np.ndarray]) -> FlameParams:
        """Inverse of `numpy`; further keys of `arrays` are ignored."""
        return cls(**{n: torch.from_numpy(np.array(arrays[n], dtype=np.float32)) for n in _WIDTHS})

    @classmethod
    def cat(cls, parts: Sequence[FlameParams]) -> FlameParams:
        return cls(**{n: torch.cat([getattr(p, n) for p in parts]) for n in _WIDTHS})


def retarget(source: FlameParams, target: FlameParams) -> FlameParams:
    """Shape from the source (one, or as many as targets); expression, pose, camera and gaze from
    the target, as published.
    """
    return replace(target, shape=source.shape.to(target.shape).expand(len(target), -1))


def retarget_relative(
    source: FlameParams, target: FlameParams, neutral: FlameParams
) -> FlameParams:
    """The source face moved as the target moved away from its own `neutral` frame (ours).

    Head rotations are composed, jaw, expression and gaze are added, the camera's scale changes by
    the same factor and its shift by the same part of a head. A target equal to `neutral` gives the
    source itself.
    """
    count = len(target)
    source, neutral = source.to(target.shape.device), neutral.to(target.shape.device)
    head = [matrix_from_axis_angle(p.pose[:, :3]) for p in (source, target, neutral)]
    turned = head[1] @ head[2].transpose(1, 2) @ head[0]
    jaw = source.pose[:, 3:] + target.pose[:, 3:] - neutral.pose[:, 3:]
    zoom = source.cam[:, :1] * target.cam[:, :1] / neutral.cam[:, :1]
    shift = source.cam[:, 1:] + target.cam[:, 1:] - neutral.cam[:, 1:]
    return FlameParams(
        shape=source.shape.expand(count, -1),
        expression=source.expression + target.expression - neutral.expression,
        pose=torch.cat([axis_angle_from_matrix(turned), jaw], 1),
        cam=torch.cat([zoom, shift], 1),
        gaze=source.gaze + target.gaze - neutral.gaze,
    )


def matrix_from_axis_angle(vector: Tensor) -> Tensor:
    """(B, 3) axis times angle in radians -> rotations (B, 3, 3)."""
    zero = torch.zeros_like(vector[:, 0])
    x, y, z = vector.unbind(1)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).view(-1, 3, 3)
    return torch.linalg.matrix_exp(cross)


def axis_angle_from_matrix(matrix: Tensor) -> Tensor:
    """Inverse of `matrix_from_axis_angle` for angles below pi: (B, 3, 3) -> (B, 3)."""
    m = matrix
    twice_axis = torch.stack(
        [m[:, 2, 1] - m[:, 1, 2], m[:, 0, 2] - m[:, 2, 0], m[:, 1, 0] - m[:, 0, 1]], 1
    )
    sine = twice_axis.norm(dim=1, keepdim=True) / 2
    cosine = (m.diagonal(dim1=1, dim2=2).sum(1, keepdim=True) - 1) / 2
    angle = torch.atan2(sine, cosine)
    factor = torch.where(
        sine > 1e-6, angle / (2 * sine.clamp(min=1e-6)), torch.full_like(sine, 0.5)
    )
    return twice_axis * factor
