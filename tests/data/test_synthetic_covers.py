"""Hoods, head scarves, and hands and microphones before the face."""

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from reenact.data.synthetic.clips import SyntheticConfig, plan_clip
from reenact.data.synthetic.covers.draw import KINDS, draw_path
from reenact.data.synthetic.covers.hand_shape import OPEN, hand_bones, hand_shape
from reenact.data.synthetic.covers.meshes import polygonised, tube
from reenact.data.synthetic.lens_shader import COATING, MIRRORED, shade_lenses
from reenact.data.synthetic.renderer import Masks, Renderer
from reenact.data.synthetic.shading_math import Surroundings
from reenact.data.synthetic.solids import shaded_by_spheres
from reenact.data.synthetic.stage import Stage, draw_frame, make_stage
from reenact.errors import UserError

SIZE = 48


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer()


@pytest.fixture(scope="module")
def config() -> SyntheticConfig:
    return SyntheticConfig(out=Path(), clips=1, frames=8, size=SIZE, covered=1.0)


def staged(config: SyntheticConfig, renderer: Renderer, kind: str) -> Stage:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reenact.data.synthetic.covers.draw.KINDS", {kind: 1.0})
        return make_stage(config, plan_clip(config, 0), 0, renderer.asset)


def drawn(
    config: SyntheticConfig, renderer: Renderer, stage: Stage, moment: int = 0
) -> tuple[np.ndarray, Masks]:
    plan = plan_clip(config, 0)
    crop = plan.crop_from_frame[0]
    return draw_frame(renderer, stage, plan.params[0], crop, SIZE, moment=moment)


@pytest.fixture(scope="module")
def bare(config, renderer) -> tuple[np.ndarray, Masks]:
    without = dataclasses.replace(config, covered=0.0)
    return drawn(without, renderer, make_stage(without, plan_clip(without, 0), 0, renderer.asset))


def test_a_sphere_becomes_a_closed_mesh_on_its_surface():
    def distance(points: np.ndarray) -> np.ndarray:
        return np.linalg.norm(points - [0.1, 0, 0], axis=1) - 0.5

    points, triangles = polygonised(distance, np.full(3, -0.8), np.full(3, 0.8), 0.09)
    assert np.abs(distance(points)).max() < 1e-4
    assert_closed(triangles)
    # Anticlockwise from outside: the volume is positive, and that of the sphere.
    a, b, c = (points[triangles[:, k]] for k in range(3))
    volume = (np.cross(a, b) * c).sum() / 6
    assert volume == pytest.approx(4 / 3 * np.pi * 0.5**3, rel=0.03)


def assert_closed(triangles: np.ndarray) -> None:
    """Each edge of a closed surface belongs to two triangles, once in each direction."""
    ends = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    edges = Counter(map(tuple, ends.tolist()))
    odd = sum(count != 1 or edges[end, start] != 1 for (start, end), count in list(edges.items()))
    assert odd <= 0.001 * len(edges)


def test_a_tube_has_its_radius_everywhere():
    path = np.stack([np.zeros(9), np.linspace(0, 2, 9), np.zeros(9)], 1)
    points, triangles = tube(path, np.full(9, 0.3), 12)
    np.testing.assert_allclose(np.hypot(points[:, 0], points[:, 2]), 0.3, atol=1e-9)
    assert len(triangles) == 8 * 12 * 2


def test_a_hand_is_one_closed_surface_with_five_nails():
    shape = hand_shape(hand_bones(np.tile(OPEN, (4, 1)), 0.0, np.array([0, -1.0, 0]), None))
    assert_closed(shape.triangles)
    tips = shape.points[shape.nail > 0.5]
    assert len(tips) > 10
    # Nails are on the back of the fingers, at five places across the hand.
    assert np.median(shape.points[shape.nail > 0.5][:, 2]) < 0.35
    across = np.sort(tips[:, 0])
    assert 1 + (np.diff(across) > 0.05).sum() == 5
    assert ((shape.openness > 0) & (shape.openness <= 1)).all()


def test_a_sphere_hides_its_share_of_the_surroundings():
    points = np.zeros((2, 3))
    normals = np.array([[0, 0, 1.0], [0, 0, -1.0]])
    left = shaded_by_spheres(points, normals, np.array([[0, 0, 2.0, 1.0]]))
    np.testing.assert_allclose(left[:, 0], [1 - 0.8 / 4, 1.0], rtol=1e-5)


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_wrong_share_is_refused(share: float):
    with pytest.raises(UserError, match="expected a share from 0 to 1"):
        SyntheticConfig(out=Path(), clips=1, covered=share)


