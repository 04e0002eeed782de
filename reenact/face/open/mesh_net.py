"""The landmark net (478 points with irises) and the blendshape net that reads 146 of them."""

import torch
from torch import Tensor, nn

from reenact.face.graph import StaticGraph
from reenact.face.sampling import roi_transform, sample_patches

SIDE = 256  # the landmark net's input
NUM_POINTS = 478
# fmt: off
BLENDSHAPE_POINTS = (
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66,
    67, 70, 78, 80, 81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144,
    145, 146, 148, 149, 150, 152, 153, 154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173,
    176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263, 267, 269, 270, 276, 282, 283, 284,
    285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318, 321, 323, 324, 332,
    334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384, 385, 386,
    387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473,
    474, 475, 476, 477,
)
# fmt: on


class MeshNet(nn.Module):
    """Both nets, frozen. Gradients flow to the image, but not to the region of interest."""

    def __init__(self, landmarks: StaticGraph, blendshapes: StaticGraph) -> None:
        super().__init__()
        self.landmarks, self.blendshape_graph = landmarks, blendshapes
        self.register_buffer("_used", torch.tensor(BLENDSHAPE_POINTS), persistent=False)

    def forward(self, images: Tensor, rois: Tensor) -> tuple[Tensor, Tensor]:
        """images (B, 3, H, W) in [-1, 1], rois (B, 4) px -> points (B, 478, 3), presence (B,).

        Points are in pixels, z too: it is negative towards the camera and zero near the head's
        centre. The presence of a face is in [0, 1].
        """
        rois = rois.detach().float()
        transform = roi_transform(rois)
        patches = sample_patches(images, transform, SIDE)
        flat, logit = self.landmarks(patches * 0.5 + 0.5)
        unit = flat.reshape(-1, NUM_POINTS, 3) / SIDE
        xy = unit[..., :2] @ transform[:, :, :2].mT + transform[:, None, :, 2]
        z = unit[..., 2:] * rois[:, None, 2:3]
        return torch.cat([xy, z], -1), torch.sigmoid(logit.flatten())

    def blendshapes(self, points: Tensor) -> Tensor:
        """points (B, 478, 2 or 3) px -> scores (B, 52) in [0, 1], in EXPRESSION_NAMES order.

        The net knows no tongueOut; its score is always 0.
        """
        used = points[:, self._used, :2]  # type: ignore[index]
        (scores,) = self.blendshape_graph(used.mT[:, :, None])
        return torch.cat([scores[:, 1:], torch.zeros_like(scores[:, :1])], 1)
