"""Locks on open files. They end with the process, however it ends."""

from __future__ import annotations

import sys
from typing import IO, Any

if sys.platform != "win32":
    import fcntl


def wait_for_lock(file: IO[Any]) -> None:
    """Wait until no other process has locked the file, then lock it. Windows has no such locks."""
    if sys.platform != "win32":
        fcntl.flock(file, fcntl.LOCK_EX)


def try_lock(file: IO[Any]) -> bool:
    """Lock the file; False if another process has locked it."""
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
