"""Identity embedding of a face: SFace on a five-point alignment."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reenact.assets import asset_path
from reenact.face.graph import load_graphs
from reenact.face.points import fit_similarity
from reenact.face.sampling import sample_patches

SIDE = 112
EMBEDDING_SIZE = 128
# Where the net expects eye centres, nose tip and mouth corners, the picture's left first. The
# coordinates count from the edge of the first pixel.
_TEMPLATE = (
    (38.7946, 52.1963),
    (74.0318, 52.0014),
    (56.5252, 72.2366),
    (42.0493, 92.8655),
    (71.2299, 92.7041),
)


def align_transform(five_points: Tensor) -> Tensor:
    """five_points (B, 5, 2) px -> (B, 2, 3), from the aligned patch [0, 1]² to pixels."""
    return fit_similarity(five_points.new_tensor(_TEMPLATE) / SIDE, five_points)


class IdentityNet(nn.Module):
    """Frozen SFace.

    The cosine similarity of two embeddings is mostly above 0.6 for one person, and about 0.1 (at
    most 0.34 in the samples) for two people.
    """

    def __init__(self, device: str | torch.device = "cpu") -> None:
        super().__init__()
        graphs, _ = load_graphs(asset_path("identity.safetensors"))
        self.net = graphs["sface"]
        self.to(device).eval()

    def forward(self, images: Tensor, five_points: Tensor) -> Tensor:
        """images (B, 3, H, W) in [-1, 1], five_points (B, 5, 2) px -> (B, 128) of unit norm.

        Differentiable in the images; the alignment itself counts as fixed.
        """
        transform = align_transform(five_points.detach().float())
        patches = sample_patches(images.float(), transform, SIDE)
        (embedding,) = self.net((patches + 1) * 127.5)
        return F.normalize(embedding, dim=-1)
