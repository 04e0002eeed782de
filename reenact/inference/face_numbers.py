"""The numbered preview of the faces of a picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from reenact.face.stack import FaceStack, FoundFace, Frame

COLOURS = ((230, 60, 60), (40, 130, 230), (30, 150, 70), (200, 110, 0), (150, 70, 200))


def first_faces(
    face: FaceStack[Any], frames: Iterable[Frame]
) -> tuple[int, Frame, list[FoundFace]] | None:
    """The first frame that shows a face: its number from 0 on, its pixels, and its faces.

    Tracking chooses the face of a target in the same frame. None if no frame shows a face.
    """
    for number, frame in enumerate(frames):
        if faces := face.faces(frame):
            return number, frame, faces
    return None


def with_numbers(frame: Frame, faces: Sequence[FoundFace]) -> Frame:
    """The frame (H, W, 3) with a box and a number for each face."""
    picture = Image.fromarray(frame)
    draw = ImageDraw.Draw(picture)
    line = max(2, round(min(picture.size) / 200))
    for face in faces:
        colour = COLOURS[(face.number - 1) % len(COLOURS)]
        left, top, right, bottom = face.box
        draw.rectangle((left, top, right, bottom), outline="white", width=2 * line)
        draw.rectangle((left, top, right, bottom), outline=colour, width=line)
        font = ImageFont.load_default(max(12.0, 0.25 * face.side))
        text = str(face.number)
        box = draw.textbbox((0, 0), text, font=font)
        width, height = box[2] - box[0] + 4 * line, box[3] - box[1] + 4 * line
        # Inside of the picture, also for a face at its border.
        x = min(max(left, 0), picture.width - width)
        y = min(max(top - height, 0), picture.height - height)
        draw.rectangle((x, y, x + width, y + height), fill=colour)
        draw.text((x + 2 * line - box[0], y + 2 * line - box[1]), text, font=font, fill="white")
    return np.asarray(picture)
