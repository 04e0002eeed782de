"""Where the eyes look, from the tracked pupils and a fitted head."""

from __future__ import annotations

import torch
from torch import Tensor

from reenact.face.expressions import EXPRESSION_NAMES
from reenact.face.head_model import HeadModel
from reenact.face.params import (
    CAMERA_DISTANCE,
    CAMERA_PLANE,
    MAX_GAZE,
    FaceParams,
    rotation_matrix,
)

_OPEN = 0.15
"""Lids that are open by more than this show enough of the iris."""
_BLINKS = [EXPRESSION_NAMES.index(n) for n in ("eyeBlinkRight", "eyeBlinkLeft")]


def gaze_from_pupils(
    params: FaceParams, pupils: Tensor, landmarks: Tensor, head: HeadModel
) -> Tensor:
    """Gaze (B, 2) that puts the model's pupils where the tracker saw them between the corners.

    pupils (B, 2, 2) and landmarks (B, 68, 2) are the tracked ones, in pixels. Both eyes look in the
    same direction. The eye that is more open and nearer to the camera counts more.
    """
    corners = [[36, 39], [42, 45]]
    offset = head.landmarks(params)[:, corners].mean(2) - landmarks[:, corners].mean(2)
    seen = pupils + offset - params.translation[:, None]
    matrix = rotation_matrix(params.rotation)
    _, radius = head.eyeballs(params.identity)
    still = FaceParams(**(params.tensors() | {"gaze": torch.zeros_like(params.gaze)}))
    forward = head.pupils_3d(still) - matrix[:, None, :, 2] * radius[..., None]
    depth = forward[..., 2] + 0.9 * radius
    w = CAMERA_DISTANCE / (CAMERA_DISTANCE - (depth - CAMERA_PLANE)) * params.scale[:, None]
    place = torch.stack([seen[..., 0], -seen[..., 1]], -1) / w[..., None]
    side = (place - forward[..., :2]) / radius[..., None]
    length = side.norm(dim=-1, keepdim=True).clamp_min(1e-9)
    side = side * (length.clamp_max(0.95) / length)
    axis = torch.cat([side, (1 - side.square().sum(-1, keepdim=True)).sqrt()], -1)
    local = torch.einsum("bij,bni->bnj", matrix, axis)
    blink = params.expression[:, _BLINKS]
    towards = torch.stack([-params.rotation[:, 0], params.rotation[:, 0]], -1)
    weight = (1 - blink).clamp_min(0.05) * torch.sigmoid(-6 * towards)
    mean = (local * weight[..., None]).sum(1) / weight.sum(1, keepdim=True)
    gaze = torch.stack(
        [torch.atan2(mean[:, 0], mean[:, 2]), torch.atan2(-mean[:, 1], mean[:, 2])], -1
    )
    # Closed lids hide the iris, so the eyes look straight ahead there.
    open_part = (1 - blink.amin(1)).clamp(0, _OPEN) / _OPEN
    return gaze.clamp(-MAX_GAZE, MAX_GAZE) * open_part[:, None]
