"""Light, shadows, camera and strands against closed forms. Whole people are not drawn here."""

import numpy as np
import pytest

from reenact.data.synthetic.camera import Camera, develop, draw_camera, record
from reenact.data.synthetic.hair import grow_hair
from reenact.data.synthetic.hair_styles import STYLES, HairTraits, draw_hairline
from reenact.data.synthetic.head_asset import load_head_asset
from reenact.data.synthetic.light import (
    LARGEST_CONTRAST,
    NUM_SHARP_LIGHTS,
    Place,
    draw_place,
    make_light,
)
from reenact.data.synthetic.panoramas import (
    decode,
    encode,
    load_panorama,
    look_up,
    panorama_names,
    pixel_directions,
)
from reenact.data.synthetic.rooms import draw_background
from reenact.data.synthetic.scalp import Scalp
from reenact.data.synthetic.shadows import draw_shadow_map, light_seen
from reenact.data.synthetic.strand_shader import blend_layers, draw_strands
from reenact.data.synthetic.strands import (
    CLOTH,
    HAIR,
    ON_FACE,
    Strands,
    flatten,
)
from reenact.face.surface.raster import FAR


def _strand(points, kind=HAIR, colour=(1.0, 0.0, 0.0), width=0.5):
    points = np.asarray(points, float)
    full = points.shape
    return Strands(
        points=points,
        colours=np.broadcast_to(colour, full),
        normals=np.broadcast_to([0.0, 0.0, 1.0], full),
        openness=np.ones(full[:2]),
        width=np.full(full[:2], width),
        weight=np.ones(full[:2]),
        anchor=np.zeros(full),
        share=np.zeros(full),
        gloss=0.0,
        kind=kind,
    )


def _drawn(groups, nearest, size=8):
    """Picture and coverage of strands whose X and Y are pixels and whose Z is the depth."""
    arrays = flatten(groups, 1.0)
    picture = np.zeros((size, size, 3), np.float32)
    cover = np.zeros((size, size, 3), np.float32)
    surface = np.zeros((size, size, 3), np.float32)
    coverage = np.zeros((size, size, 5), np.float32)
    # The surface is a hand on the head.
    coverage[..., [0, 3, 4]] = (nearest < FAR).reshape(size, 2, size, 2).mean((1, 3))[..., None]
    draw_strands(
        np.ascontiguousarray(arrays.points[:, :2]),
        np.ascontiguousarray(arrays.points[:, 2]),
        arrays.width,
        arrays.colours,
        arrays.kind,
        arrays.segments,
        nearest,
        2,
        picture,
        cover,
        surface,
        coverage,
    )
    blend_layers(picture, cover, surface, coverage)
    return picture, coverage


LINE = [[[-2.0, 4.5, 0.5], [10.0, 4.5, 0.5]]]


def test_the_nearer_strand_wins_whatever_the_order():
    near = np.array(LINE)
    far = near + np.array([0, 0, 0.2])
    red, green = (
        _strand(near, width=4.0),
        _strand(far, colour=(0, 1.0, 0), width=4.0),
    )
    empty = np.full((16, 16), np.float32(FAR))
    for groups in ([red, green], [green, red]):
        picture, coverage = _drawn(groups, empty)
        np.testing.assert_allclose(picture[4, 4], [1, 0, 0], atol=1e-6)
        assert coverage[4, 4].tolist() == [1, 0, 1, 1, 0]
        assert coverage[0, 4, 0] == 0


def test_a_thin_strand_covers_its_share_of_the_pixel():
    _, coverage = _drawn([_strand(LINE, width=0.3)], np.full((16, 16), np.float32(FAR)))
    assert coverage[4, 4, 0] == pytest.approx(0.3)


