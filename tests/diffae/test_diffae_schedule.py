"""The noise schedule against published numbers, and the choice of timesteps."""

import pytest
import torch
from torch.testing import assert_close

from diffae import Schedule
from diffae.schedule import allowed_num_steps, respaced_timesteps

ALLOWED = [
    *range(2, 37),
    *(38, 39, 40, 42, 44, 46, 48, 50, 53, 56, 59, 63, 67, 72, 77, 84, 91, 100),
    *(112, 125, 143, 167, 200, 250, 334, 500, 1000),
]


@pytest.mark.parametrize(
    ("t", "expected"),
    [
        (0, 0.9999),
        (50, 0.969951),
        (250, 0.521423),
        (500, 0.0777967),
        (750, 0.00330016),
        (900, 2.70245e-4),
        (950, 1.06042e-4),
        (996, 4.28774e-5),
        (999, 4.03583e-5),
    ],
)
def test_alphas_cumprod(t: int, expected: float):
    schedule = Schedule()
    assert schedule.alphas_cumprod[t] == pytest.approx(expected, rel=2e-6)


def test_allowed_numbers_of_steps():
    assert allowed_num_steps() == ALLOWED


@pytest.mark.parametrize(
    ("num_steps", "stride", "last"),
    [(3, 334, 668), (10, 100, 900), (20, 50, 950), (50, 20, 980), (250, 4, 996), (1000, 1, 999)],
)
def test_timesteps(num_steps: int, stride: int, last: int):
    timesteps = respaced_timesteps(num_steps)
    assert len(timesteps) == num_steps
    assert timesteps[:2] == (0, stride)
    assert timesteps[-1] == last


@pytest.mark.parametrize("num_steps", [0, 1, 37, 60, 999, 1001, -3])
def test_impossible_numbers_of_steps_name_the_nearest(num_steps: int):
    with pytest.raises(ValueError, match="nearest possible numbers are") as raised:
        respaced_timesteps(num_steps)
    nearest = [int(n) for n in str(raised.value).rsplit("are ", 1)[1].split(",")]
    assert min(ALLOWED, key=lambda n: abs(n - num_steps)) in nearest


@pytest.mark.parametrize(
    ("num_steps", "expected"),
    [(1, (999,)), (2, (499, 999)), (3, (332, 666, 999)), (4, (249, 499, 749, 999))],
)
def test_trailing_timesteps(num_steps: int, expected: tuple[int, ...]):
    assert Schedule().trailing_timesteps(num_steps) == expected
    assert Schedule().trailing_timesteps(1000) == tuple(range(1000))
    with pytest.raises(ValueError, match="between 1 and 1000"):
        Schedule().trailing_timesteps(0)


@pytest.mark.parametrize("num_steps", [2, 7, 20, 60, 500, 999, 1000])
def test_log_snr_timesteps(num_steps: int):
    schedule = Schedule()
    timesteps = schedule.log_snr_timesteps(num_steps)
    assert len(set(timesteps)) == num_steps
    assert list(timesteps) == sorted(timesteps)
    assert (timesteps[0], timesteps[-1]) == (0, 999)
    if num_steps == 7:
        abar = torch.tensor([schedule.alphas_cumprod[t] for t in timesteps])
        log_snr = (abar / (1 - abar)).log()
        assert_close(log_snr.diff(), log_snr.diff().mean().expand(6), rtol=0.1, atol=0)


@pytest.mark.parametrize("num_steps", [0, 1, 1001])
def test_impossible_log_snr_timesteps(num_steps: int):
    with pytest.raises(ValueError, match="between 2 and 1000"):
        Schedule().log_snr_timesteps(num_steps)


def test_zero_noise_only_scales():
    schedule = Schedule()
    x_0, t = torch.randn(3, 3, 4, 4), torch.tensor([0, 500, 999])
    x_t = schedule.q_sample(x_0, t, torch.zeros_like(x_0))
    abar = torch.tensor([schedule.alphas_cumprod[i] for i in t])
    assert_close(x_t, abar.sqrt()[:, None, None, None] * x_0)


def test_conversions_agree():
    schedule = Schedule()
    x_0, eps = torch.randn(2, 4, 3, 2, 2)
    t = torch.tensor([0, 100, 400, 999])
    x_t, v = schedule.q_sample(x_0, t, eps), schedule.v(x_0, t, eps)
    assert_close(schedule.x_0_from_v(x_t, t, v), x_0, atol=1e-6, rtol=1e-6)
    # eps -> x_0 divides by sqrt(abar) = 0.006 at the end, x_0 -> eps by sqrt(1/abar - 1) = 0.01
    # at the start.
    assert_close(schedule.x_0_from_eps(x_t, t, eps), x_0, atol=1e-4, rtol=0)
    assert_close(schedule.eps_from_x_0(x_t, t, x_0), eps, atol=1e-4, rtol=0)


def test_tables_first_used_in_inference_mode_serve_training():
    schedule = Schedule()
    t, eps = torch.tensor([7]), torch.randn(1, 3, 2, 2)
    with torch.inference_mode():
        schedule.q_sample(eps, t, eps)
    x_0 = torch.randn(1, 3, 2, 2, requires_grad=True)
    schedule.q_sample(x_0, t, eps).sum().backward()
    assert x_0.grad is not None
