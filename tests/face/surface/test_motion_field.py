"""The head's surface and its motion against geometry and against rendered pictures."""

import dataclasses

import numpy as np
import pytest
import torch

from reenact.data.synthetic.clips import SyntheticConfig, plan_clip
from reenact.data.synthetic.renderer import Renderer
from reenact.data.synthetic.stage import make_stage
from reenact.face.expressions import EXPRESSION_NAMES
from reenact.face.head_model import HeadModel
from reenact.face.params import FaceParams
from reenact.face.surface.motion_field import MotionField, draft, motion_field, pixel_centres, warp
from reenact.face.surface.visible import draw_surface, mirrored, surface_points, surface_triangles

SIZE = 64


@pytest.fixture(scope="module")
def head() -> HeadModel:
    return HeadModel()


def face(**changes: object) -> FaceParams:
    """A neutral head in the middle of the picture."""
    values = {"translation": [SIZE / 2, SIZE / 2], "scale": 0.35 * SIZE} | changes
    given = {name: torch.tensor([value], dtype=torch.float32) for name, value in values.items()}
    return dataclasses.replace(FaceParams.neutral(), **given)


def test_the_nearest_part_of_the_surface_is_drawn(head):
    points = surface_points(head, face())[0].numpy()
    drawn, part = draw_surface(points, points, SIZE)
    on_head = part >= 0
    centres = pixel_centres(SIZE, torch.device("cpu"))[0].permute(1, 2, 0).numpy()
    # a picture of the surface's own coordinates says where each pixel is
    np.testing.assert_allclose(drawn[..., :2][on_head], centres[on_head], atol=1e-3)
    row, column = (int(v) for v in head.landmarks(face())[0, 30, [1, 0]])
    nose = float(head.landmarks_3d(face())[0, 30, 2])
    assert drawn[row, column, 2] == pytest.approx(-nose, abs=0.1)
    assert not on_head[0].any()
    assert on_head[-1].any(), "shoulders reach the lower border"


def test_the_pupils_are_drawn_on_the_eyeballs(head):
    looking = face(gaze=[0.3, -0.1])
    points = surface_points(head, looking)
    num_ball = (points.shape[1] - len(head.mean)) // 2
    poles = points[:, len(head.mean) :: num_ball, :2]  # the first point of each ball is its pole
    torch.testing.assert_close(poles, head.pupils(looking), atol=1e-3, rtol=0)


def test_the_other_half_of_the_head_is_its_mirror_image(head):
    points = surface_points(head, FaceParams.neutral()).numpy()
    flipped = mirrored(points) * [-1, 1, 1]
    distance = np.linalg.norm(flipped - points, axis=-1)
    assert np.median(distance) < 1e-3
    assert distance.max() < 0.1
    assert surface_triangles().max() == points.shape[1] - 1


def test_no_motion_is_the_identity(head):
    still = face(rotation=[0.2, 0.1, 0.05])
    field = motion_field(head, still, still, SIZE)
    centres = pixel_centres(SIZE, torch.device("cpu")).permute(0, 2, 3, 1)
    torch.testing.assert_close(field.grid, centres, atol=1e-3, rtol=0)
    assert bool((field.seen == 1).all())
    nose = head.landmarks(still)[0, 30].long()
    assert field.sure[0, 0, nose[1], nose[0]] == 1
    assert field.fill.abs().max() == 0
    picture = torch.rand(1, 3, SIZE, SIZE)
    torch.testing.assert_close(warp(picture, field), picture, atol=1e-3, rtol=0)


def test_landmarks_go_where_the_head_model_puts_them(head):
    g = torch.Generator().manual_seed(0)
    source = face(rotation=[0.1, 0.0, 0.0], identity=torch.randn(80, generator=g).tolist())
    target = dataclasses.replace(
        source,
        rotation=torch.tensor([[-0.15, 0.1, 0.1]]),
        translation=torch.tensor([[35.0, 30.0]]),
        expression=torch.rand(1, 52, generator=g) * 0.3,
    )
    field = motion_field(head, source, target, SIZE)
    wanted, here = head.landmarks(source)[0], head.landmarks(target)[0]
    inner = [*range(17, 31), *range(36, 48)]  # brows, nose, eyes: visible in both
    for k in inner:
        x, y = (int(v) for v in here[k])
        near = field.grid[0, y - 1 : y + 2, x - 1 : x + 2].reshape(-1, 2)
        assert (near - wanted[k]).norm(dim=1).min() < 1.5


