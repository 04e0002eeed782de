"""Small lines of text on a picture."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from reenact.face.stack import Frame


def with_lines(frame: Frame, lines: list[str]) -> Frame:
    """A copy of the frame (H, W, 3) with lines of text at the top left, white on a dark ground."""
    if not lines:
        return frame
    picture = Image.fromarray(frame)
    size = max(12, len(frame) // 32)
    font = ImageFont.load_default(size)
    draw = ImageDraw.Draw(picture, "RGBA")
    text, corner = "\n".join(lines), (size, size)
    left, top, right, bottom = draw.multiline_textbbox(corner, text, font=font)
    room = size // 2
    draw.rounded_rectangle(
        (left - room, top - room, right + room, bottom + room), radius=room, fill=(0, 0, 0, 150)
    )
    draw.multiline_text(corner, text, font=font, fill=(255, 255, 255, 255))
    return np.asarray(picture)
