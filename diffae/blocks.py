"""Building blocks of the two networks.

The names of the submodules (`in_layers`, `emb_layers`, ...) are the keys of released checkpoints.
"""

import math
from typing import Literal, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

Resample = Literal["none", "up", "down"]
ModuleT = TypeVar("ModuleT", bound=nn.Module)

LARGE_MAP = 64 * 64
"""`GroupNorm32` counts feature maps with at least this many positions as large."""


class GroupNorm32(nn.GroupNorm):
    """Group norm with min(32, C) groups, computed in float32 and cast back."""

    def __init__(self, channels: int) -> None:
        super().__init__(min(32, channels), channels, eps=1e-5)

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.weight.float(), self.bias.float()
        # On a CPU group_norm computes in float32 also when x is in bfloat16. For large maps this is
        # faster than a float32 copy of x; for small maps the copy is faster.
        is_large = x.shape[2:].numel() >= LARGE_MAP
        features = x if x.device.type == "cpu" and is_large else x.float()
        return F.group_norm(features, self.num_groups, weight, bias, self.eps).to(x.dtype)


def conv3x3(in_channels: int, out_channels: int) -> nn.Conv2d:
    """A 3x3 convolution that keeps the size."""
    return nn.Conv2d(in_channels, out_channels, 3, padding=1)


def run_block(block: nn.Module, recompute: bool, *inputs: Tensor) -> Tensor:
    """The output of `block(*inputs)`.

    With `recompute` its activations are not kept for the backward pass, which computes them again.
    This saves memory and costs time.
    """
    if recompute and torch.is_grad_enabled():
        return checkpoint(block, *inputs, use_reentrant=False)
    return block(*inputs)


def zeroed(module: ModuleT) -> ModuleT:
    """The same module with all its parameters set to zero."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
    return module


def resample(x: Tensor, mode: Resample) -> Tensor:
    """Double (nearest) or halve (2x2 mean) the spatial size, or leave it."""
    if mode == "up":
        return F.interpolate(x, scale_factor=2.0, mode="nearest")
    if mode == "down":
        return F.avg_pool2d(x, 2)
    return x


def timestep_sinusoid(t: Tensor, channels: int) -> Tensor:
    """(B,) timesteps -> (B, channels) float32, the cosines first and then the sines.

    This is the sinusoidal embedding of Vaswani et al. 2017, Sec. 3.5; its periods go from 2 pi to
    almost 2 pi 10000 timesteps. `channels` must be even.
    """
    half = channels // 2
    exponent = -math.log(10000) * torch.arange(half, dtype=torch.float32, device=t.device) / half
    angles = t[:, None].float() * torch.exp(exponent)[None]
    return torch.cat([torch.cos(angles), torch.sin(angles)], dim=-1)


class TimeEmbed(nn.Module):
    """Timestep sinusoid and a two-layer MLP.

    The submodule has the same name as its parent because the official keys begin with
    `time_embed.time_embed.`.
    """

    def __init__(self, base_channels: int, time_channels: int) -> None:
        super().__init__()
        self.base_channels = base_channels
        self.time_embed = nn.Sequential(
            nn.Linear(base_channels, time_channels),
            nn.SiLU(),
            nn.Linear(time_channels, time_channels),
        )

    def forward(self, t: Tensor) -> Tensor:
        """(B,) integer timesteps -> (B, time_channels)."""
        return self.time_embed(timestep_sinusoid(t, self.base_channels))


class ResBlock(nn.Module):
    """The encoder's unconditioned block: skip(x) + conv(SiLU(GN(x))).

    Unlike the U-Net's block it has one 3x3 convolution only. With `mode` "up" or "down" both
    branches are resampled.
    """

    def __init__(self, in_channels: int, out_channels: int, mode: Resample = "none") -> None:
        super().__init__()
        self.mode: Resample = mode
        self.in_layers = nn.Sequential(
            GroupNorm32(in_channels), nn.SiLU(), conv3x3(in_channels, out_channels)
        )
        self.skip_connection: nn.Module = (
            nn.Identity()
            if in_channels == out_channels
            else nn.Conv2d(in_channels, out_channels, 1)
        )

    def _in_and_skip(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The output of the first convolution and the skip branch, both resampled."""
        norm, act, conv = self.in_layers
        h = conv(resample(act(norm(x)), self.mode))
        return h, self.skip_connection(resample(x, self.mode))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) -> (B, C_out, H', W')."""
        h, skip = self._in_and_skip(x)
        return skip + h


class ConditionedResBlock(ResBlock):
    """The U-Net's block, with adaptive group norm (Preechakul et al. 2022, Eq. 7).

    The timestep scales and shifts the normalised features: h = GN(h) (1 + t_s) + t_b. Then the
    semantic code scales them: h (1 + z_s), or h (1 + z_s) + z_b if `z_shifts` (ours). As in the
    released code, the layers give the scales of Eq. 7 minus 1.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        time_channels: int,
        z_channels: int,
        dropout: float,
        z_shifts: bool,
        mode: Resample = "none",
    ) -> None:
        super().__init__(in_channels, out_channels, mode)
        self.z_shifts = z_shifts
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(time_channels, 2 * out_channels))
        self.cond_emb_layers = nn.Sequential(
            nn.SiLU(), nn.Linear(z_channels, (2 if z_shifts else 1) * out_channels)
        )
        self.out_layers = nn.Sequential(
            GroupNorm32(out_channels),
            nn.SiLU(),
            nn.Dropout(dropout),
            zeroed(conv3x3(out_channels, out_channels)),
        )

    def forward(self, x: Tensor, time_emb: Tensor, z_sem: Tensor) -> Tensor:  # type: ignore[override]
        """(B, C_in, H, W), (B, time_channels), (B, z_channels) -> (B, C_out, H', W')."""
        h, skip = self._in_and_skip(x)
        norm, act, dropout, conv = self.out_layers
        t_scale, t_shift = self.emb_layers(time_emb)[:, :, None, None].to(h.dtype).chunk(2, dim=1)
        h = norm(h) * (1 + t_scale) + t_shift
        z_code = self.cond_emb_layers(z_sem)[:, :, None, None].to(h.dtype)
        if self.z_shifts:
            z_scale, z_shift = z_code.chunk(2, dim=1)
            h = h * (1 + z_scale) + z_shift
        else:
            h = h * (1 + z_code)
        return skip + conv(dropout(act(h)))


class AttentionBlock(nn.Module):
    """Single-head self-attention over all positions with a residual.

    It does not use `scaled_dot_product_attention`: the order of operations here gives the float32
    outputs of the released models exactly. At 16x16 positions attention is 0.1 % of the work.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = GroupNorm32(channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = zeroed(nn.Conv1d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        batch, channels, height, width = x.shape
        tokens = x.reshape(batch, channels, height * width)
        q, k, v = self.qkv(self.norm(tokens)).chunk(3, dim=1)
        scale = 1 / math.sqrt(math.sqrt(channels))
        logits = torch.einsum("bct,bcs->bts", q * scale, k * scale)
        weights = torch.softmax(logits.float(), dim=-1).to(v.dtype)
        h = torch.einsum("bts,bcs->bct", weights, v)
        return (tokens + self.proj_out(h)).reshape(batch, channels, height, width)
