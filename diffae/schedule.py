"""The linear-beta noise schedule of DDPM and the choice of timesteps for few-step sampling."""

import numpy as np
import torch
from torch import Tensor

BETA_FIRST = 1e-4
BETA_LAST = 0.02


def allowed_num_steps(num_timesteps: int = 1000) -> list[int]:
    """Every number of steps that an integer stride through the timesteps can give, ascending."""
    return sorted({len(range(0, num_timesteps, stride)) for stride in range(1, num_timesteps)})


def respaced_timesteps(num_steps: int, num_timesteps: int = 1000) -> tuple[int, ...]:
    """Timesteps 0, i, 2i, ... of the smallest integer stride i that gives `num_steps` of them.

    This is the rule called "ddimN" in the released code. Most large N cannot be reached.

    Raises:
        ValueError: no stride gives `num_steps`; the message lists the nearest possible numbers.
    """
    for stride in range(1, num_timesteps):
        steps = range(0, num_timesteps, stride)
        if len(steps) == num_steps:
            return tuple(steps)
        if len(steps) < num_steps:
            break
    nearest = sorted(allowed_num_steps(num_timesteps), key=lambda n: (abs(n - num_steps), n))[:4]
    listed = ", ".join(str(n) for n in sorted(nearest))
    raise ValueError(
        f"num_steps {num_steps} cannot be spaced evenly over {num_timesteps} timesteps; "
        f"the nearest possible numbers are {listed}"
    )


class Schedule:
    """Linear betas, their cumulative products, and the conversions between x_t, x_0, eps and v.

    `alphas_cumprod`, abar in formulas, holds the cumulative products as T Python floats. The
    conversions take square roots in float64 and then round them to float32, as the released code
    does. In the conversions `t` is (B,) int64 and x_t, x_0, eps and v are (B, C, H, W) float32.
    """

    def __init__(self, num_timesteps: int = 1000) -> None:
        self.num_timesteps = num_timesteps
        betas = np.linspace(BETA_FIRST, BETA_LAST, num_timesteps, dtype=np.float64)
        abar = np.cumprod(1.0 - betas)
        self.alphas_cumprod: tuple[float, ...] = tuple(abar.tolist())
        self._tables = {
            "sqrt_abar": np.sqrt(abar),
            "sqrt_one_minus_abar": np.sqrt(1.0 - abar),
            "sqrt_recip_abar": np.sqrt(1.0 / abar),
            "sqrt_recip_abar_minus_one": np.sqrt(1.0 / abar - 1.0),
        }
        self._float32: dict[tuple[str, torch.device], Tensor] = {}

    def timesteps(self, num_steps: int) -> tuple[int, ...]:
        """`num_steps` ascending timesteps 0, i, 2i, ...; see `respaced_timesteps`."""
        return respaced_timesteps(num_steps, self.num_timesteps)

    def trailing_timesteps(self, num_steps: int) -> tuple[int, ...]:
        """`num_steps` ascending timesteps, evenly spaced, the last one T - 1.

        This is the spacing "trailing" of Lin et al. 2024 (Sec. 3.3 and Table 2). No call is spent
        at t = 0, where the picture hardly changes, so it is better than `timesteps` for few steps.

        Raises:
            ValueError: not between 1 and T.
        """
        if not 1 <= num_steps <= self.num_timesteps:
            raise ValueError(
                f"num_steps must be between 1 and {self.num_timesteps}, got {num_steps}"
            )
        total = self.num_timesteps
        return tuple(round(total * (i + 1) / num_steps) - 1 for i in range(num_steps))

    def log_snr_timesteps(self, num_steps: int) -> tuple[int, ...]:
        """`num_steps` ascending timesteps from 0 to T - 1, evenly spaced in log-SNR.

        They are rounded to whole numbers and kept apart.

        Raises:
            ValueError: not between 2 and T.
        """
        if not 2 <= num_steps <= self.num_timesteps:
            raise ValueError(
                f"num_steps must be between 2 and {self.num_timesteps}, got {num_steps}"
            )
        abar = np.array(self.alphas_cumprod)
        falling = np.log(1.0 - abar) - np.log(abar)  # minus log-SNR, ascending in t
        wanted = np.linspace(falling[0], falling[-1], num_steps)
        timesteps = np.rint(np.interp(wanted, falling, np.arange(self.num_timesteps))).astype(int)
        # Near t = 0 the log-SNR changes fast, so neighbours may round to the same timestep. They
        # are pushed up until all differ, and then down until the last ones stay below T.
        ranks = np.arange(num_steps)
        distinct = np.maximum.accumulate(timesteps - ranks) + ranks
        return tuple(int(t) for t in np.minimum(distinct, self.num_timesteps - num_steps + ranks))

    def _at(self, name: str, t: Tensor, like: Tensor) -> Tensor:
        """The values of a table at `t`, float32 (B, 1, 1, 1), on the device of `like`."""
        key = (name, like.device)
        table = self._float32.get(key)
        if table is None:
            # A table that is made inside torch.inference_mode() could not be used in training.
            with torch.inference_mode(False):
                table = torch.from_numpy(self._tables[name].astype(np.float32)).to(like.device)
            self._float32[key] = table
        return table[t.to(like.device)].reshape(-1, *[1] * (like.ndim - 1))

    def q_sample(self, x_0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """x_t ~ q(x_t | x_0) for the given noise (Ho et al. 2020, Eq. 4)."""
        return self._at("sqrt_abar", t, x_0) * x_0 + self._at("sqrt_one_minus_abar", t, x_0) * eps

    def v(self, x_0: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """v = sqrt(abar) eps - sqrt(1 - abar) x_0 (Salimans & Ho 2022, Sec. 4)."""
        return self._at("sqrt_abar", t, x_0) * eps - self._at("sqrt_one_minus_abar", t, x_0) * x_0

    def x_0_from_eps(self, x_t: Tensor, t: Tensor, eps: Tensor) -> Tensor:
        """The clean image that gives x_t with this noise (Preechakul et al. 2022, Eq. 5)."""
        return (
            self._at("sqrt_recip_abar", t, x_t) * x_t
            - self._at("sqrt_recip_abar_minus_one", t, x_t) * eps
        )

    def eps_from_x_0(self, x_t: Tensor, t: Tensor, x_0: Tensor) -> Tensor:
        """The noise that gives x_t with this clean image."""
        return (self._at("sqrt_recip_abar", t, x_t) * x_t - x_0) / self._at(
            "sqrt_recip_abar_minus_one", t, x_t
        )

    def x_0_from_v(self, x_t: Tensor, t: Tensor, v: Tensor) -> Tensor:
        """The clean image that belongs to x_t and this v (Salimans & Ho 2022, Sec. 4)."""
        return self._at("sqrt_abar", t, x_t) * x_t - self._at("sqrt_one_minus_abar", t, x_t) * v
