"""Source pictures of every format, mode and size, some of them damaged."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tools.fuzz import material
from tools.fuzz.case import Case
from tools.fuzz.typed import one_of

FORMATS = {
    "png": ("L", "LA", "P", "RGB", "RGBA", "I;16", "1"),
    "jpg": ("L", "RGB", "CMYK"),
    "bmp": ("L", "RGB", "1"),
    "tif": ("L", "RGB", "RGBA", "CMYK", "F", "I;16", "LAB"),
    "webp": ("RGB", "RGBA"),
    "gif": ("P", "L"),
    "ppm": ("RGB",),
}
SIZES = ((1, 1), (1, 300), (300, 2), (16, 16), (64, 64), (160, 160), (400, 120), (900, 900))


def picture_case(rng: np.random.Generator, folder: Path) -> Case:
    """A random picture as source, a good picture as target."""
    suffix = str(rng.choice(list(FORMATS)))
    source = folder / f"source.{suffix}"
    source.write_bytes(encoded(rng, folder, suffix))
    if rng.random() < 0.3:
        source.write_bytes(material.damaged(rng, source.read_bytes()))
    if rng.random() < 0.1:
        source = source.rename(source.with_suffix(str(rng.choice([".png", ".jpg", ".mp4", ""]))))
    target = material.write_photo(folder / "target.png")
    output = folder / "out" / "result.png"
    words = material.inference(folder, source, target, output)
    words += (f"--set=compose={one_of(rng, material.COMPOSITIONS)}",)
    return Case(kind="picture", words=words, output=output, files=(source, target))


def encoded(rng: np.random.Generator, folder: Path, suffix: str) -> bytes:
    """A face, noise, or one colour, in a random size and mode."""
    mode = str(rng.choice(FORMATS[suffix]))
    picture = material.face()
    if rng.random() < 0.4:
        width, height = SIZES[int(rng.integers(len(SIZES)))]
        picture = picture.resize((width, height))
    if rng.random() < 0.15:
        noise = rng.integers(256, size=(*picture.size[::-1], 3)).astype(np.uint8)
        picture = Image.fromarray(noise)
    if mode in ("F", "I;16"):
        levels = np.asarray(picture.convert("L")).astype(np.float32 if mode == "F" else np.uint16)
        if mode == "F" and rng.random() < 0.5:
            levels[0, 0] = rng.choice([np.nan, np.inf, -np.inf, 1e30])
        picture = Image.fromarray(levels * (257 if mode == "I;16" else 1))
    else:
        picture = picture.convert(mode)
    if mode in ("LA", "RGBA"):
        picture.putalpha(int(rng.integers(256)))
    path = folder / f"encoded.{suffix}"
    options: dict[str, Any] = {}
    if suffix in ("jpg", "tif", "webp", "png") and rng.random() < 0.4:
        exif = Image.Exif()
        exif[0x0112] = int(rng.choice([0, 1, 3, 6, 8, 9, 70000 % 65536]))
        data = exif.tobytes()
        options["exif"] = material.damaged(rng, data) if rng.random() < 0.3 else data
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow itself doubts damaged EXIF
        try:
            picture.save(path, **options)
        except (OSError, ValueError, TypeError, SyntaxError, struct.error):
            picture.convert("RGB").save(path.with_suffix(".png"))
            path = path.with_suffix(".png")
    data = path.read_bytes()
    path.unlink()
    return data
