"""Head angles of parameters of either face stack."""

import torch
from torch import Tensor

from reenact.face.batch import FaceBatch
from reenact.face.params import FaceParams
from reenact.face.released.params import FlameParams


def head_angles_deg(params: FaceBatch) -> Tensor:
    """(N, 3) yaw, pitch and roll in degrees; signs and zero are the face stack's own."""
    if isinstance(params, FaceParams):
        return torch.rad2deg(params.rotation)
    assert isinstance(params, FlameParams)
    from reenact.face.released.flame import Flame

    return Flame.head_angles_deg(params.pose)


def angle_difference_deg(a: Tensor, b: Tensor) -> Tensor:
    """|a - b| in degrees, the short way round."""
    half = 180.0
    return (torch.remainder(a - b + half, 2 * half) - half).abs()
