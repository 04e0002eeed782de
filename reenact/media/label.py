"""A small visible mark on a picture that says that it is synthetic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

TEXT = "AI · synthetic"
SHORT_TEXT = "AI"
"""For pictures in which the longer text would take more than half of the width."""
HEIGHT, SMALLEST = 1 / 25, 11
"""Height of the letters, as a share of the picture's shorter side, and the least in pixels."""
INK, GROUND = (255, 255, 255, 255), (0, 0, 0, 150)
"""White letters on a dark, half transparent plate can be read on light and on dark pictures."""


def labelled(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The frames (H, W, 3) uint8 RGB or (H, W, 4) RGBA with the mark in the lower right corner."""
    for frame in frames:
        height, width = frame.shape[:2]
        mark = _mark(width, height)
        marked = frame.copy()
        corner = marked[height - mark.shape[0] :, width - mark.shape[1] :]
        if frame.shape[2] == 4:
            both = Image.alpha_composite(Image.fromarray(corner.copy()), Image.fromarray(mark))
            corner[...] = np.asarray(both)
        else:
            alpha = mark[..., 3:].astype(np.float32) / 255
            corner[...] = np.rint(corner + (mark[..., :3] - corner.astype(np.float32)) * alpha)
        yield marked


@lru_cache(maxsize=4)
def _mark(width: int, height: int) -> np.ndarray:
    """The mark with its distance from the corner: (h, w, 4) uint8 RGBA, cut to the frame's size."""
    size = max(SMALLEST, round(min(width, height) * HEIGHT))
    font = ImageFont.load_default(size)
    text = TEXT if font.getlength(TEXT) <= width / 2 else SHORT_TEXT
    left, top, right, bottom = (round(v) for v in font.getbbox(text))
    pad, gap = max(2, round(size * 0.35)), max(1, round(size * 0.4))
    plate = (right - left + 2 * pad, bottom - top + 2 * pad)
    mark = Image.new("RGBA", (plate[0] + gap, plate[1] + gap))
    draw = ImageDraw.Draw(mark)
    draw.rounded_rectangle((0, 0, plate[0] - 1, plate[1] - 1), radius=pad, fill=GROUND)
    draw.text((pad - left, pad - top), text, font=font, fill=INK)
    return np.asarray(mark)[:height, :width]
