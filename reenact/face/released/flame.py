"""The head model FLAME (Li et al., SIGGRAPH Asia 2017), as EMOCA's checkpoint holds it.

Units are metres, in float32. X points to the picture's right, Y up, Z towards the camera. The model
is frozen. It is differentiable in shape, expression, pose and camera.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from diffae import CheckpointError

NUM_SHAPE, NUM_EXPRESSION, NUM_POSE = 100, 50, 6
NUM_VERTICES, NUM_FACES, NUM_JOINTS = 5023, 9976, 5
NUM_CONTOUR, NUM_STATIC = 17, 51
CROP_SIZE = 224
"""Side of the EMOCA crop. The camera projects into its pixels."""
MAX_ANGLE = 39
"""The table of the moving contour covers head turns of so many degrees to either side."""
NUM_ROWS = 2 * MAX_ANGLE + 1

_SHAPES = {
    "v_template": (NUM_VERTICES, 3),
    "shapedirs": (NUM_VERTICES, 3, NUM_SHAPE + NUM_EXPRESSION),
    "posedirs": (9 * (NUM_JOINTS - 1), 3 * NUM_VERTICES),
    "J_regressor": (NUM_JOINTS, NUM_VERTICES),
    "parents": (NUM_JOINTS,),
    "lbs_weights": (NUM_VERTICES, NUM_JOINTS),
    "faces_tensor": (NUM_FACES, 3),
    "eye_pose": (1, 6),
    "neck_pose": (1, 3),
    "lmk_faces_idx": (NUM_STATIC,),
    "lmk_bary_coords": (NUM_STATIC, 3),
    "dynamic_lmk_faces_idx": (NUM_ROWS, NUM_CONTOUR),
    "dynamic_lmk_bary_coords": (NUM_ROWS, NUM_CONTOUR, 3),
}
"""The buffers of EMOCA's checkpoint that are read; names without `deca.flame.`"""

_INDEX_LIMITS = {
    "faces_tensor": NUM_VERTICES,
    "lmk_faces_idx": NUM_FACES,
    "dynamic_lmk_faces_idx": NUM_FACES,
}


