import pytest
import torch
from torch import Tensor

from diffae import CheckpointError
from reenact.face.released.flame import Flame


@pytest.fixture(scope="module")
def flame(flame_tensors) -> Flame:
    return Flame.from_tensors(flame_tensors)


@pytest.fixture(scope="module")
def numbers(golden) -> dict[str, Tensor]:
    return golden("flame")


def codes(numbers, rows=slice(None)) -> list[Tensor]:
    return [numbers[name][rows] for name in ("shape", "exp", "pose")]


def turned(axis: int, degrees: Tensor) -> Tensor:
    pose = torch.zeros(len(degrees), 6)
    pose[:, axis] = torch.deg2rad(degrees)
    return pose


def test_golden_vertices(flame, numbers):
    vertices = flame.vertices(*codes(numbers))
    assert vertices.shape == (10, 5023, 3)
    chosen = vertices[:, numbers["vertex_index"]]
    torch.testing.assert_close(chosen, numbers["vertices"], atol=1e-6, rtol=0)
    pixels = flame.project(chosen, numbers["cam"])
    torch.testing.assert_close(pixels, numbers["trans_vertices_px"][..., :2], atol=8e-4, rtol=0)


def test_golden_landmarks(flame, numbers):
    landmarks = flame.landmarks(*codes(numbers))
    torch.testing.assert_close(landmarks, numbers["landmarks2d_model"], atol=1e-6, rtol=0)
    pixels = flame.project(landmarks, numbers["cam"])
    torch.testing.assert_close(pixels, numbers["landmarks2d_px"], atol=8e-4, rtol=0)
    assert torch.equal(flame.contour_rows(numbers["pose"]), numbers["dynamic_row"])


def test_golden_mix_of_two_people(flame, numbers):
    shape = numbers["shape"][:1]
    landmarks = flame.landmarks(shape, numbers["exp"][1:2], numbers["pose"][1:2])
    pixels = flame.project(landmarks, numbers["cam"][1:2])
    expected = numbers["landmarks2d_px_mix_shape0_rest1"]
    torch.testing.assert_close(pixels, expected, atol=8e-4, rtol=0)


def test_golden_head_angles(shared):
    safetensors = pytest.importorskip("safetensors.torch")
    golden = safetensors.load_file(shared / "golden/diffusionact/pipeline.safetensors")
    for role in ("source", "target"):
        angles = Flame.head_angles_deg(golden[f"{role}.posecode"])
        torch.testing.assert_close(angles, golden[f"{role}_angles_deg"], atol=1e-4, rtol=0)


def test_head_angles_of_single_turns():
    degrees = torch.tensor([-60.0, -5.0, 0.0, 20.0, 80.0])
    for axis, place, sign in ((1, 0, -1), (0, 1, 1), (2, 2, 1)):
        angles = Flame.head_angles_deg(turned(axis, degrees))
        expected = torch.zeros(5, 3)
        expected[:, place] = sign * degrees
        torch.testing.assert_close(angles, expected, atol=1e-3, rtol=0)


def test_contour_rows_over_the_whole_range(flame):
    """0..39 for a turn one way, 40..78 for the other; held beyond; half degrees go to even."""
    degrees = torch.arange(-89, 90).float()
    expected = [min(d, 39) if d >= 0 else min(39 - d, 78) for d in range(-89, 90)]
    assert flame.contour_rows(turned(1, degrees)).tolist() == expected
    between = torch.tensor([0.4, -0.4, 38.6, 39.4, -38.6, -39.4, -0.6])
    assert flame.contour_rows(turned(1, between)).tolist() == [0, 0, 39, 39, 78, 78, 40]


def test_contour_ignores_nod_and_jaw(flame):
    nods = turned(0, torch.tensor([-30.0, 0.0, 30.0]))
    nods[:, 3:] = 0.3
    assert flame.contour_rows(nods).tolist() == [0, 0, 0]
    assert flame.contour_rows(torch.full((1, 6), float("nan"))).tolist() == [0]


def test_at_rest_the_mesh_is_the_blend_of_its_axes(flame, flame_tensors):
    shape, expression = torch.randn(2, 100), torch.randn(2, 50)
    vertices = flame.vertices(shape, expression, torch.zeros(2, 6))
    betas = torch.cat([shape, expression], 1)
    expected = flame_tensors["v_template"] + torch.einsum(
        "bk,vck->bvc", betas, flame_tensors["shapedirs"]
    )
    torch.testing.assert_close(vertices, expected, atol=2e-6, rtol=0)


