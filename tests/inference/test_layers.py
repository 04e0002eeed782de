"""Layers: the photo's own background, the moved person, and where the canvas is in the photo."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from reenact.face.crop import FaceCrop, warp_to_crop
from reenact.face.head_model import HeadModel
from reenact.face.open.model import OpenFaceModel
from reenact.face.params import FaceParams
from reenact.face.person_mask import PersonMask
from reenact.face.surface.hair import hair_areas
from reenact.face.surface.layer_field import LayerField
from reenact.face.surface.layer_source import layer_source
from reenact.face.surface.motion_field import pixel_centres
from reenact.inference.canvas import SourceView, crop_view, photo_view, put_back
from reenact.inference.config import ReenactorConfig
from reenact.inference.crop_reenactor import CropReenactor
from reenact.inference.drawn import light_gain, onto_canvas, recoloured
from reenact.inference.layered import layered
from reenact.inference.layers import Layers, make_layers
from reenact.inference.reenactor import Reenactor
from reenact.inference.source_state import SourceState
from reenact.media.images import frame_from_image, image_from_frame
from tests.inference.conftest import disk_frame

SIDE = 48
CANVAS = FaceCrop(crop_from_frame=np.diag([2.0, 2.0, 1.0]), size=SIDE)
WALL, SHIRT = 0.5, -0.6


def view() -> SourceView:
    """A dark square, the person, in front of a plain wall."""
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask[..., 16:32, 16:32] = 1
    picture = WALL + (SHIRT - WALL) * mask.expand(-1, 3, -1, -1)
    return SourceView(canvas=CANVAS, picture=picture, mask=mask, cut=torch.zeros_like(mask))


def shifted(x: float, **changes: torch.Tensor) -> LayerField:
    """Everything moves to the left by x pixels."""
    grid = (
        pixel_centres(SIDE, torch.device("cpu")) + torch.tensor([x, 0.0])[:, None, None]
    ).clone()
    none = torch.zeros(1, 1, SIDE, SIDE)
    grid = grid.permute(0, 2, 3, 1)
    planes = {"mirror": grid, "back_grid": grid, "fill": none.expand(-1, 4, -1, -1)}
    planes |= dict.fromkeys(("opaque", "sure", "hidden", "back", "behind", "slanted"), none)
    return LayerField(grid=grid, **(planes | changes))


def layers_of(source: SourceView) -> Layers:
    head, face = HeadModel(), FaceParams.neutral()
    face.translation[:], face.scale[:] = 12.0, 6.0
    seen = source.inner(source.picture)
    return make_layers(source, layer_source(head, face, SIDE // 2, CANVAS, seen, source.cut))


def test_without_motion_the_result_is_the_photo():
    source = view()
    source.picture.add_(0.3 * torch.rand_like(source.picture))
    source.mask.mul_(0.7)
    result = layered(torch.rand(1, 3, 24, 24), layers_of(source), shifted(0.0))
    torch.testing.assert_close(result, source.picture, atol=1e-4, rtol=0)


def test_the_person_moves_and_the_wall_stays():
    layers = layers_of(view())
    torch.testing.assert_close(layers.plate, torch.full_like(layers.plate, WALL))
    result = layered(torch.rand(1, 3, 24, 24), layers, shifted(6.0))
    expected = torch.full_like(result, WALL)
    expected[..., 16:32, 10:26] = SHIRT
    torch.testing.assert_close(result, expected, atol=1e-4, rtol=0)


def test_hair_stands_behind_a_person_who_turns_away(monkeypatch):
    """The person moves to the left, the hair at the back of the head stays."""
    layers = layers_of(view())
    hair, here = torch.zeros_like(layers.person), pixel_centres(SIDE, torch.device("cpu"))
    hair[:, 3:, 16:24, 16:32] = 1
    hair[:, :3, 16:24, 16:32] = 0.2
    back = {"back": torch.ones(1, 1, SIDE, SIDE), "back_grid": here.permute(0, 2, 3, 1)}
    monkeypatch.setattr("reenact.inference.layers.back_of_head", lambda *_: hair)
    result = layered(torch.rand(1, 3, 24, 24), layers, shifted(6.0, **back))
    assert result[..., 18:22, 29:31].sub(0.2).abs().max() < 1e-4, "hair where the person was"
    assert result[..., 26:30, 27:31].sub(WALL).abs().max() < 1e-4, "the wall below"
    assert result[..., 26:30, 14:22].sub(SHIRT).abs().max() < 1e-4, "the person in front"


def test_hair_hides_what_the_face_hid_and_shows_no_skin():
    """A head with dark hair around light skin: at the back of the head there is hair alone."""
    head, face, skin, hair = HeadModel(), FaceParams.neutral(), 0.6, -0.5
    side, canvas = 128, FaceCrop(crop_from_frame=np.diag([2.0, 2.0, 1.0]), size=128)
    face.translation[:], face.scale[:] = 32.0, 14.0
    none = torch.zeros(1, 1, side, side)
    source = layer_source(head, face, side // 2, canvas, none.expand(-1, 3, -1, -1), none)
    areas = hair_areas(source, side)
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    mask = (((x - 64) / 44) ** 2 + ((y - 60) / 52) ** 2 < 1).float()[None, None]
    colours = torch.where(areas.face > 0, skin, hair).expand(-1, 3, -1, -1) * mask
    picture = colours + (1 - mask) * WALL
    back = make_layers(SourceView(canvas=canvas, picture=picture, mask=mask, cut=none), source).back
    shown = back[0, 3] > 0.5
    assert shown[int(areas.skull[0, 0].nonzero()[0, 0]), 64], "the top of the head"
    assert not shown[90:].any(), "the jaw and below"
    found = back[:, :3] / back[:, 3:].clamp(min=1e-3)
    assert (found[:, :, shown] - hair).abs().max() < 0.1
    assert (areas.face[0, 0] * shown).sum() > 200, "hair where the photo shows the forehead"


def test_a_bald_head_shows_its_skin_at_the_back():
    head, face, skin, side = HeadModel(), FaceParams.neutral(), 0.4, 128
    canvas = FaceCrop(crop_from_frame=np.diag([2.0, 2.0, 1.0]), size=side)
    face.translation[:], face.scale[:] = 32.0, 14.0
    face.rotation[:, 1] = 0.4  # looking down
    none = torch.zeros(1, 1, side, side)
    source = layer_source(head, face, side // 2, canvas, none.expand(-1, 3, -1, -1), none)
    areas = hair_areas(source, side)
    mask = ((areas.face + areas.crown + areas.skull) > 0).float()
    picture = torch.where(mask > 0, skin, -WALL).expand(-1, 3, -1, -1)
    view = SourceView(canvas=canvas, picture=picture, mask=mask, cut=none)
    back = make_layers(view, source).back
    shown = back[0, 3] > 0.5
    assert shown.sum() > 500
    found = back[:, :3] / back[:, 3:].clamp(min=1e-3)
    assert (found[:, :, shown] - skin).abs().max() < 0.05


def test_a_collar_beside_the_jaw_is_no_hair():
    """Beside the head there is hair that goes up to the top of the head, and nothing else."""
    head, face, side = HeadModel(), FaceParams.neutral(), 128
    canvas = FaceCrop(crop_from_frame=np.diag([2.0, 2.0, 1.0]), size=side)
    face.translation[:], face.scale[:] = 32.0, 14.0
    none = torch.zeros(1, 1, side, side)
    source = layer_source(head, face, side // 2, canvas, none.expand(-1, 3, -1, -1), none)
    eyes, chin = (int(source.points[0, k, 1]) for k in (-1, _chin()))
    mask = none.clone()
    mask[..., 20:chin, 28:100] = 1  # a head with hair down to the chin
    long = mask.clone()
    mask[..., eyes + 4 : eyes + 8, :40] = mask[..., eyes + 4 : eyes + 8, 88:] = 0  # a gap
    for given, is_there in ((long, True), (mask, False)):
        picture = torch.where(given > 0, SHIRT, WALL).expand(-1, 3, -1, -1)
        shown = SourceView(canvas=canvas, picture=picture, mask=given, cut=none)
        back = make_layers(shown, source).back
        beside = back[0, 3, (eyes + chin) // 2 : chin - 8]
        assert (beside.max() > 0.5) == is_there, "beside the head"
        assert (beside[:, side // 2].min() > 0.5) == is_there, "behind the face"


def _chin() -> int:
    """The vertex of the head model at the tip of the chin."""
    head = HeadModel().mean.numpy()
    return int(np.argmin(np.abs(head - [0.0, -1.1, 0.0]).sum(1)))


def test_the_networks_draw_what_is_hidden_in_the_light_of_its_surroundings():
    hidden, sure = torch.zeros(2, 1, 1, SIDE, SIDE)
    hidden[..., 20:28, 20:28] = 1
    sure[..., 16:32, 16:32] = 1
    picture = torch.full((1, 3, 24, 24), 0.9)
    field = shifted(0.0, hidden=hidden, sure=sure)
    result = layered(picture, layers_of(view()), field)
    # The networks' plain picture is fitted to the shirt around the hidden part.
    torch.testing.assert_close(
        result[..., 20:28, 20:28], torch.full((1, 3, 8, 8), SHIRT), atol=0.02, rtol=0
    )


def test_a_grey_photo_stays_grey():
    """Whatever the networks draw where the photo hides the face."""
    hidden, sure = torch.zeros(2, 1, 1, SIDE, SIDE)
    hidden[..., 18:30, 18:30] = 1
    sure[..., 16:32, 16:32] = 1
    field = shifted(2.0, hidden=hidden, sure=sure)
    result = layered(torch.rand(1, 3, 24, 24), layers_of(view()), field)
    torch.testing.assert_close(result, result.mean(1, keepdim=True).expand_as(result))


def test_usual_colours_cover_the_person():
    fill = torch.zeros(1, 4, SIDE, SIDE)
    fill[:, :, 20:24, 20:24] = torch.tensor([0.3, 0.2, 0.1, 1.0])[None, :, None, None]
    result = layered(torch.zeros(1, 3, 24, 24), layers_of(view()), shifted(0.0, fill=fill))
    colour = torch.tensor([0.3, 0.2, 0.1])[None, :, None, None].expand(1, 3, 4, 4)
    torch.testing.assert_close(result[..., 20:24, 20:24], colour)


def test_a_cheek_that_turns_into_view_is_skin_not_wall():
    """Where the head is opaque its colours go on beyond the person's outline in the photo."""
    opaque = torch.zeros(1, 1, SIDE, SIDE)
    opaque[..., 18:30, 12:20] = 1
    result = layered(torch.zeros(1, 3, 24, 24), layers_of(view()), shifted(0.0, opaque=opaque))
    assert (result[..., 18:30, 12:20] - SHIRT).abs().max() < 1e-4
    assert (result[..., 18:30, :12] - WALL).abs().max() < 1e-4


