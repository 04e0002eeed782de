"""Eye and lip openings: how far they are open, and a person's own openings under another's motion.

All openings are measured on the head model's landmarks without pose, so a turn of the head does not
change them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from reenact.face.expressions import EXPRESSION_NAMES
from reenact.face.head_model import HeadModel
from reenact.face.params import FaceParams

EYES = {
    "Right": ((37, 41), (38, 40)),
    "Left": ((43, 47), (44, 46)),
}
"""Pairs of landmarks on the upper and the lower lid, by the person's side."""
LIPS = ((61, 67), (62, 66), (63, 65))
"""Pairs of landmarks on the inner border of the upper and the lower lip."""
USUAL = 0.8
"""A person's usual opening is this quantile over a video: blinks do not lower it."""
LEAST_USUAL = 0.4
"""The usual opening is at least this share of that of the neutral face. Otherwise somebody whose
eyes are closed all the time would count as wide awake.
"""
WIDEST = 1.5  # of the usual opening


def with_own_openings(
    model: HeadModel,
    source: FaceParams,
    driven: FaceParams,
    target: FaceParams,
    *,
    eyes: bool,
    lips: bool,
) -> FaceParams:
    """The faces `driven` (N, the source person) with other openings of lids or lips.

    Eyes: each person has a scale, on which 0 is closed and 1 is the usual opening. The result has
    the target's value on the source's scale. So narrow eyes stay narrow, and close fully when the
    target's do. Lips: the result opens its lips as far as the target does. Both are measured from
    the gap at rest, in sizes of the face. So the lips are closed when the target's are, whatever
    the motion is relative to.

    source: one face, or N. target: N faces of the target person.
    """
    source, target = source.to(driven.scale.device), target.to(driven.scale.device)
    if eyes:
        share = (
            (eye_openings(model, target) - closed_eyes(model, target))
            / (_usual_eyes(model, target) - closed_eyes(model, target))
        ).clamp(0, WIDEST)
        closed = closed_eyes(model, source)
        wanted = closed + share * (_usual_eyes(model, source, own=True) - closed)
        for i, side in enumerate(EYES):
            for name in (f"eyeBlink{side}", f"eyeWide{side}"):
                driven = _solved(model, driven, name, wanted[:, i], partial(_eye, number=i))
    if lips:
        opened = (lip_openings(model, target) - lip_openings(model, _neutral(target))).clamp(min=0)
        wanted = lip_openings(model, _neutral(source)) + opened
        for name in ("jawOpen", "mouthClose"):
            driven = _solved(model, driven, name, wanted, lip_openings)
    return driven


def eye_openings(model: HeadModel, faces: FaceParams) -> Tensor:
    """(B, 2) for the person's right and left eye, in sizes of the face. Below 0 lids overlap."""
    points = model.landmarks_shaped(faces.identity, faces.expression)
    return torch.stack([_gap(points, pairs) for pairs in EYES.values()], 1)


def lip_openings(model: HeadModel, faces: FaceParams) -> Tensor:
    """(B,) in sizes of the face. Below 0 the lips press on each other."""
    return _gap(model.landmarks_shaped(faces.identity, faces.expression), LIPS)


def closed_eyes(model: HeadModel, faces: FaceParams) -> Tensor:
    """(B, 2) what `eye_openings` is when the person closes the eyes."""
    closed = _neutral(faces)
    for side in EYES:
        closed.expression[:, EXPRESSION_NAMES.index(f"eyeBlink{side}")] = 1
    return eye_openings(model, closed)


def _usual_eyes(model: HeadModel, faces: FaceParams, *, own: bool = False) -> Tensor:
    """(1, 2) or (B, 2) the person's usual opening. own: a single face shows it, as in a photo."""
    neutral, closed = eye_openings(model, _neutral(faces)), closed_eyes(model, faces)
    if len(faces) == 1 and not own:
        return neutral
    usual = eye_openings(model, faces).quantile(USUAL, dim=0, keepdim=True)
    return torch.maximum(usual, closed + LEAST_USUAL * (neutral - closed))


def _eye(model: HeadModel, faces: FaceParams, number: int) -> Tensor:
    return eye_openings(model, faces)[:, number]


def _solved(
    model: HeadModel,
    faces: FaceParams,
    name: str,
    wanted: Tensor,
    opening: Callable[[HeadModel, FaceParams], Tensor],
) -> FaceParams:
    """The faces with the expression `name` changed so that their opening is the wanted one (B,), as
    far as its range from 0 to 1 allows. Landmarks are linear in the expression.
    """
    k = EXPRESSION_NAMES.index(name)
    none, full = faces.expression.clone(), faces.expression.clone()
    none[:, k], full[:, k] = 0, 1
    at_none = opening(model, replace(faces, expression=none))
    slope = opening(model, replace(faces, expression=full)) - at_none
    expression = faces.expression.clone()
    expression[:, k] = ((wanted - at_none) / slope).clamp(0, 1)
    return replace(faces, expression=expression)


def _neutral(faces: FaceParams) -> FaceParams:
    return replace(faces, expression=torch.zeros_like(faces.expression))


def _gap(points: Tensor, pairs: tuple[tuple[int, int], ...]) -> Tensor:
    """Mean height of the upper points (B, 68, 3) over the lower ones, in sizes of the face: the
    distance between the outer corners of the eyes.
    """
    upper, lower = ([pair[k] for pair in pairs] for k in (0, 1))
    size = (points[:, 36] - points[:, 45]).norm(dim=-1)
    return (points[:, upper, 1] - points[:, lower, 1]).mean(1) / size