def test_a_turn_of_the_head_turns_everything_about_its_first_joint(flame, numbers):
    """The corrections for bent joints do not read the head's own rotation."""
    shape, expression, pose = codes(numbers, slice(0, 3))
    still = torch.cat([torch.zeros(3, 3), pose[:, 3:]], 1)
    rest, moved = (flame.vertices(shape, expression, p) for p in (still, pose))
    first = moved.mean(1, keepdim=True)
    # Distances within the head survive a rigid motion.
    before = (rest - rest.mean(1, keepdim=True)).norm(dim=-1)
    torch.testing.assert_close((moved - first).norm(dim=-1), before, atol=2e-6, rtol=0)
    whole_turn = pose.clone()
    length = pose[:, :3].norm(dim=1, keepdim=True)
    whole_turn[:, :3] *= (length + 2 * torch.pi) / length
    again = flame.vertices(shape, expression, whole_turn)
    torch.testing.assert_close(again, moved, atol=2e-6, rtol=0)


def test_the_part_for_landmarks_agrees_with_the_mesh(flame, flame_tensors, numbers):
    vertices = flame.vertices(*codes(numbers))
    faces = flame_tensors["faces_tensor"]
    corners = vertices[:, faces[flame_tensors["lmk_faces_idx"]]]
    static = (corners * flame_tensors["lmk_bary_coords"][..., None]).sum(2)
    torch.testing.assert_close(flame.landmarks(*codes(numbers))[:, 17:], static, atol=1e-6, rtol=0)


def test_every_face_stands_alone_in_its_batch(flame, numbers):
    together = flame.landmarks(*codes(numbers))
    alone = flame.landmarks(*codes(numbers, slice(4, 5)))
    torch.testing.assert_close(together[4:5], alone, atol=1e-7, rtol=0)
    assert flame.landmarks(*codes(numbers, slice(0, 0))).shape == (0, 68, 3)


def test_gradients_agree_with_differences(flame, numbers):
    inputs = [value.clone().requires_grad_() for value in codes(numbers, slice(0, 1))]
    cam = numbers["cam"][:1].clone().requires_grad_()
    direction = torch.randn(1, 68, 2)

    def loss(shape: Tensor, expression: Tensor, pose: Tensor, cam: Tensor) -> Tensor:
        return (flame.project(flame.landmarks(shape, expression, pose), cam) * direction).sum()

    gradients = torch.autograd.grad(loss(*inputs, cam), [*inputs, cam])
    values = [value.detach() for value in (*inputs, cam)]
    for i, gradient in enumerate(gradients):
        step = 2e-3 * gradient / gradient.norm()
        ahead, back = list(values), list(values)
        ahead[i], back[i] = values[i] + step, values[i] - step
        measured = (loss(*ahead) - loss(*back)) / 4e-3
        torch.testing.assert_close(measured, gradient.norm(), rtol=0.01, atol=0.05)


def test_gradient_is_finite_at_rest(flame):
    pose = torch.zeros(1, 6, requires_grad=True)
    flame.landmarks(torch.zeros(1, 100), torch.zeros(1, 50), pose).square().sum().backward()
    assert pose.grad.isfinite().all()
    assert pose.grad.abs().sum() > 0


def test_autocast_changes_nothing(flame, numbers):
    plain = flame.landmarks(*codes(numbers))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(flame.landmarks(*codes(numbers)), plain)


def test_nothing_is_trained_or_saved(flame):
    assert not list(flame.parameters())
    assert not flame.state_dict()


def test_refuses_foreign_tensors(flame_tensors):
    without = {k: v for k, v in flame_tensors.items() if k not in ("posedirs", "eye_pose")}
    with pytest.raises(CheckpointError, match="missing posedirs, eye_pose"):
        Flame.from_tensors(without)
    cut = flame_tensors | {"shapedirs": flame_tensors["shapedirs"][..., :149]}
    with pytest.raises(CheckpointError, match=r"shapedirs has shape \(5023, 3, 149\), expected"):
        Flame.from_tensors(cut)
    astray = flame_tensors | {"lmk_faces_idx": torch.full((51,), 9976)}
    with pytest.raises(CheckpointError, match="lmk_faces_idx"):
        Flame.from_tensors(astray)
    looped = flame_tensors | {"parents": torch.tensor([-1, 2, 1, 1, 1])}
    with pytest.raises(CheckpointError, match="parents"):
        Flame.from_tensors(looped)


def test_ignores_the_checkpoints_other_buffers(flame_tensors, numbers):
    more = flame_tensors | {"lmk_faces_idx_mediapipe": torch.zeros(105)}
    landmarks = Flame.from_tensors(more).landmarks(*codes(numbers))
    torch.testing.assert_close(landmarks, numbers["landmarks2d_model"], atol=1e-6, rtol=0)