def test_the_networks_person_fills_what_the_moved_person_leaves_open():
    """It has the colours of the photo, stays behind the person, and grows with `behind`. It is
    nowhere wider than the photo's person.
    """
    people = torch.zeros(1, 1, 24, 24)
    people[..., 4:20, 4:20] = 1
    picture = torch.full((1, 3, 24, 24), 0.9)
    layers, here = layers_of(view()), pixel_centres(SIDE, torch.device("cpu"))
    for share in (0.0, 0.5, 1.0):
        behind = torch.full((1, 1, SIDE, SIDE), share)
        field = shifted(6.0, behind=behind, back_grid=here.permute(0, 2, 3, 1))
        result = layered(picture, layers, field, people)
        expected = torch.full((1, 3, 12, 3), WALL + share * (SHIRT - WALL))
        torch.testing.assert_close(result[..., 18:30, 28:31], expected, atol=0.05, rtol=0)
        assert (result[..., 33:] - WALL).abs().max() < 0.01
        assert (result[..., 20:28, 14:22] - SHIRT).abs().max() < 0.05


def test_the_networks_draw_skin_that_turns_into_view():
    """In the colours of the photo, and only where they show a person."""
    people = torch.zeros(1, 1, 24, 24)
    people[..., 4:20, 4:12] = 1
    generator = torch.Generator().manual_seed(0)
    picture = 0.4 + 0.2 * torch.rand(1, 3, 24, 24, generator=generator)
    layers, behind = layers_of(view()), torch.ones(1, 1, SIDE, SIDE)
    slanted = torch.zeros(1, 1, SIDE, SIDE)
    slanted[..., 24:] = 1
    field = shifted(0.0, behind=behind)
    drawn = shifted(0.0, behind=behind, slanted=slanted)
    usual, result = (layered(picture, layers, x, people) for x in (field, drawn))
    torch.testing.assert_close(result[..., :24], usual[..., :24])
    torch.testing.assert_close(result[..., 30:], usual[..., 30:], msg="no person there")
    people[..., 12:20] = 1
    usual, result = (layered(picture, layers, x, people) for x in (field, drawn))
    skin = result[..., 20:28, 26:30]
    assert (skin - usual[..., 20:28, 26:30]).std() > 0.001, "the networks' own features"
    assert (skin - SHIRT).abs().max() < 0.15, "in the photo's colours"


