"""The autoencoder as a whole: conditioning, parameterisation, loss, batches and number formats."""

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from diffae import SAMPLERS, DiffAE, Sampler, Schedule


class AsV(nn.Module):
    """An eps-predicting U-Net, saying the same as v."""

    def __init__(self, ae: DiffAE) -> None:
        super().__init__()
        self.unet, self.schedule = ae.unet, ae.schedule

    def forward(self, x_t: Tensor, t: Tensor, z_sem: Tensor) -> Tensor:
        eps = self.unet(x_t, t, z_sem)
        return self.schedule.v(self.schedule.x_0_from_eps(x_t, t, eps), t, eps)


@pytest.fixture
def images() -> Tensor:
    return torch.rand(3, 3, 16, 16) * 2 - 1


@pytest.fixture
def z_sem() -> Tensor:
    return torch.randn(3, 12)


def test_untrained_unet_predicts_zero(small_config, images: Tensor, z_sem: Tensor):
    ae = DiffAE(small_config())
    assert ae.unet(images, torch.tensor([1, 2, 3]), z_sem).abs().max() == 0


def test_z_grid_changes_nothing_at_first(make_small, images: Tensor, z_sem: Tensor):
    plain, gridded = make_small(), make_small(z_grid=8)
    missing, unexpected = gridded.load_state_dict(plain.state_dict(), strict=False)
    assert missing == ["unet.z_grid.weight", "unet.z_grid.bias"]
    assert not unexpected
    t = torch.tensor([5, 500, 900])
    assert torch.equal(gridded.unet(images, t, z_sem), plain.unet(images, t, z_sem))
    nn.init.normal_(gridded.unet.z_grid.weight)
    assert not torch.allclose(gridded.unet(images, t, z_sem), plain.unet(images, t, z_sem))


def test_z_grid_reaches_single_places(make_small, images: Tensor, z_sem: Tensor):
    """Weight row c k^2 + y k + x of the map moves channel c at place (y, x) before the middle."""
    ae = make_small(z_grid=8)
    seen = []
    ae.unet.middle_block.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    t = torch.tensor([5, 5, 5])
    with torch.no_grad():
        ae.unet(images, t, z_sem)
        ae.unet.z_grid.bias[3 * 64 + 2 * 8 + 5] = 1.0
        ae.unet(images, t, z_sem)
    difference = seen[1] - seen[0]
    assert (difference[:, 3, 2, 5] - 1).abs().max() < 1e-5
    assert int((difference != 0).sum()) == 3


def test_shift_of_zero_is_the_official_conditioning(make_small, images: Tensor, z_sem: Tensor):
    scaled, shifted = make_small(), make_small(conditioning="scale_shift")
    state = scaled.state_dict()
    for name in state:
        if "cond_emb_layers" in name:
            state[name] = torch.cat([state[name], torch.zeros_like(state[name])])
    shifted.load_state_dict(state)
    t = torch.tensor([5, 500, 900])
    assert_close(shifted.unet(images, t, z_sem), scaled.unet(images, t, z_sem))


def test_v_and_eps_say_the_same(make_small, images: Tensor, z_sem: Tensor):
    by_eps, by_v = make_small(), make_small(prediction="v")
    by_v.load_state_dict(by_eps.state_dict())
    x_T = torch.randn_like(images)
    as_v = AsV(by_eps)
    assert_close(
        by_v.decode(x_T, z_sem, 5, unet=as_v), by_eps.decode(x_T, z_sem, 5), atol=1e-4, rtol=0
    )
    assert_close(
        by_v.encode_stochastic(images, z_sem, 5, unet=as_v),
        by_eps.encode_stochastic(images, z_sem, 5),
        atol=1e-3,
        rtol=0,
    )


def test_v_loss_is_the_eps_loss_divided_by_abar(make_small, images: Tensor, z_sem: Tensor):
    """v - v' = (eps - eps') / sqrt(abar) for predictions at the same x_t."""
    by_eps, by_v = make_small(), make_small(prediction="v")
    by_v.unet = AsV(by_eps)  # type: ignore[assignment]
    t, eps = torch.tensor([3, 300, 900]), torch.randn_like(images)
    abar = torch.tensor([by_eps.schedule.alphas_cumprod[i] for i in t])
    loss = by_eps.training_loss(images, t, eps, z_sem)
    assert_close(by_v.training_loss(images, t, eps, z_sem), loss / abar, rtol=1e-3, atol=1e-5)


