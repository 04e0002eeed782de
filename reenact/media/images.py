"""Pictures on disk, frames (uint8 HWC RGB) and images (float NCHW RGB in [-1, 1])."""

import contextlib
import importlib
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from reenact.errors import UserError, warn
from reenact.files import atomic_output, check_input_file, check_output_path
from reenact.media.formats import WRITABLE_SUFFIXES, holds_alpha
from reenact.media.provenance import picture_options

# Larger pictures are refused before a pixel is decoded, so that no crafted header fills the memory.
MAX_PIXELS = 128_000_000
# Larger pictures are read reduced, so that a run needs less than 2 GB.
MAX_FRAME_PIXELS = 36_000_000

HEIF_SUFFIXES = (".heic", ".heif", ".hif")  # photos of recent phones and cameras
IMAGE_SUFFIXES = frozenset(
    (*WRITABLE_SUFFIXES, ".jfif", ".jp2", ".avif", *HEIF_SUFFIXES, ".ppm", ".pgm", ".tga")
)

ANIMATED_FORMATS = ("WEBP", "PNG", "GIF", "AVIF")

# Modes of Pillow in which the mean of two pixels is the colour between them.
REDUCED_MODES = ("L", "RGB", "RGBA", "CMYK")

# The largest brightness of a float picture in which 1 means white.
MAX_FLOAT_WHITE = 4.0

_SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    ".jpg": {"quality": 95, "subsampling": 0},
    ".jpeg": {"quality": 95, "subsampling": 0},
    ".webp": {"lossless": True},
}


def is_image_path(path: str | Path) -> bool:
    """Whether the name ends like a still picture (a GIF counts as a video)."""
    return Path(path).suffix.lower() in IMAGE_SUFFIXES


def read_frame(
    path: str | Path, *, quiet: bool = False, keep_alpha: bool = False
) -> NDArray[np.uint8]:
    """Read a picture as a frame (H, W, 3) uint8 RGB, as a viewer would show it.

    The EXIF orientation is applied. Grey, palette, CMYK and 16-bit pictures become 8-bit RGB.
    Transparent parts are shown over white. With `keep_alpha` a picture that has some is returned
    as (H, W, 4) RGBA instead. Of an animation only the first picture is read. A picture of more
    than MAX_FRAME_PIXELS is reduced by a factor of 2, 4 or 8. Each of these three gives one
    warning, unless `quiet`.

    Raises UserError if the file is missing, empty, truncated, not a picture, or larger than
    MAX_PIXELS.
    """
    path = check_input_file(path)
    tell = (lambda text: None) if quiet else (lambda text: warn(f"{path}: {text}"))
    try:
        # Pillow warns of large pictures, but the size is checked below. It also warns of damaged
        # EXIF blocks, which do not matter.
        with warnings.catch_warnings(action="ignore"), _opened(path) as picture:
            return frame_from_pil(picture, str(path), tell, keep_alpha=keep_alpha)
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


def write_frame(path: str | Path, frame: NDArray[np.uint8], *, synthetic: bool = False) -> None:
    """Write a frame (H, W, 3) uint8 RGB; the suffix says the format. `path` appears whole.

    A format that holds transparency (`holds_alpha`) takes (H, W, 4) RGBA too.

    synthetic: note in the file that the picture is synthetic and which tool made it.
    Raises UserError if the suffix is unknown or the path cannot be written.
    """
    path = check_output_path(path, WRITABLE_SUFFIXES)
    planes = (3, 4) if holds_alpha(path) else (3,)
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] not in planes:
        raise ValueError(f"expected a frame (H, W, 3) uint8, got {frame.shape} {frame.dtype}")
    suffix = path.suffix.lower()
    note = picture_options(suffix) if synthetic else {}
    with atomic_output(path) as temporary:
        picture = Image.fromarray(np.ascontiguousarray(frame))
        picture.save(temporary, **_SAVE_OPTIONS.get(suffix, {}), **note)