class Flame(nn.Module):
    """Shape (B, 100), expression (B, 50) and pose (B, 6) -> vertices and 68 landmarks.

    Pose is the rotation of the head, then of the jaw, each as axis times angle in radians. Neck and
    eyes do not move. Build it with `from_tensors`. All tensors are buffers, and none of them is in
    the state dict.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.parents = [int(i) for i in tensors["parents"]]
        self._keep("neck_pose", tensors["neck_pose"])
        self._keep("eye_pose", tensors["eye_pose"])
        regressor = tensors["J_regressor"].double()
        joints = torch.einsum("jv,vck->jck", regressor, tensors["shapedirs"].double())
        self._keep("joint_mean", regressor @ tensors["v_template"].double())
        self._keep("joint_axes", joints)
        self.mesh = _Points(tensors, torch.arange(NUM_VERTICES))
        faces = tensors["faces_tensor"].long()
        contour = faces[tensors["dynamic_lmk_faces_idx"].long()]
        static = faces[tensors["lmk_faces_idx"].long()]
        used, place = torch.cat([contour.flatten(), static.flatten()]).unique(return_inverse=True)
        self.landmark_mesh = _Points(tensors, used)
        self._keep("contour_corners", place[: contour.numel()].view_as(contour))
        self._keep("static_corners", place[contour.numel() :].view_as(static))
        self._keep("contour_weights", tensors["dynamic_lmk_bary_coords"])
        self._keep("static_weights", tensors["lmk_bary_coords"])

    neck_pose: Tensor
    eye_pose: Tensor
    joint_mean: Tensor
    joint_axes: Tensor
    contour_corners: Tensor
    static_corners: Tensor
    contour_weights: Tensor
    static_weights: Tensor

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Flame:
        """The buffers of EMOCA's checkpoint, names without `deca.flame.`; other keys are ignored.

        Raises CheckpointError when one is missing, of another shape or points nowhere.
        """
        missing = [key for key in _SHAPES if key not in tensors]
        if missing:
            raise CheckpointError(f"FLAME: missing {', '.join(missing)}")
        for key, shape in _SHAPES.items():
            if tuple(tensors[key].shape) != shape:
                got = tuple(tensors[key].shape)
                raise CheckpointError(f"FLAME: {key} has shape {got}, expected {shape}")
        for key, limit in _INDEX_LIMITS.items():
            low, high = int(tensors[key].min()), int(tensors[key].max())
            if low < 0 or high >= limit:
                raise CheckpointError(
                    f"FLAME: {key} counts {low} to {high}, expected below {limit}"
                )
        parents = [int(i) for i in tensors["parents"]]
        if any(not 0 <= parent < joint for joint, parent in enumerate(parents) if joint):
            raise CheckpointError(f"FLAME: parents {parents} are no chain of joints")
        return cls(tensors)

    def vertices(self, shape: Tensor, expression: Tensor, pose: Tensor) -> Tensor:
        """The posed mesh (B, 5023, 3)."""
        return self._posed(self.mesh, shape, expression, pose)

    def landmarks(self, shape: Tensor, expression: Tensor, pose: Tensor) -> Tensor:
        """Posed landmarks (B, 68, 3): 17 points of the contour as it is visible at this head turn,
        and 51 fixed ones.

        Only the vertices around the landmarks are computed. The choice of the contour points has no
        gradient.
        """
        points = self._posed(self.landmark_mesh, shape, expression, pose)
        rows = self.contour_rows(pose)
        count = (len(points), -1, -1)
        corners = torch.cat([self.contour_corners[rows], self.static_corners.expand(*count)], 1)
        weights = torch.cat([self.contour_weights[rows], self.static_weights.expand(*count)], 1)
        batch = torch.arange(len(points), device=points.device)[:, None, None]
        return (points[batch, corners] * weights[..., None]).sum(2)

    def contour_rows(self, pose: Tensor) -> Tensor:
        """pose (B, 6) -> rows (B,) of the contour's table.

        Rows 0 to 39 are turns of 0 to 39 degrees to one side. Rows 40 to 78 are turns of 1 to 39
        degrees to the other side.
        """
        with torch.no_grad(), _full_precision(pose):
            neck = _rotations(self.neck_pose)
            turn = _rotations(pose[:, :3].to(neck)) @ neck
            level = torch.hypot(turn[:, 0, 0], turn[:, 1, 0])
            angle = torch.atan2(-turn[:, 2, 0], level).rad2deg().clamp(max=MAX_ANGLE).round()
            # A pose that is not finite has no contour. Any row will do.
            degrees = angle.nan_to_num().long()
        return torch.where(degrees >= 0, degrees, (MAX_ANGLE - degrees).clamp(max=NUM_ROWS - 1))

    @staticmethod
    def project(points: Tensor, cam: Tensor) -> Tensor:
        """Points (B, N, 3), cam (B, 3) = scale, t_x, t_y -> pixels (B, N, 2) of the EMOCA crop.

        Orthographic; y grows downwards, the centre of the first pixel is (0, 0).
        """
        plane = cam[:, None, :1] * (points[..., :2] + cam[:, None, 1:])
        half = CROP_SIZE / 2
        return torch.stack([plane[..., 0], -plane[..., 1]], -1) * half + half

    @staticmethod
    def head_angles_deg(pose: Tensor) -> Tensor:
        """pose (B, 6) -> (B, 3) yaw, pitch, roll in degrees, as the authors measure them."""
        with _full_precision(pose):
            turn = _rotations(pose[:, :3].float())
        yaw = torch.asin(turn[:, 2, 0].clamp(-1, 1))
        pitch = torch.atan2(turn[:, 2, 1], turn[:, 2, 2])
        roll = torch.atan2(turn[:, 1, 0], turn[:, 0, 0])
        return torch.stack([yaw, pitch, roll], 1) * (180 / math.pi)

    def _posed(self, points: _Points, shape: Tensor, expression: Tensor, pose: Tensor) -> Tensor:
        with _full_precision(pose):
            betas = torch.cat([shape, expression], 1).to(self.joint_mean)
            pose = pose.to(self.joint_mean)
            neck, eyes = (p.expand(len(pose), -1) for p in (self.neck_pose, self.eye_pose))
            full = torch.cat([pose[:, :3], neck, pose[:, 3:], eyes], 1)
            turns = _rotations(full.unflatten(1, (NUM_JOINTS, 3)))
            joints = self.joint_mean + (betas @ self.joint_axes.flatten(0, 1).mT).unflatten(
                1, (NUM_JOINTS, 3)
            )
            identity = torch.eye(3, device=turns.device)
            feature = (turns[:, 1:] - identity).flatten(1)
            return points(betas, feature, *_chain(turns, joints, self.parents))

    def _keep(self, name: str, value: Tensor) -> None:
        value = value.float() if value.is_floating_point() else value.long()
        self.register_buffer(name, value.clone(), persistent=False)


class _Points(nn.Module):
    """Some vertices of the mesh (B, N, 3), from the coefficients and the motion of the joints."""

    def __init__(self, tensors: Mapping[str, Tensor], index: Tensor) -> None:
        super().__init__()
        posedirs = tensors["posedirs"].unflatten(1, (-1, 3))
        arrays = {
            "mean": tensors["v_template"][index],
            "axes": tensors["shapedirs"][index].flatten(0, 1).mT,
            "pose_axes": posedirs[:, index].flatten(1),
            "weights": tensors["lbs_weights"][index],
        }
        for name, value in arrays.items():
            self.register_buffer(name, value.float().clone(), persistent=False)

    mean: Tensor
    axes: Tensor
    pose_axes: Tensor
    weights: Tensor

    def forward(self, betas: Tensor, feature: Tensor, turns: Tensor, shifts: Tensor) -> Tensor:
        """betas (B, 150), pose feature (B, 36), joint transforms (B, 5, 3, 3) and (B, 5, 3)."""
        moved = betas @ self.axes + feature @ self.pose_axes
        points = self.mean + moved.unflatten(1, (-1, 3))
        turn = torch.einsum("nj,bjxy->bnxy", self.weights, turns)
        return (turn * points[:, :, None]).sum(-1) + self.weights @ shifts


def _rotations(vector: Tensor) -> Tensor:
    """Axis times angle (..., 3) -> rotations (..., 3, 3) by Rodrigues' formula.

    The added 1e-8 is as published.
    """
    angle = (vector + 1e-8).norm(dim=-1, keepdim=True)
    x, y, z = (vector / angle).unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).unflatten(-1, (3, 3))
    angle = angle[..., None]
    identity = torch.eye(3, device=vector.device, dtype=vector.dtype)
    return identity + angle.sin() * cross + (1 - angle.cos()) * (cross @ cross)


def _chain(turns: Tensor, joints: Tensor, parents: list[int]) -> tuple[Tensor, Tensor]:
    """The motion of each joint away from rest: rotations (B, 5, 3, 3) and shifts (B, 5, 3)."""
    turned, placed = [turns[:, 0]], [joints[:, 0]]
    for joint in range(1, len(parents)):
        parent = parents[joint]
        arm = joints[:, joint] - joints[:, parent]
        turned.append(turned[parent] @ turns[:, joint])
        placed.append(placed[parent] + (turned[parent] @ arm[..., None])[..., 0])
    turn, place = torch.stack(turned, 1), torch.stack(placed, 1)
    return turn, place - (turn @ joints[..., None])[..., 0]


def _full_precision(like: Tensor) -> torch.autocast:
    """A context without autocast, because the published pipeline runs FLAME in float32."""
    return torch.autocast(like.device.type, enabled=False)