def test_a_strand_behind_the_edge_of_a_surface_covers_only_the_rest():
    nearest = np.full((16, 16), np.float32(FAR))
    nearest[:, :9] = 0.1
    picture, coverage = _drawn([_strand(LINE, width=4.0)] * 3, nearest)
    np.testing.assert_allclose(picture[4, 3], 0)
    # The surface is black and covers half of this pixel.
    np.testing.assert_allclose(picture[4, 4], [0.5, 0, 0], atol=1e-6)
    np.testing.assert_allclose(coverage[4, 4], [1, 0, 0.5, 1, 0.5], atol=1e-6)


def test_coverage_knows_what_a_strand_is():
    nearest = np.full((16, 16), np.float32(0.9))
    for kind, expected in ((HAIR, [1, 0, 1, 1]), (ON_FACE, [1, 1, 0, 1]), (CLOTH, [1, 0, 0, 0])):
        _, coverage = _drawn([_strand(LINE, kind=kind, width=4.0)], nearest)
        np.testing.assert_allclose(coverage[4, 4], [*expected, 0], atol=1e-6)
        assert coverage[7, 4, 4] == 1


def test_fewer_strands_are_wider():
    group = _strand(np.repeat(np.array(LINE), 10, 0))
    half = flatten([group], 0.5)
    assert len(half.segments) == 5
    np.testing.assert_allclose(half.width, 1.0)
    assert half.tangent_start.tolist() == [0, 0, 2, 2, 4, 4, 6, 6, 8, 8]


def test_panoramas_have_about_mean_1_and_keep_their_colours():
    names = panorama_names()
    assert len(names) == 18
    for name in names[:4]:
        panorama = load_panorama(name)
        _, solid = pixel_directions(*panorama.light.shape[:2], 0.0)
        assert np.average(panorama.light.mean(-1), weights=solid) == pytest.approx(1, abs=0.08)
    colours = np.geomspace(1e-3, 50, 200).astype(np.float32)
    np.testing.assert_allclose(decode(encode(colours)), colours, rtol=0.03, atol=1e-3)


def test_a_pixel_is_seen_in_its_direction():
    rng = np.random.default_rng(0)
    picture = rng.random((8, 16, 3)).astype(np.float32)
    for turn in (0.0, 1.3):
        directions, solid = pixel_directions(8, 16, turn)
        np.testing.assert_allclose(look_up(picture, directions, turn), picture, atol=1e-5)
        assert solid.sum() == pytest.approx(4 * np.pi, rel=0.02)
    # At turn 0 the middle of a panorama lies behind the camera.
    directions, _ = pixel_directions(9, 17, 0.0)
    np.testing.assert_allclose(directions[4, 8], [0, 0, 1], atol=1e-9)


def test_even_surroundings_give_even_light_and_no_shadows():
    place = Place(panorama=None, turn=0.0, environment=np.ones((32, 64, 3), np.float32))
    light = make_light(place, np.random.default_rng(0))
    np.testing.assert_allclose(light.colours[:NUM_SHARP_LIGHTS], 0, atol=1e-9)
    for normal in np.eye(3):
        received = np.clip(light.directions @ normal, 0, None) @ light.colours
        np.testing.assert_allclose(received, 1, rtol=0.03)


def test_a_lamp_becomes_the_first_sharp_light():
    directions, _ = pixel_directions(32, 64, 0.0)
    environment = np.full((32, 64, 3), 0.1, np.float32)
    environment[12, 20] = 400.0
    place = Place(panorama=None, turn=0.0, environment=environment)
    light = make_light(place, np.random.default_rng(0))
    assert light.directions[0] @ directions[12, 20] > 0.999
    assert light.colours[0].mean() > light.colours[NUM_SHARP_LIGHTS:].sum(0).mean()
    assert LARGEST_CONTRAST > 1


