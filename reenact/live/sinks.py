"""Where live results go: a window, a file, a virtual camera. The first result opens them."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from reenact.errors import UserError
from reenact.face.stack import Frame
from reenact.files import check_output_path, make_folder
from reenact.live.overlay import with_lines
from reenact.media.clip import MediaClip
from reenact.media.formats import FORMATS
from reenact.media.video_writer import VideoWriter

EXTRA = "pip install opencv-python pyvirtualcam"
NO_WINDOW = "no window can be opened here: give --no-window, and --output for a file"
MOST_REPEATED = 10  # seconds: a longer gap of a recording is shortened to it


class Sink(Protocol):
    def show(self, frame: Frame, time: float, lines: list[str]) -> str:
        """Show a result (H, W, 3) of a frame that was taken at `time` seconds.

        lines: what to tell the user beside it. Returns the key that was pressed, or "".
        """
        ...

    def close(self) -> None: ...


def live_module(name: str, what: str) -> Any:
    """A package of the extra `live`. Raises UserError if it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(f"{what} needs a package that is not installed: {EXTRA}") from error


class Window:
    """A window through OpenCV, with delay and frame rate drawn on the picture."""

    def __init__(self, title: str) -> None:
        self._cv2, self._title = live_module("cv2", "the window"), title
        if sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
            raise UserError(NO_WINDOW)  # OpenCV would end the program
        self._opened = False

    def show(self, frame: Frame, time: float, lines: list[str]) -> str:
        cv2 = self._cv2
        try:
            if not self._opened:
                cv2.namedWindow(self._title, cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
                cv2.resizeWindow(self._title, frame.shape[1], frame.shape[0])
                self._opened = True
            cv2.imshow(self._title, np.ascontiguousarray(with_lines(frame, lines)[..., ::-1]))
            key = cv2.waitKey(1) & 0xFF
            closed = cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1
        except cv2.error as error:
            raise UserError(NO_WINDOW) from error
        return "q" if closed or key == 27 else ("" if key == 0xFF else chr(key))

    def close(self) -> None:
        if self._opened:
            self._cv2.destroyWindow(self._title)


class Recording:
    """A video of the results at a constant rate. A result is repeated until the next one comes.

    The file appears when it is closed, with all results until then, also after an error.
    clip: gives its sound. Raises UserError if the file cannot be written.
    """

    def __init__(self, path: Path, fps: Fraction, clip: MediaClip | None) -> None:
        check_output_path(path, tuple(FORMATS), makes_folders=True)
        make_folder(path.parent)
        self._path, self._fps = path, fps
        self._clip = clip if clip is not None and clip.has_audio else None
        self._writer: VideoWriter | None = None
        self._files = contextlib.ExitStack()
        self._held: Frame | None = None
        self._start = self._last = 0.0

    def show(self, frame: Frame, time: float, lines: list[str]) -> str:
        if self._writer is None:
            self._writer = writer = VideoWriter(
                self._path,
                width=frame.shape[1],
                height=frame.shape[0],
                fps=self._fps,
                audio_from=None if self._clip is None else self._clip.path,
                audio_origin=None if self._clip is None else self._clip.origin,
                synthetic=True,
            )
            self._files.enter_context(writer)
            self._files.callback(self._write_held)
            self._start = self._last = time
        if time - self._last > MOST_REPEATED:
            self._start += time - self._last - MOST_REPEATED
        self._last = time
        # The frame before stays until this one's time; each is shown at least once.
        number = max(round((time - self._start) * float(self._fps)), self._writer.num_frames)
        while self._held is not None and self._writer.num_frames < number:
            self._writer.write(self._held)
        self._held = frame
        return ""

    def _write_held(self) -> None:
        assert self._writer is not None
        assert self._held is not None
        self._writer.write(self._held)

    def close(self) -> None:
        self._files.close()


class VirtualCamera:
    """A camera that other programs can choose, through pyvirtualcam."""

    def __init__(self, fps: Fraction) -> None:
        self._module = live_module("pyvirtualcam", "the virtual camera")
        self._fps = float(fps)
        self._camera: Any = None

    def show(self, frame: Frame, time: float, lines: list[str]) -> str:
        height, width = (side - side % 2 for side in frame.shape[:2])
        if self._camera is None:
            try:
                self._camera = self._module.Camera(width=width, height=height, fps=self._fps)
            except RuntimeError as error:
                why = " ".join(str(error).split())[:200]
                raise UserError(
                    f"no virtual camera can be opened ({why}): install OBS, or v4l2loopback on "
                    "Linux, as pyvirtualcam's page says"
                ) from error
        self._camera.send(np.ascontiguousarray(frame[:height, :width]))
        return ""

    def close(self) -> None:
        if self._camera is not None:
            self._camera.close()
