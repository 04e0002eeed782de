from dataclasses import replace

import pytest
import torch

from reenact.errors import UserError
from reenact.face.control import Control, Sliders, controlled, posed, region_weights
from reenact.face.expressions import EXPRESSION_NAMES
from reenact.face.head_model import HeadModel
from reenact.face.params import FaceParams


def faces(count: int, seed: int) -> FaceParams:
    random = torch.Generator().manual_seed(seed)
    neutral = FaceParams.neutral(count)
    return replace(
        neutral,
        expression=torch.rand(count, 52, generator=random),
        rotation=0.3 * torch.randn(count, 3, generator=random),
        translation=64 + 5 * torch.randn(count, 2, generator=random),
        scale=40 + 5 * torch.rand(count, generator=random),
        gaze=0.2 * torch.randn(count, 2, generator=random),
    )


def assert_equal(a: FaceParams, b: FaceParams) -> None:
    for name, value in a.tensors().items():
        wanted = b.tensors()[name].expand_as(value)
        torch.testing.assert_close(value, wanted, msg=lambda m, name=name: f"{name}: {m}")


def test_full_strength_is_the_motion_and_none_is_the_source():
    source, driven = faces(1, 0), faces(5, 1)
    assert_equal(controlled(source, driven, Control()), driven)
    off = Control(pose_strength=0, expression_strength=0, gaze_strength=0)
    assert_equal(controlled(source, driven, off), source)


def test_half_strength_is_half_way_and_goes_the_short_way_round():
    source, driven = faces(1, 0), faces(1, 1)
    half = controlled(source, driven, Control(expression_strength=0.5, pose_strength=0.5))
    torch.testing.assert_close(half.expression, (source.expression + driven.expression) / 2)
    torch.testing.assert_close(half.rotation, (source.rotation + driven.rotation) / 2)
    turned = replace(driven, rotation=torch.tensor([[0.0, 0.0, 3.1]]))
    start = replace(source, rotation=torch.tensor([[0.0, 0.0, -3.1]]))
    roll = controlled(start, turned, Control(pose_strength=0.5)).rotation[0, 2]
    assert abs(abs(roll) - torch.pi) < 1e-5


def test_a_region_moves_alone():
    source, driven = faces(1, 0), faces(3, 1)
    mouth = controlled(source, driven, Control(region="mouth"))
    weights = region_weights("mouth").bool()
    assert weights[EXPRESSION_NAMES.index("jawOpen")]
    assert not weights[EXPRESSION_NAMES.index("eyeBlinkLeft")]
    torch.testing.assert_close(mouth.expression[:, weights], driven.expression[:, weights])
    still = source.expression[:, ~weights].expand(3, -1)
    torch.testing.assert_close(mouth.expression[:, ~weights], still)
    torch.testing.assert_close(mouth.rotation, source.rotation.expand(3, -1))
    head = controlled(source, driven, Control(region="head"))
    torch.testing.assert_close(head.rotation, driven.rotation)
    torch.testing.assert_close(head.expression, source.expression.expand(3, -1))


def test_every_expression_belongs_to_eyes_or_mouth_or_to_the_rest_of_the_face():
    eyes, mouth = region_weights("eyes"), region_weights("mouth")
    assert not (eyes * mouth).any()
    rest = [n for n, w in zip(EXPRESSION_NAMES, eyes + mouth, strict=True) if not w]
    assert rest == ["cheekSquintLeft", "cheekSquintRight", "noseSneerLeft", "noseSneerRight"]


def test_sliders_move_the_landmarks_where_they_say():
    head = HeadModel()
    place = {"translation": torch.tensor([[64.0, 64.0]]), "scale": torch.tensor([30.0])}
    source = replace(FaceParams.neutral(), **place)
    before, pupils = head.landmarks(source)[0], head.pupils(source)[0]

    def change(**sliders: float) -> torch.Tensor:
        return head.landmarks(posed(source, Sliders(**sliders)))[0] - before

    assert change(yaw=15)[30, 0] > 3  # the nose goes to the picture's right
    assert change(pitch=15)[30, 1] < -3  # and up
    brow_line = change(roll=15)
    assert brow_line[26, 1] - brow_line[17, 1] > 3  # clockwise: the right end sinks
    assert change(open_mouth=0.8)[8, 1] > 2
    assert change(smile=0.8)[48, 1] < 0
    assert change(brow=0.8)[19, 1] < 0
    assert change(blink=1)[37, 1] > 0
    looking = head.pupils(posed(source, Sliders(gaze_yaw=15, gaze_pitch=10)))[0] - pupils
    assert (looking[:, 0] > 0).all()
    assert (looking[:, 1] < 0).all()
    assert_equal(posed(source, Sliders()), source)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: Control(pose_strength=3), "pose_strength: must be at least 0 and at most 2"),
        (lambda: Sliders(yaw=90), "yaw: must be at least -60 and at most 60"),
        (lambda: Sliders(blink=-1), "blink: must be at least 0"),
    ],
)
def test_values_out_of_range_are_refused(make, problem):
    with pytest.raises(UserError, match=problem):
        make()