def test_every_clip_has_a_lit_face_and_a_finite_background():
    for seed in range(12):
        rng = np.random.default_rng(seed)
        place = draw_place(rng)
        light = make_light(place, rng)
        assert np.isfinite(light.colours).all()
        assert (light.colours >= 0).all()
        background = draw_background(rng, place, light, 512)
        assert np.isfinite(background.colours).all()
        assert background.colours.min() >= 0
        face = np.clip(light.directions[:, 2], 0, None) @ light.colours.mean(1)
        assert 0.4 < face * light.exposure < 2.5


def test_a_plate_shadows_what_lies_behind_it():
    corner = 0.4 * np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], np.float32)
    triangles = np.array([[0, 1, 2], [0, 2, 3]])
    none = np.zeros((0, 3), np.float32)
    shadow = draw_shadow_map(np.array([0.0, 0, 1]), corner, triangles, none, 1.0)
    points = np.array([[0, 0, -1], [0, 0, 1], [1.5, 0, -1]], np.float32)
    np.testing.assert_allclose(light_seen(shadow, points, 1.0), [0, 1, 1])
    strands = np.random.default_rng(0).uniform(-0.4, 0.4, (4000, 3)).astype(np.float32)
    hair = draw_shadow_map(np.array([0.0, 0, 1]), none, triangles[:0], strands, 1.0)
    assert light_seen(hair, np.array([[0, 0, -1]], np.float32), 0.0)[0] < 0.3
    assert light_seen(hair, np.array([[0, 0, 1]], np.float32), 0.0)[0] == 1


def test_a_plain_camera_only_changes_tone():
    radiance = np.linspace(0, 4, 256, dtype=np.float32).reshape(16, 16, 1).repeat(3, -1)
    shown = develop(radiance, Camera(), 1.0)
    assert (np.diff(shown.reshape(-1, 3), axis=0) >= 0).all()
    np.testing.assert_array_equal(record(shown, Camera(), 0), shown)


def test_compression_costs_more_at_a_coarser_quantiser():
    rng = np.random.default_rng(0)
    picture = np.clip(0.5 + 0.2 * rng.standard_normal((250, 250, 3)), 0, 1).astype(np.float32)
    smooth = np.broadcast_to(
        np.linspace(0.2, 0.8, 250, dtype=np.float32)[:, None, None], picture.shape
    )
    errors = [
        np.abs(record(picture, Camera(quantiser=q), 0) - picture).mean() for q in (0.1, 0.5, 1.5)
    ]
    assert errors[0] < errors[1] < errors[2]
    assert np.abs(record(smooth, Camera(quantiser=0.2), 0) - smooth).max() < 0.02


def test_noise_depends_on_camera_and_shot_alone():
    picture = np.full((32, 32, 3), 0.5, np.float32)
    camera = Camera(noise=3.0, seed=4)
    first = record(picture, camera, 1)
    np.testing.assert_array_equal(record(picture, camera, 1), first)
    assert not np.array_equal(record(picture, camera, 2), first)
    assert draw_camera(np.random.default_rng(1)) == draw_camera(np.random.default_rng(1))


@pytest.mark.parametrize("style", STYLES)
def test_hair_grows_outside_the_head(style):
    asset = load_head_asset()
    rng = np.random.default_rng(3)
    traits = HairTraits(
        style=style,
        male=False,
        hairline=draw_hairline(rng, male=False, oldness=0.0),
        colour=np.array([0.1, 0.06, 0.03]),
        grey=0.2,
    )
    hair = grow_hair(asset, traits, asset.mean, np.random.default_rng(5))
    if style == "bald":
        assert hair is None
        return
    assert hair is not None
    points = hair.points.reshape(-1, 3)
    assert np.isfinite(points).all()
    azimuth, polar, distance = Scalp(asset, asset.mean).polar(points)
    high = points[:, 1] > 0.2
    depth = Scalp(asset, asset.mean).radius(azimuth, polar)[high] - distance[high]
    assert np.quantile(depth, 0.98) < 0.05
    again = grow_hair(asset, traits, asset.mean, np.random.default_rng(5))
    assert again is not None
    np.testing.assert_array_equal(again.points, hair.points)
