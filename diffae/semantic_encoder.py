"""The semantic encoder: it turns an image into one vector, the semantic code."""

import torch.nn.functional as F
from torch import Tensor, nn

from diffae.blocks import AttentionBlock, GroupNorm32, ResBlock, conv3x3, run_block
from diffae.config import DiffAEConfig


class SemanticEncoder(nn.Module):
    """The input half of the U-Net without conditioning, then a pooled linear head.

    Set `recompute` to save memory in training (see `run_block`).
    """

    def __init__(self, config: DiffAEConfig) -> None:
        super().__init__()
        self.config = config
        self.recompute = False
        channels = config.encoder_channels
        self.input_blocks = nn.ModuleList(
            [nn.Sequential(conv3x3(3 * config.patch_size**2, channels[0]))]
        )
        current = channels[0]
        for level, width in enumerate(channels):
            has_attention = config.resolution(level) in config.attention_resolutions
            for _ in range(config.num_res_blocks):
                layers: list[nn.Module] = [ResBlock(current, width)]
                if has_attention:
                    layers.append(AttentionBlock(width))
                self.input_blocks.append(nn.Sequential(*layers))
                current = width
            if level + 1 < len(channels):
                self.input_blocks.append(nn.Sequential(ResBlock(current, current, "down")))
        self.middle_block = nn.Sequential(
            ResBlock(current, current), AttentionBlock(current), ResBlock(current, current)
        )
        self.out = nn.Sequential(
            GroupNorm32(current),
            nn.SiLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(current, config.z_channels, 1),
            nn.Flatten(),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Image (B, 3, S, S) in [-1, 1] -> z_sem (B, z_channels), float32 also under autocast."""
        h = F.pixel_unshuffle(image, self.config.patch_size)
        for block in self.input_blocks:
            h = run_block(block, self.recompute, h)
        return self.out(run_block(self.middle_block, self.recompute, h)).float()
