"""Files of the page's visitors: uploads and results, in one temporary folder that is swept."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path

PREFIX = "reenact-web-"
KEPT_SECONDS = 3600.0
"""Files of a page that is still open are removed when nothing was done with them for so long."""
KEPT_RESULTS = 2
ABANDONED_SECONDS = 24 * 3600.0
"""Folders that a killed server left behind are removed after this time."""


class Storage:
    """A folder that only this user can read.

    files: everything that the server may hand out. Gradio puts uploads here. Results lie here too,
        in a folder for each visit.
    """

    def __init__(self) -> None:
        _remove_abandoned()
        self.root = Path(tempfile.mkdtemp(prefix=PREFIX)).resolve()
        self.files = self.root / "files"
        self.files.mkdir()
        self._used: dict[str, dict[str, Path]] = {}  # by visit and purpose
        self._kept: frozenset[Path] = frozenset()
        self._lock = threading.Lock()

    def keep_present(self) -> None:
        """The files that are there now belong to the page itself, and stay."""
        self._kept = frozenset(path for path in self.root.rglob("*") if path.is_file())

    def new_folder(self, visit: str, purpose: str) -> Path:
        """An empty folder for a result. Of each purpose the newest `KEPT_RESULTS` stay.

        A new address each time, because browsers keep what they loaded from an old one.
        """
        folder = self._results(visit) / purpose
        folder.mkdir(parents=True, exist_ok=True)
        older = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        for path in older[: max(0, len(older) + 1 - KEPT_RESULTS)]:
            shutil.rmtree(path, ignore_errors=True)
        return Path(tempfile.mkdtemp(dir=folder))

    def use(self, visit: str, purpose: str, path: Path | None) -> None:
        """Note that the visit uses an upload, such as its photo. The one before is removed."""
        with self._lock:
            used = self._used.setdefault(visit, {})
            before = used.pop(purpose, None)
            if path is not None:
                used[purpose] = path
                with contextlib.suppress(OSError):
                    os.utime(path)
            if before is not None:
                self._remove_upload(before)

    def end(self, visit: str) -> None:
        """Remove everything of a visit."""
        with self._lock:
            for path in self._used.pop(visit, {}).values():
                self._remove_upload(path)
        shutil.rmtree(self._results(visit), ignore_errors=True)

    def sweep(self, seconds: float = KEPT_SECONDS) -> None:
        """Remove the files that were not touched for so long."""
        oldest = time.time() - seconds
        for path in self.root.rglob("*"):
            with contextlib.suppress(OSError):
                old = path.is_file() and path.stat().st_mtime < oldest
                if old and path not in self._kept:
                    path.unlink()

    def close(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)

    def _results(self, visit: str) -> Path:
        return self.files / f"visit-{''.join(c for c in visit if c.isalnum())[:64]}"

    def _remove_upload(self, path: Path) -> None:
        """Another visit may have sent the same file, which is stored once."""
        path = path.resolve()
        others = (other.resolve() for used in self._used.values() for other in used.values())
        if path.is_relative_to(self.files) and path not in self._kept and path not in others:
            path.unlink(missing_ok=True)


def _remove_abandoned() -> None:
    oldest = time.time() - ABANDONED_SECONDS
    with contextlib.suppress(OSError):
        for entry in os.scandir(tempfile.gettempdir()):
            if entry.name.startswith(PREFIX) and entry.is_dir(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    if _newest(Path(entry.path)) < oldest:
                        shutil.rmtree(entry.path, ignore_errors=True)


def _newest(folder: Path) -> float:
    """The last change of anything in a folder."""
    return max(path.stat().st_mtime for path in [folder, *folder.rglob("*")])
