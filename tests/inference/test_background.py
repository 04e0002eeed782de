"""What is behind the person: the photo's background, nothing, or a colour; transparent sources."""

import numpy as np
import pytest
import torch
from PIL import Image

from reenact.errors import UserError
from reenact.face.head_model import HeadModel
from reenact.face.params import FaceParams
from reenact.face.surface.layer_source import layer_source
from reenact.inference.background import check_background, cut_person, finished
from reenact.inference.canvas import SourceView
from reenact.inference.layered import layered
from reenact.inference.layers import make_layers
from reenact.inference.pictures import frame_and_alpha
from tests.inference.test_layers import CANVAS, SIDE, shifted


def test_colours_and_alpha_come_back_from_colours_over_white():
    generator = np.random.default_rng(0)
    own = generator.integers(0, 256, (6, 7, 3)).astype(float)
    alpha = generator.integers(40, 256, (6, 7, 1)).astype(float)
    over_white = own * alpha / 255 + 255 - alpha
    frame = np.concatenate([over_white, alpha], -1).round().astype(np.uint8)
    result = finished(frame, "transparent").astype(float)
    assert np.abs(result[..., :3] - own).max() <= 0.5 * 255 / 40 + 1
    np.testing.assert_array_equal(result[..., 3:], alpha)
    green = finished(frame, "#00ff10").astype(float)
    expected = own * alpha / 255 + (255 - alpha) / 255 * [0, 255, 16]
    assert np.abs(green - expected).max() <= 1.5
    assert np.array_equal(
        finished(np.full((2, 2, 4), 255, np.uint8), "#000000"), np.full((2, 2, 3), 255)
    )


def test_a_person_is_cut_out_without_the_colour_of_the_wall():
    """Black hair before a green wall, mixed by halves at its edge: the cut-out is black."""
    mask = torch.zeros(1, 1, 40, 40)
    mask[..., 12:28, 12:28] = 0.5
    mask[..., 14:26, 14:26] = 1
    wall = np.array([0.0, 200.0, 0.0])
    photo = ((1 - mask[0, 0].numpy()[..., None]) * wall).round().astype(np.uint8)
    frame, alpha = cut_person(photo, mask)
    np.testing.assert_array_equal(alpha, (mask[0, 0] * 255).round().byte().numpy())
    result = finished(np.dstack([frame, alpha]), "transparent")
    assert result[12:28, 12:28, :3].max() <= 4
    assert result[:8, :8, 3].max() == 0


def test_the_alpha_of_a_cut_out_moves_with_the_person():
    """A dark square before nothing moves by six pixels; where it was there is nothing."""
    opacity = torch.zeros(1, 1, SIDE, SIDE)
    opacity[..., 16:32, 16:32] = 1
    colours = (1 - 1.6 * opacity).expand(-1, 3, -1, -1)
    picture = torch.cat([colours, opacity * 2 - 1], 1)
    none = torch.zeros_like(opacity)
    view = SourceView(canvas=CANVAS, picture=picture, mask=opacity, cut=none)
    head, face = HeadModel(), FaceParams.neutral()
    face.translation[:], face.scale[:] = 12.0, 6.0
    source = layer_source(head, face, SIDE // 2, CANVAS, picture[:, :3], none)
    result = layered(torch.zeros(1, 3, 24, 24), make_layers(view, source), shifted(6.0))
    expected = torch.cat([torch.ones(1, 3, SIDE, SIDE), -torch.ones(1, 1, SIDE, SIDE)], 1)
    expected[:, :3, 16:32, 10:26], expected[:, 3, 16:32, 10:26] = -0.6, 1.0
    torch.testing.assert_close(result, expected, atol=1e-4, rtol=0)


def test_real_transparency_in_the_photo_stays_where_the_background_is():
    """A photo with a transparent corner: the corner stays, whatever the person does."""
    mask, opacity = torch.zeros(2, 1, 1, SIDE, SIDE)
    mask[..., 16:32, 16:32] = 1
    opacity[:] = 1
    opacity[..., :6, :6] = 0
    colours = torch.where(opacity > 0, 0.5, 1.0).expand(-1, 3, -1, -1)
    picture = torch.cat([colours, opacity * 2 - 1], 1)
    none = torch.zeros_like(mask)
    view = SourceView(canvas=CANVAS, picture=picture, mask=mask, cut=none)
    head, face = HeadModel(), FaceParams.neutral()
    face.translation[:], face.scale[:] = 12.0, 6.0
    source = layer_source(head, face, SIDE // 2, CANVAS, picture[:, :3], none)
    result = layered(torch.zeros(1, 3, 24, 24), make_layers(view, source), shifted(6.0))
    torch.testing.assert_close(result[:, 3:], opacity * 2 - 1, atol=1e-2, rtol=0)


@pytest.mark.parametrize("value", ["photo", "transparent", "#00b140", "#ABCDEF"])
def test_backgrounds_that_are_there(value):
    check_background(value)


@pytest.mark.parametrize("value", ["", "white", "#fff", "#00b14", "#00b140 "])
def test_other_backgrounds_are_refused_in_one_line(value):
    with pytest.raises(UserError, match="background: must be photo, transparent or a colour"):
        check_background(value)


def test_alpha_is_read_from_arrays_and_pictures():
    rgba = np.zeros((3, 4, 4), np.uint8)
    rgba[1, 2] = (10, 20, 30, 255)
    for picture in (rgba, Image.fromarray(rgba)):
        frame, alpha = frame_and_alpha(picture, "here")
        assert alpha is not None
        np.testing.assert_array_equal(alpha, rgba[..., 3])
        np.testing.assert_array_equal(frame[1, 2], [10, 20, 30])
        assert frame[0, 0].min() == 255
    rgba[..., 3] = 255
    assert frame_and_alpha(rgba, "here")[1] is None
