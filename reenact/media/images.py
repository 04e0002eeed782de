"""Pictures on disk, frames (uint8 HWC RGB) and images (float NCHW RGB in [-1, 1])."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from reenact.errors import UserError
from reenact.files import atomic_output, check_input_file, check_output_path

# Larger than any phone's 108-megapixel photo; keeps a crafted header from eating the memory.
MAX_PIXELS = 128_000_000

WRITABLE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
IMAGE_SUFFIXES = frozenset(
    (*WRITABLE_SUFFIXES, ".jfif", ".jp2", ".avif", ".heic", ".heif", ".ppm", ".pgm", ".tga")
)

_SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    ".jpg": {"quality": 95, "subsampling": 0},
    ".jpeg": {"quality": 95, "subsampling": 0},
    ".webp": {"lossless": True},
}


def is_image_path(path: str | Path) -> bool:
    """Whether the name ends like a still picture (a GIF counts as a video)."""
    return Path(path).suffix.lower() in IMAGE_SUFFIXES


def read_frame(path: str | Path) -> NDArray[np.uint8]:
    """Read a picture as a frame (H, W, 3) uint8 RGB, as a viewer would show it.

    The EXIF orientation is applied, transparency is laid over white, grey, palette, CMYK and
    16-bit pictures become 8-bit RGB. Of an animation the first frame is read. Raises UserError if
    the file is missing, empty, truncated, not a picture, or larger than MAX_PIXELS.
    """
    path = check_input_file(path)
    try:
        with warnings.catch_warnings():
            # MAX_PIXELS is checked here, before any pixel is decoded.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                width, height = picture.size
                if width * height > MAX_PIXELS:
                    raise UserError(
                        f"{path}: {width}x{height} pixels are too many, "
                        f"resize the picture below {MAX_PIXELS // 10**6} megapixels"
                    )
                picture.load()
                return frame_from_pil(picture)
    except UserError:
        raise
    except UnidentifiedImageError as error:
        raise UserError(
            f"{path}: is not a picture that can be read, convert it to PNG or JPEG"
        ) from error
    except Image.DecompressionBombError as error:
        raise UserError(f"{path}: the picture is too large, resize it first") from error
    except Exception as error:  # Pillow's decoders raise almost anything on damaged bytes
        raise UserError(
            f"{path}: the picture is damaged or truncated ({error}), copy or save it again"
        ) from error


def write_frame(path: str | Path, frame: NDArray[np.uint8]) -> None:
    """Write a frame (H, W, 3) uint8 RGB; the suffix says the format. `path` appears whole.

    Raises UserError if the suffix is unknown or the path cannot be written.
    """
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        raise ValueError(f"expected a frame (H, W, 3) uint8, got {frame.shape} {frame.dtype}")
    path = check_output_path(path, WRITABLE_SUFFIXES)
    with atomic_output(path) as temporary:
        Image.fromarray(np.ascontiguousarray(frame)).save(
            temporary, **_SAVE_OPTIONS.get(path.suffix.lower(), {})
        )


def image_from_frame(frame: NDArray[np.uint8]) -> Tensor:
    """Frame (H, W, 3) or frames (B, H, W, 3) uint8 -> image (B, 3, H, W) float32 in [-1, 1]."""
    if frame.dtype != np.uint8 or frame.ndim not in (3, 4) or frame.shape[-1] != 3:
        raise ValueError(f"expected frames (B, H, W, 3) uint8, got {frame.shape} {frame.dtype}")
    frames = torch.tensor(np.ascontiguousarray(frame if frame.ndim == 4 else frame[None]))
    return frames.permute(0, 3, 1, 2).float().div(127.5).sub(1.0).contiguous()


def frame_from_image(image: Tensor) -> NDArray[np.uint8]:
    """Image (B, 3, H, W) in [-1, 1], clipped there -> frames (B, H, W, 3) uint8, rounded."""
    if image.ndim != 4 or image.shape[1] != 3:
        raise ValueError(f"expected an image (B, 3, H, W), got {tuple(image.shape)}")
    levels = image.detach().float().clamp(-1.0, 1.0).add(1.0).mul(127.5).round()
    frames: NDArray[np.uint8] = levels.to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    return np.ascontiguousarray(frames)


def _upright(picture: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # a damaged EXIF block does not spoil the pixels
        return picture


def frame_from_pil(picture: Image.Image) -> NDArray[np.uint8]:
    """A PIL image in any mode as a frame (H, W, 3) uint8 RGB; see `read_frame`."""
    picture = _upright(picture)
    if picture.mode.startswith("I") or picture.mode == "F":
        grey = _grey_levels(picture)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, picture)
    return np.array(picture.convert("RGB"), dtype=np.uint8)


def _grey_levels(picture: Image.Image) -> NDArray[np.uint8]:
    """Grey pictures of more than 8 bits (modes I;16*, I, F) -> (H, W) uint8."""
    values = np.asarray(picture).astype(np.float64)
    if picture.mode == "F":  # floats by custom reach to 1 or to 255
        scale = 255.0 if np.nanmax(values, initial=0.0) <= 1.0 else 1.0
    else:  # Pillow brings integer grey of more than 8 bits to 0..65535; 65535 = 257 * 255
        scale = 1.0 / 257.0
    return np.nan_to_num(values * scale).clip(0.0, 255.0).round().astype(np.uint8)
