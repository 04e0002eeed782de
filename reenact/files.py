"""Input files checked before they are opened, output files that appear whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reenact.errors import UserError


def check_input_file(path: str | Path) -> Path:
    """Return `path` as a Path if it is a readable file with something in it, else UserError."""
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


def check_output_path(path: str | Path, suffixes: tuple[str, ...] = ()) -> Path:
    """Return `path` as a Path if a file can be written there, else UserError.

    suffixes: the allowed endings, lower case with the dot; empty allows all.
    """
    path = Path(path)
    if suffixes and path.suffix.lower() not in suffixes:
        raise UserError(f"{path}: cannot write this kind of file, end it in {', '.join(suffixes)}")
    folder = path.parent
    try:
        if path.is_dir():
            raise UserError(f"{path}: is a folder, give the path of a file to write")
        if not folder.exists():
            raise UserError(f"{path}: the folder {folder} does not exist, create it first")
        if not folder.is_dir():
            raise UserError(f"{path}: {folder} is not a folder, choose another path")
    except (OSError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: {_reason(error)}, choose another path") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"{path}: the folder {folder} is not writable, choose another path")
    return path


def temporary_path(path: Path) -> Path:
    """A fresh hidden name in the folder of `path`, so that os.replace to `path` is atomic."""
    # Not tempfile: its files are private (0600) and the rename would keep that.
    return path.with_name(f".{path.stem[:100]}.{secrets.token_hex(4)}.tmp{path.suffix}")


@contextmanager
def atomic_output(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path to write; it becomes `path` on success and is removed on any error.

    An OSError inside the block (a full disk, for one) becomes a UserError.
    """
    path = check_output_path(path)
    temporary = temporary_path(path)
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(f"{path}: cannot write ({_reason(error)}), choose another path") from error
    finally:
        temporary.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Create a folder in which files can be written. Raises UserError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{folder}: cannot make this folder ({_reason(error)}), choose another output"
        ) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UserError(f"{folder}: the folder is not writable, choose another output")


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