def test_colours_are_fitted_where_both_pictures_show_the_same():
    generator = torch.Generator().manual_seed(0)
    drawn = torch.rand(2, 3, 16, 16, generator=generator) - 0.5
    wanted = 0.8 * drawn[:, [1, 0, 2]] + 0.1
    weight = torch.zeros(2, 1, 16, 16)
    weight[:, :, :12] = 1
    result = recoloured(drawn, wanted, weight)
    assert (result - wanted).abs().mean() < 0.1 * (drawn - wanted).abs().mean()
    torch.testing.assert_close(recoloured(drawn, wanted, 0 * weight), drawn)


def test_light_is_broad_bounded_and_without_colour():
    face = torch.zeros(1, 1, 48, 48)
    face[..., 8:40, 8:40] = 1
    shown = torch.full((1, 3, 48, 48), -0.2)
    ramp = torch.linspace(-0.6, 0.4, 48).expand(1, 3, 48, 48)
    gain = light_gain(ramp, shown, face, 1.0)
    assert gain.shape == face.shape
    assert gain[..., 24, 14] < 0.95 < 1.05 < gain[..., 24, 34]
    assert gain.min() >= 1 / 1.25
    assert gain.max() <= 1.25
    assert (gain[..., :4, :] - 1).abs().max() == 0
    torch.testing.assert_close(light_gain(shown, shown, face, 1.0), torch.ones_like(face))


