"""The formulas of the losses of stage `reenact`: tensors in, one value per sample (B,) out.

`prediction` is the rendered face, `reference` is the true picture. Images are (B, 3, S, S) in
[-1, 1]. Which tensors a loss gets, and its weight, is in reenact/training/loss_terms.py.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from reenact.face.head_region import soft_ellipse
from reenact.face.points import eye_mouth_openings

# corners of the 478-point mesh, image-left first
OUTER_EYE_CORNERS = (33, 263)


def pixel(prediction: Tensor, reference: Tensor) -> Tensor:
    """L_pix: L1 over the whole picture."""
    return (prediction - reference).abs().flatten(1).mean(dim=1)


def background(prediction: Tensor, reference: Tensor, face_mask: Tensor) -> Tensor:
    """L_bg: L1 where `face_mask` (B, 1, S, S) in [0, 1] is 0: hair, clothes and what is behind."""
    return masked_pixel(prediction, reference, 1 - face_mask)


def masked_pixel(prediction: Tensor, reference: Tensor, mask: Tensor) -> Tensor:
    """L1 where `mask` (B, 1, S, S) in [0, 1] is 1; 0 where the mask is empty."""
    error = ((prediction - reference).abs() * mask).flatten(1).sum(dim=1)
    num_values = prediction.shape[1] * mask.flatten(1).sum(dim=1)
    return error / num_values.clamp(min=1)


def feature_mask(landmarks: Tensor, size: int) -> Tensor:
    """Soft discs over both eyes and the mouth (B, 1, size, size), by landmarks (B, 68, 2) in
    pixels: a fifth of the picture or less, but where people look.
    """
    mask = landmarks.new_zeros(len(landmarks), 1, size, size)
    for first, last in ((36, 42), (42, 48), (48, 60)):
        part = landmarks[:, first:last]
        centre = part.mean(dim=1)
        radius = 1.2 * (part - centre[:, None]).norm(dim=2).amax(dim=1)
        mask = torch.maximum(mask, soft_ellipse(centre, radius, radius, 0 * radius, size))
    return mask


def identity(prediction_embedding: Tensor, source_embedding: Tensor) -> Tensor:
    """L_id: 1 - cosine of identity embeddings (B, D)."""
    return 1 - F.cosine_similarity(prediction_embedding, source_embedding, dim=1)


def shape(prediction_points: Tensor, reference_points: Tensor) -> Tensor:
    """L_sh: L1 of mesh points (B, 478, 3) in eye distances of the reference, plus L1 of lid and lip
    openings.
    """
    corners = reference_points[:, OUTER_EYE_CORNERS]
    # in space, so that turning the head does not shrink the unit
    scale = (corners[:, 0] - corners[:, 1]).norm(dim=1).clamp(min=1e-3)[:, None]
    distance = (prediction_points[..., :2] - reference_points[..., :2]).abs().sum(dim=2) / scale
    openings = (eye_mouth_openings(prediction_points) - eye_mouth_openings(reference_points)).abs()
    return distance.mean(dim=1) + openings.mean(dim=1)


def landmark_shape(points: Tensor, landmarks: Tensor) -> Tensor:
    """L_sh without a reference picture: L1 between tracked (B, 68, 2) and wanted landmarks (B, 68,
    2), in distances of the wanted outer eye corners. The contour (first 17 points) is left out:
    where it lies on a turned head is a convention of each tracker.
    """
    scale = (landmarks[:, 36] - landmarks[:, 45]).norm(dim=1).clamp(min=1e-3)[:, None]
    return ((points - landmarks)[:, 17:].abs().sum(dim=2) / scale).mean(dim=1)


def gaze(prediction_gaze: Tensor, reference_gaze: Tensor) -> Tensor:
    """L_g: L2 of gaze angles (B, 2) in radians. The root is smoothed at 0, where its slope is
    infinite.
    """
    squared = (prediction_gaze - reference_gaze).square().sum(dim=1)
    return (squared + 1e-6).sqrt() - 1e-3


def head_pose(prediction_rotation: Tensor, reference_rotation: Tensor) -> Tensor:
    """L_hp: mean L1 of yaw, pitch and roll (B, 3) in radians, the short way round."""
    difference = prediction_rotation - reference_rotation
    return torch.atan2(difference.sin(), difference.cos()).abs().mean(dim=1)
