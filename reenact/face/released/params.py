"""The face parameters of EMOCA and FLAME."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from reenact.face.batch import FaceBatch
from reenact.face.released.flame import Flame


@dataclass(frozen=True, kw_only=True, eq=False)
class FlameParams(FaceBatch):
    """A batch of faces. Every field is a float tensor (B, width).

    shape: (B, 100) FLAME coefficients.
    expression: (B, 50) FLAME coefficients.
    pose: (B, 6) rotation of the head, then of the jaw, each as axis times angle in radians.
    cam: (B, 3) scale, t_x, t_y of the orthographic camera in the EMOCA crop.
    gaze: (B, 2) pitch, yaw in radians, in the normalised picture of the gaze network.
    """

    shape: Tensor
    expression: Tensor
    pose: Tensor
    cam: Tensor
    gaze: Tensor

    WIDTHS: ClassVar[dict[str, tuple[int, ...]]] = {
        "shape": (100,),
        "expression": (50,),
        "pose": (6,),
        "cam": (3,),
        "gaze": (2,),
    }

    def head_angles_deg(self) -> Tensor:
        return Flame.head_angles_deg(self.pose)


def retarget(source: FlameParams, target: FlameParams) -> FlameParams:
    """The source's shape (one face, or as many as targets) with the target's expression, pose,
    camera and gaze, as published.
    """
    return replace(target, shape=source.shape.to(target.shape).expand(len(target), -1))


def retarget_relative(
    source: FlameParams, target: FlameParams, neutral: FlameParams
) -> FlameParams:
    """The source face, moved in the way the target moved away from its own `neutral` frame (ours).

    Head rotations are composed. Changes of jaw, expression and gaze are added. The camera's scale
    changes by the same factor. Its shift is in units of the head model and changes by the same
    amount. A target equal to `neutral` gives the source itself.
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
