"""Files checked before they are read, and written so that they appear whole or not at all."""

import contextlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reenact.errors import UserError

# File systems end names at 255 bytes. A Chinese or Japanese character takes three.
MAX_NAME_BYTES = 255

TEMPORARY_NAME = re.compile(r"\.reenact-[0-9a-f]{16}\.tmp(\..*)?")
STALE_AFTER = 24 * 3600.0  # seconds since the last change

_swept: set[Path] = set()


def check_input_file(path: str | Path) -> Path:
    """Return `path` as a Path if it is a readable file that is not empty. Raises UserError."""
    path = Path(path)
    try:
        if path.is_dir():
            raise UserError(f"{path}: is a folder, give the path of a file")
        if not path.exists():
            raise UserError(f"{path}: no such file, check the path")
        if not path.is_file():
            raise UserError(f"{path}: is not a regular file, copy it to one first")
        if path.stat().st_size == 0:
            raise UserError(f"{path}: the file is empty, copy or download it again")
    except (OSError, ValueError) as error:  # names too long, null bytes, unreadable folders
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: {_reason(error)}, check the path") from error
    if not os.access(path, os.R_OK):
        raise UserError(f"{path}: permission denied, make the file readable")
    return path


def check_output_path(
    path: str | Path, suffixes: tuple[str, ...] = (), *, makes_folders: bool = False
) -> Path:
    """Return `path` as a Path if a file can be written there. Raises UserError.

    suffixes: the allowed endings, lower case with the dot; empty allows all.
    makes_folders: missing folders are no error, because `make_folder` makes them later.
    """
    path = Path(path)
    _check_name(path)
    folder = path.parent
    try:
        if path.is_dir():
            raise UserError(f"{path}: is a folder, give the path of a file to write")
        while makes_folders and not folder.exists() and folder != folder.parent:
            folder = folder.parent
        if not folder.exists():
            raise UserError(f"{path}: the folder {folder} does not exist, create it first")
        if not folder.is_dir():
            raise UserError(f"{path}: {folder} is not a folder, choose another path")
    except (OSError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: {_reason(error)}, choose another path") from error
    if suffixes and path.suffix.lower() not in suffixes:
        raise UserError(f"{path}: cannot write this kind of file, end it in {', '.join(suffixes)}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"{path}: the folder {folder} is not writable, choose another path")
    return path


def shortened(name: str, max_bytes: int) -> str:
    """The start of a name, cut between two characters so that it has at most so many bytes."""
    whole = os.fsencode(name)
    if len(whole) <= max_bytes:
        return name
    return whole[:max_bytes].decode("utf-8", errors="ignore")


def create_temporary(path: Path) -> Path:
    """A new empty file in the folder of `path`, so that os.replace to `path` is atomic.

    No other program can have made the file before, and it has the permissions that new files of
    this user get. Temporary files that older runs left in this folder are removed, once in the
    life of a process.
    """
    _remove_stale(path.parent)
    suffix = path.suffix if len(path.suffix) <= 10 else ""  # libraries choose a format by it
    temporary = path.with_name(f".reenact-{secrets.token_hex(8)}.tmp{suffix}")
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    return temporary


def create_temporary_folder(path: Path) -> Path:
    """A new empty folder beside `path`, which `create_temporary` describes."""
    _remove_stale(path.parent)
    temporary = path.with_name(f".reenact-{secrets.token_hex(8)}.tmp")
    try:
        temporary.mkdir()
    except OSError as error:
        raise UserError(f"{path}: cannot write ({_reason(error)}), choose another path") from error
    return temporary


@contextmanager
def atomic_output(path: str | Path) -> Iterator[Path]:
    """Yield a temporary file to write. It becomes `path` at the end of the block.

    Whatever exception leaves the block, Ctrl-C included, removes the temporary file and leaves an
    older file at `path` as it was. An OSError (a full disk, for example) becomes a UserError.
    """
    path = check_output_path(path)
    temporary: Path | None = None
    try:
        temporary = create_temporary(path)
        usual = temporary.stat().st_mode
        yield temporary
        if temporary.stat().st_mode != usual:
            # safetensors puts a file of its own here, which only its owner may read.
            temporary.chmod(usual)
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(f"{path}: cannot write ({_reason(error)}), choose another path") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Create a folder (and those above it) in which files can be written. Raises UserError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot make this folder ({_reason(error)}), choose another output"
        ) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"{folder}: the folder is not writable, choose another output")


def _check_name(path: Path) -> None:
    """Raises UserError if the file name is longer than file systems allow."""
    num_bytes = len(os.fsencode(path.name))
    if num_bytes > MAX_NAME_BYTES:
        raise UserError(
            f"{path}: the file name has {num_bytes} bytes, give one of at most {MAX_NAME_BYTES}"
        )


def _remove_stale(folder: Path) -> None:
    """Remove what a killed run left, if nothing was written to it for a day."""
    if folder in _swept:
        return
    _swept.add(folder)
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            if not TEMPORARY_NAME.fullmatch(entry.name):
                continue
            with contextlib.suppress(OSError):
                if time.time() - entry.stat(follow_symlinks=False).st_mtime < STALE_AFTER:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
                else:
                    os.unlink(entry.path)


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
