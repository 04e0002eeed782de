"""The reenactment encoder E_r: it makes one semantic code of a source picture and a drawing."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from diffae import SemanticEncoder
from reenact.face.params import NUM_MOTION_VALUES

MOTION_WIDTH = 512


class ReenactmentEncoder(nn.Module):
    """DiffAE's semantic encoder with a second input, the drawing of the landmarks.

    A 1x1 convolution, zero at the start, maps the drawing's colours. Its result is added to the
    source picture, as in the paper.

    With `has_motion_head` (ours) a small network adds a correction to the code. It reads the code
    and the numbers behind the drawing (`FaceModel.motion_vector`). E_r learns slowly from a drawing
    alone, because its lines are thin and the picture has few pixels.

    Both parts start at zero, so a fresh E_r(source, anything) equals E_sem(source). `encoder` is
    not copied: pass a copy to keep the original.
    """

    def __init__(self, encoder: SemanticEncoder, *, has_motion_head: bool = False) -> None:
        super().__init__()
        self.encoder = encoder
        self.zero_conv = nn.Conv2d(3, 3, kernel_size=1)
        nn.init.zeros_(self.zero_conv.weight)
        assert self.zero_conv.bias is not None
        nn.init.zeros_(self.zero_conv.bias)
        self.motion_head: nn.Sequential | None = None
        if has_motion_head:
            self.add_motion_head()

    def add_motion_head(self) -> None:
        """Give an encoder without a motion head a fresh one, which changes no code."""
        z_channels = self.encoder.config.z_channels
        last = nn.Linear(MOTION_WIDTH, z_channels)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.motion_head = nn.Sequential(
            nn.Linear(z_channels + NUM_MOTION_VALUES, MOTION_WIDTH),
            nn.SiLU(),
            nn.Linear(MOTION_WIDTH, MOTION_WIDTH),
            nn.SiLU(),
            last,
        )

    def forward(self, source: Tensor, landmark_map: Tensor, motion: Tensor | None = None) -> Tensor:
        """The code of the source as the drawing shows it.

        Args:
            source, landmark_map: (B, 3, S, S) in [-1, 1].
            motion: `FaceModel.motion_vector` (B, 120); needed with a motion head, ignored without.

        Returns:
            z_r (B, z_channels) float32.
        """
        z_r = self.encoder(source + self.zero_conv(landmark_map))
        if self.motion_head is None:
            return z_r
        if motion is None:
            raise ValueError("this ReenactmentEncoder has a motion head and needs `motion`")
        return z_r + self.motion_head(torch.cat([z_r, motion.to(z_r)], dim=1)).float()
