"""Geometry of the tracker's 478 points: subsets, regions of interest, openings.

Points are (B, 478, 3) picture pixels, y down, z negative towards the camera. All functions are
differentiable in them. "Left" and "right" are those of the picture, as in the 68-point scheme: the
eye of points 36-41 is the left one.
"""

import torch
from torch import Tensor

# fmt: off
LANDMARKS_68 = (
    127, 234, 93, 132, 58, 136, 150, 149, 152, 378, 379, 365, 288, 361, 323, 454, 356,
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300, 168, 197, 5, 4, 75, 97, 2, 326, 305,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87,
)
FACE_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)
"""The 36 points that go round the face, forehead included."""
# fmt: on
IRIS_LEFT, IRIS_RIGHT = 468, 473
_OUTER_CORNERS = (33, 263)
_ROI_SCALE = 1.5
_FOREHEAD = 0.434  # forehead's height over the eyes / eyes to chin; mean of rendered heads


def landmarks_from_points(points: Tensor) -> Tensor:
    """(B, 478, 2 or 3) -> (B, 68, 2)."""
    return points[:, list(LANDMARKS_68), :2]


def pupils_from_points(points: Tensor) -> Tensor:
    """(B, 478, 2 or 3) -> (B, 2, 2), the eye on the picture's left first."""
    return points[:, [IRIS_LEFT, IRIS_RIGHT], :2]


def five_points_from_points478(points: Tensor) -> Tensor:
    """(B, 478, 2 or 3) -> (B, 5, 2): eye centres, nose tip, mouth corners, picture's left first."""
    xy = points[..., :2]
    left = xy[:, [33, 133, 159, 145]].mean(1)
    right = xy[:, [263, 362, 386, 374]].mean(1)
    return torch.stack([left, right, xy[:, 4], xy[:, 61], xy[:, 291]], 1)


def five_points_from_landmarks68(landmarks: Tensor) -> Tensor:
    """(B, 68, 2) -> (B, 5, 2): eye centres, nose tip, mouth corners, picture's left first."""
    eyes = [landmarks[:, 36:42].mean(1), landmarks[:, 42:48].mean(1)]
    return torch.stack([*eyes, landmarks[:, 30], landmarks[:, 48], landmarks[:, 54]], 1)


def fit_similarity(template: Tensor, points: Tensor) -> Tensor:
    """The similarity (B, 2, 3) that brings `template` (N, 2) closest to `points` (B, N, 2).

    Least squares over rotation, scale and shift, never mirrored: Umeyama's solution (1991), which
    in the plane is a division of complex numbers.
    """
    a = template - template.mean(0)
    centre = points.mean(1, keepdim=True)
    b = points - centre
    norm = a.square().sum()
    cos = (a * b).sum((1, 2)) / norm
    sin = (a[:, 0] * b[..., 1] - a[:, 1] * b[..., 0]).sum(1) / norm
    turn = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
    shift = centre[:, 0] - (turn @ template.mean(0))
    return torch.cat([turn, shift[..., None]], -1)


def _turned(xy: Tensor, across: Tensor) -> tuple[Tensor, Tensor]:
    """Angle (B,) of the vector `across`, and xy (B, N, 2) in axes along and perpendicular to it."""
    angle = torch.atan2(across[:, 1], across[:, 0])
    cos, sin = angle.cos()[:, None], angle.sin()[:, None]
    return angle, torch.stack(
        [xy[..., 0] * cos + xy[..., 1] * sin, xy[..., 1] * cos - xy[..., 0] * sin], -1
    )


def _roi(low: Tensor, high: Tensor, angle: Tensor) -> Tensor:
    centre, side = (low + high) / 2, (high - low).amax(-1) * _ROI_SCALE
    cos, sin = angle.cos(), angle.sin()
    x = centre[:, 0] * cos - centre[:, 1] * sin
    y = centre[:, 0] * sin + centre[:, 1] * cos
    return torch.stack([x, y, side, angle], -1)


def rois_from_points(points: Tensor) -> Tensor:
    """(B, 478, 2 or 3) -> rois (B, 4): squares that are parallel to the line of the eyes. The side
    is 1.5 times the longer side of the box of all points.
    """
    xy = points[..., :2]
    angle, flat = _turned(xy, xy[:, _OUTER_CORNERS[1]] - xy[:, _OUTER_CORNERS[0]])
    return _roi(flat.amin(1), flat.amax(1), angle)


def rois_from_landmarks68(landmarks: Tensor) -> Tensor:
    """(B, 68, 2) -> rois (B, 4), about the same squares as those of `rois_from_points`.

    The 68 points have none on the forehead. Its top is estimated from the distance between eyes and
    chin (see `_FOREHEAD`).
    """
    angle, flat = _turned(landmarks, landmarks[:, 45] - landmarks[:, 36])
    low, high = flat.amin(1), flat.amax(1)
    eyes = flat[:, 36:48, 1].mean(1)
    top = eyes - _FOREHEAD * (high[:, 1] - eyes)
    return _roi(torch.stack([low[:, 0], torch.minimum(top, low[:, 1])], -1), high, angle)


def eye_mouth_openings(points: Tensor) -> Tensor:
    """(B, 478, 2 or 3) -> (B, 3): left lid gap, right lid gap and inner lip gap.

    They are divided by the distance between the outer eye corners.
    """
    unit = (points[:, 263] - points[:, 33]).norm(dim=-1).clamp_min(1e-6)
    pairs = ((159, 145), (386, 374), (13, 14))
    gaps = [(points[:, low] - points[:, high]).norm(dim=-1) / unit for high, low in pairs]
    return torch.stack(gaps, -1)
