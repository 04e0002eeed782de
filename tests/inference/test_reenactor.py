import dataclasses

import pytest
import torch

from reenact.errors import UserError
from reenact.face.head_region import head_region
from reenact.face.params import FaceParams, retarget
from reenact.inference.config import ReenactorConfig
from reenact.inference.reenactor import Reenactor
from reenact.inference.source_state import SourceState
from reenact.inference.start import blend_noise

FAST = ReenactorConfig(num_steps=2, encode_steps=4, precision="fp32", batch_size=3)


def faces(count: int, size: int = 32) -> FaceParams:
    """Faces in the middle of a crop, each with another pose."""
    params = FaceParams.cat([FaceParams.neutral() for _ in range(count)])
    turns = torch.linspace(-0.4, 0.4, count)
    return dataclasses.replace(
        params,
        translation=torch.full((count, 2), size / 2) + turns[:, None] * 4,
        scale=torch.full((count,), size / 4),
        rotation=torch.stack([turns, 0 * turns, 0 * turns], 1),
    )


@pytest.fixture
def source() -> torch.Tensor:
    return torch.rand(1, 3, 32, 32) * 2 - 1


def test_images_do_not_depend_on_the_batch_size(weights, fake_face, source):
    results = []
    for batch_size in (1, 3, 7):
        config = dataclasses.replace(FAST, batch_size=batch_size, x_T="mixed")
        reenactor = Reenactor(weights, fake_face, config)
        state = reenactor.set_source(source, faces(1))
        results.append(reenactor.render(state, faces(7)))
    assert results[0].shape == (7, 3, 32, 32)
    assert results[0].abs().max() <= 1
    torch.testing.assert_close(results[0], results[1], atol=2e-4, rtol=0)
    torch.testing.assert_close(results[0], results[2], atol=2e-4, rtol=0)
    assert (results[0][0] - results[0][6]).abs().mean() > 1e-3, "the target has no effect"


def test_the_sources_own_motion_is_decoded_under_its_own_code(weights, fake_face, source):
    reenactor = Reenactor(weights, fake_face, FAST)
    state = reenactor.set_source(source, faces(1))
    again = reenactor.render(state, faces(1))
    # Drawn with its own parameters the source has z_r = z_source.
    drawing = fake_face.landmark_map(faces(1), 32)
    z_source = reenactor.networks.encoder(source, drawing)
    straight = reenactor.diffae.decode(state.x_T, z_source, num_steps=FAST.num_steps)
    torch.testing.assert_close(again, straight.clamp(-1, 1), atol=2e-4, rtol=0)


def test_the_identity_of_the_target_has_no_effect(weights, fake_face, source):
    reenactor = Reenactor(weights, fake_face, FAST)
    state = reenactor.set_source(source, faces(1))
    target = faces(2)
    stranger = dataclasses.replace(target, identity=torch.randn_like(target.identity))
    torch.testing.assert_close(reenactor.render(state, target), reenactor.render(state, stranger))
    assert torch.equal(retarget(faces(1), stranger).identity, target.identity)


def test_several_sources_equal_one_after_the_other(weights, fake_face):
    images = torch.rand(5, 3, 32, 32) * 2 - 1
    reenactor = Reenactor(weights, fake_face, dataclasses.replace(FAST, x_T="mixed"))
    together = reenactor.render(reenactor.set_source(images, faces(5)), faces(5))
    for i in range(5):
        state = reenactor.set_source(images[i : i + 1], faces(5)[i])
        alone = reenactor.render(state, faces(5)[i])
        torch.testing.assert_close(alone, together[i : i + 1], atol=2e-4, rtol=0)


def test_a_wrong_number_of_sources_is_refused(weights, fake_face, source):
    reenactor = Reenactor(weights, fake_face, FAST)
    state = reenactor.set_source(source.expand(2, -1, -1, -1), faces(2))
    with pytest.raises(ValueError, match="2 sources for 3 targets"):
        reenactor.render(state, faces(3))


def test_mixed_noise_stays_inside_the_mask(weights, fake_face, source):
    states = {}
    for x_T in ("source", "mixed", "random"):
        reenactor = Reenactor(weights, fake_face, dataclasses.replace(FAST, x_T=x_T))
        states[x_T] = reenactor.set_source(source, faces(1)).x_T
    mask = head_region(faces(1), 32)
    outside, inside = (mask == 0).expand(1, 3, -1, -1), (mask == 1).expand(1, 3, -1, -1)
    assert outside.any()
    assert inside.any()
    assert torch.equal(states["mixed"][outside], states["source"][outside])
    assert torch.equal(states["mixed"][inside], states["random"][inside])


