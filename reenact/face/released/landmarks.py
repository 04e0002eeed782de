"""Landmarks of the released pipeline: the face detector S3FD, then 2D-FAN-4 on the best face.

The networks come from the face-alignment package. The steps around them are written here, because
the released pipeline differs from the package: RGB without mean subtraction, no flip, integer
coordinates. The centre of the first pixel is (0, 0).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from diffae import CheckpointError
from diffae.unpickle import read_torch
from reenact.errors import UserError
from reenact.face.released import fan_points, s3fd_boxes
from reenact.face.released.resnet import load_by_name

NUM_POINTS = 68
SAME_FACE = 0.2
"""A face that overlaps the face of the frame before by more than this is the same face."""
_WHITE = 255.0
_RANGE = 2 + 1e-5  # The published pipeline divides by this. It moves the truncated points.


@dataclass(frozen=True, kw_only=True)
class Landmarks:
    """The best face of each picture of a batch."""

    points: Tensor  # (B, 68, 2) float32 holding integers: x, y in pixels; NaN without a face
    found: Tensor  # (B,) bool
    boxes: Tensor  # (B, 4) x1, y1, x2, y2 of the face; NaN without one


class LandmarkDetector(nn.Module):
    """68 landmarks (iBUG order) of the most probable face of each picture; no gradients.

    Args:
        s3fd: network (B, 3, H, W) RGB 0..255 -> class and location maps of six levels, in turn.
        fan: network (N, 3, 256, 256) RGB [0, 1] -> heatmaps (N, 68, 64, 64) of each stack.
        antialias: whether crops of more than 256 px are shrunk with antialiasing. It is not known
            what the authors ran. From torchvision 0.17 on the default is True.
    """

    def __init__(self, s3fd: nn.Module, fan: nn.Module, *, antialias: bool = True) -> None:
        super().__init__()
        self.s3fd = s3fd
        self.fan = fan
        self.antialias = antialias
        self.eval()

    @classmethod
    def from_files(
        cls,
        s3fd_path: str | Path,
        fan_path: str | Path,
        device: str | torch.device = "cpu",
        *,
        antialias: bool = True,
    ) -> Self:
        """From `s3fd-619a316812.pth` and `2DFAN4-11f355bf06.pth.tar` of the face-alignment project.

        Raises:
            CheckpointError: a file is missing, damaged or holds another network.
            UserError: the face-alignment package is missing.
        """
        s3fd, fan = build_networks()
        load_weights(s3fd, Path(s3fd_path), "the face detector S3FD")
        load_weights(fan, Path(fan_path), "the landmark network 2D-FAN-4")
        return cls(s3fd, fan, antialias=antialias).to(device).requires_grad_(False)

    @torch.no_grad()
    def detect(self, images: Tensor, previous: Tensor | None = None) -> Landmarks:
        """Landmarks of images (B, 3, H, W), RGB in [-1, 1]; any size from 16 px on.

        Args:
            images: pictures, each on its own.
            previous: None takes the most probable face of each picture. Otherwise the pictures are
                frames of one video, and this is the box (4,) of the face in the frame before them
                (NaN before the first face). The face that overlaps the one of the frame before is
                then preferred to a more probable one, because several people may be in view (ours).

        Raises:
            UserError: a smaller picture.
        """
        height, width = images.shape[-2:]
        if min(height, width) < s3fd_boxes.SMALLEST_PICTURE:
            raise UserError(
                f"a picture of {width} x {height} px is too small to find a face in: "
                f"give one of {s3fd_boxes.SMALLEST_PICTURE} x {s3fd_boxes.SMALLEST_PICTURE} or more"
            )
        pixels = (images.float().clamp(-1, 1) + 1) / _RANGE * _WHITE
        faces = s3fd_boxes.faces(self.s3fd(pixels), height, width)
        found = torch.tensor([len(of_picture) > 0 for of_picture in faces], dtype=torch.bool)
        points = torch.full((len(images), NUM_POINTS, 2), torch.nan)
        best = torch.full((len(images), 4), torch.nan)
        for i, of_picture in enumerate(faces):
            if len(of_picture):
                best[i] = of_picture[0 if previous is None else same_face(of_picture, previous), :4]
                previous = None if previous is None else best[i]
        if found.any():
            points[found] = self._points(pixels[found.to(pixels.device)], best[found])
        device = images.device
        return Landmarks(
            points=points.to(device),
            found=found.to(device),
            boxes=best.to(device),
        )

    def _points(self, pixels: Tensor, boxes: Tensor) -> Tensor:
        """(N, 68, 2) of pictures (N, 3, H, W) in 0..255 with one box (N, 4) each.

        Boxes and points are on the CPU.
        """
        centres, scales = fan_points.centres_and_scales(boxes)
        corners = fan_points.corners(centres, scales)
        crops = [
            fan_points.crop(picture, ends, self.antialias)
            for picture, ends in zip(pixels, corners, strict=True)
        ]
        heatmaps = self.fan(torch.stack(crops) / _WHITE)[-1]
        points = fan_points.peaks(heatmaps).cpu()
        return fan_points.to_picture(points, centres, scales, heatmaps.shape[-1]).float()


def same_face(faces: Tensor, previous: Tensor) -> int:
    """The index of the face that overlaps the box `previous` (4,) most. `faces` (N, 5) are sorted,
    the most probable one first. It is 0 when no overlap (intersection over union) is above
    SAME_FACE.
    """
    previous = previous.to(faces)
    low, high = (
        torch.maximum(faces[:, :2], previous[:2]),
        torch.minimum(faces[:, 2:4], previous[2:]),
    )
    inside = (high - low).clamp(min=0).prod(1)
    areas = (faces[:, 2:4] - faces[:, :2]).prod(1) + (previous[2:] - previous[:2]).prod()
    overlap = torch.nan_to_num(inside / (areas - inside))
    best = int(overlap.argmax())
    return best if overlap[best] > SAME_FACE else 0


def build_networks() -> tuple[nn.Module, nn.Module]:
    """S3FD and 2D-FAN-4 with untrained weights.

    Raises:
        UserError: the face-alignment package, or a library it needs, is missing.
    """
    try:
        from face_alignment.detection.sfd.net_s3fd import s3fd
        from face_alignment.models import FAN
    except ImportError as error:
        raise UserError(
            f"the landmarks of the released pipeline need face-alignment ({error}): "
            "pip install 'face-alignment>=1.5'; when libGL is missing, install libgl1 or "
            "pip install opencv-python-headless"
        ) from error
    return s3fd(), FAN(4)


def load_weights(net: nn.Module, path: Path, what: str) -> None:
    """Fill `net`, called `what` in messages, from a torch file whose keys and shapes match.

    Raises:
        CheckpointError: the file is missing, damaged or holds another network.
    """
    # Files older than torch 0.4.1 do not count batches, and evaluation never reads the count.
    counts = {k: v for k, v in net.state_dict().items() if k.endswith("num_batches_tracked")}
    load_by_name(net, counts | _state_of(path, what), f"{path}: not the weights of {what}")


def _state_of(path: Path, what: str) -> dict[str, Tensor]:
    """The tensors of a file. They may lie under "state_dict" and have the prefix "module."."""
    content = read_torch(path)
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not all(
        isinstance(value, Tensor) for value in content.values()
    ):
        raise CheckpointError(f"{path}: not the weights of {what}: no table of tensors inside")
    return {str(key).removeprefix("module."): value for key, value in content.items()}
