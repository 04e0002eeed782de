"""What is behind the person in a result: the photo's own background, nothing, or a plain colour.

A picture with transparent parts is handled as two: its colours, laid over white, and how opaque it
is. Both can be moved and mixed like any picture. `finished` makes the result of them.
"""

from __future__ import annotations

import re

import numpy as np
import torch
from torch import Tensor

from reenact.errors import UserError
from reenact.face.box import box_max
from reenact.face.stack import Frame
from reenact.face.surface.continuation import filled_in
from reenact.media.images import image_from_frame

PHOTO, TRANSPARENT = "photo", "transparent"
WALL_BELOW, PERSON_ABOVE = 0.02, 0.98
"""Mask values up to the first show the wall alone, and from the second on the person alone."""
EDGE = 2
"""Pixels beside the mask's soft edge that may still show a little of the other side."""


def check_background(value: str) -> None:
    """Raises UserError if the value is no background."""
    if value not in (PHOTO, TRANSPARENT) and colour_of(value) is None:
        raise UserError(
            f"background: must be {PHOTO}, {TRANSPARENT} or a colour such as '#00b140', "
            f"got {value!r}"
        )


def colour_of(value: str) -> tuple[int, int, int] | None:
    """The levels of a colour "#rrggbb", None for anything else."""
    if not re.fullmatch("#[0-9a-fA-F]{6}", value):
        return None
    red, green, blue = bytes.fromhex(value[1:])
    return red, green, blue


def cut_person(photo: Frame, mask: Tensor) -> tuple[Frame, Frame]:
    """The person of a photo (H, W, 3) over white, and how opaque each pixel is (H, W) uint8.

    mask: (1, 1, H, W) in [0, 1], the person. At its soft edge, as between strands of hair, the
    photo mixes the person with the wall. The wall's share is taken out.
    """
    image, mask = image_from_frame(photo), mask.cpu()
    wall = (box_max(mask, EDGE) < WALL_BELOW).to(image)
    person = (box_max(1 - mask, EDGE) < 1 - PERSON_ABOVE).to(image)
    behind = filled_in(image * wall, wall)
    own = image - (1 - mask) * (behind - filled_in(image * person, person))
    levels = (mask * own + (1 - mask)).clamp(-1, 1)
    frame = ((levels + 1) * 127.5).round().to(torch.uint8)[0].permute(1, 2, 0).numpy()
    alpha = (mask[0, 0] * 255).round().to(torch.uint8).numpy()
    return np.ascontiguousarray(frame), alpha


def finished(frame: Frame, value: str) -> Frame:
    """A result of colours over white and opacity (H, W, 4), as it is shown.

    Returns its own colours and its alpha (H, W, 4) for "transparent", and (H, W, 3) for a colour.
    """
    colours, alpha = frame[..., :3].astype(np.float32), frame[..., 3:].astype(np.float32) / 255
    own = colours - 255 * (1 - alpha)  # times alpha
    colour = colour_of(value)
    if colour is None:
        straight = np.concatenate([own / alpha.clip(min=1 / 255), alpha * 255], -1)
        return straight.round().clip(0, 255).astype(np.uint8)
    over = own + (1 - alpha) * np.array(colour, np.float32)
    return np.asarray(over.round().clip(0, 255).astype(np.uint8))
