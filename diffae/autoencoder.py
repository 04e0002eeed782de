"""The Diffusion Autoencoder: semantic encoder + conditional U-Net + schedule."""

from functools import partial

from torch import Tensor, nn

from diffae.config import DiffAEConfig
from diffae.sampler import (
    DDIM_ENCODE,
    OnStep,
    SamplerName,
    ddim_encode,
    find_sampler,
    sample,
)
from diffae.schedule import Schedule
from diffae.semantic_encoder import SemanticEncoder
from diffae.unet import ConditionalUNet


class DiffAE(nn.Module):
    """Turns an image into a semantic code z_sem and a stochastic code x_T, and back.

    z_sem is (B, z_channels). x_T is (B, 3, S, S) like the images. Preechakul et al. 2022, Sec. 3.

        ae = load_checkpoint("last.ckpt")
        z_sem = ae.encode_semantic(images)
        x_T = ae.encode_stochastic(images, z_sem)
        images_again = ae.decode(x_T, z_sem)
    """

    def __init__(self, config: DiffAEConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = SemanticEncoder(config)
        self.unet = ConditionalUNet(config)
        self.schedule = Schedule()

    def encode_semantic(self, x_0: Tensor) -> Tensor:
        """Images (B, 3, S, S) in [-1, 1] -> z_sem (B, z_channels)."""
        return self.encoder(x_0)

    def predict_x_0_eps(
        self,
        x_t: Tensor,
        t: Tensor,
        z_sem: Tensor,
        unet: nn.Module | None = None,
        *,
        clip: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """Estimate the clean image (f_theta, Eq. 5) and the noise in x_t.

        Args:
            x_t: noised images (B, 3, S, S).
            t: timesteps (B,) int64.
            z_sem: semantic codes (B, z_channels).
            unet: takes the place of `self.unet`, e.g. a fine-tuned one with the same config.
            clip: clamp x_0 to [-1, 1]; eps is then derived again from the clamped x_0.

        Returns:
            (x_0, eps), both (B, 3, S, S) float32.
        """
        raw = (self.unet if unet is None else unet)(x_t, t, z_sem).float()
        x_t = x_t.float()
        if self.config.prediction == "v":
            x_0 = self.schedule.x_0_from_v(x_t, t, raw)
        else:
            x_0 = self.schedule.x_0_from_eps(x_t, t, raw)
        if clip:
            x_0 = x_0.clamp(-1, 1)
        return x_0, self.schedule.eps_from_x_0(x_t, t, x_0)

    def encode_stochastic(
        self,
        x_0: Tensor,
        z_sem: Tensor,
        num_steps: int = 50,
        *,
        end: int | None = None,
        unet: nn.Module | None = None,
        clip: bool = True,
        grad_steps: int | None = None,
        recompute: bool = False,
        on_step: OnStep | None = None,
    ) -> Tensor:
        """Images (B, 3, S, S) -> x_T (B, 3, S, S) by DDIM encoding under the given codes (Eq. 8).

        Args:
            x_0: clean images (B, 3, S, S) in [-1, 1].
            z_sem: semantic codes (B, z_channels).
            num_steps: number of steps for the whole way to x_T.
            end: stop early and return x_t at this timestep. Only the steps below it are taken.
            unet, clip: see `predict_x_0_eps`.
            grad_steps, recompute, on_step: see `sample`.

        Raises:
            ValueError: a number of steps that DDIM encoding cannot make.
        """
        return sample(
            DDIM_ENCODE._replace(steps=partial(ddim_encode, end=end)),
            partial(self.predict_x_0_eps, z_sem=z_sem, unet=unet, clip=clip),
            x_0,
            self.schedule,
            num_steps,
            below=end,
            grad_steps=grad_steps,
            recompute=recompute,
            on_step=on_step,
        )

    def decode(
        self,
        x_T: Tensor,
        z_sem: Tensor,
        num_steps: int = 20,
        sampler: SamplerName = "ddim",
        *,
        start: int | None = None,
        unet: nn.Module | None = None,
        clip: bool = True,
        grad_steps: int | None = None,
        recompute: bool = False,
        on_step: OnStep | None = None,
    ) -> Tensor:
        """x_T and codes -> images (B, 3, S, S), in [-1, 1] with `clip`.

        Args:
            x_T: stochastic codes (B, 3, S, S), or x_t if `start` is given.
            z_sem: semantic codes (B, z_channels).
            num_steps: number of steps for the whole way from x_T.
            sampler: a name in `SAMPLERS`.
            start: the timestep of the x_t given as `x_T`. Only the steps at or below it are taken.
            unet, clip: see `predict_x_0_eps`.
            grad_steps, recompute, on_step: see `sample`.

        Raises:
            ValueError: unknown sampler, or a number of steps that it cannot make.
        """
        return sample(
            find_sampler(sampler),
            partial(self.predict_x_0_eps, z_sem=z_sem, unet=unet, clip=clip),
            x_T,
            self.schedule,
            num_steps,
            below=None if start is None else start + 1,
            grad_steps=grad_steps,
            recompute=recompute,
            on_step=on_step,
        )

    def training_loss(
        self,
        x_0: Tensor,
        t: Tensor,
        eps: Tensor,
        z_sem: Tensor | None = None,
    ) -> Tensor:
        """L_simple (Eq. 6) for each image: mean squared error of the U-Net's output (eps or v).

        Args:
            x_0: clean images (B, 3, S, S).
            t: timesteps (B,) int64.
            eps: standard normal noise (B, 3, S, S).
            z_sem: codes; None means the codes of x_0, so that the encoder is trained jointly.

        Returns:
            (B,) float32.
        """
        if z_sem is None:
            z_sem = self.encoder(x_0)
        x_t = self.schedule.q_sample(x_0, t, eps)
        raw = self.unet(x_t, t, z_sem).float()
        wanted = self.schedule.v(x_0, t, eps) if self.config.prediction == "v" else eps
        return (wanted.float() - raw).square().flatten(1).mean(dim=1)
