"""Ending a run between two steps."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stop_on_signal(*, patient: bool = False) -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM in the yielded list instead of dying in the middle of a step.

    A second signal means now, unless `patient`: after Ctrl-C torchrun's processes get one from the
    terminal and one from torchrun, which kills them half a minute later anyway.
    """
    received: list[int] = []

    def note(signum: int, frame: object) -> None:
        if received and not patient:
            raise KeyboardInterrupt
        received.append(signum)

    previous = {s: signal.signal(s, note) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)
