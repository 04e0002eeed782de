"""Where live pictures come from. A feed gives the newest frame and drops the older ones."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from reenact.errors import UserError
from reenact.face.stack import Frame
from reenact.media.clip import MediaClip

WAIT_SECONDS = 10.0
"""A camera that gives no picture for so long has failed."""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A frame (H, W, 3) uint8 RGB, and when it was there, in seconds of the clock."""

    frame: Frame
    time: float


class Clock(Protocol):
    def now(self) -> float:
        """Seconds."""
        ...

    def sleep(self, seconds: float) -> None: ...


class RealClock:
    def now(self) -> float:
        return time.perf_counter()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class Feed(Protocol):
    """num_dropped: frames that were replaced by newer ones before anyone took them."""

    num_dropped: int

    def take(self) -> Taken | None:
        """The newest frame that was not taken yet, waiting for it; None at the end."""
        ...

    def close(self) -> None: ...


class ClipFeed:
    """A video played in real time: each frame is there from its own time on."""

    def __init__(self, clip: MediaClip, clock: Clock) -> None:
        self.num_dropped = 0
        self._times = clip.timeline.times
        self._frames: Iterator[Frame] = iter(clip)
        self._clock = clock
        self._start: float | None = None
        self._number = 0  # of the next frame

    def take(self) -> Taken | None:
        frame = next(self._frames, None)
        if frame is None:
            return None
        if self._start is None:
            self._start = self._clock.now() - float(self._times[0])
        due = self._due(self._number)
        self._clock.sleep(max(due - self._clock.now(), 0))
        while (later := self._due(self._number + 1)) <= self._clock.now():
            newer = next(self._frames, None)
            if newer is None:
                break
            frame, due = newer, later
            self._number += 1
            self.num_dropped += 1
        self._number += 1
        return Taken(frame=frame, time=due)

    def close(self) -> None:
        self._frames = iter(())

    def _due(self, number: int) -> float:
        """When a frame is there; never for a number beyond the last one."""
        assert self._start is not None
        if number >= len(self._times):
            return float("inf")
        return self._start + float(self._times[number])


class NewestFeed:
    """A camera, read in a thread of its own that keeps the newest frame only.

    read: waits for the next frame of the camera; None when the camera has ended or failed.
    """

    def __init__(self, read: Callable[[], Frame | None], clock: Clock) -> None:
        self.num_dropped = 0
        self._read, self._clock = read, clock
        self._changed = threading.Condition()
        self._newest: Taken | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    def take(self) -> Taken | None:
        with self._changed:
            ready = self._changed.wait_for(
                lambda: self._newest is not None or self._ended, timeout=WAIT_SECONDS
            )
            if not ready:
                raise UserError(
                    f"camera: no picture for {WAIT_SECONDS:.0f} seconds, check that it is connected"
                )
            taken, self._newest = self._newest, None
            return taken

    def close(self) -> None:
        with self._changed:
            self._ended = True
        self._thread.join(timeout=1)

    def _run(self) -> None:
        while not self._ended:
            frame = self._read()
            with self._changed:
                if frame is None:
                    self._ended = True
                else:
                    self.num_dropped += self._newest is not None
                    self._newest = Taken(frame=frame, time=self._clock.now())
                self._changed.notify_all()


def mirrored(frame: Frame) -> Frame:
    return np.ascontiguousarray(frame[:, ::-1])
