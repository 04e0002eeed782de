"""Face masks of crops. A background loss leaves out the pixels of the mask."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from scipy.spatial import ConvexHull, QhullError
from torch import Tensor

from reenact.errors import UserError
from reenact.files import check_input_file
from reenact.ranges import Checked, Range

FOREHEAD = 0.3
"""The oval is raised towards the hairline by this share of its height above the eyes.

On rendered heads the masks then overlap the true ones by .86 (intersection over union; .81 with 0),
and 3 % of the mask is not face. A larger value would cover low fringes.
"""
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet


@dataclass(frozen=True, kw_only=True)
class MaskConfig(Checked):
    """How the face masks of crops are made.

    kind: mesh fills the outline of the tracked face; parsing uses your own face-parsing network.
    parsing: TorchScript file of that network. It takes pictures (B, 3, `parsing_side`,
        `parsing_side`), normalised with the mean and deviation of ImageNet. It gives scores (B,
        labels, h, w), or a tuple that begins with them.
    parsing_side: side of its pictures in pixels.
    face_labels: the labels that count as face. The default is skin, brows, eyes, nose, mouth and
        lips of CelebAMask-HQ. Hair, hats and glasses count as background.
    """

    kind: Literal["mesh", "parsing"] = "mesh"
    parsing: Path | None = None
    parsing_side: Annotated[int, Range(at_least=16, at_most=4096)] = 512
    face_labels: tuple[Annotated[int, Range(at_least=0)], ...] = (1, 2, 3, 4, 5, 10, 11, 12, 13)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind == "parsing" and self.parsing is None:
            raise UserError(
                "kind: parsing needs a network, set 'parsing' to the path of a TorchScript file"
            )
        if not self.face_labels:
            raise UserError("face_labels: name at least one label")


def face_points(landmarks: np.ndarray, oval: np.ndarray) -> np.ndarray:
    """The points (B, 104, 2) whose hull is the face up to the hairline.

    landmarks: (B, 68, 2). oval: (B, 36, 2); it ends in the middle of the forehead, so its points
    above the eyes are moved up (see FOREHEAD).
    """
    left, right = landmarks[:, 36:42].mean(1), landmarks[:, 42:48].mean(1)
    across = (right - left) / np.linalg.norm(right - left, axis=1, keepdims=True).clip(1e-6)
    up = np.stack([across[:, 1], -across[:, 0]], 1)
    above = np.einsum("bnc,bc->bn", oval - (left + right)[:, None] / 2, up).clip(0)
    raised = oval + FOREHEAD * above[..., None] * up[:, None]
    return np.concatenate([landmarks, raised], 1)


def mesh_masks(points: np.ndarray, size: int) -> np.ndarray:
    """The filled convex hulls of each face's points (B, K, 2) in pixels: (B, size, size) bool."""
    masks = np.zeros((len(points), size, size), dtype=bool)
    for mask, face in zip(masks, points, strict=True):
        try:
            hull = face[ConvexHull(face).vertices]
        except (QhullError, ValueError):
            continue
        # Drawn at four times the size, because Pillow's polygons end on whole pixels.
        big = Image.new("L", (4 * size, 4 * size))
        ImageDraw.Draw(big).polygon([tuple(p) for p in (4 * hull - 0.5).tolist()], fill=255)
        mask[...] = np.asarray(big.reduce(4)) > 127
    return masks


class ParsingNet:
    """The user's face-parsing network. Raises UserError for an unreadable file."""

    def __init__(self, config: MaskConfig, device: torch.device) -> None:
        assert config.parsing is not None
        path = check_input_file(config.parsing)
        try:
            with warnings.catch_warnings():
                # torch calls the format deprecated. It holds a network without its code.
                warnings.simplefilter("ignore", FutureWarning)
                self.net = torch.jit.load(str(path), map_location=device).eval()
        except Exception as error:  # torch raises several kinds for foreign files
            line = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UserError(
                f"{path}: cannot be read as a TorchScript network ({line[:120]}), export the "
                "network with torch.jit.trace or torch.jit.script"
            ) from error
        self.config, self.device = config, device

    @torch.no_grad()
    def masks(self, crops: np.ndarray, batch: int = 8) -> np.ndarray:
        """Masks (B, S, S) bool of crops (B, S, S, 3) uint8.

        Raises UserError when the network's output has another shape than expected.
        """
        return np.concatenate(
            [self._masks(crops[i : i + batch]) for i in range(0, len(crops), batch)]
        )

    def _masks(self, crops: np.ndarray) -> np.ndarray:
        side = self.config.parsing_side
        images = torch.from_numpy(crops).to(self.device).permute(0, 3, 1, 2).float() / 255
        images = F.interpolate(images, (side, side), mode="bilinear", antialias=True)
        mean, std = (images.new_tensor(v)[:, None, None] for v in (_MEAN, _STD))
        scores = self.net((images - mean) / std)
        scores = scores[0] if isinstance(scores, (tuple, list)) else scores
        labels = self.config.face_labels
        if not isinstance(scores, Tensor) or scores.ndim != 4 or scores.shape[1] <= max(labels):
            shape = tuple(scores.shape) if isinstance(scores, Tensor) else type(scores).__name__
            raise UserError(
                f"{self.config.parsing}: expected scores (B, labels, h, w) for the labels "
                f"0 to {max(labels)}, got {shape}"
            )
        scores = F.interpolate(scores.float(), crops.shape[1:3], mode="bilinear")
        wanted = torch.tensor(labels, device=scores.device)
        return torch.isin(scores.argmax(1), wanted).cpu().numpy()