def test_things_before_the_face_cover_it_and_are_no_part_of_the_head(config, renderer, bare):
    """Hands and microphones take their pixels from the face, and leave all others as they were."""
    _, before = bare
    assert not before.occluder.any()
    covered = 0.0
    for kind in ("cheek", "mouth", "wave", "stand", "held", "headset"):
        stage = staged(config, renderer, kind)
        moments = [m for m in range(config.frames) if abs(_offset(stage, m)) < 0.3]
        if not moments:
            continue
        _, masks = drawn(config, renderer, stage, moments[0])
        occluder = masks.occluder.astype(int)
        assert (masks.face + occluder <= masks.foreground.astype(int) + 2).all(), kind
        assert (masks.head + occluder <= masks.foreground.astype(int) + 2).all(), kind
        # A pixel of the face is still face, or is covered.
        assert (masks.face + occluder >= before.face.astype(int) - 4).all(), kind
        assert (masks.foreground.astype(int) >= before.foreground.astype(int) - 4).all(), kind
        covered += ((before.face > 200) & (occluder > 200)).mean()
    assert covered > 0.05


def _offset(stage: Stage, moment: int) -> float:
    path = stage.person.solids[-1].path
    return 0.0 if path is None else float(np.linalg.norm(path[moment]))


def test_hoods_and_scarves_belong_to_the_head_and_leave_the_face_free(config, renderer, bare):
    _, before = bare
    for kind in ("hood", "scarf"):
        _, masks = drawn(config, renderer, staged(config, renderer, kind))
        assert not masks.occluder.any()
        assert (masks.head > 127).mean() > (before.head > 127).mean()
        assert 0.5 < (masks.face > 127).sum() / (before.face > 127).sum() <= 1.05, kind
        assert masks.hair.mean() < before.hair.mean(), kind


def test_a_hand_comes_and_goes_smoothly_and_starts_where_frame_0_shows_it():
    rng = np.random.default_rng(0)
    paths = [draw_path(rng, 16, 1.0) for _ in range(400)]
    away = np.array([np.linalg.norm(path, axis=1) for path in paths])
    assert (away[:, 0] < 0.01).mean() == pytest.approx(0.6, abs=0.07)
    assert (away.max(1) > 3).mean() > 0.5
    # It moves at most this far between two frames: almost the whole way in a fast move.
    assert np.abs(np.diff(away, axis=1)).max() < 3.0


def test_lenses_mirror_an_even_light_evenly_where_nothing_lies_before_them():
    """A lens that faces the camera mirrors 5 % of a white room, in the colour of its coating."""
    none = np.zeros((5, 3))
    scene = Surroundings(
        light_directions=none[:2],
        light_colours=none[:2],
        soft=np.zeros((9, 3)),
        environment=np.ones((32, 64, 3), np.float32),
        front=none[0],
        rotation=np.eye(3),
        camera=np.array([0.0, 0.0, 1000.0]),
        eyes=none,
        eyes_seen=np.ones((2, 2)),
        mouth_light=1.0,
    )
    square = np.array([[4.0, 4], [12, 4], [12, 12], [4, 12], [4, 4]])
    outlines = np.stack([square, np.add(square, [16, 0])])
    nearest = np.full((32, 32), 0.6, np.float32)
    nearest[:, :16] = 0.4
    image = np.zeros((16, 16, 3), np.float32)
    depth = np.array([0.5, 0.5])
    shade_lenses(outlines, np.zeros((2, 3)), depth, 1.0, scene, nearest, 2, image)
    lit = image.any(-1)
    expected = np.zeros((16, 16), bool)
    expected[2:6, 10:14] = True
    np.testing.assert_array_equal(lit, expected)
    np.testing.assert_allclose(
        image[lit], np.tile(np.multiply(COATING, MIRRORED), (16, 1)), rtol=0.05
    )


def test_people_without_covers_stay_the_same_to_the_bit(renderer):
    """The share of covered clips does not touch the other clips."""
    plain = SyntheticConfig(out=Path(), clips=8, frames=1, size=24)
    covered = []
    for index in range(4):
        plan = plan_clip(plain, index, renderer.asset)
        pictures = []
        for share in (0.0, 0.4):
            config = dataclasses.replace(plain, covered=share)
            stage = make_stage(config, plan, index, renderer.asset)
            pictures.append(
                draw_frame(renderer, stage, plan.params, plan.crop_from_frame[0], 24)[0]
            )
        covered.append(len(stage.person.solids) > 0)
        glints = stage.person.lenses is not None and stage.person.glint > 0
        assert np.array_equal(*pictures) == (not covered[-1] and not glints)
    assert True in covered
    assert False in covered


def test_a_clip_is_covered_by_the_same_thing_every_time(config, renderer):
    first, second = (make_stage(config, plan_clip(config, 0), 0, renderer.asset) for _ in range(2))
    np.testing.assert_array_equal(first.person.solids[0].points, second.person.solids[0].points)
    assert sum(KINDS.values()) == pytest.approx(1)
