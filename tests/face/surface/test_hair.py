"""Where hair may be around a head: beside the skull and over it, not on or beside the face."""

import numpy as np
import pytest

from reenact.face.head_model import HeadModel
from reenact.face.surface.hair import hair_areas
from reenact.face.surface.layer_source import LayerSource
from tests.face.surface.test_layer_field import VIEW, face, photo_of


@pytest.fixture(scope="module")
def frontal() -> LayerSource:
    return photo_of(HeadModel(), face())


def test_face_and_hair_do_not_overlap(frontal):
    areas = hair_areas(frontal, VIEW.size)
    assert float((areas.face * (areas.beside + areas.crown)).max()) == 0
    assert float((areas.beside * areas.crown).max()) == 0


def test_hair_is_above_and_beside_the_head_and_not_below_the_chin(frontal):
    beside = hair_areas(frontal, VIEW.size).beside[0, 0]
    pixels = frontal.points[0, :, :2]
    top, left = int(pixels[:, 1].min()), VIEW.size // 2
    assert float(beside[top - 4, left]) == 1, "above the head"
    eyes = int(frontal.points[0, -1, 1])
    assert float(beside[eyes, 16]) == 1, "beside the head"
    assert float(beside[-12:].max()) == 0, "on the shoulders"


def test_the_face_of_a_three_quarter_view_is_not_beside_hair():
    """The cheek and the brow stick out of the round head. What is beside them moves with them."""
    source = photo_of(HeadModel(), face(rotation=[0.7, 0.0, 0.0]))
    areas = hair_areas(source, VIEW.size)
    nose = source.points[0, :, 0][np.argmax(-source.points[0, :, 2])]
    assert nose > VIEW.size / 2
    row = int(source.points[0, -1, 1])
    columns = np.flatnonzero(areas.beside[0, 0, row].numpy())
    assert len(columns) > 0
    assert columns.max() < VIEW.size / 2


def test_a_wider_square_shows_the_same_areas_in_its_middle(frontal):
    small, wide = (hair_areas(frontal, side) for side in (VIEW.size, VIEW.size + 20))
    for name in ("beside", "crown", "skull", "face"):
        inner = getattr(wide, name)[..., 10:-10, 10:-10]
        assert float((inner - getattr(small, name)).abs().mean()) < 5e-3, name