def test_far_from_the_head_nothing_moves(head):
    small, shifted = (face(translation=[x, SIZE / 2], scale=0.15 * SIZE) for x in (32, 38))
    field = motion_field(head, small, shifted, SIZE)
    offset = field.grid - pixel_centres(SIZE, torch.device("cpu")).permute(0, 2, 3, 1)
    assert offset[0, 0].abs().max() == 0
    assert offset[0, :, 0].abs().max() == 0
    centre = SIZE // 2
    torch.testing.assert_close(
        offset[0, centre, centre], torch.tensor([-6.0, 0.0]), atol=1e-3, rtol=0
    )
    steps = offset[0, :, 1:, 0] - offset[0, :, :-1, 0]
    assert steps.abs().max() < 3, "the motion fades out instead of tearing"
    assert field.sure[0, 0, centre, centre + 6] == 1
    x, y = (int(v) for v in head.landmarks(shifted)[0, 0])
    assert field.sure[0, 0, y, : x - 1].max() == 0, "beside the head it may be hair or a wall"


def test_an_opened_mouth_was_not_seen(head):
    opened = [float(name == "jawOpen") for name in EXPRESSION_NAMES]
    field = motion_field(head, face(), face(expression=opened), SIZE)
    inside = head.landmarks(face(expression=opened))[0, 60:68].mean(0)
    x, y = (int(v) for v in inside)
    assert field.seen[0, 0, y, x] == 0
    assert field.fill[0, 3, y, x] == 1
    assert field.unknown[0, 0, y, x] == 0
    assert field.seen.mean() > 0.97


def test_a_turned_eye_moves_its_iris_only(head):
    large = np.diag([4.0, 4.0, 1.0])
    ahead, aside = (face(gaze=[yaw, 0.0]).transformed(large) for yaw in (0.0, 0.35))
    field = motion_field(head, ahead, aside, 4 * SIZE)
    for now, before in zip(head.pupils(aside)[0], head.pupils(ahead)[0], strict=True):
        x, y = (int(v) for v in now)
        assert (now - before).norm() > 4
        assert (field.grid[0, y, x] - before).norm() < 1.5
    x, y = (int(v) for v in head.landmarks(ahead)[0, 30])
    torch.testing.assert_close(
        field.grid[0, y, x], torch.tensor([x + 0.5, y + 0.5]), atol=1e-3, rtol=0
    )


def test_the_skin_of_a_closing_lid_was_seen(head):
    """A strip of the open eye's lid, stretched over the eye."""
    closed = [0.9 * float(name.startswith("eyeBlink")) for name in EXPRESSION_NAMES]
    field = motion_field(head, face(), face(expression=closed), SIZE)
    for pupil in head.pupils(face())[0]:
        x, y = (int(v) for v in pupil)
        assert field.sure[0, 0, y, x] > 0.9
        assert field.fill[0, 3, y, x] == 0
    x, y = (int(v) for v in head.landmarks(face())[0, 30])
    assert field.sure[0, 0, y, x] > 0.999


def test_closed_lids_hide_the_eyes(head):
    closed = [0.9 * float(name.startswith("eyeBlink")) for name in EXPRESSION_NAMES]
    field = motion_field(head, face(expression=closed), face(), SIZE)
    for pupil in head.pupils(face())[0]:
        x, y = (int(v) for v in pupil)
        assert field.seen[0, 0, y, x] == 0
        assert field.fill[0, :3, y, x].max() < -0.3, "a dark pupil"
    eyes = field.fill[0, :3, field.fill[0, 3] == 1]
    assert eyes.max() > 0.1, "in the white of the eye"
    assert field.seen.mean() > 0.98


