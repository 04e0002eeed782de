"""The open 3D morphable head: CC0 MakeHuman geometry, 80 identity and 52 expression axes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from reenact.assets import asset_path
from reenact.face.params import (
    CAMERA_DISTANCE,
    CAMERA_PLANE,
    NECK_PIVOT,
    FaceParams,
    rotation_matrix,
)

EYEBALL_FILL = 0.985
"""The eyeball's radius over the mean distance of its vertices from their centre."""


def project(points: Tensor, translation: Tensor, scale: Tensor) -> Tensor:
    """Posed points (B, N, 3) in dm -> pixels (B, N, 2); y grows downwards.

    The camera always points at the head's origin, so a move of the head only shifts the picture.
    """
    w = CAMERA_DISTANCE / (CAMERA_DISTANCE - (points[..., 2] - CAMERA_PLANE))
    w = (w * scale[:, None])[..., None]
    flipped = torch.cat([points[..., :1], -points[..., 1:2]], -1)
    return translation[:, None] + w * flipped


class HeadModel(nn.Module):
    """Turns `FaceParams` into posed vertices (dm), landmarks and pupils (pixels), differentiably.

    The unit is 1 dm. X points to the picture's right, Y up, Z towards the camera. The midpoint of
    the unposed eyes is the origin. Nothing is trained: all tensors are buffers, and none of them
    is in the state dict.
    """

    def __init__(self) -> None:
        super().__init__()
        with np.load(asset_path("head_model.npz")) as archive:
            asset = {key: archive[key] for key in archive.files}
        identity = asset["B"].astype(np.float32) / 127 * asset["Bs"][:, None, None]
        expression = asset["E"].astype(np.float32) / 127 * asset["Es"][:, None, None]
        weight = asset["hw"].astype(np.float32) / 255
        lm = asset["lm68"].astype(np.int64)
        # The vertex group named R is the person's right eye: the image-left one, points 36-41.
        eyes = np.stack([asset["eyeR"], asset["eyeL"]]).astype(np.int64).reshape(-1)
        arrays = {
            "mean": asset["mean"],
            "identity_axes": identity,
            "expression_axes": expression,
            "pose_weight": weight,
            "landmark_mean": asset["mean"][lm],
            "landmark_identity": identity[:, lm],
            "landmark_expression": expression[:, lm],
            "landmark_weight": weight[lm],
            "eye_mean": asset["mean"][eyes],
            "eye_identity": identity[:, eyes],
        }
        for name, value in arrays.items():
            tensor = torch.from_numpy(np.ascontiguousarray(value, dtype=np.float32))
            self.register_buffer(name, tensor, persistent=False)
        triangles = torch.from_numpy(asset["tri"].astype(np.int64))
        self.register_buffer("triangles", triangles, persistent=False)
        self.register_buffer("landmark_index", torch.from_numpy(lm), persistent=False)

    mean: Tensor
    identity_axes: Tensor
    expression_axes: Tensor
    pose_weight: Tensor
    landmark_mean: Tensor
    landmark_identity: Tensor
    landmark_expression: Tensor
    landmark_weight: Tensor
    eye_mean: Tensor
    eye_identity: Tensor
    triangles: Tensor
    landmark_index: Tensor

    def vertices(self, params: FaceParams) -> Tensor:
        """Posed mesh (B, V, 3) in dm. The head turns, the shoulders stay, the neck bends."""
        shaped = _blend(self.mean, self.identity_axes, params.identity)
        shaped = shaped + _blend(None, self.expression_axes, params.expression)
        return _pose_weighted(shaped, params.rotation, self.pose_weight)

    def points(self, params: FaceParams, index: Tensor) -> Tensor:
        """The vertices `index` (K,) in pixels: (B, K, 2)."""
        shaped = _blend(self.mean[index], self.identity_axes[:, index], params.identity)
        shaped = shaped + _blend(None, self.expression_axes[:, index], params.expression)
        posed = _pose_weighted(shaped, params.rotation, self.pose_weight[index])
        return project(posed, params.translation, params.scale)

    def landmarks_shaped(self, identity: Tensor, expression: Tensor) -> Tensor:
        """Unposed landmarks (B, 68, 3) in dm."""
        shaped = _blend(self.landmark_mean, self.landmark_identity, identity)
        return shaped + _blend(None, self.landmark_expression, expression)

    def landmarks_3d(self, params: FaceParams) -> Tensor:
        """Posed landmarks (B, 68, 3) in dm."""
        shaped = self.landmarks_shaped(params.identity, params.expression)
        return self.landmarks_posed(shaped, params.rotation)

    def landmarks_posed(self, shaped: Tensor, rotation: Tensor) -> Tensor:
        """Unposed landmarks (B, 68, 3), rotation (B, 3) -> posed landmarks (B, 68, 3) in dm."""
        return _pose_weighted(shaped, rotation, self.landmark_weight)

    def axes_posed(self, axes: Tensor, rotation: Tensor) -> Tensor:
        """Directions (K, 68, 3) of the unposed landmarks, turned: (B, K, 68, 3)."""
        turn = rotation_matrix(rotation[:, None] * self.landmark_weight[:, None])
        return torch.einsum("bnij,knj->bkni", turn, axes)

    def landmarks(self, params: FaceParams) -> Tensor:
        """Landmarks (B, 68, 2) in pixels, iBUG order."""
        return project(self.landmarks_3d(params), params.translation, params.scale)

    def eyeballs(self, identity: Tensor) -> tuple[Tensor, Tensor]:
        """Unposed eyeball centres (B, 2, 3) and radii (B, 2) in dm. The image-left eye is first."""
        rim = _blend(self.eye_mean, self.eye_identity, identity).unflatten(1, (2, -1))
        centre = rim.mean(2)
        radius = (rim - centre[:, :, None]).norm(dim=-1).mean(-1) * EYEBALL_FILL
        return centre, radius

    def pupils_3d(self, params: FaceParams) -> Tensor:
        """Posed pupil centres (B, 2, 3) in dm, image-left eye (points 36-41) first."""
        centre, radius = self.eyeballs(params.identity)
        head = rotation_matrix(params.rotation)
        gaze = torch.cat([params.gaze, torch.zeros_like(params.gaze[:, :1])], -1)
        axis = (head @ rotation_matrix(gaze))[:, :, 2]
        pivot = head.new_tensor(NECK_PIVOT)
        posed = torch.einsum("bij,bnj->bni", head, centre - pivot) + pivot
        return posed + radius[..., None] * axis[:, None]

    def pupils(self, params: FaceParams) -> Tensor:
        """Pupil centres (B, 2, 2) in pixels, image-left eye (points 36-41) first."""
        return project(self.pupils_3d(params), params.translation, params.scale)


def _blend(mean: Tensor | None, axes: Tensor, weights: Tensor) -> Tensor:
    """mean (N, 3) + weights (B, K) @ axes (K, N, 3) -> (B, N, 3)."""
    moved = (weights @ axes.flatten(1)).unflatten(1, axes.shape[1:])
    return moved if mean is None else mean + moved


def _pose_weighted(points: Tensor, rotation: Tensor, weight: Tensor) -> Tensor:
    """Turn (B, N, 3) about the neck by `rotation` (B, 3) times each vertex's `weight` (N,)."""
    pivot = points.new_tensor(NECK_PIVOT)
    angles = rotation[:, None] * weight[:, None]
    yaw, pitch, roll = angles.unbind(-1)
    x, y, z = (points - pivot).unbind(-1)
    y, z = pitch.cos() * y - pitch.sin() * z, pitch.sin() * y + pitch.cos() * z
    x, z = yaw.cos() * x + yaw.sin() * z, yaw.cos() * z - yaw.sin() * x
    x, y = roll.cos() * x - roll.sin() * y, roll.sin() * x + roll.cos() * y
    return torch.stack([x, y, z], -1) + pivot