def is_transparent(picture: Image.Image) -> bool:
    """Whether a part of the picture is not opaque."""
    if not picture.has_transparency_data:
        return False
    return bool((np.asarray(picture.convert("RGBA"))[..., 3] < 255).any())


def over_white(picture: Image.Image) -> Image.Image:
    """The picture on white if it has transparent parts; otherwise the picture itself."""
    if not picture.has_transparency_data:
        return picture
    white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, picture.convert("RGBA"))


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


def _opened(path: Path) -> Image.Image:
    if path.suffix.lower() in HEIF_SUFFIXES:
        try:
            importlib.import_module("pillow_heif").register_heif_opener()
        except ImportError as error:
            raise UserError(
                f"{path}: this format needs the package pillow-heif (pip install pillow-heif), "
                "or convert the picture to JPEG"
            ) from error
    return Image.open(path)


def frame_from_pil(
    picture: Image.Image, where: str, tell: Callable[[str], None], *, keep_alpha: bool = False
) -> NDArray[np.uint8]:
    """An opened picture as a frame (H, W, 3) uint8 RGB; see `read_frame`. `picture` may be changed.

    where: names the picture in errors. tell: is called with each warning.
    """
    width, height = picture.size
    if width * height > MAX_PIXELS:
        raise UserError(
            f"{where}: {width}x{height} pixels are too many, "
            f"resize the picture below {MAX_PIXELS // 10**6} megapixels"
        )
    if getattr(picture, "is_animated", False) and picture.format in ANIMATED_FORMATS:
        tell("is an animation, only its first picture is read")
    factor = math.ceil(math.sqrt(width * height / MAX_FRAME_PIXELS))
    if factor > 1:
        factor = 1 << (factor - 1).bit_length()  # JPEG decodes to 1/2, 1/4 and 1/8 at once
        picture.draft(None, (width // factor, height // factor))
    picture.load()
    _turn_upright(picture)
    if picture.mode in REDUCED_MODES and "transparency" not in picture.info:
        picture = _reduced(picture, factor)  # before the copies below, which need memory
    if picture.mode.startswith("I") or picture.mode == "F":
        picture = Image.fromarray(_grey_levels(picture))
    mode = "RGB"
    if is_transparent(picture) and keep_alpha:
        mode = "RGBA"
    elif is_transparent(picture):
        tell("its transparent parts are shown as white")
        picture = over_white(picture)
    picture = _reduced(picture.convert(mode), factor)
    if factor > 1:
        tell(
            f"is read as {picture.width}x{picture.height}, 1/{factor} of its size: "
            f"more than {MAX_FRAME_PIXELS // 10**6} megapixels need too much memory"
        )
    return np.array(picture, dtype=np.uint8)


def _reduced(picture: Image.Image, factor: int) -> Image.Image:
    """The picture made smaller by the factor, if it is still too large."""
    too_large = picture.width * picture.height > MAX_FRAME_PIXELS
    return picture.reduce(factor) if too_large else picture


def _turn_upright(picture: Image.Image) -> None:
    with contextlib.suppress(Exception):  # a damaged EXIF block does not spoil the pixels
        ImageOps.exif_transpose(picture, in_place=True)


def _grey_levels(picture: Image.Image) -> NDArray[np.uint8]:
    """Grey pictures of more than 8 bits (modes I;16*, I, F) -> (H, W) uint8."""
    values = np.asarray(picture)
    scale = 1.0 / 257.0  # Pillow brings integers of more than 8 bits to 0..65535; 65535 = 257 * 255
    if picture.mode == "F":
        # White is 1 in some files and 255 in others. Resampling and bright lights may exceed it.
        brightest = np.max(values, initial=0.0, where=np.isfinite(values))
        scale = 255.0 if brightest <= MAX_FLOAT_WHITE else 1.0
    levels = np.empty(values.shape, np.uint8)
    for row in range(0, len(values), 256):  # in parts, because float64 needs much memory
        part = np.nan_to_num(values[row : row + 256].astype(np.float64) * scale)
        levels[row : row + 256] = part.clip(0.0, 255.0).round()
    return levels
