"""Pictures of the report: strips on disk, and the sheet that shows them all."""

import hashlib
import io
from collections.abc import Container, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, PngImagePlugin, UnidentifiedImageError
from torch import Tensor

from reenact.evaluation.methods.batches import Batch, panels
from reenact.evaluation.methods.predictions import picture_path, write_prediction
from reenact.evaluation.pairing.pairs import Pair
from reenact.files import atomic_output, make_folder
from reenact.media.images import frame_from_image

FIRST, LAST = ("source", "target"), ("oracle", "reference")
DIFFERENCE_GAIN = 4
_KEY = "panels"
_GAP, _HEADER = 4, 18


class Pictures:
    """The pictures of one method: strips of the pairs that are shown, and all results if wanted.

    predictions: the folder of all results, or None.
    """

    def __init__(self, folder: Path, keeps_all: bool = False) -> None:
        self.folder = folder / "pictures"
        self.predictions = folder / "predictions" if keeps_all else None
        make_folder(self.folder)

    def strip(self, pair: Pair) -> Path:
        """The path of the strip of a pair."""
        return self.folder / f"{hashlib.sha256(pair.key.encode()).hexdigest()[:16]}.png"

    def lacks(self, pair: Pair, is_shown: bool) -> bool:
        """Whether a picture of this pair is still to be written."""
        if is_shown and read_strip(self.strip(pair)) is None:
            return True
        return self.predictions is not None and not picture_path(self.predictions, pair).is_file()

    def write(self, batch: Batch, images: dict[str, Tensor], shown: Container[str]) -> None:
        """Write the pictures of a batch. shown: the keys of the pairs that get a strip."""
        self.write_strips(batch, images, shown)
        if self.predictions is not None:
            frames = frame_from_image(images["ours"])
            for pair, frame in zip(batch.pairs, frames, strict=True):
                write_prediction(self.predictions, pair, frame)

    def write_strips(self, batch: Batch, images: dict[str, Tensor], shown: Container[str]) -> None:
        """Write only the strips of these pairs."""
        for i, pair in enumerate(batch.pairs):
            if pair.key in shown:
                write_strip(self.strip(pair), panels(batch, images, i))


def write_strip(path: Path, frames: dict[str, np.ndarray]) -> None:
    """Store the frames of one pair, (S, S, 3) by panel, side by side."""
    names = PngImagePlugin.PngInfo()
    names.add_text(_KEY, ",".join(frames))
    with atomic_output(path) as temporary:
        Image.fromarray(np.concatenate(list(frames.values()), axis=1)).save(
            temporary, "png", pnginfo=names
        )


def read_strip(path: Path) -> dict[str, np.ndarray] | None:
    """The frames that `write_strip` stored, or None when there is no such picture."""
    try:
        with Image.open(path) as picture:
            names = str(picture.info.get(_KEY, "")).split(",")
            strip = np.asarray(picture.convert("RGB"))
    except (FileNotFoundError, UnidentifiedImageError):
        return None
    if strip.shape[1] != len(names) * strip.shape[0]:
        return None
    return dict(zip(names, np.split(strip, len(names), axis=1), strict=True))


def panels_of(rows: Sequence[dict[str, np.ndarray]]) -> list[str]:
    """The names of all panels: source, target, the methods, oracle and reference."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    methods = [name for name in names if name not in (*FIRST, *LAST)]
    return [name for name in (*FIRST, *methods, *LAST) if name in names]


def difference_map(frame: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Where a result differs from the truth: (S, S, 3), grey, `DIFFERENCE_GAIN` times enlarged."""
    difference = np.abs(frame.astype(np.int16) - reference).mean(2) * DIFFERENCE_GAIN
    return np.repeat(difference.clip(0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def contact_sheet(
    rows: Sequence[dict[str, np.ndarray]], labels: dict[str, str], side: int = 128
) -> np.ndarray:
    """The example pairs under the names of the panels, half of them left and half right.

    labels: the names of panels that have another name for readers. Returns uint8 (H, W, 3).
    """
    names = panels_of(rows) or [*FIRST, *LAST]
    height = max(1, -(-len(rows) // 2))
    block = len(names) * (side + _GAP) + 4 * _GAP
    sheet = Image.new("RGB", (2 * block, _HEADER + height * (side + _GAP) + _GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for column in range(2 * len(names)):
        x = column // len(names) * block + _GAP + column % len(names) * (side + _GAP)
        name = names[column % len(names)]
        text = labels.get(name, name)
        draw.text((x + side / 2, _HEADER / 2), text, fill="black", anchor="mm")
    for i, frames in enumerate(rows):
        left = i // height * block + _GAP
        top = _HEADER + _GAP + i % height * (side + _GAP)
        for column, name in enumerate(names):
            if name in frames:
                picture = Image.fromarray(frames[name]).resize(
                    (side, side), _method(frames[name], side)
                )
                sheet.paste(picture, (left + column * (side + _GAP), top))
    return np.asarray(sheet)


def png(frame: np.ndarray) -> bytes:
    """Frame (H, W, 3) as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "png")
    return buffer.getvalue()


def jpeg(frame: np.ndarray, side: int) -> bytes:
    """Frame (S, S, 3) as a JPEG of at most `side` pixels; a smaller frame becomes an exact PNG."""
    if frame.shape[0] <= side:
        return png(frame)
    buffer = io.BytesIO()
    picture = Image.fromarray(frame).resize((side, side), Image.Resampling.LANCZOS)
    picture.save(buffer, "jpeg", quality=92)
    return buffer.getvalue()


def _method(frame: np.ndarray, side: int) -> Image.Resampling:
    """Nearest for small pictures, so that their pixels are seen; Lanczos to shrink large ones."""
    return Image.Resampling.NEAREST if frame.shape[0] <= side else Image.Resampling.LANCZOS
