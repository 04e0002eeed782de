"""Work in a thread of its own, whose progress can be read and which can be stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
Item = TypeVar("Item")


class Stopped(Exception):
    """The work was stopped by its user."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """doing: what is being done, such as "Rendering". total: 0 = not known.

    seconds: since this part of the work began.
    """

    doing: str
    done: int = 0
    total: int = 0
    seconds: float = 0.0

    @property
    def seconds_left(self) -> float | None:
        """At the speed until now; None where it cannot be told yet."""
        if not (self.total and self.done and self.seconds > 0):
            return None
        return self.seconds / self.done * (self.total - self.done)


class Job(Generic[T]):
    """Runs `work(job)` at once."""

    def __init__(self, work: Callable[[Job[T]], T]) -> None:
        self.progress = Progress(doing="Starting")
        self._work = work
        self._stop = threading.Event()
        self._ended = threading.Event()
        self._result: T | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="job", daemon=True)
        self._thread.start()

    def watch(self, items: Iterable[Item], doing: str, total: int) -> Iterator[Item]:
        """Hands items through, notes the progress, and raises `Stopped` when it is time."""
        began = time.monotonic()
        self.progress = Progress(doing=doing, total=total)
        for number, item in enumerate(items, 1):
            self.check()
            yield item
            seconds = time.monotonic() - began
            self.progress = Progress(doing=doing, done=number, total=total, seconds=seconds)

    def check(self) -> None:
        """Raises `Stopped` if the work shall stop."""
        if self._stop.is_set():
            raise Stopped

    def stop(self) -> None:
        """Ask the work to stop. It does so at its next frame."""
        self._stop.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Whether the work has ended, waiting for it at most so long."""
        return self._ended.wait(seconds)

    def result(self) -> T:
        """What the work returned, once it has ended. Raises what it raised, and `Stopped`."""
        self._ended.wait()
        if self._error is not None:
            raise self._error
        return self._result  # type: ignore[return-value]

    def _run(self) -> None:
        try:
            self._result = self._work(self)
        except Exception as error:
            self._error = error
        finally:
            self._ended.set()