def test_a_hidden_cheek_is_taken_from_the_other_one(head):
    turned, frontal = face(rotation=[0.9, 0.0, 0.0]), face()
    field = motion_field(head, turned, frontal, SIZE)
    # nose to the picture's right: the right cheek of the picture is hidden, the left one is seen
    cheek = head.landmarks(frontal)[0, [3, 13]]
    left, right = (
        field.grid[0, int(y), int(x)] for x, y in cheek + torch.tensor([[2, 0], [-2, 0]])
    )
    assert (left - right).norm() < 4
    assert field.seen.mean() > 0.97


def test_a_field_is_torn_beside_a_jump_only():
    grid = pixel_centres(16, torch.device("cpu")).permute(0, 2, 3, 1).clone()
    grid[:, :, 8:, 0] += 6  # between the columns 7 and 8
    grid[:, 3:, :, 1] *= 1.5
    one = torch.ones(1, 1, 16, 16)
    untorn = MotionField(grid=grid, seen=one, sure=one, fill=one.expand(1, 4, 16, 16)).untorn
    columns = torch.arange(16)
    assert untorn[0, 0, 8].tolist() == ((columns < 6) | (columns > 9)).float().tolist()


def test_batches_and_sizes_agree(head):
    source = face()
    targets = FaceParams.cat([face(rotation=[0.2 * k, 0.0, 0.0]) for k in range(3)])
    together = motion_field(head, source, targets, SIZE)
    for k in range(3):
        alone = motion_field(head, source, targets[k], SIZE)
        torch.testing.assert_close(together.grid[k : k + 1], alone.grid)
    double = np.diag([2.0, 2.0, 1.0])
    fine = motion_field(head, source.transformed(double), targets.transformed(double), 2 * SIZE)
    error = (fine.resized(SIZE).grid - together.grid).abs()
    assert error.median() < 0.02
    assert error.mean() < 0.3
    assert bool(((fine.resized(3 * SIZE).seen >= 0) & (fine.resized(3 * SIZE).seen <= 1)).all())


@pytest.fixture
def rendered(tmp_path):
    """Renders faces of one synthetic person: (parameters of 8 frames, draw).

    `draw` gives a picture (1, 3, S, S) in [-1, 1] and how much of it is face (1, 1, S, S).
    """
    config = SyntheticConfig(out=tmp_path, clips=1, frames=8, size=SIZE, seed=3)
    renderer = Renderer()
    plan = plan_clip(config, 0, renderer.asset)
    stage = make_stage(config, plan, 0, renderer.asset)

    def draw(params: FaceParams, k: int) -> tuple[torch.Tensor, torch.Tensor]:
        scene = (stage.light, stage.background, plan.crop_from_frame[k], SIZE)
        frame, masks = renderer.render(stage.person, params, *scene)
        picture = torch.from_numpy(frame).permute(2, 0, 1)[None].float() / 127.5 - 1
        return picture, torch.from_numpy(masks.face)[None, None].float() / 255

    return plan.params, draw


def test_a_moved_picture_is_nearer_to_the_rendered_truth(rendered, head):
    """Two frames of a rendered clip, turned within the visible side of the head.

    They are compared on the face: loose hair and the room behind do not move with the surface.
    """
    params, draw = rendered
    (source, _), (truth, face) = (draw(params[k], k) for k in (0, 7))
    field = motion_field(head, params[0], params[7], SIZE)
    copied = ((source - truth).abs() * face).sum()
    moved = ((warp(source, field) - truth).abs() * face).sum()
    assert moved < 0.4 * copied


@pytest.mark.parametrize(("before", "after"), [("mouthClose", "jawOpen"), ("eyeBlink", "eyeWide")])
def test_usual_teeth_and_eyes_are_nearer_to_the_rendered_truth(rendered, head, before, after):
    params, draw = rendered

    def with_only(unit):
        values = [[0.8 * float(name.startswith(unit)) for name in EXPRESSION_NAMES]]
        return dataclasses.replace(params[0], expression=torch.tensor(values))

    source, target = with_only(before), with_only(after)
    field = motion_field(head, source, target, SIZE)
    picture, truth = draw(source, 0)[0], draw(target, 0)[0]
    hidden = field.fill[:, 3:]
    moved, drawn = (
        ((image - truth).abs() * hidden).sum()
        for image in (warp(picture, field), draft(picture, field))
    )
    assert hidden.sum() > 10
    assert drawn < 0.6 * moved
