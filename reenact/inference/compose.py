"""From generated crops to the frames that are written."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from reenact.face.crop import FaceCrop, feathered_mask, warp_to_crop
from reenact.face.stack import Frame
from reenact.media.images import frame_from_image

Levels = Literal["exact", "stretched"]


def resized_frames(images: Tensor, size: int, levels: Levels = "exact") -> Frame:
    """Images (B, 3, S, S) in [-1, 1] as uint8 frames (B, size, size, 3), bicubic, antialiased.

    levels: see `InferRun`.
    """
    images = images.float()
    if images.shape[-1] != size:
        images = F.interpolate(
            images, size=(size, size), mode="bicubic", align_corners=False, antialias=True
        )
    if levels == "stretched":
        return stretched_frames(images)
    return frame_from_image(images.clamp(-1, 1))


def stretched_frames(images: Tensor) -> Frame:
    """Every image (B, 3, S, S) with its own least value at 0 and its greatest at 255: the
    normalisation with which the authors' script saves a picture, rounding included.
    """
    flat = images.float().flatten(1)
    low, high = flat.amin(1)[:, None, None, None], flat.amax(1)[:, None, None, None]
    levels = ((images - low) / (high - low).clamp(min=1e-5)).mul(255).add(0.5).clamp(0, 255)
    frames: Frame = levels.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    return np.ascontiguousarray(frames)


def moved(frame: Frame, crop: FaceCrop, window: FaceCrop) -> Frame:
    """The result `frame` (S, S, 3) of `crop` as `window` shows it: place, size and roll.

    Both of side S, in pixels of one target frame. What the result does not cover is its mirror
    image.
    """
    if window is crop:
        return frame
    matrix = window.crop_from_frame @ crop.frame_from_crop
    return warp_to_crop(frame, FaceCrop(crop_from_frame=matrix, size=window.size))


def side_by_side(frames: Sequence[Frame]) -> Frame:
    """Frames of one height (H, W_i, 3) next to each other: (H, sum of W_i, 3)."""
    return np.concatenate(list(frames), axis=1)


def of_height(frame: Frame, height: int) -> Frame:
    """The frame (H, W, 3) resized to this height; its width is even, as videos want it."""
    width = max(2, 2 * round(frame.shape[1] * height / len(frame) / 2))
    image = Image.fromarray(frame).resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(image)


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


def paste_mask(before: Tensor, now: Tensor, size: int) -> np.ndarray:
    """What of a result goes back into the photo: (size, size) in [0, 1].

    before, now: (1, 1, S, S), the head region where the photo shows it and where the result does;
    around both the photo keeps its own, sharper background. 0 at the crop's border.
    """
    heads = F.interpolate(
        torch.maximum(before, now), size=(size, size), mode="bilinear", align_corners=False
    )
    mask: np.ndarray = heads[0, 0].cpu().numpy() * feathered_mask(size)
    return mask
