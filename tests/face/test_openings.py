"""Openings of eyes and lips: a person's own ones count under another person's motion."""

from dataclasses import replace

import pytest
import torch

from reenact.face.control import Control
from reenact.face.expressions import EXPRESSION_NAMES
from reenact.face.head_model import HeadModel
from reenact.face.open.model import OpenFaceModel
from reenact.face.openings import closed_eyes, eye_openings, lip_openings, with_own_openings
from reenact.face.params import FaceParams, retarget, retarget_relative


@pytest.fixture(scope="module")
def head() -> HeadModel:
    return HeadModel()


def person(seed: int, count: int = 1, **expressions: float | torch.Tensor) -> FaceParams:
    """Faces of one person with these expressions; names without a side are for both sides."""
    random = torch.Generator().manual_seed(seed)
    faces = FaceParams.neutral(count)
    identity = torch.randn(1, 80, generator=random).expand(count, -1)
    for i, name in enumerate(EXPRESSION_NAMES):
        for start, value in expressions.items():
            if name.startswith(start):
                faces.expression[:, i] = torch.as_tensor(value)
    return replace(faces, identity=identity)


BLINKS = torch.tensor([0.1, 0.1, 0.1, 1.0, 0.55, 0.1, 0.1, 0.1, 0.1, 0.1])


def test_narrow_eyes_stay_narrow_and_close_fully(head: HeadModel):
    source, target = person(0, eyeBlink=0.4, eyeSquint=0.3), person(1, 10, eyeBlink=BLINKS)
    driven = retarget(source, target)
    own = eye_openings(head, source)
    before = eye_openings(head, driven)
    assert (before[0] > 1.3 * own[0]).all(), "without it the eyes are torn open"
    result = with_own_openings(head, source, driven, target, eyes=True, lips=False)
    after = eye_openings(head, result)
    torch.testing.assert_close(after[0], own[0], atol=1e-3, rtol=0)
    torch.testing.assert_close(after[3], closed_eyes(head, source)[0], atol=2e-3, rtol=0)
    # Half closed eyes of the target are half closed eyes of the source, each between its own ends.
    half = (after[4] - after[3]) / (after[0] - after[3])
    torch.testing.assert_close(half, torch.full((2,), 0.5), atol=0.02, rtol=0)
    still = [not name.startswith(("eyeBlink", "eyeWide")) for name in EXPRESSION_NAMES]
    assert torch.equal(result.expression[:, still], driven.expression[:, still])


def test_wide_eyes_follow_a_narrow_target_in_proportion(head: HeadModel):
    source, target = person(2), person(3, 10, eyeBlink=0.4 + 0.6 * (BLINKS > 0.9))
    result = with_own_openings(
        head, source, retarget(source, target), target, eyes=True, lips=False
    )
    after = eye_openings(head, result)
    torch.testing.assert_close(after[0], eye_openings(head, source)[0], atol=1e-3, rtol=0)
    torch.testing.assert_close(after[3], closed_eyes(head, source)[0], atol=2e-3, rtol=0)


def test_somebody_who_always_has_the_eyes_closed_does_not_open_those_of_the_source(head):
    source, target = person(4), person(5, 6, eyeBlink=1.0)
    result = with_own_openings(
        head, source, retarget(source, target), target, eyes=True, lips=False
    )
    closed = closed_eyes(head, source).expand(6, -1)
    torch.testing.assert_close(eye_openings(head, result), closed, atol=2e-3, rtol=0)


def test_lips_are_closed_when_the_targets_are_and_open_as_far(head: HeadModel):
    jaw = torch.tensor([0.5, 0.0, 0.25, 0.0])
    source, target = person(6), person(7, 4, jawOpen=jaw)
    # Relative motion that starts with an open mouth would keep the mouth shut for good.
    driven = retarget_relative(source, target, target[0])
    rest = lip_openings(head, source)[0]
    assert (lip_openings(head, driven) - rest).abs().max() < 1e-3
    result = with_own_openings(head, source, driven, target, eyes=False, lips=True)
    opened = lip_openings(head, result) - rest
    neutral = lip_openings(head, person(7))
    torch.testing.assert_close(opened, lip_openings(head, target) - neutral, atol=1e-3, rtol=0)
    assert opened[0] > 0.1


def test_an_open_mouth_of_the_photo_closes_with_the_target(head: HeadModel):
    source = person(8, jawOpen=0.3, mouthUpperUp=0.5)
    target = person(9, 3)
    driven = retarget_relative(source, target, target[0])
    result = with_own_openings(head, source, driven, target, eyes=False, lips=True)
    rest = lip_openings(head, person(8)).expand(3)
    torch.testing.assert_close(lip_openings(head, result), rest, atol=1e-3, rtol=0)


def test_the_switches_are_part_of_the_control():
    model = OpenFaceModel()
    source, target = person(0, eyeBlink=0.4), person(1, 10, eyeBlink=BLINKS)
    driven = retarget(source, target)
    plain = model.controlled(source, driven, Control(gaze_strength=0.5), target)
    torch.testing.assert_close(plain.expression, driven.expression)
    own = model.controlled(source, driven, Control(eye_retargeting=True), target)
    assert (own.expression != driven.expression).any()
    none = Control(eye_retargeting=True, expression_strength=0)
    kept = model.controlled(source, driven, none, target).expression
    torch.testing.assert_close(kept, source.expression.expand(10, -1))
