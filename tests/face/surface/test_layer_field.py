"""The motion of a photo's layers: exact on the face, smooth beside it, none far below."""

import dataclasses

import numpy as np
import pytest
import torch

from reenact.face.crop import FaceCrop
from reenact.face.head_model import HeadModel
from reenact.face.params import FaceParams
from reenact.face.surface.continuation import continued, filled_in
from reenact.face.surface.layer_field import BENDING_BORDER, LayerField, layer_field
from reenact.face.surface.layer_source import LayerSource, layer_source
from reenact.face.surface.motion_field import pixel_centres
from reenact.face.surface.skull import skull_motion
from reenact.face.surface.visible import rest_points, surface_points

SIZE = 64
VIEW = FaceCrop(crop_from_frame=np.array([[1.0, 0, 16], [0, 1, 16], [0, 0, 1]]), size=96)
"""A square one and a half times as wide as the face crop, around it."""


@pytest.fixture(scope="module")
def head() -> HeadModel:
    return HeadModel()


def face(**changes: object) -> FaceParams:
    values = {"translation": [SIZE / 2, SIZE / 2], "scale": 0.3 * SIZE} | changes
    given = {name: torch.tensor([value], dtype=torch.float32) for name, value in values.items()}
    return dataclasses.replace(FaceParams.neutral(), **given)


def field_of(head: HeadModel, source: FaceParams, target: FaceParams) -> LayerField:
    return layer_field(head, photo_of(head, source), target)


def photo_of(head: HeadModel, source: FaceParams) -> LayerSource:
    cut = torch.zeros(1, 1, VIEW.size, VIEW.size)
    cut[..., -1, :] = 1
    return layer_source(head, source, SIZE, VIEW, torch.zeros(1, 3, VIEW.size, VIEW.size), cut)


def offsets(field: LayerField) -> torch.Tensor:
    return field.grid.permute(0, 3, 1, 2) - pixel_centres(VIEW.size, torch.device("cpu"))


def test_no_motion_is_the_identity(head):
    still = face(rotation=[0.3, 0.1, 0.05])
    field = field_of(head, still, still)
    assert offsets(field).abs().max() < 2e-2
    assert field.hidden.max() == 0
    assert field.fill.abs().max() == 0
    picture = torch.rand(1, 3, 96, 96)
    torch.testing.assert_close(field.warp(picture), picture, atol=3e-2, rtol=0)


def test_the_face_goes_where_the_head_model_puts_it(head):
    source, target = face(), face(rotation=[0.25, -0.1, 0.1], translation=[34.0, 30.0])
    field = field_of(head, source, target)
    inner = [30, 33, 36, 39, 42, 45]  # nose and corners of the eyes
    there = head.landmarks(target)[0, inner] + 16
    here = head.landmarks(source)[0, inner] + 16
    column, row = there.long().unbind(-1)
    found = field.grid[0, row, column] + (there - (there.long() + 0.5))
    assert (found - here).norm(dim=-1).max() < 1.5


def test_hair_above_the_head_turns_rigidly_with_it(head):
    """A pure roll about the neck: a point well above the skull turns by the same angle."""
    roll = 0.15
    source, target = face(), face(rotation=[0.0, 0.0, roll])
    field = field_of(head, source, target)
    crown = head.landmarks(source)[0, 27] + 16 - torch.tensor([0.0, 1.35 * 0.3 * SIZE])
    column, row = (int(v) for v in crown)
    above = field.grid[0, row, column] - torch.tensor([column + 0.5, row + 0.5])
    # Anticlockwise in the picture: what is above the neck came from the right.
    arm = float(head.landmarks(source)[0, 27, 1] - 1.35 * 0.3 * SIZE)
    neck = SIZE / 2 + 0.95 * 0.3 * SIZE
    assert float(above[0]) == pytest.approx((neck - arm) * np.tan(roll), rel=0.25)


@pytest.mark.parametrize("angle", [-0.5, 0.5])
def test_hair_above_a_turned_head_moves_with_the_skull_not_with_the_face(head, angle):
    source, target = face(), face(rotation=[angle, 0.0, 0.0])
    field = field_of(head, source, target)
    nose = head.landmarks(target)[0, 27] + 16
    row, column = int(nose[1]) - round(1.5 * 0.3 * SIZE), VIEW.size // 2
    start, end = (surface_points(head, f).numpy() + np.array([16, 16, 0]) for f in (source, target))
    skull = skull_motion(start, end)[0] @ torch.tensor([column + 0.5, row + 0.5, 1.0])
    hair, front = field.grid[0, row, column], field.grid[0, int(nose[1]), int(nose[0])]
    face_moves = abs(float(front[0]) - int(nose[0]) - 0.5)
    assert abs(float(hair[0] - skull[0])) < 0.3 * face_moves
    assert abs(float(hair[0]) - column - 0.5) < 0.5 * face_moves


