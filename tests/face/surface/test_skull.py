"""The motion of the round head: its outline in one picture becomes that in the other."""

import numpy as np
import pytest
import torch

from reenact.face.head_model import HeadModel
from reenact.face.params import FaceParams
from reenact.face.surface.facing import roll_between, turn_between
from reenact.face.surface.motion_field import pixel_centres
from reenact.face.surface.skull import inside_outline, outline, outline_motion
from reenact.face.surface.visible import surface_points
from tests.face.surface.test_layer_field import face

SIZE = 96


@pytest.fixture(scope="module")
def head() -> HeadModel:
    return HeadModel()


def points(head: HeadModel, params: FaceParams) -> np.ndarray:
    return surface_points(head, params).numpy() + np.array([16, 16, 0], np.float32)


def test_no_motion_is_the_identity(head):
    still = points(head, face(rotation=[0.3, 0.1, 0.2]))
    found = outline_motion(still, still, torch.zeros(1), SIZE)
    torch.testing.assert_close(found, pixel_centres(SIZE, found.device), atol=1e-4, rtol=0)


def test_it_follows_place_size_and_roll(head):
    source, target = face(), face(translation=[36.0, 30.0], scale=24.0, rotation=[0.0, 0.0, 0.3])
    start, end = points(head, source), points(head, target)
    found = outline_motion(start, end, roll_between(source.rotation, target.rotation), SIZE)
    crown = int(np.argmin(np.abs(head.mean.numpy() - [0.0, 1.1, -0.9]).sum(1)))
    column, row = end[0, crown, :2].astype(int)
    shift = end[0, crown, :2] - [column + 0.5, row + 0.5]
    there = found[0, :, row, column].numpy() + shift
    np.testing.assert_allclose(there, start[0, crown, :2], atol=2.5)


@pytest.mark.parametrize("angle", [-0.6, 0.6])
def test_the_outline_of_a_turned_head_becomes_that_of_the_source(head, angle):
    source, target = face(), face(rotation=[angle, 0.0, 0.0])
    start, end = points(head, source), points(head, target)
    places = outline_motion(start, end, torch.zeros(1), SIZE)
    before, now = outline(start), outline(end)
    here = pixel_centres(SIZE, places.device).double().flatten(2)
    ratio = now.ratio(here - now.middle[..., None])
    there = before.ratio(places.double().flatten(2) - before.middle[..., None])
    near = (ratio > 0.5) & (ratio < 1.5)
    torch.testing.assert_close(there[near], ratio[near], atol=0.03, rtol=0)


def test_the_outline_lies_around_the_back_of_the_head(head):
    inside = inside_outline(points(head, face()), SIZE)[0, 0]
    skull = points(head, face())[0, : len(head.mean)]
    behind = skull[(head.mean[:, 2] < -0.5).numpy() & (head.mean[:, 1] > -0.5).numpy()]
    column, row = np.floor(behind[:, :2]).astype(int).T
    assert inside[row, column].mean() > 0.95
    assert 0.1 < float(inside.mean()) < 0.4


def test_rolling_does_not_count_as_turning():
    still = torch.zeros(1, 3)
    rolled, turned = torch.tensor([[0.0, 0.0, 0.4]]), torch.tensor([[0.4, 0.0, 0.0]])
    assert float(roll_between(still, rolled)) == pytest.approx(0.4, abs=1e-6)
    assert float(turn_between(still, rolled)) == pytest.approx(0.0, abs=1e-3)
    assert float(turn_between(still, turned)) == pytest.approx(0.4, abs=1e-3)
    assert float(roll_between(still, turned)) == pytest.approx(0.0, abs=1e-6)
