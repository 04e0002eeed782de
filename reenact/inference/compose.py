"""From generated crops to the frames that are written."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from reenact.face.crop import FaceCrop, feathered_mask
from reenact.face.params import FaceParams
from reenact.images import frame_from_image
from reenact.inference.reenactor import head_region

Frame = np.ndarray


def resized_frames(images: Tensor, size: int) -> Frame:
    """Images (B, 3, S, S) in [-1, 1] as uint8 frames (B, size, size, 3), bicubic, antialiased."""
    images = images.float()
    if images.shape[-1] != size:
        images = F.interpolate(
            images, size=(size, size), mode="bicubic", align_corners=False, antialias=True
        )
    return frame_from_image(images.clamp(-1, 1))


def side_by_side(frames: Sequence[Frame]) -> Frame:
    """Frames of one height (H, W_i, 3) next to each other: (H, sum of W_i, 3)."""
    return np.concatenate(list(frames), axis=1)


def shrink_to(frame: Frame, crop: FaceCrop, max_side: int | None) -> tuple[Frame, FaceCrop]:
    """The frame with its longer side at most `max_side` pixels, and the crop moved with it."""
    height, width = frame.shape[:2]
    if max_side is None or max(height, width) <= max_side:
        return frame, crop
    factor = max_side / max(height, width)
    small = (max(1, round(width * factor)), max(1, round(height * factor)))
    shrunk = np.asarray(Image.fromarray(frame).resize(small, Image.Resampling.LANCZOS))
    # One factor for both axes keeps the crop a similarity; rounding the size moves it by < 1 px.
    matrix = crop.crop_from_frame @ np.diag([1 / factor, 1 / factor, 1.0])
    return shrunk, FaceCrop(crop_from_frame=matrix, size=crop.size)


def paste_masks(source: FaceParams, driven: FaceParams, size: int) -> Iterator[np.ndarray]:
    """For each of `driven` (N) a mask (size, size) in [0, 1] of what goes back into the photo.

    It covers the head where it was, source (1), and where it is now; around it the photo keeps its
    own, sharper background. Both in pixels of a crop of `size`; 0 at the crop's border.
    """
    border = feathered_mask(size)
    before = head_region(source, size)
    for i in range(len(driven)):
        heads = torch.maximum(before, head_region(driven[i], size))
        yield heads[0, 0].numpy() * border