@pytest.mark.parametrize("angle", [-0.5, 0.5])
def test_hair_that_turns_into_view_moves_with_the_surface_beside_it(head, angle):
    """On the other side the skull holds it, or it would hang in the air."""
    field = field_of(head, face(), face(rotation=[angle, 0.0, 0.0]))
    row, reach = VIEW.size // 2 - round(0.4 * 0.3 * SIZE), round(1.6 * 0.3 * SIZE)
    moved = offsets(field)[0, 0, row].abs()
    into, away = (VIEW.size // 2 - side * reach for side in np.sign([angle, -angle]))
    assert moved[int(into)] > 2 * moved[int(away)]


@pytest.mark.parametrize("angle", [0.0, 0.4])
def test_shoulders_follow_the_place_of_the_head_but_do_not_turn(head, angle):
    source, target = face(), face(rotation=[angle, 0.0, 0.0], translation=[36.0, 30.0])
    shoulder = int(np.argmin(np.abs(rest_points()[:, :2] - [0.0, -1.9]).sum(1)))
    row = int(surface_points(head, target)[0, shoulder, 1]) + 16
    field = field_of(head, source, target)
    shares = (VIEW.size - 1 - np.arange(row, row + 6)) / (BENDING_BORDER * SIZE)
    found = offsets(field)[0, :, row : row + 6, 36 + 16]
    expected = torch.tensor([[-4.0], [2.0]]) * torch.from_numpy(shares).clamp(max=1)
    torch.testing.assert_close(found, expected.float(), atol=0.3, rtol=0)


def test_hair_at_the_back_comes_with_the_turn_not_with_rolling(head):
    rolled, far = (
        field_of(head, face(), face(rotation=rotation))
        for rotation in ([0.0, 0.0, 0.5], [0.4, 0.0, 0.0])
    )
    assert rolled.back.max() == 0
    assert far.back[0, 0, :20].min() == 1, "above the face"
    nose = head.landmarks(face(rotation=[0.4, 0.0, 0.0]))[0, 30] + 16
    assert far.back[0, 0, int(nose[1]), int(nose[0])] < 0.1, "on the face"


def test_what_the_border_of_the_photo_cuts_does_not_move(head):
    field = field_of(head, face(), face(translation=[36.0, 30.0]))
    assert offsets(field)[0, :, -1].abs().max() < 1e-3
    assert offsets(field)[0, :, 40].abs().max() > 1


@pytest.mark.parametrize("angle", [-0.7, 0.7])
def test_a_turned_head_is_squeezed_less_than_a_flat_picture(head, angle):
    start, end = (
        surface_points(head, face(rotation=[turn, 0.0, 0.0])).numpy() for turn in (0.0, angle)
    )
    motion = skull_motion(start, end)[0]
    assert 0.9 < float(torch.linalg.det(motion[:, :2])) < 0.97 / np.cos(angle)
    still = skull_motion(start, start)[0]
    torch.testing.assert_close(still, torch.eye(3)[:2], atol=1e-3, rtol=0)


def test_the_networks_person_comes_with_the_turn_not_with_rolling(head):
    rolled, little, far = (
        field_of(head, face(), face(rotation=rotation)).behind
        for rotation in ([0.0, 0.0, 0.5], [0.15, 0.0, 0.0], [0.3, -0.4, 0.2])
    )
    assert rolled.max() == little.max() == 0
    assert far[..., :30, :].min() == 1, "above the face"
    assert far[..., -10:, :].max() == 0, "on the body"


def test_a_hidden_cheek_is_mirrored_and_marked(head):
    """A head turned by 63 degrees hides one cheek; seen from the front it is the other one."""
    field = field_of(head, face(rotation=[1.1, 0.0, 0.0]), face())
    hidden = field.hidden[0, 0] > 0.5
    columns = torch.nonzero(hidden)[:, 1].float()
    assert hidden.sum() > 20
    assert bool((columns > 48).float().mean() > 0.9) or bool((columns < 48).float().mean() > 0.9)
    # They come from where the source shows the other cheek.
    rows, columns = torch.nonzero(hidden).unbind(-1)
    nose = float(head.landmarks(face(rotation=[1.1, 0.0, 0.0]))[0, 30, 0]) + 16
    assert ((field.mirror[0, rows, columns, 0] - nose) * (columns - 48)).max() < 0


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_cheek_that_turns_into_view_is_the_networks_and_the_other_is_the_photos(head, sign):
    still, turned = face(), face(rotation=[sign * 0.6, 0.0, 0.0])
    slanted = field_of(head, still, turned).slanted
    places = (head.landmarks(turned)[0] + 16).long()
    # A turn to the right shows more of the left side of the picture.
    towards, away = (3, 13) if sign > 0 else (13, 3)
    assert slanted[0, 0, places[towards, 1], places[towards, 0]] > 0.3
    assert slanted[0, 0, places[away, 1], places[away, 0]] == 0
    eyes = places[36:48]
    assert slanted[0, 0, eyes[:, 1], eyes[:, 0]].max() < 0.5, "eyes are the photo's own"
    assert field_of(head, still, face(rotation=[0.15, 0.0, 0.0])).slanted.max() == 0
    assert field_of(head, turned, turned).slanted.max() == 0


def test_continuation_keeps_what_is_known_and_far_away_is_rigid():
    offset, known = torch.zeros(1, 2, 32, 32), torch.zeros(1, 1, 32, 32)
    known[..., 12:20, 12:20] = 1
    offset[:, 0] = 3.0
    rigid = torch.full((1, 2, 32, 32), 1.0)
    result = continued(offset, known, rigid)
    assert result[..., 12:20, 12:20].equal(offset[..., 12:20, 12:20])
    torch.testing.assert_close(result[:, 0], torch.full((1, 32, 32), 3.0), atol=1e-3, rtol=0)
    torch.testing.assert_close(continued(rigid, known, rigid), rigid)


def test_filling_a_hole_of_a_plain_picture_gives_the_plain_picture():
    plain = torch.tensor([0.2, -0.4, 0.7])[None, :, None, None].expand(1, 3, 45, 37)
    known = torch.ones(1, 1, 45, 37)
    known[..., 10:40, 5:30] = 0
    torch.testing.assert_close(filled_in(plain * known, known), plain, atol=1e-5, rtol=0)


def test_nothing_comes_from_beyond_the_photo(head):
    """The photo ends at the brows; the head goes down by 8 pixels."""
    source, target = face(), face(translation=[32.0, 40.0])
    brows = int(head.landmarks(source)[0, 19, 1]) + 16
    cut = torch.zeros(1, 1, VIEW.size, VIEW.size)
    cut[..., :brows, 30:66] = 1
    picture = torch.zeros(1, 3, VIEW.size, VIEW.size)
    photo = layer_source(head, source, SIZE, VIEW, picture, cut)
    field = layer_field(head, photo, target)
    below = field.grid[0, brows:, 30:66, 1]
    assert below.min() > brows - 2
    nose = head.landmarks(target)[0, 30] + 16
    column, row = (int(v) for v in nose)
    assert float(field.grid[0, row, column, 1]) == pytest.approx(row + 0.5 - 8, abs=1)
    # The rows next to the border are stretched, not torn.
    steps = field.grid[0, brows : row + 1, column, 1].diff()
    assert steps.min() > -0.5
    assert steps.max() < 4


def test_the_motion_is_smooth_across_the_outline_of_the_head(head):
    """A turned head: from its squeezed side to the hair beside it no pixel is left out."""
    source, target = face(), face(rotation=[-0.35, 0.0, 0.0])
    field = field_of(head, source, target)
    row = int(head.landmarks(target)[0, 27, 1]) + 16
    places = field.grid[0, row, :, 0]
    steps = places.diff()
    assert steps.max() < 2.5, "no tear"
    assert steps.min() > 0, "no fold"


@pytest.mark.parametrize("angle", [0.35, 0.7])
def test_a_cheek_that_turns_into_view_is_not_torn(head, angle):
    """From the nose to the hair the places go one way, without cracks."""
    target = face(rotation=[angle, 0.0, 0.0])
    field = field_of(head, face(), target)
    cheek = head.landmarks(target)[0, 2] + 16
    row, column = int(cheek[1]) - 4, int(cheek[0])
    places = field.grid[0, row, 10 : column + 14, 0]
    assert places.diff().max() < 2.5
    assert places.diff().min() > -0.1
    assert field.opaque.max() > 0.3


def test_what_is_drawn_grows_smoothly_with_the_turn(head):
    """A half-hidden cheek does not change at once when the head begins to turn."""
    source = face(rotation=[0.8, 0.0, 0.0])
    still, turned = (
        field_of(head, source, face(rotation=[0.8 - turn, 0.0, 0.0])) for turn in (0.0, 0.01)
    )
    assert still.hidden.max() == still.opaque.max() == 0
    assert turned.hidden.max() < 0.2
    assert (offsets(turned) - offsets(still)).abs().max() < 1.5


def test_the_neck_under_the_jaw_bends_without_a_step(head):
    """A head that goes up by four pixels: below the jaw each column is stretched, not torn."""
    source, target = face(), face(translation=[32.0, 28.0])
    field = field_of(head, source, target)
    corner = head.landmarks(target)[0, 4] + 16
    row, column = int(corner[1]), int(corner[0])
    for shift in (0, 3, 6):
        steps = field.grid[0, row - 6 : row + 20, column + shift, 1].diff()
        assert steps.max() < 2
        assert steps.min() > 0
