"""The noise-predicting U-Net, conditioned on a timestep and a semantic code."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diffae.blocks import (
    AttentionBlock,
    ConditionedResBlock,
    GroupNorm32,
    Resample,
    TimeEmbed,
    conv3x3,
    run_block,
    zeroed,
)
from diffae.config import DiffAEConfig


class ConditionedSequential(nn.Sequential):
    """A sequence that passes the time embedding and the code to the blocks that take them."""

    def forward(self, x: Tensor, time_emb: Tensor, z_sem: Tensor) -> Tensor:  # type: ignore[override]
        for layer in self:
            conditioned = isinstance(layer, ConditionedResBlock)
            x = layer(x, time_emb, z_sem) if conditioned else layer(x)
        return x


class ConditionalUNet(nn.Module):
    """U-Net of the Diffusion Autoencoder. Parameter names are the keys of released checkpoints.

    Set `recompute` to save memory in training (see `run_block`).
    """

    def __init__(self, config: DiffAEConfig) -> None:
        super().__init__()
        self.config = config
        self.recompute = False
        channels = config.unet_channels
        self.image_channels = 3 * config.patch_size**2
        self.time_embed = TimeEmbed(config.base_channels, config.time_channels)
        self.input_blocks, skip_channels = self._build_down(channels)
        deepest = channels[-1]
        self.middle_block = ConditionedSequential(
            self._block(deepest, deepest), AttentionBlock(deepest), self._block(deepest, deepest)
        )
        self.output_blocks = self._build_up(channels, skip_channels)
        self.out = nn.Sequential(
            GroupNorm32(channels[0]), nn.SiLU(), zeroed(conv3x3(channels[0], self.image_channels))
        )
        self.z_grid: nn.Linear | None = None
        if config.z_grid:
            self.z_grid = zeroed(nn.Linear(config.z_channels, deepest * config.z_grid**2))

    def _block(
        self, in_channels: int, out_channels: int, mode: Resample = "none"
    ) -> ConditionedResBlock:
        config = self.config
        return ConditionedResBlock(
            in_channels,
            out_channels,
            time_channels=config.time_channels,
            z_channels=config.z_channels,
            dropout=config.dropout,
            z_shifts=config.conditioning == "scale_shift",
            mode=mode,
        )

    def _build_down(self, channels: tuple[int, ...]) -> tuple[nn.ModuleList, list[int]]:
        """The input half, and the channels of every skip connection in the order of creation."""
        blocks = nn.ModuleList([ConditionedSequential(conv3x3(self.image_channels, channels[0]))])
        current, skips = channels[0], [channels[0]]
        for level, width in enumerate(channels):
            has_attention = self.config.resolution(level) in self.config.attention_resolutions
            for _ in range(self.config.num_res_blocks):
                layers: list[nn.Module] = [self._block(current, width)]
                if has_attention:
                    layers.append(AttentionBlock(width))
                blocks.append(ConditionedSequential(*layers))
                current = width
                skips.append(current)
            if level + 1 < len(channels):
                blocks.append(ConditionedSequential(self._block(current, current, "down")))
                skips.append(current)
        return blocks, skips

    def _build_up(self, channels: tuple[int, ...], skips: list[int]) -> nn.ModuleList:
        """The output half. Each entry takes the features and the last skip connection left."""
        blocks = nn.ModuleList()
        current, skips = channels[-1], list(skips)
        for level, width in reversed(list(enumerate(channels))):
            has_attention = self.config.resolution(level) in self.config.attention_resolutions
            for index in range(self.config.num_res_blocks + 1):
                layers: list[nn.Module] = [self._block(current + skips.pop(), width)]
                if has_attention:
                    layers.append(AttentionBlock(width))
                current = width
                if level and index == self.config.num_res_blocks:
                    layers.append(self._block(current, current, "up"))
                blocks.append(ConditionedSequential(*layers))
        return blocks

    def forward(self, x_t: Tensor, t: Tensor, z_sem: Tensor) -> Tensor:
        """Predict eps or v (see the config).

        Args:
            x_t: noised images (B, 3, S, S).
            t: timesteps (B,) int64 in [0, 1000).
            z_sem: semantic codes (B, z_channels).

        Returns:
            The raw prediction (B, 3, S, S), float32 also under autocast.
        """
        time_emb = self.time_embed(t)
        h, skips = F.pixel_unshuffle(x_t, self.config.patch_size), []
        for block in self.input_blocks:
            h = run_block(block, self.recompute, h, time_emb, z_sem)
            skips.append(h)
        if self.z_grid is not None:
            h = h + self.z_grid(z_sem).reshape_as(h).to(h.dtype)
        h = run_block(self.middle_block, self.recompute, h, time_emb, z_sem)
        for block in self.output_blocks:
            h = torch.cat([h, skips.pop()], dim=1)
            h = run_block(block, self.recompute, h, time_emb, z_sem)
        # The last layer is cheap, and its rounding errors show in the image: compute it in float32.
        with torch.autocast(h.device.type, enabled=False):
            h = self.out(h.to(next(self.out.parameters()).dtype)).float()
        return F.pixel_shuffle(h, self.config.patch_size)
