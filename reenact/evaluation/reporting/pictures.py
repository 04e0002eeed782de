"""Pictures of the report: strips on disk, and the sheet that shows them all."""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, PngImagePlugin, UnidentifiedImageError
from torch import Tensor

from reenact.evaluation.methods.batches import Batch, panels
from reenact.evaluation.methods.predictions import picture_path, write_prediction
from reenact.evaluation.pairing.pairs import Pair, pick_examples
from reenact.files import atomic_output, make_folder
from reenact.media.images import frame_from_image

PANELS = ("source", "target", "ours", "oracle", "reference")
_KEY = "panels"
_GAP, _HEADER = 4, 18


class OutputPictures:
    """The pictures that a run writes: strips of the examples, and all results where asked for."""

    def __init__(
        self, output: Path, name: str, pairs: list[Pair], num_examples: int, keeps_all: bool
    ) -> None:
        """strips: paths by key of the pair. predictions: the folder of all results, or None."""
        strips = output / f"pictures-{name}"
        make_folder(strips)
        self.strips = {
            pair.key: strips / f"{hashlib.sha256(pair.key.encode()).hexdigest()[:16]}.png"
            for pair in pick_examples(pairs, num_examples)
        }
        self.predictions = output / f"predictions-{name}" if keeps_all else None

    def lacks(self, pair: Pair) -> bool:
        """Whether a picture of this pair is still to be written."""
        if pair.key in self.strips and read_strip(self.strips[pair.key]) is None:
            return True
        return self.predictions is not None and not picture_path(self.predictions, pair).is_file()

    def write(self, batch: Batch, images: dict[str, Tensor]) -> None:
        for i, pair in enumerate(batch.pairs):
            if pair.key in self.strips:
                write_strip(self.strips[pair.key], panels(batch, images, i))
        if self.predictions is not None:
            frames = frame_from_image(images["ours"])
            for pair, frame in zip(batch.pairs, frames, strict=True):
                write_prediction(self.predictions, pair, frame)


def write_strip(path: Path, frames: dict[str, np.ndarray]) -> None:
    """Stores the frames of one pair, (S, S, 3) by panel, side by side for a later run to show."""
    names = PngImagePlugin.PngInfo()
    names.add_text(_KEY, ",".join(frames))
    with atomic_output(path) as temporary:
        Image.fromarray(np.concatenate(list(frames.values()), axis=1)).save(
            temporary, "png", pnginfo=names
        )


def read_strip(path: Path) -> dict[str, np.ndarray] | None:
    """The frames of `write_strip`, or None when there is no such picture."""
    try:
        with Image.open(path) as picture:
            names = str(picture.info.get(_KEY, "")).split(",")
            strip = np.asarray(picture.convert("RGB"))
    except (FileNotFoundError, UnidentifiedImageError):
        return None
    if strip.shape[1] != len(names) * strip.shape[0]:
        return None
    return dict(zip(names, np.split(strip, len(names), axis=1), strict=True))


def contact_sheet(
    rows: Sequence[dict[str, np.ndarray]], label: str = "ours", side: int = 128
) -> np.ndarray:
    """The example pairs with the names of the columns, half of them left, half right.

    Returns uint8 (H, W, 3).
    """
    names = [name for name in PANELS if any(name in row for row in rows)] or list(PANELS)
    height = max(1, -(-len(rows) // 2))
    block = len(names) * (side + _GAP) + 4 * _GAP
    sheet = Image.new("RGB", (2 * block, _HEADER + height * (side + _GAP) + _GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for column in range(2 * len(names)):
        x = column // len(names) * block + _GAP + column % len(names) * (side + _GAP)
        name = names[column % len(names)]
        text = label if name == "ours" else name
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
    """Frame (S, S, 3) as a JPEG file of at most `side` pixels a side; smaller ones stay exact."""
    if frame.shape[0] <= side:
        return png(frame)
    buffer = io.BytesIO()
    picture = Image.fromarray(frame).resize((side, side), Image.Resampling.LANCZOS)
    picture.save(buffer, "jpeg", quality=92)
    return buffer.getvalue()


def _method(frame: np.ndarray, side: int) -> Image.Resampling:
    """Small pictures show their pixels, large ones are shrunk cleanly."""
    return Image.Resampling.NEAREST if frame.shape[0] <= side else Image.Resampling.LANCZOS