def test_a_crop_is_shown_where_the_canvas_has_it():
    ticks = torch.arange(24) + 0.5
    ramp = ticks[None, None, None].expand(1, 3, 24, 24)
    matrix = np.array([[0.0, 2.0, 0.0], [-2.0, 0.0, 48.0], [0, 0, 1]])  # a quarter turn
    shown = onto_canvas(ramp, FaceCrop(crop_from_frame=matrix, size=SIDE), SIDE)
    expected = (SIDE - (torch.arange(SIDE) + 0.5)[:, None].expand(SIDE, SIDE)) / 2
    torch.testing.assert_close(shown[0, 0, 4:-4, 4:-4], expected[4:-4, 4:-4], atol=0.05, rtol=0)


@pytest.fixture(scope="module")
def net() -> PersonMask:
    return PersonMask()


@pytest.fixture
def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (90, 70, 3), dtype=np.uint8)


def test_the_photos_own_pixels_are_composed(net, photo):
    turn = np.array([[0.98, 0.2, 3.0], [-0.2, 0.98, 8.0], [0, 0, 1]])
    crop = FaceCrop(crop_from_frame=turn * [[1], [1], [1]], size=40)
    seen, (left, top) = photo_view(photo, crop, net)
    frame = frame_from_image(seen.picture)[0]
    assert put_back(np.zeros_like(photo), frame, (left, top)).max() > 0
    np.testing.assert_array_equal(put_back(photo, frame, (left, top)), photo)
    # the canvas shows a point of the crop where the photo has it
    point = np.array([[11.0, 29.0]])
    expected = crop.points_to_frame(point) - [left, top]
    np.testing.assert_allclose(seen.canvas.points_from_frame(point), expected, atol=1e-9)
    assert seen.cut[..., 0, :].min() == seen.cut[..., :, -1].min() == 1


def test_the_view_of_a_crop_shows_the_crop_and_what_is_around_it(net, photo):
    crop = FaceCrop(crop_from_frame=np.array([[1.0, 0, -20], [0, 1, -30], [0, 0, 1]]), size=32)
    seen = crop_view(photo, crop, net, 64)
    assert seen.picture.shape[-1] == 128
    inner = frame_from_image(seen.picture[..., 32:96, 32:96])[0].astype(int)
    wanted = warp_to_crop(photo, crop.resized(64)).astype(int)
    assert np.abs(inner - wanted).max() <= 1
    # 16 pixels of the photo to each side, then its border's pixels
    wide = warp_to_crop(photo, FaceCrop(crop_from_frame=np.diag([2.0, 2, 1]), size=128))
    assert (
        np.abs(
            frame_from_image(seen.picture)[0, 40:80].astype(int)[:, 4:100] - wide[68:108, 12:108]
        ).max()
        <= 1
    )


