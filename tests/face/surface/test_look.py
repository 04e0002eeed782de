"""Eyes, teeth and lids: what of a photo is read, and what is drawn."""

import dataclasses

import numpy as np
import pytest
import torch

from reenact.face.expressions import EXPRESSION_NAMES
from reenact.face.head_model import HeadModel
from reenact.face.params import FaceParams
from reenact.face.surface.eyes_and_teeth import (
    draw_closing_eyes,
    draw_materials,
    eye_areas,
    how_closed,
    painted,
    shaded,
)
from reenact.face.surface.look import MATERIALS, Look, read_look
from reenact.face.surface.raster import TEETH
from reenact.face.surface.visible import (
    BALLS,
    draw_surface,
    lid_share,
    rest_points,
    surface_points,
)

SIZE = 256
SIDES = ("left", "right")
SCLERA, IRIS, SKIN = (200, 190, 180), (60, 90, 120), (210, 160, 130)


@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray]:
    """Part and place at rest of each pixel of a wide-eyed face with an open mouth."""
    expression = torch.zeros(1, 52)
    expression[0, EXPRESSION_NAMES.index("jawOpen")] = 1.0
    face = dataclasses.replace(
        FaceParams.neutral(),
        translation=torch.tensor([[SIZE / 2, SIZE / 2]]),
        scale=torch.tensor([0.5 * SIZE]),
        expression=expression,
    )
    points = surface_points(HeadModel(), face)[0].numpy()
    places, part = draw_surface(points, rest_points(), SIZE)
    return part, places


def photo_with_irises(part: np.ndarray, places: np.ndarray, shift: float, iris: float):
    picture = np.full((SIZE, SIZE, 3), SKIN, float)
    ball = places / np.linalg.norm(places, axis=-1, keepdims=True).clip(min=1e-6)
    middle = np.array([shift, 0, np.sqrt(1 - shift**2)])
    angle = np.arccos((ball @ middle).clip(-1, 1))
    picture[part == BALLS] = SCLERA
    picture[(part == BALLS) & (angle < iris)] = IRIS
    return picture


def test_the_photos_own_iris_is_found(drawn):
    part, places = drawn
    look = read_look(photo_with_irises(part, places, 0.12, 0.5), part, places, SIZE / 2)
    assert look.iris == pytest.approx(0.5, abs=0.06)
    assert look.shift == pytest.approx([0.12, 0.12], abs=0.05)
    levels = (look.colours.numpy() + 1) * 127.5
    np.testing.assert_allclose(levels[MATERIALS.index("iris")], IRIS, atol=1)
    np.testing.assert_allclose(levels[MATERIALS.index("sclera")], SCLERA, atol=1)
    teeth = levels[MATERIALS.index("teeth")]
    assert np.ptp(teeth) < np.ptp(SKIN), "less colour than the skin"
    assert teeth.mean() == pytest.approx(np.mean(SKIN), rel=0.15)


def test_a_grey_photo_gets_grey_eyes_and_teeth(drawn):
    part, places = drawn
    picture = photo_with_irises(part, places, 0.0, 0.5).mean(-1, keepdims=True).repeat(3, -1)
    colours = read_look(picture, part, places, SIZE / 2).colours
    assert (colours.amax(1) - colours.amin(1)).max() < 1e-6


def test_a_photo_that_hides_its_eyes_gives_usual_ones(drawn):
    part, places = drawn
    lids = np.full((SIZE, SIZE, 3), SKIN, float)
    look = read_look(lids, np.where(part == BALLS, 0, part), places, SIZE / 2)
    assert look.iris == 0.5
    assert look.shift.tolist() == [0, 0]
    assert look.colours[MATERIALS.index("pupil")].max() < -0.6


def test_shares_of_a_pixel_are_one_or_none(drawn):
    part, places = drawn
    look = Look(colours=torch.zeros(len(MATERIALS), 3), iris=0.5, shift=np.zeros(2))
    fill = np.zeros((len(MATERIALS), *part.shape), np.float32)
    draw_materials(fill, part, places, SIZE / 2, look)
    total = fill.sum(0)
    is_skin = part <= 0
    assert np.abs(total[is_skin]).max() == 0
    np.testing.assert_allclose(total[(part == BALLS) | (part == TEETH)], 1, atol=1e-6)


def test_teeth_are_seen_in_a_wide_mouth_and_not_between_closed_lips():
    fill = torch.zeros(1, len(MATERIALS), 64, 64)
    fill[:, 0, 10:30, 10:50] = 1
    fill[:, 0, 45:47, 10:50] = 1
    drawn = shaded(fill, crop_side=128)
    assert drawn[0, 0, 20, 30] > 0.95
    assert drawn[0, 0, 45:47, 30].max() < 0.5
    # Nothing is added or lost where lips shade, and edges are soft.
    torch.testing.assert_close(drawn.sum(), fill.sum())
    assert 0.2 < drawn[0, :, 9:11, 30].sum(0).mean() < 0.8