def test_loss_without_code_trains_the_encoder(make_small, images: Tensor):
    ae = make_small()
    t, eps = torch.tensor([3, 300, 900]), torch.randn_like(images)
    loss = ae.training_loss(images, t, eps)
    assert_close(loss, ae.training_loss(images, t, eps, ae.encode_semantic(images)))
    loss.mean().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in ae.encoder.parameters())


def test_results_do_not_depend_on_the_batch(make_small, images: Tensor):
    ae = make_small()
    with torch.no_grad():
        z_sem = ae.encode_semantic(images)
        x_T = ae.encode_stochastic(images, z_sem, 5)
        decoded = ae.decode(x_T, z_sem, 5)
        for i in range(3):
            one = slice(i, i + 1)
            assert_close(ae.encode_semantic(images[one]), z_sem[one], atol=1e-6, rtol=1e-5)
            x_T_one = ae.encode_stochastic(images[one], z_sem[one], 5)
            assert_close(x_T_one, x_T[one], atol=1e-4, rtol=0)
            assert_close(ae.decode(x_T[one], z_sem[one], 5), decoded[one], atol=1e-4, rtol=0)


def test_nothing_draws_random_numbers(make_small, images: Tensor, z_sem: Tensor):
    ae = make_small()
    before = torch.get_rng_state()
    ae.decode(images, z_sem, 3)
    ae.encode_stochastic(images, z_sem, 3)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("sampler", ["ddim", "dpmpp2m"])
def test_decoding_is_clamped_and_differentiable(make_small, z_sem: Tensor, sampler: str):
    ae = make_small()
    z_sem.requires_grad_()
    image = ae.decode(torch.randn(3, 3, 16, 16), z_sem, 4, sampler)
    assert image.abs().max() <= 1
    image.square().sum().backward()
    assert z_sem.grad is not None
    assert z_sem.grad.abs().max() > 0


def test_decode_uses_the_given_unet(make_small, images: Tensor, z_sem: Tensor):
    ae = make_small()
    tuned = copy.deepcopy(ae.unet)
    nn.init.normal_(tuned.out[2].bias)
    assert not torch.equal(ae.decode(images, z_sem, 3, unet=tuned), ae.decode(images, z_sem, 3))


def test_unknown_sampler_is_refused(make_small, images: Tensor, z_sem: Tensor):
    with pytest.raises(ValueError, match="ddim, ddim_trailing, dpmpp2m"):
        make_small().decode(images, z_sem, 4, "euler")


def test_a_new_sampler_is_one_function_and_one_line(make_small, images, z_sem, monkeypatch):
    def one_estimate(estimate, x_T, schedule, timesteps):
        for t in reversed(timesteps):
            yield estimate(x_T, t)[0]

    monkeypatch.setitem(SAMPLERS, "mine", Sampler(one_estimate, Schedule.trailing_timesteps))
    ae = make_small()
    expected = ae.decode(images, z_sem, 1, "ddim_trailing")
    assert torch.equal(ae.decode(images, z_sem, 1, "mine"), expected)


@pytest.mark.parametrize("options", [{}, {"conditioning": "scale_shift", "z_grid": 8}])
def test_bfloat16_and_channels_last(make_small, images: Tensor, options: dict[str, object]):
    ae = make_small(**options)
    t, eps = torch.tensor([3, 300, 900]), torch.randn_like(images)
    expected_z = ae.encode_semantic(images)
    expected = ae.unet(images, t, expected_z)
    ae = ae.to(memory_format=torch.channels_last)
    images_last = images.to(memory_format=torch.channels_last)
    assert_close(ae.unet(images_last, t, expected_z), expected, atol=1e-5, rtol=1e-4)
    with torch.autocast("cpu", torch.bfloat16):
        z_sem = ae.encode_semantic(images_last)
        found = ae.unet(images_last, t, expected_z)
        loss = ae.training_loss(images_last, t, eps)
        decoded = ae.decode(images_last, z_sem, 3)
    assert {x.dtype for x in (z_sem, found, loss, decoded)} == {torch.float32}
    assert (z_sem - expected_z).norm() < 0.03 * expected_z.norm()
    assert (found - expected).norm() < 0.03 * expected.norm()
    loss.mean().backward()
    assert all(p.grad is None or p.grad.dtype == torch.float32 for p in ae.parameters())