def test_a_mask_at_the_photos_border_is_held_there(net):
    photo = np.full((60, 60, 3), 128, np.uint8)
    crop = FaceCrop(crop_from_frame=np.eye(3), size=60)
    always = net.of_photo
    net.of_photo = lambda image, face: torch.ones_like(image[:, :1])
    try:
        seen, _ = photo_view(photo, crop, net)
    finally:
        net.of_photo = always
    assert seen.cut[..., 60, 31:89].max() == 0, "inside the photo everything may move"
    assert seen.cut[..., 29, 40] == seen.cut[..., 95, 40] == 1


def test_pictures_are_put_back_where_they_overlap():
    photo = np.zeros((4, 5, 3), np.uint8)
    result = np.arange(1, 10, dtype=np.uint8).reshape(3, 3)[..., None].repeat(3, 2)
    back = put_back(photo, result, (-1, 2))
    expected = np.zeros((4, 5), np.uint8)
    expected[2:, :2] = [[2, 3], [5, 6]]
    np.testing.assert_array_equal(back[..., 0], expected)
    assert photo.max() == 0


def test_views_are_pictures_of_the_same_levels(photo):
    assert np.array_equal(frame_from_image(image_from_frame(photo))[0], photo)


def test_a_face_that_the_border_cuts_gets_one_warning(weights, fake_face, capsys):
    config = ReenactorConfig(num_steps=2, encode_steps=2, carry_detail=True)
    reenactor = Reenactor(weights, fake_face, config)
    # The fake stack takes a disk for a face; the larger one fills the photo.
    for radius, expected in ((17, ""), (70, "warning: here: its border cuts the face; ")):
        reenactor.find(disk_frame(48, 40, radius), "here")
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == bool(expected)
        assert all(line.startswith(expected) for line in lines)


def test_the_plate_keeps_the_grain_of_the_photo():
    """Behind the person there is noise as on the wall, and no copy of a picture on the wall."""
    generator = torch.Generator().manual_seed(0)
    source = view()
    source.picture.add_(0.05 * torch.randn(source.picture.shape, generator=generator))
    source.picture[..., 10:13, 20:28] = -1.0
    plate = layers_of(source).plate
    hidden, wall = plate[..., 17:31, 17:31], source.picture[..., 34:46, 4:44]
    fine = [x - torch.nn.functional.avg_pool2d(x, 3, 1, 1) for x in (hidden, wall)]
    deviations = [float(x[..., 1:-1, 1:-1].std()) for x in fine]
    assert 0.4 < deviations[0] / deviations[1] < 1.3
    assert hidden[..., 5:, :].min() > WALL - 0.4


def test_the_networks_draw_only_the_pictures_that_need_them(weights, monkeypatch):
    settings = ReenactorConfig(num_steps=2, encode_steps=2, x_T="moved", carry_detail=True)
    reenactor = Reenactor(weights, OpenFaceModel(), replace(settings, precision="fp32"))
    size = reenactor.size
    faces = FaceParams.neutral(5)
    faces.translation[:], faces.scale[:] = size / 2, size / 4
    faces.rotation[:, 0] = torch.tensor([0.45, 0.45, -0.5, 0.4, -0.8])  # yaw; the first: the source
    image = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(3)) - 0.5
    canvas = FaceCrop(crop_from_frame=np.eye(3), size=size)
    mask = torch.ones_like(image[:, :1])
    view = SourceView(canvas=canvas, picture=image, mask=mask, cut=torch.zeros_like(mask))
    source = reenactor.set_source(image, faces[0], view=view)
    drawn = []
    draw = CropReenactor._drawn

    def counted(self, state, drawings):
        drawn.append(len(drawings.wanted))
        return draw(self, state, drawings)

    monkeypatch.setattr(CropReenactor, "_drawn", counted)
    results = reenactor.render(source, faces[1:])
    _, expected = reenactor.rendered(source, faces[1:])
    assert drawn == [2, 4], "turned to the other side, two pictures show what the source hides"
    torch.testing.assert_close(results, expected, atol=1e-4, rtol=0)
    several = SourceState.cat([source] * 4)
    torch.testing.assert_close(reenactor.render(several, faces[1:]), expected, atol=1e-4, rtol=0)
