"""Samplers against the exact denoiser of Gaussian data: everything is known."""

import math
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from diffae import DDIM_ENCODE, SAMPLERS, Schedule, sample
from diffae.sampler import Denoise, ddim_encode

SCHEDULE = Schedule()
ABAR = torch.tensor(SCHEDULE.alphas_cumprod, dtype=torch.float64)
DDIM, TRAILING, DPMPP_2M = SAMPLERS["ddim"], SAMPLERS["ddim_trailing"], SAMPLERS["dpmpp2m"]
STD = 0.5  # of the data


def gaussian_denoiser(x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """E[x_0 | x_t] and E[eps | x_t] for x_0 ~ N(0, STD^2)."""
    abar = ABAR[t].reshape(-1, *[1] * (x_t.ndim - 1))
    variance = abar * STD**2 + 1 - abar
    return x_t * abar.sqrt() * STD**2 / variance, x_t * (1 - abar).sqrt() / variance


def spread(abar: float) -> float:
    """Standard deviation of x_t; the probability-flow ODE keeps x_t / spread constant."""
    return math.sqrt(abar * STD**2 + 1 - abar)


def gain(sampler_result: Tensor, start: Tensor) -> float:
    """Everything here is linear: the factor between result and start."""
    factors = sampler_result / start
    assert_close(factors, factors.flatten()[0].expand_as(factors))
    return float(factors.flatten()[0])


@pytest.fixture
def x() -> Tensor:
    return torch.rand(2, 3, 2, 2, dtype=torch.float64) + 0.1


def relative_error(sampler, x: Tensor, num_steps: int) -> float:
    """Against the exact ODE from the sampler's first timestep down to abar = 1."""
    last = sampler.timesteps(SCHEDULE, num_steps)[-1]
    exact = STD / spread(SCHEDULE.alphas_cumprod[last])
    return abs(gain(sample(sampler, gaussian_denoiser, x, SCHEDULE, num_steps), x) / exact - 1)


@pytest.mark.parametrize(
    ("sampler", "num_steps"),
    [*[(DDIM, n) for n in (2, 10, 50)], *[(TRAILING, n) for n in (1, 2, 7, 50)]],
)
def test_ddim_is_the_product_of_its_steps(x: Tensor, sampler, num_steps: int):
    timesteps = sampler.timesteps(SCHEDULE, num_steps)
    abar = [1.0] + [SCHEDULE.alphas_cumprod[t] for t in timesteps]
    # Unlike the sampler, with roots in float64: they differ by 1e-5 in sqrt(1 - 0.9999).
    expected = 1.0
    for now, after in zip(reversed(abar[1:]), reversed(abar[:-1]), strict=True):
        signal = math.sqrt(after * now) * STD**2
        expected *= (signal + math.sqrt((1 - after) * (1 - now))) / spread(now) ** 2
    result = sample(sampler, gaussian_denoiser, x, SCHEDULE, num_steps)
    assert gain(result, x) == pytest.approx(expected, rel=1e-4)


def test_trailing_ddim_over_all_timesteps_is_ddim(x: Tensor):
    both = [sample(s, gaussian_denoiser, x, SCHEDULE, 1000) for s in (TRAILING, DDIM)]
    assert torch.equal(*both)


@pytest.mark.parametrize(
    ("sampler", "num_steps", "tolerance"),
    [
        (DDIM, 1000, 1e-2),
        (TRAILING, 1000, 1e-2),
        (DPMPP_2M, 20, 2e-2),
        (DPMPP_2M, 100, 1e-3),
        (DPMPP_2M, 500, 3e-4),
    ],
)
def test_decoding_converges_to_the_ode(sampler, x: Tensor, num_steps: int, tolerance: float):
    assert relative_error(sampler, x, num_steps) < tolerance


@pytest.mark.parametrize("num_steps", [10, 20, 50, 100])
def test_dpmpp_2m_is_closer_than_ddim(x: Tensor, num_steps: int):
    assert relative_error(DPMPP_2M, x, num_steps) < 0.2 * relative_error(DDIM, x, num_steps)


def test_two_dpmpp_2m_steps_are_ddim_steps(x: Tensor):
    """The first and the last step are first order: 999 -> 0 -> abar = 1."""
    first = sample(DPMPP_2M, gaussian_denoiser, x, SCHEDULE, 2)
    x_0, eps = gaussian_denoiser(x, torch.tensor([999, 999]))
    abar = ABAR[0]
    between = abar.sqrt() * x_0 + (1 - abar).sqrt() * eps
    assert_close(first, gaussian_denoiser(between, torch.tensor([0, 0]))[0])


def test_encode_then_decode_gives_the_image_back(x: Tensor):
    errors = []
    for num_steps in (50, 250, 1000):
        x_T = sample(DDIM_ENCODE, gaussian_denoiser, x, SCHEDULE, num_steps)
        back = sample(DDIM, gaussian_denoiser, x_T, SCHEDULE, num_steps)
        errors.append(float((back / x - 1).abs().max()))
    assert errors[2] < 1e-2
    assert errors[2] < errors[1] < errors[0]


def test_encoded_data_is_standard_normal(x: Tensor):
    x_T = sample(DDIM_ENCODE, gaussian_denoiser, x, SCHEDULE, 1000)
    assert gain(x_T, x) == pytest.approx(1 / STD, rel=1e-2)


def test_encoding_can_end_and_decoding_can_start_between(x: Tensor):
    """On the exact ODE x_t is the image times a known factor."""
    end = 499
    encoder = DDIM_ENCODE._replace(steps=partial(ddim_encode, end=end))
    x_t = sample(encoder, gaussian_denoiser, x, SCHEDULE, 1000, below=end)
    exact = spread(SCHEDULE.alphas_cumprod[end]) / STD
    assert gain(x_t, x) == pytest.approx(exact, rel=5e-3)
    back = sample(TRAILING, gaussian_denoiser, x_t, SCHEDULE, 1000, below=end + 1)
    assert gain(back, x) == pytest.approx(1, rel=1e-2)


def test_last_encoding_step_returns_eps(x: Tensor):
    outputs = []

    def denoise(x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        outputs.append(gaussian_denoiser(x_t, t))
        return outputs[-1]

    assert torch.equal(sample(DDIM_ENCODE, denoise, x, SCHEDULE, 5), outputs[-1][1])
    assert torch.equal(sample(DDIM, denoise, x, SCHEDULE, 5), outputs[-1][0])


def curved(gain_parameter: Tensor) -> Denoise:
    """A smooth nonlinear denoiser with one parameter."""

    def denoise(x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        x_0 = torch.tanh(gain_parameter * x_t)
        abar = ABAR[t].reshape(-1, 1, 1, 1)
        return x_0, (x_t - abar.sqrt() * x_0) / (1 - abar).sqrt()

    return denoise


@pytest.mark.parametrize("sampler", [DDIM, TRAILING, DDIM_ENCODE, DPMPP_2M])
class TestGradients:
    def gradient(self, sampler, x: Tensor, **options: object) -> tuple[Tensor, Tensor]:
        parameter = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
        out = sample(sampler, curved(parameter), x, SCHEDULE, 5, **options)
        (gradient,) = torch.autograd.grad(out.square().sum(), parameter)
        return out.detach(), gradient

    def test_agree_with_differences(self, sampler, x: Tensor):
        _, gradient = self.gradient(sampler, x)
        values = [
            sample(sampler, curved(torch.tensor(0.7 + d, dtype=torch.float64)), x, SCHEDULE, 5)
            for d in (1e-5, -1e-5)
        ]
        difference = (values[0].square().sum() - values[1].square().sum()) / 2e-5
        assert_close(gradient, difference, rtol=1e-6, atol=0)

    def test_recomputing_changes_nothing(self, sampler, x: Tensor):
        for found, expected in zip(
            self.gradient(sampler, x, recompute=True), self.gradient(sampler, x), strict=True
        ):
            assert torch.equal(found, expected)

    def test_all_steps_is_the_default(self, sampler, x: Tensor):
        expected = self.gradient(sampler, x)[1]
        assert torch.equal(self.gradient(sampler, x, grad_steps=5)[1], expected)

    def test_only_the_last_steps(self, sampler, x: Tensor):
        out, gradient = self.gradient(sampler, x, grad_steps=1)
        assert torch.equal(out, self.gradient(sampler, x)[0])
        assert gradient != self.gradient(sampler, x)[1]
        frozen = torch.tensor(0.7, dtype=torch.float64)
        live = frozen.clone().requires_grad_()
        calls = []

        def denoise(x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
            calls.append(t)
            return curved(live if len(calls) == 5 else frozen)(x_t, t)

        out = sample(sampler, denoise, x, SCHEDULE, 5)
        (expected,) = torch.autograd.grad(out.square().sum(), live)
        assert_close(gradient, expected, rtol=1e-12, atol=0)

    def test_outer_no_grad_is_respected(self, sampler, x: Tensor):
        parameter = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
        with torch.no_grad():
            out = sample(sampler, curved(parameter), x, SCHEDULE, 5, grad_steps=2)
            assert not torch.is_grad_enabled()
        assert not out.requires_grad
