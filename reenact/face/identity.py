"""Identity embedding of a face: SFace on a five-point alignment."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reenact.assets import asset_path
from reenact.face.graph import load_graphs
from reenact.face.points import five_points_from_points478
from reenact.face.sampling import sample_patches

__all__ = ["EMBEDDING_SIZE", "IdentityNet", "align_transform", "five_points_from_points478"]

SIDE = 112
EMBEDDING_SIZE = 128
# Where the net expects eye centres, nose tip and mouth corners (picture's left first); pixel edges,
# not centres.
_TEMPLATE = (
    (38.7946, 52.1963),
    (74.0318, 52.0014),
    (56.5252, 72.2366),
    (42.0493, 92.8655),
    (71.2299, 92.7041),
)


def align_transform(five_points: Tensor) -> Tensor:
    """five_points (B, 5, 2) px -> (B, 2, 3), from the aligned patch [0, 1]² to pixels.

    The least-squares similarity (turn, scale, shift) from the template to the points; no mirroring.
    """
    template = five_points.new_tensor(_TEMPLATE) / SIDE
    a = template - template.mean(0)
    centre = five_points.mean(1, keepdim=True)
    b = five_points - centre
    norm = a.square().sum()
    cos = (a * b).sum((1, 2)) / norm
    sin = (a[:, 0] * b[..., 1] - a[:, 1] * b[..., 0]).sum(1) / norm
    turn = torch.stack([torch.stack([cos, -sin], -1), torch.stack([sin, cos], -1)], -2)
    shift = centre[:, 0] - (turn @ template.mean(0))
    return torch.cat([turn, shift[..., None]], -1)


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
