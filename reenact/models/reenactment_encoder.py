"""The reenactment encoder E_r: a source picture and a drawing of the wanted face become one
semantic code.
"""

from __future__ import annotations

from torch import Tensor, nn

from diffae import SemanticEncoder


class ReenactmentEncoder(nn.Module):
    """DiffAE's semantic encoder whose input is the source plus a learned colour map of the landmark
    drawing.

    The 1x1 convolution starts at zero, so a fresh E_r(source, anything) equals E_sem(source).
    `encoder` is used as it is, not copied: pass a copy to keep the original.
    """

    def __init__(self, encoder: SemanticEncoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.zero_conv = nn.Conv2d(3, 3, kernel_size=1)
        nn.init.zeros_(self.zero_conv.weight)
        assert self.zero_conv.bias is not None
        nn.init.zeros_(self.zero_conv.bias)

    def forward(self, source: Tensor, landmark_map: Tensor) -> Tensor:
        """Source image and landmark map, both (B, 3, S, S) in [-1, 1], to z_r (B, z_channels)
        float32.
        """
        return self.encoder(source + self.zero_conv(landmark_map))