def test_the_seed_decides_the_noise(weights, fake_face, source):
    def noise(seed: int) -> torch.Tensor:
        config = dataclasses.replace(FAST, x_T="random", seed=seed)
        return Reenactor(weights, fake_face, config).set_source(source, faces(1)).x_T

    assert torch.equal(noise(1), noise(1))
    assert not torch.equal(noise(1), noise(2))
    cool = dataclasses.replace(FAST, x_T="random", seed=1, temperature=0.25)
    quiet = Reenactor(weights, fake_face, cool).set_source(source, faces(1)).x_T
    assert torch.equal(quiet, 0.25 * noise(1))
    with pytest.raises(UserError, match="temperature: must be at least 0 and at most 1, got 2"):
        ReenactorConfig(temperature=2.0)


def test_blending_keeps_the_variance():
    a, b = torch.randn(2, 1, 3, 200, 200)
    mixed = blend_noise(a, b, torch.full((1, 1, 200, 200), 0.3))
    assert mixed.var().item() == pytest.approx(1, abs=0.03)


MOVED = dataclasses.replace(FAST, x_T="moved", carry_detail=True)


def test_without_motion_a_composed_picture_is_the_source(weights, fake_face, source):
    """Whatever the networks draw. A crop without its photo is its own photo, in 8 bits."""
    reenactor = Reenactor(weights, fake_face, MOVED)
    again = reenactor.render(reenactor.set_source(source, faces(1)), faces(1))
    torch.testing.assert_close(again, source, atol=1 / 255 + 1e-4, rtol=0)


def test_moved_starts_depend_neither_on_the_batch_nor_on_the_company(weights, fake_face):
    images = torch.rand(3, 3, 32, 32) * 2 - 1
    results = []
    for batch_size in (1, 3):
        config = dataclasses.replace(MOVED, batch_size=batch_size)
        reenactor = Reenactor(weights, fake_face, config)
        state = reenactor.set_source(images, faces(3))
        results.append(reenactor.render(state, faces(5)[1:4]))
        alone = reenactor.render(state[[1]], faces(5)[2])
        torch.testing.assert_close(alone, results[-1][1:2], atol=5e-4, rtol=0)
    torch.testing.assert_close(*results, atol=5e-4, rtol=0)
    again = SourceState.cat([state[[0]], state[1:]]).layers
    assert [a is b for a, b in zip(again, state.layers, strict=True)] == [True] * 3


def test_without_motion_a_moved_start_is_the_sources(weights, fake_face, source):
    results = []
    for x_T in ("moved", "source"):
        config = dataclasses.replace(MOVED, carry_detail=False, x_T=x_T)
        reenactor = Reenactor(weights, fake_face, config)
        results.append(reenactor.render(reenactor.set_source(source, faces(1)), faces(1)))
    torch.testing.assert_close(*results, atol=2e-3, rtol=0)


def test_head_region_is_centred_on_the_head_and_rolls_with_it():
    params = faces(3, 64)[1]
    params.scale[:] = 12
    region = head_region(params, 64)[0, 0]
    assert region.shape == (64, 64)
    assert region.min() == 0
    assert region.max() == 1
    ticks = torch.arange(64) + 0.5
    weight = region.sum()
    assert (region.sum(0) * ticks).sum() / weight == pytest.approx(32, abs=0.05)
    assert (region.sum(1) * ticks).sum() / weight == pytest.approx(32, abs=0.05)
    rolled = dataclasses.replace(params, rotation=torch.tensor([[0.0, 0.0, torch.pi / 2]]))
    turned = head_region(rolled, 64)[0, 0]
    # An anticlockwise quarter turn about the neck lays the ellipse on its side.
    assert turned.sum() == pytest.approx(weight.item(), rel=0.1)
    assert (turned.sum(0) * ticks).sum() / turned.sum() < 28
    assert (turned.amax(0) > 0.5).sum() > (turned.amax(1) > 0.5).sum()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_steps": 0}, "num_steps: must be at least 1 and at most 1000, got 0"),
        ({"batch_size": -1}, "batch_size: must be at least 1"),
        ({"encode_steps": 999}, "encode_steps 999 cannot be spaced"),
    ],
)
def test_config_refuses_impossible_numbers(values, message):
    with pytest.raises(UserError, match=message):
        ReenactorConfig(**values)