def test_an_eye_that_closes_gets_the_shadow_of_its_lashes(drawn):
    part, _ = drawn
    areas = eye_areas(part, SIZE / 2)
    assert areas.min() > 50
    assert areas[0] == pytest.approx(areas[1], rel=0.1)
    fill = np.zeros((len(MATERIALS), SIZE, SIZE), np.float32)
    no_lid = np.zeros((SIZE, SIZE))
    draw_closing_eyes(fill, part == BALLS, no_lid, SIZE / 2, np.array([0.0, 0.86]))
    left, right = fill[..., : SIZE // 2], fill[..., SIZE // 2 :]
    assert left.max() == 0
    assert 0.5 < right.max() <= 1
    assert right[MATERIALS.index("lashes")].sum() == pytest.approx(right.sum())


def test_an_eye_closes_only_from_its_state_in_the_photo():
    before = np.array([150.0, 150.0])
    assert how_closed(before, before, SIZE).tolist() == [0, 0]
    assert how_closed(np.array([0, 75]), before, SIZE).tolist() == pytest.approx([1, 2 / 7])
    shut = np.array([0.0, 5.0])
    assert how_closed(np.zeros(2), shut, SIZE).tolist() == [0, 0], "the photo shows these lids"


def test_a_closing_lid_looks_like_the_skin_below_its_eye(drawn):
    """An open eye shows next to nothing of its lid, often a dark line of shadow and lashes."""
    part, places = drawn
    picture = photo_with_irises(part, places, 0.0, 0.5)
    is_above_pupils = (part == 0) & (places[..., 1] > 0)
    picture[is_above_pupils] = (30, 20, 20)
    picture[:, : SIZE // 2] *= 0.5
    look = read_look(picture, part, places, SIZE / 2)
    left, right = ((look.colours[MATERIALS.index(f"{side} lid")] + 1) * 127.5 for side in SIDES)
    assert right.tolist() == pytest.approx([0.9 * level for level in SKIN], abs=1)
    assert left.tolist() == pytest.approx((right / 2).tolist(), abs=1)

    lid = np.zeros((SIZE, SIZE), np.float32)
    lid[100:110, 80:90] = lid[100:110, 170:180] = 1
    fill = np.zeros((len(MATERIALS), SIZE, SIZE), np.float32)
    draw_closing_eyes(fill, np.zeros_like(lid) > 0, lid, SIZE / 2, np.array([0.0, 1.0]))
    assert fill[:, :, : SIZE // 2].max() == 0, "an eye as open as in the photo"
    assert fill[MATERIALS.index("right lid"), 100, 170] > 0.5
    assert fill.sum() == fill[MATERIALS.index("right lid")].sum()


def test_only_the_upper_lids_follow_an_eye_that_closes():
    share, rest = lid_share(), rest_points()
    assert share.shape == (len(rest),)
    assert share.max() == 1
    x, y, z = rest[share > 0.1].T
    assert np.abs(x).min() > 0.1
    assert np.abs(x).max() < 0.6
    assert np.abs(y).max() < 0.3
    assert z.min() > -0.4


def test_lids_that_touch_leave_a_soft_dark_line():
    """The head model's opening is a stair of single pixels. Nobody has such an edge."""
    fill, lashes = torch.zeros(1, len(MATERIALS), 64, 64), MATERIALS.index("lashes")
    fill[:, lashes, 30, 10:30] = fill[:, lashes, 31, 30:50] = 0.9
    drawn = shaded(fill, crop_side=256)[0, lashes]
    assert drawn[30:32, 12:48].max(0).values.min() > 0.5, "dark all along"
    assert drawn.diff(dim=0).abs().max() < 0.5, "no hard edge"
    assert drawn.max() <= 0.9 + 1e-6


@pytest.mark.parametrize("place", [(slice(40, 52), slice(70, 90)), (slice(0, 5), slice(120, 128))])
def test_only_the_square_around_eyes_and_mouth_is_computed(place: tuple[slice, slice]) -> None:
    look = Look(colours=torch.rand(len(MATERIALS), 3) - 0.5, iris=0.5, shift=np.zeros(2))
    fill = torch.zeros(2, len(MATERIALS), 128, 128)
    assert painted(fill, look, 128.0).abs().sum() == 0
    fill[(slice(1, 2), slice(None), *place)] = torch.rand(1, len(MATERIALS), 1, 1) / 7
    whole = shaded(fill, 128.0)
    colours = torch.einsum("bkhw,kc->bchw", whole, look.colours)
    expected = torch.cat([colours, whole.sum(1, keepdim=True)], 1)
    torch.testing.assert_close(painted(fill, look, 128.0), expected, atol=1e-6, rtol=0)
