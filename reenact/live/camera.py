"""A camera through OpenCV."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from reenact.errors import UserError
from reenact.face.stack import Frame
from reenact.live.sinks import live_module


def open_camera(number: int) -> Callable[[], Frame | None]:
    """Opens camera 0, 1, ... and returns its reader, for `NewestFeed`.

    Raises UserError if there is no such camera.
    """
    cv2 = live_module("cv2", "the camera")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # the error is ours to tell
    device = cv2.VideoCapture(number)
    ok, _ = device.read() if device.isOpened() else (False, None)
    if not ok:
        device.release()
        raise UserError(
            f"camera {number}: cannot be opened, choose another --camera number, or close the "
            "program that uses it"
        )
    device.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # an older picture in a buffer would be delay

    def read() -> Frame | None:
        ok, picture = device.read()
        if not ok:
            device.release()
            return None
        return np.ascontiguousarray(picture[..., ::-1])

    return read
